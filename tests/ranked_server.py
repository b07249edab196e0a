"""What stands in for a vLLM server where vLLM is not installed: the same calls, and no process.

The server itself is in ``tests/slow/test_vllm_ranks.py``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence

from small_world import tokenizer
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from bakeoff.models.loading import LanguageModel
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.sampling.server_link import LinkError
from bakeoff.training.sampling.vllm_engine import Answer, Question


class Writer:
    """Writes with a model of its own, which is given weights."""

    kv_cache_bytes = weight_bytes = 0

    def __init__(self, model: PreTrainedModel, **named: object) -> None:
        made = AutoModelForCausalLM.from_config(copy.deepcopy(model.config)).eval()
        self._sampler = sampler_of(LanguageModel(made, tokenizer(), "the server's"))
        self._model, self.loads = made, 0

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        self._model.load_state_dict(dict(weights))
        self.loads += 1

    def answers(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        for place, (prompt, params) in enumerate(questions):
            decoding = Decoding(
                max_new_tokens=params["max_tokens"], temperature=params["temperature"]
            )
            (found,) = self._sampler.sample([tuple(prompt)], 1, decoding, params["seed"])
            ended = not found.truncated
            yield place, Answer(list(found.token_ids), list(found.logprobs), ended)

    def close(self) -> None:
        pass


class Unstarted(Writer):
    """Does not start."""

    def __init__(self, model: PreTrainedModel, **named: object) -> None:
        raise LinkError("it does not start")


class Unloaded(Writer):
    """Is gone when it has taken one of the second weights."""

    def load(self, weights: Iterable[tuple[str, Tensor]]) -> None:
        if self.loads:
            next(iter(weights))
            raise LinkError("it does not load", 500)
        super().load(weights)


class Unanswered(Writer):
    """Is gone when it has written two replies with the second weights."""

    def answers(self, questions: Sequence[Question]) -> Iterator[tuple[int, Answer]]:
        for place, answer in super().answers(questions):
            if self.loads == 2 and place == 2:
                raise LinkError("it does not answer")
            yield place, answer
