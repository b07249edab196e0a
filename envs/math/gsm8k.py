"""GSM8K: grade-school word problems, https://arxiv.org/abs/2110.14168.

Read through `datasets` from the hub, or from a folder with ``train.jsonl`` and ``test.jsonl``. The
test split is "eval".
"""

from __future__ import annotations

import re
from typing import NamedTuple

from bakeoff.envs.math.boxes import box_rewards
from bakeoff.envs.rows import Row, Source
from bakeoff.envs.text_env import TextEnv, checked_split
from bakeoff.errors import UsageError
from bakeoff.rewards.math import correct
from bakeoff.types import Item

INSTRUCTION = r"Reason briefly, then put the number in \boxed{}."
SOURCE = Source(
    name="GSM8K",
    hub_id="openai/gsm8k",
    config="main",
    variable="BAKEOFF_GSM8K",
    hint="a folder with train.jsonl and test.jsonl",
)

_FILES = {"train": "train", "eval": "test"}  # our split -> the data set's
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_CALCULATION = re.compile(r"<<[^<>]*>>")


class Problem(NamedTuple):
    """One word problem."""

    question: str
    rationale: str
    answer: str


class GSM8K(TextEnv):
    r"""Grade-school word problems that take two to eight steps (GSM8K).

    Args:
        data: a folder with ``train.jsonl`` and ``test.jsonl``, or a hub id. By default what the
            environment variable ``BAKEOFF_GSM8K`` says, else the hub's ``openai/gsm8k``.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: the data is not there, cannot be read, or holds a row that cannot be scored.
    """

    id = "bakeoff/GSM8K-v0"
    reply_tokens = 256

    def __init__(
        self,
        *,
        data: str | None = None,
        format_weight: float = 0.0,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.rewards = box_rewards(correct, format_weight)
        data = SOURCE.place(data)
        self._problems = {
            name: [_problem(row, at) for at, row in SOURCE.rows(data, file, f"{file}.jsonl")]
            for name, file in _FILES.items()
        }
        train, test = ({p.question for p in problems} for problems in self._problems.values())
        if train & test:
            count = len(train & test)
            raise UsageError(f"{data}: {count} of its test questions are in train as well")

    def size(self, split: str) -> int:
        """Return how many problems the split has."""
        return len(self._problems[checked_split(split)])

    def item(self, index: int, split: str = "train") -> Item:
        """Return one problem; the gold reply is the data set's own rationale."""
        index = self._checked_index(index, split)
        problem = self._problems[split][index]
        return Item(
            f"{self.id}/{split}/{index}",
            f"{problem.question}\n{INSTRUCTION}",
            problem.answer,
            gold=f"{problem.rationale}\n\\boxed{{{problem.answer}}}",
        )


def _problem(row: Row, place: str) -> Problem:
    question, answer = row.get("question"), row.get("answer")
    if not (isinstance(question, str) and question.strip() and isinstance(answer, str)):
        raise UsageError(f"{place}: a row needs the texts 'question' and 'answer'")
    rationale, marker, final = answer.rpartition("####")
    final = final.strip().replace(",", "")
    if not marker or not _NUMBER.fullmatch(final):
        raise UsageError(f"{place}: the answer does not end with '#### <number>'")
    return Problem(question.strip(), _CALCULATION.sub("", rationale).strip(), final)
