r"""MATH: competition problems, https://arxiv.org/abs/2103.03874, to train on and to evaluate with.

Read through `datasets` from the hub, or from a JSON file. A row has a ``problem`` and an
``answer``; without one, the answer is what stands in the last ``\boxed{}`` of its ``solution``.

- ``bakeoff/MATH-v0`` has the training problems: one in eight, by its content, is held out as
  "eval".
- ``bakeoff/MATH500-v0`` has the 500 test problems of https://arxiv.org/abs/2305.20050 as "eval",
  and nothing to train on.

A row whose answer cannot be read is left out and counted, and ``left_out`` lists it with the
reason: a model is never paid, and never punished, for an answer that nobody can judge.
"""

from __future__ import annotations

import logging
import re
from typing import ClassVar, NamedTuple

from bakeoff.envs.math.boxes import box_rewards
from bakeoff.envs.rows import Row, Source
from bakeoff.envs.text_env import TextEnv, checked_split, split_of
from bakeoff.errors import UsageError, unknown
from bakeoff.rewards.math import compile_gold, same_value
from bakeoff.rewards.math.extraction import extracted
from bakeoff.types import Item

INSTRUCTION = r"Reason step by step, and put the final answer in \boxed{}."

_log = logging.getLogger(__name__)
_HINT = (
    "a .json or .jsonl file with 'problem' and 'answer' or 'solution', or a folder that holds it"
)


class Problem(NamedTuple):
    """One competition problem."""

    question: str
    answer: str
    gold: str
    difficulty: int | None
    subject: str | None


class Competition(TextEnv):
    """What the two environments share: reading the problems and asking them.

    Attributes:
        source, hub_split: where the problems are.
        asks: the split that ``reset`` takes its items from by default.
        left_out: the rows that cannot be scored: where each stands, and why.
    """

    source: ClassVar[Source]
    hub_split: ClassVar[str]
    asks: ClassVar[str] = "train"
    reply_tokens = 512

    def __init__(
        self,
        *,
        data: str | None = None,
        subject: str | None = None,
        difficulty: int | None = None,
        format_weight: float = 0.0,
        split: str | None = None,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split or self.asks, render_mode=render_mode)
        self.rewards = box_rewards(same_value, format_weight)
        place = self.source.place(data)
        rows = self.source.rows(place, self.hub_split)
        problems, self.left_out = _problems(rows)
        if self.left_out:
            text = f"{len(self.left_out)} of {len(rows)} rows cannot be scored, such as "
            text += ": ".join(self.left_out[0])
            if not problems:
                raise UsageError(text)
            _log.warning("%s leaves out rows: %s", self.id, text)
        problems = _chosen(problems, "subject", subject)
        problems = _chosen(problems, "difficulty", difficulty)
        self._problems = self._split(problems)

    def size(self, split: str) -> int:
        """Return how many problems the split has."""
        return len(self._problems[checked_split(split)])

    def item(self, index: int, split: str = "train") -> Item:
        """Return one problem; the gold reply is its solution, if the data has it."""
        index = self._checked_index(index, split)
        problem = self._problems[split][index]
        return Item(
            f"{self.id}/{split}/{index}",
            f"{problem.question}\n{INSTRUCTION}",
            problem.answer,
            gold=problem.gold,
            data={"level": problem.difficulty} if problem.difficulty else {},
        )

    def _split(self, problems: list[Problem]) -> dict[str, list[Problem]]:
        raise NotImplementedError


