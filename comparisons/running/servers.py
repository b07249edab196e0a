"""Whether the vLLM server that runs are to sample with is there; no torch, no vLLM."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from bakeoff.comparisons.running.given import ELSEWHERE
from bakeoff.errors import UsageError
from bakeoff.training.sampling.server_link import Link

HAS_VLLM = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


def check_server(config: Mapping[str, Any], parallel: int, launcher: str) -> None:
    """Accept settings of a server that can be had.

    Args:
        config: the comparison's, checked.
        parallel: how many runs there are at a time on a machine.
        launcher: what starts them; some have runs on several machines at a time.

    Raises:
        UsageError: it does not answer, or two runs would give it their weights in turns, or what
            is to start it is no Python with vLLM.
    """
    url, python = config.get("sampler_url"), config.get("vllm_python")
    if url is not None:
        if launcher in ELSEWHERE:
            raise UsageError(
                "sampler_url is one server, which has one run's weights, and the launcher "
                f"{launcher} has runs on several machines at a time: name a vllm_python, which "
                "starts one for each run"
            )
        if parallel > 1:
            raise UsageError(
                "sampler_url is one server, which has one run's weights: set max_parallel to 1, or "
                "name a vllm_python, which starts one for each run"
            )
        if not Link(url).ready():
            raise UsageError(f"no vLLM server answers at sampler_url {url}; see docs/vllm.md")
    if python is not None:
        if shutil.which(python) is None:
            raise UsageError(f"vllm_python is no program: {python}")
        done = subprocess.run([python, "-c", HAS_VLLM], capture_output=True, check=False)
        if done.returncode != 0:
            raise UsageError(f"vllm_python {python} has no vLLM; see docs/vllm.md")
