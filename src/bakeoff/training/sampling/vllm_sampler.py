"""Sampling with vLLM, behind the protocol of the built-in sampler.

The engine has its own kernels, and may have its own precision: its log-probabilities are not quite
those of the training model. They are returned as they are, since the tokens were drawn with them;
the loop corrects the difference by default (``bakeoff.algorithms.make``, ``corrected``).

The engine is in this process, or in another (``server_engine``). Every row is a request with a seed
of its own, derived from the call's. The built-in sampler's tokens come from other random numbers:
the two write different texts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from bakeoff.errors import UsageError
from bakeoff.models import ModelError
from bakeoff.streams import stream_seed
from bakeoff.training.devices.shares import alike
from bakeoff.training.devices.world import World
from bakeoff.training.sampling.protocol import Decoding, Finished
from bakeoff.training.sampling.request import check_context, completion
from bakeoff.training.sampling.vllm_engine import (
    Answer,
    Engine,
    Question,
    one_line,
    whole_weights,
)
from bakeoff.training.sampling.vllm_modes import logprobs_mode
from bakeoff.types import Completion

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.sampling.engines import Bystander
    from bakeoff.training.sampling.server_engine import ServerEngine

LARGEST_GAP = 1.0
"""Nats that the log-probability of a likely token may differ by before the engine is refused.

Measured: below 1e-4 in fp32 and below 0.5 in bf16; weights that the engine did not take make more.
"""


class VllmSampler:
    """Samples with a vLLM engine that holds a copy of the policy.

    Attributes:
        kv_cache_bytes: what the engine holds for keys and values, used or not.
        weight_bytes: its copy of the weights.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        decoding: Decoding,
        *,
        rows: int = 128,
        dtype: torch.dtype | None = None,
        start: Callable[..., Engine | ServerEngine | Bystander] = Engine,
        policy: PreTrainedModel | None = None,
        world: World | None = None,
    ) -> None:
        """Start an engine for ``language_model``; call ``synchronise`` before the first sample.

        Args:
            language_model: the policy.
            decoding: of the samples to come; others may be greedy.
            rows: completions that are sampled at a time.
            dtype: what the engine computes in; the weights' own by default.
            start: starts the engine, see ``Engine``; on ranks above 0, of what takes its place.
            policy: has the weights, if ``language_model`` is an empty twin of it.
            world: the ranks that have the policy; rank 0 samples.

        Raises:
            UsageError: vLLM is not installed, or has no log-probabilities for this decoding.
            ModelError: vLLM cannot run the model.
        """
        self.language_model, self._policy = language_model, policy or language_model.model
        self._world = world or World()
        self._mode = logprobs_mode(decoding.temperature, decoding.top_p, decoding.top_k)
        self._engine = alike(
            self._world,
            lambda: start(
                language_model.model,
                dtype=dtype or language_model.model.dtype,
                rows=rows,
                tokens=decoding.max_new_tokens,
                logprobs=self._mode,
            ),
        )
        self._checked = False
        self.kv_cache_bytes = self._engine.kv_cache_bytes
        self.weight_bytes = self._engine.weight_bytes

    def close(self) -> None:
        """End the engine, if it is one that has to be ended."""
        self._engine.close()

    @torch.no_grad()
    def synchronise(self) -> None:
        """Give the engine the weights that the policy has now; a LoRA has to be merged meanwhile.

        All ranks call it together.

        Raises:
            ModelError: the engine has other weights, or computes something else with them.
        """
        weights = whole_weights(self._policy, self.language_model.model)
        alike(self._world, lambda: self._load(weights))
        if not self._checked:
            self._check()
            self._checked = True

    def _load(self, weights: Iterator[tuple[str, Tensor]]) -> None:
        try:
            self._engine.load(weights)
        finally:
            for _ in weights:  # the other ranks take their part in each, whatever went wrong here
                pass

    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        """Return ``n`` completions of each prompt, see ``Sampler.sample``.

        Raises:
            UsageError: a prompt and ``max_new_tokens`` do not fit the model's context, or the
                engine was started for log-probabilities of another kind.
            FloatingPointError: the model's logits are not finite.
        """
        check_context(self.language_model, prompts, decoding)
        mode = logprobs_mode(decoding.temperature, decoding.top_p, decoding.top_k)
        if decoding.temperature > 0 and mode != self._mode:
            raise UsageError(f"the engine was started for {self._mode}; this decoding has {mode}")
        owners = [prompt for prompt in prompts for _ in range(n)]
        done: list[Completion | None] = [None] * len(owners)
        questions = self._questions(owners, decoding, seed, first)
        with closing(self._engine.answers(questions)) as answers:
            for row, answer in answers:
                done[row] = found = self._completion(owners[row], answer)
                if finished is not None:
                    finished(row, found)
        return [found for found in done if found is not None]

    def _questions(
        self, owners: Sequence[tuple[int, ...]], decoding: Decoding, seed: int, first: int
    ) -> list[Question]:
        params = {
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "top_k": decoding.top_k,
            "stop_token_ids": list(self.language_model.eos_ids),
            "ignore_eos": True,  # the engine would know one of them only
            "logprobs": 0,  # of the token that was drawn, and no others
            "detokenize": False,
        }
        return [
            Question(prompt, {**params, "seed": stream_seed("vllm", seed, row)})
            for row, prompt in enumerate(owners, start=first)
        ]

    def _completion(self, prompt: tuple[int, ...], answer: Answer) -> Completion:
        if not all(map(math.isfinite, answer.logprobs)):
            raise FloatingPointError("the model's logits are not finite")
        tokens, logprobs = answer.token_ids, answer.logprobs
        return completion(self.language_model, prompt, tokens, logprobs, ended=answer.ended)

    def _check(self) -> None:
        """Compare one log-probability of the engine with the model's own.

        Raises:
            ModelError: they have nothing to do with each other, or the engine has none.
        """
        model, world = self._policy, self._world
        prompt = tuple((7 * i + 3) % model.config.get_text_config().vocab_size for i in range(24))
        (found,) = world.first(alike(world, lambda: self._likely(prompt)))
        ids = torch.tensor([prompt], device=model.device)
        own = float(model(ids).logits[0, -1].float().log_softmax(-1)[found.token_ids[0]])
        if not abs(found.logprobs[0] - own) < LARGEST_GAP:
            raise ModelError(
                f"vLLM computes something else than transformers with '{self.language_model.name}' "
                f"(a log-probability of {found.logprobs[0]:.2f}, not {own:.2f}): use "
                "--sampler builtin"
            )

    def _likely(self, prompt: tuple[int, ...]) -> list[Completion]:
        """Have the engine write its likeliest token after a prompt, on the rank that samples."""
        if self._world.rank:
            return []
        with one_line("sample"):
            return self.sample([prompt], 1, Decoding(max_new_tokens=1, temperature=0.0), 0)
