"""vLLM in this process: an engine with a copy of the weights, which takes up new ones.

Token ids go in, token ids and their log-probabilities come out: vLLM's tokenizer, chat template and
generation defaults are not used. What is particular to vLLM, and to its releases, stands here.

1. The engine starts from a model's config, with weights that mean nothing; ``load`` gives it real
   ones, at the start as after every update, so that a model that was changed in memory is sampled
   as it is.
2. Weights are loaded by vLLM's ``reload_weights``, and not by its models' ``load_weights``: on a
   CPU, and for some layers on a GPU, passes use a repacked copy, which the latter leaves stale.
3. Keys and values of a prompt are kept for further requests (prefix caching), and forgotten when
   weights are loaded.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from bakeoff.models import ModelError, require_vllm
from bakeoff.training.devices.shards import full

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROMPT_ROOM = 128
"""Tokens of prompt that the cache has room for, for each row; with longer ones fewer rows run."""

SPARE = 256
"""Further tokens: vLLM keeps a block for itself, and none has more tokens than that."""

CPU_BLOCK = 32
"""Tokens in a block of the cache on a CPU: vLLM's 128 would share no prompt shorter than that."""

SETTINGS = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
"""Environment variables that are set unless the user did: no reports to others, no chatter."""


class Question(NamedTuple):
    """One request: tokens to go on from, and vLLM's ``SamplingParams`` by name."""

    prompt: Sequence[int]
    params: Mapping[str, Any]


class Answer(NamedTuple):
    """What an engine wrote after a question.

    Attributes:
        token_ids: the tokens, the one that ended it included.
        logprobs: of each of them, of the engine's kind.
        ended: whether a token ended it; if not, it ran out of tokens.
        cached_tokens: of the prompt, whose keys the engine had already; None if it does not say.
    """

    token_ids: list[int]
    logprobs: list[float]
    ended: bool
    cached_tokens: int | None = None


class Engine:
    """A vLLM engine for one model, in this process.

    Attributes:
        kv_cache_bytes: what it holds for keys and values, used or not.
        weight_bytes: its copy of the weights; what it repacks besides is not counted.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        dtype: torch.dtype,
        rows: int,
        tokens: int,
        logprobs: str,
    ) -> None:
        """Start an engine; its weights mean nothing until ``load``.

        Args:
            model: what it is to compute.
            dtype: of weights, passes and cache.
            rows: requests that run at a time.
            tokens: of a reply.
            logprobs: the kind that it reports, see ``vllm_modes``.

        Raises:
            UsageError: vLLM is not installed.
            ModelError: vLLM cannot run the model.
        """
        self.weight_bytes = sum(weight.numel() for weight in model.parameters()) * dtype.itemsize
        named = arguments(model, dtype=dtype, rows=rows, tokens=tokens, logprobs=logprobs)
        vllm = library()
        with _threads_kept(), tempfile.TemporaryDirectory() as folder, one_line("start"):
            model.config.save_pretrained(folder)
            self._llm = vllm.LLM(folder, **named)
        cache = self._llm.llm_engine.vllm_config.cache_config
        self.kv_cache_bytes = int(cache.kv_cache_memory_bytes)

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        """Take up weights, with their names in a checkpoint, and forget the keys of older ones.

        Raises:
            ModelError: the engine has others.
        """
        arguments = {"weights_iterator": iter(weights), "is_checkpoint_format": True}
        with one_line("take the weights"):
            self._llm.collective_rpc("reload_weights", kwargs=arguments)
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM keeps keys of older weights: requests are still running")

    def close(self) -> None:
        """Do nothing: the engine ends with the process."""

    def answers(self, questions: Sequence[Question]) -> Generator[tuple[int, Answer], None, None]:
        """Yield the place of each question and the answer to it, as soon as it is finished.

        Close the iterator if it is not used up: that ends the requests that are left.
        """
        vllm = library()
        last = vllm.sampling_params.RequestOutputKind.FINAL_ONLY
        engine = self._llm.llm_engine
        running = {str(place) for place in range(len(questions))}
        try:
            for place, question in enumerate(questions):
                prompt = {"type": "token", "prompt_token_ids": list(question.prompt)}
                params = vllm.SamplingParams(**question.params, output_kind=last)
                engine.add_request(str(place), prompt, params)
            while running:
                for output in engine.step():
                    if output.finished:
                        running.remove(output.request_id)
                        yield int(output.request_id), _answer(output)
        finally:
            if running:
                engine.abort_request(sorted(running))


def arguments(
    model: PreTrainedModel, *, dtype: torch.dtype, rows: int, tokens: int, logprobs: str
) -> dict[str, Any]:
    """Return what an engine for ``model`` is started with, by vLLM's names; see ``Engine``."""
    config, cpu = model.config.get_text_config(), model.device.type == "cpu"
    context = getattr(config, "max_position_embeddings", None) or 0
    room = max(context, rows * (tokens + PROMPT_ROOM)) + SPARE
    return {
        "runner": "generate",
        "hf_overrides": {"architectures": [type(model).__name__]},  # not in every config
        "skip_tokenizer_init": True,
        "generation_config": "vllm",  # its defaults, not the model's
        "load_format": "dummy",
        "dtype": str(dtype).removeprefix("torch."),
        "seed": 0,
        "max_num_seqs": rows,
        "logprobs_mode": logprobs,
        "enable_prefix_caching": True,
        "block_size": CPU_BLOCK if cpu else None,
        "kv_cache_memory_bytes": room * token_bytes(config, dtype),
        "gpu_memory_utilization": 0.05,  # checked at the start; the cache has its bytes
        "enforce_eager": cpu,
    }


