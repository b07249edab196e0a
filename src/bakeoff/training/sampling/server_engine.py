"""A vLLM engine in another process, behind the interface of the one in this process.

All of it is vLLM's own (0.32), over HTTP: token ids go to ``/inference/v1/generate``, weights are
files that ``reload_weights`` reads, prompts' keys are forgotten by ``/reset_prefix_cache``, and
``/update_weight_version`` names the weights. Every reply says by that name which weights wrote each
of its tokens, and one that others wrote is an error: two runs can never share a server unnoticed.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.models import ModelError
from bakeoff.training.sampling.server_config import ServerConfig
from bakeoff.training.sampling.server_link import Link, LinkError
from bakeoff.training.sampling.server_process import ServerProcess
from bakeoff.training.sampling.vllm_engine import Answer, Question, arguments

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MEMORY = Path("/dev/shm")
"""Files here are in main memory, on Linux."""

FILE_BYTES = 2**30
"""Weights of so many bytes are put into a file, or one that is larger."""

CLAMPED = -9999.0
"""What the server says of a log-probability that JSON has no number for."""

FLAGS = "--host 127.0.0.1 --enable-scale-out --logprobs-mode"
"""Of a server that is started elsewhere; docs/vllm.md has the rest."""


class ServerEngine:
    """An engine of a server that is running, or is started for this run and ends with it.

    Attributes:
        kv_cache_bytes: 0: its memory is not this process's.
        weight_bytes: 0 too.
    """

    kv_cache_bytes = 0
    weight_bytes = 0

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        dtype: torch.dtype,
        rows: int,
        tokens: int,
        logprobs: str,
        server: ServerConfig,
    ) -> None:
        """Reach the server, or start it; its weights mean nothing until ``load``.

        Args:
            model: what it is to compute.
            dtype: of weights, passes and cache, if it is started here.
            rows: requests that run at a time.
            tokens: of a reply.
            logprobs: the kind that it reports, see ``vllm_modes``.
            server: where it is.

        Raises:
            UsageError: a server that is running was started with other flags than it needs.
            ModelError: it cannot be reached, or does not start.
        """
        self._config, self._rows = model.config, rows
        self._process: ServerProcess | None = None
        self._run, self._loads, self._version = uuid.uuid4().hex[:12], 0, ""
        self._folder = tempfile.TemporaryDirectory(
            prefix="bakeoff-weights-", dir=server.sampler_folder or _in_memory()
        )
        try:
            if server.vllm_python is None:
                assert server.sampler_url is not None, "the settings are checked"
                self._link = Link(server.sampler_url)
                self._check(logprobs)
            else:
                named = arguments(model, dtype=dtype, rows=rows, tokens=tokens, logprobs=logprobs)
                self._start(server.vllm_python, named)
        except BaseException:
            self.close()
            raise

    def _start(self, python: str, named: Mapping[str, Any]) -> None:
        model = Path(self._folder.name) / "model"
        self._config.save_pretrained(model)
        self._process = ServerProcess(python, model, named)
        self._link = self._process.link
        # it was started with weights that mean nothing, and no loader to read others with
        reading = {"load_config": {"load_format": "safetensors", "use_tqdm_on_load": False}}
        self._call("update_config", {"overrides": reading})

    def _check(self, logprobs: str) -> None:
        """Check the flags of a server that was started elsewhere."""
        command = f"VLLM_SERVER_DEV_MODE=1 vllm serve MODEL {FLAGS} {logprobs}"
        try:
            found = self._link.ask("GET", "/server_info?config_format=json")["vllm_config"]
        except LinkError as error:
            if error.status == 404:
                raise UsageError(
                    f"{self._link.address} does not take weights; start it with: {command}"
                ) from error
            raise ModelError(str(error)) from error
        if (mode := found["model_config"]["logprobs_mode"]) != logprobs:
            raise UsageError(
                f"the vLLM server at {self._link.address} reports {mode}, and these settings need "
                f"{logprobs}; start it with: {command}"
            )

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Take up weights, with their names in a checkpoint, and forget the keys of older ones.

        Raises:
            ModelError: the server cannot read them.
        """
        self._loads += 1
        folder = Path(self._folder.name) / f"weights-{self._loads}"
        self._config.save_pretrained(folder)
        try:
            for number, some in enumerate(_files(weights)):
                save_file(some, folder / f"model-{number}.safetensors")
            self._call("reload_weights", {"weights_path": str(folder)})
            forgotten = self._link.ask("POST", "/reset_prefix_cache")
            self._version = f"bakeoff-{self._run}-{self._loads}"
            self._link.ask("POST", "/update_weight_version", {"new_version": self._version})
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if not forgotten["success"]:
            raise RuntimeError("vLLM keeps keys of older weights: requests are still running")

    def answers(self, questions: Sequence[Question]) -> Generator[tuple[int, Answer], None, None]:
        """Yield the place of each question and the answer to it, as soon as it is finished.

        Close the iterator if it is not used up: the requests that have not begun are dropped, and
        those that have are waited for.

        Raises:
            LinkError: the server does not answer.
            RuntimeError: other weights than those of this run wrote the answer.
        """
        with ThreadPoolExecutor(min(self._rows, max(1, len(questions)))) as pool:
            asked = {pool.submit(self._answer, one): place for place, one in enumerate(questions)}
            try:
                for answer in as_completed(asked):
                    yield asked[answer], answer.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, question: Question) -> Answer:
        body = {"token_ids": list(question.prompt), "sampling_params": dict(question.params)}
        try:
            (found,) = self._link.ask("POST", "/inference/v1/generate", body)["choices"]
        except LinkError as error:
            if error.status == 403:
                raise UsageError(f"{error}; start it with --enable-scale-out") from error
            raise
        versions = {span["version"] for span in found["weight_versions"]}
        if versions != {self._version}:
            raise RuntimeError(
                f"the vLLM server at {self._link.address} was given other weights meanwhile "
                f"({', '.join(sorted(versions))}): is another run using it?"
            )
        logprobs = [float(one["logprob"]) for one in found["logprobs"]["content"]]
        known = [one if one > CLAMPED else float("-inf") for one in logprobs]
        return Answer(list(found["token_ids"]), known, found["finish_reason"] == "stop")

    def _call(self, method: str, keywords: Mapping[str, object]) -> None:
        """Have every worker of the server call one of its methods."""
        try:
            self._link.ask("POST", "/collective_rpc", {"method": method, "kwargs": keywords})
        except LinkError as error:
            raise ModelError(str(error)) from error

    def close(self) -> None:
        """End the server, if it is this run's own, and remove what was handed over."""
        if self._process is not None:
            self._process.close()
        self._folder.cleanup()


def _files(weights: Iterable[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    """Yield weights in main memory, a file's at a time, none of which shares it with another."""
    some: dict[str, Tensor] = {}
    seen: set[int] = set()
    held_bytes = 0
    for name, weight in weights:
        held = weight.detach().cpu().contiguous()
        some[name] = held.clone() if held.data_ptr() in seen else held
        seen.add(held.data_ptr())
        held_bytes += held.nbytes
        if held_bytes >= FILE_BYTES:
            yield some
            some, seen, held_bytes = {}, set(), 0
    if some:
        yield some


def _in_memory() -> str | None:
    return str(MEMORY) if MEMORY.is_dir() else None