class MATH(Competition):
    r"""Competition problems to train on (MATH), with one in eight held out.

    Args:
        data: a JSON file, a folder that holds one, or a hub id. By default what the environment
            variable ``BAKEOFF_MATH`` says, else the hub's ``DigitalLearningGmbH/MATH-lighteval``.
        subject: ask only problems of this subject, such as "Algebra".
        difficulty: ask only problems of this difficulty, 1 to 5.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from; by default "train".
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: the data is not there or cannot be read, no row can be scored, or there is no
            problem of that subject or difficulty.
    """

    id = "bakeoff/MATH-v0"
    source = Source("MATH", "DigitalLearningGmbH/MATH-lighteval", None, "BAKEOFF_MATH", _HINT)
    hub_split = "train"

    def _split(self, problems: list[Problem]) -> dict[str, list[Problem]]:
        splits: dict[str, list[Problem]] = {"train": [], "eval": []}
        for problem in problems:
            splits[split_of(self.id, " ".join(problem.question.split()))].append(problem)
        return splits


class MATH500(Competition):
    r"""Competition problems to evaluate with (MATH-500); it has no items to train on.

    Args:
        data: a JSON file, a folder that holds one, or a hub id. By default what the environment
            variable ``BAKEOFF_MATH500`` says, else the hub's ``HuggingFaceH4/MATH-500``.
        subject: ask only problems of this subject, such as "Algebra".
        difficulty: ask only problems of this difficulty, 1 to 5.
        format_weight: what an answer in ``\boxed{}`` is worth, right or wrong; 0 to 1.
        split: where ``reset`` takes its items from; by default "eval".
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: the data is not there or cannot be read, no row can be scored, or there is no
            problem of that subject or difficulty; later on, an item of "train" is asked for.
    """

    id = "bakeoff/MATH500-v0"
    source = Source("MATH-500", "HuggingFaceH4/MATH-500", None, "BAKEOFF_MATH500", _HINT)
    hub_split = "test"
    asks = "eval"

    def _split(self, problems: list[Problem]) -> dict[str, list[Problem]]:
        return {"train": [], "eval": problems}

    def _checked_index(self, index: int, split: str) -> int:
        if split == "train":
            raise UsageError("MATH500 is for evaluation; train on bakeoff/MATH-v0")
        return super()._checked_index(index, split)


def _problems(rows: list[tuple[str, Row]]) -> tuple[list[Problem], list[tuple[str, str]]]:
    """Return the problems that can be scored, and where the others stand and why they cannot."""
    problems: list[Problem] = []
    left_out: list[tuple[str, str]] = []
    for place, row in rows:
        try:
            problems.append(_problem(row))
        except ValueError as error:
            left_out.append((place, str(error)))
    return problems, left_out


def _problem(row: Row) -> Problem:
    """Return the problem in a row.

    Raises:
        ValueError: there is none, or its answer is missing or cannot be read.
    """
    question, answer, solution = row.get("problem"), row.get("answer"), row.get("solution")
    if not isinstance(question, str) or not question.strip():
        raise ValueError("it has no text 'problem'")
    found = extracted(solution) if isinstance(solution, str) else None
    boxed = found.text if found is not None and found.place == "box" else None
    answer = boxed if answer is None else str(answer).strip()
    if not answer:
        raise ValueError(r"it has no 'answer', and no 'solution' with a \boxed{}")
    compile_gold(answer)
    gold = solution if boxed == answer else f"\\boxed{{{answer}}}"
    level = re.fullmatch(r"(?:Level )?([0-9])(?:\.0)?", str(_first(row, "difficulty", "level")))
    subject = _first(row, "subject", "type")
    return Problem(
        question.strip(),
        answer,
        str(gold).strip(),
        int(level[1]) if level else None,
        str(subject) if subject else None,
    )


def _first(row: Row, *names: str) -> object:
    """Return the first of these columns that has something in it."""
    return next((row[name] for name in names if row.get(name) is not None), None)


def _chosen(problems: list[Problem], name: str, value: object) -> list[Problem]:
    """Return the problems whose attribute of that name has the value; all if it is ``None``.

    Raises:
        UsageError: there is none.
    """
    if value is None:
        return problems
    found = [problem for problem in problems if getattr(problem, name) == value]
    if not found:
        known = {str(getattr(p, name)) for p in problems if getattr(p, name) is not None}
        raise unknown(name, str(value), known)
    return found