def checkpoint_weights(model: PreTrainedModel) -> dict[str, Tensor]:
    """Return a model's weights by their names in a checkpoint, tied ones by all of their names.

    Those of adapters are left out, and the layers beneath them have the names that they had
    without: call it while adapters are merged. A head that is tied to the embeddings is named too,
    since vLLM packs it apart from them on a CPU and would keep the old one.

    Example:
        >>> from bakeoff.models.loading import load
        >>> from bakeoff.training import adapters
        >>> model = load("tiny").model
        >>> names = list(checkpoint_weights(model))
        >>> adapters.add(model, "policy", rank=4, alpha=8)
        >>> list(checkpoint_weights(model)) == names
        True
        >>> "model.embed_tokens.weight" in names and "lm_head.weight" in names
        True
    """
    return {
        name.replace(".base_layer.", "."): weight
        for name, weight in model.state_dict().items()
        if ".lora_" not in name
    }


def whole_weights(policy: PreTrainedModel, player: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Yield a policy's weights with their names in a checkpoint, each whole for its turn only.

    All ranks that hold shards of them take them, one after the other.

    Args:
        policy: the model.
        player: itself, or a twin that says which numbers passes have them in.
    """
    numbers = {name: weight.dtype for name, weight in checkpoint_weights(player).items()}
    for name, weight in checkpoint_weights(policy).items():
        yield name, full(weight).to(numbers[name])


def _answer(output: Any) -> Answer:
    (found,) = output.outputs
    tokens = list(found.token_ids)
    pairs = zip(tokens, found.logprobs, strict=True)
    logprobs = [float(by_token[token].logprob) for token, by_token in pairs]
    return Answer(tokens, logprobs, found.finish_reason == "stop", output.num_cached_tokens)


def token_bytes(config: Any, dtype: torch.dtype) -> int:
    """Return the bytes of one token's keys and values, over all layers.

    Example:
        >>> from bakeoff.models.loading import load
        >>> config = load("tiny").model.config
        >>> config.num_hidden_layers, config.num_key_value_heads, config.head_dim
        (4, 4, 32)
        >>> token_bytes(config, torch.bfloat16) == 2 * 4 * 4 * 32 * 2
        True
    """
    heads = config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * kv_heads * head_dim * dtype.itemsize)


def library() -> Any:
    """Return vLLM, set up for engines in this process; it is imported only if it is asked for.

    Raises:
        UsageError: it is not installed.
    """
    require_vllm("sampler vllm")
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import vllm
    import vllm.sampling_params

    return vllm


@contextmanager
def _threads_kept() -> Iterator[None]:
    """Undo what vLLM does on a CPU: a ``torch.set_num_threads`` that does nothing."""
    set_num_threads = torch.set_num_threads
    try:
        yield
    finally:
        torch.set_num_threads = set_num_threads


@contextmanager
def one_line(what: str) -> Iterator[None]:
    """Turn vLLM's errors into one line that says what can be done.

    Raises:
        ModelError: in the place of what is raised within, unless memory was short.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (ValueError, KeyError, RuntimeError, TypeError, AssertionError, OSError) as error:
        first = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError(
            f"vLLM cannot {what} for this model; --sampler builtin can: {first}"
        ) from error
