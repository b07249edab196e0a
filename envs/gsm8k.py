"""GSM8K: grade-school word problems, https://arxiv.org/abs/2110.14168.

Read through `datasets` from the hub, or from a folder with ``train.jsonl`` and ``test.jsonl``. The
test split is "eval".
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bakeoff.envs.text_env import TextEnv, checked_split
from bakeoff.errors import UsageError
from bakeoff.rewards import RewardFunction
from bakeoff.rewards.math import compile_gold, correct, wellformed
from bakeoff.types import Item

HUB_ID = "openai/gsm8k"
DATA_VARIABLE = "BAKEOFF_GSM8K"
INSTRUCTION = 'Reason briefly, then end with "#### <number>".'

_FILES = {"train": "train", "eval": "test"}  # our split -> the data set's
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+", re.ASCII)
_CALCULATION = re.compile(r"<<[^<>]*>>")


class Row(NamedTuple):
    """One word problem."""

    question: str
    rationale: str
    answer: str


class GSM8K(TextEnv):
    """Grade-school word problems that take two to eight steps (GSM8K).

    Args:
        data: a folder with ``train.jsonl`` and ``test.jsonl``, or a hub id. By default what the
            environment variable ``BAKEOFF_GSM8K`` says, else the hub's ``openai/gsm8k``.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: the data is not there, cannot be read, or holds a row that cannot be scored.
    """

    id = "bakeoff/GSM8K-v0"
    reply_tokens = 256
    rewards: Mapping[str, tuple[float, RewardFunction]] = {
        "correct": (1.0, correct),
        "wellformed": (0.0, wellformed),
    }

    def __init__(
        self, *, data: str | None = None, split: str = "train", render_mode: str | None = None
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        data = data or os.environ.get(DATA_VARIABLE) or HUB_ID
        self._rows = {name: _rows(data, file) for name, file in _FILES.items()}
        shared = {r.question for r in self._rows["train"]} & {
            r.question for r in self._rows["eval"]
        }
        if shared:
            raise UsageError(f"{data}: {len(shared)} of its test questions are in train as well")

    def size(self, split: str) -> int:
        """Return how many problems the split has."""
        return len(self._rows[checked_split(split)])

    def item(self, index: int, split: str = "train") -> Item:
        """Return one problem; the gold reply is the data set's own rationale."""
        index = self._checked_index(index, split)
        row = self._rows[split][index]
        return Item(
            f"{self.id}/{split}/{index}",
            f"{row.question}\n{INSTRUCTION}",
            row.answer,
            gold=f"{row.rationale}\n#### {row.answer}",
        )


def _rows(data: str, file: str) -> list[Row]:
    """Return the checked problems of one file of a folder, or of one split of a hub data set."""
    folder = Path(data).expanduser()
    if folder.is_dir() or not _HUB_ID.fullmatch(data):
        path = folder / f"{file}.jsonl"
        numbered = _local_rows(folder, path)
        place = f"{path}, line"
    else:
        numbered = list(enumerate(_hub_rows(data, file), 1))
        place = f"{data}, split '{file}', row"
    return [_row(raw, f"{place} {number}") for number, raw in numbered]


def _row(raw: Mapping[str, Any], place: str) -> Row:
    question, answer = raw.get("question"), raw.get("answer")
    if not (isinstance(question, str) and question.strip() and isinstance(answer, str)):
        raise UsageError(f"{place}: a row needs the texts 'question' and 'answer'")
    rationale, marker, final = answer.rpartition("####")
    final = final.strip().replace(",", "")
    if not marker:
        raise UsageError(f"{place}: the answer does not end with '#### <number>'")
    try:
        compile_gold(final, evaluated=True)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None
    return Row(question.strip(), _CALCULATION.sub("", rationale).strip(), final)


def _local_rows(folder: Path, path: Path) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the rows of a JSON Lines file, each with its line number."""
    if not folder.is_dir():
        raise UsageError(f"no such folder: {folder} (it should hold train.jsonl and test.jsonl)")
    if not path.is_file():
        raise UsageError(f"{folder} holds no {path.name} (it should hold train.jsonl, test.jsonl)")
    with path.open("rb") as file:
        lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    if not lines:
        raise UsageError(f"{path} is empty")
    for number, line in lines:
        _check_json(line, f"{path}, line {number}")
    with tempfile.TemporaryDirectory() as cache:
        try:
            rows = _load("json", data_files={"rows": str(path)}, split="rows", cache_dir=cache)
        except Exception as error:  # such as a column with texts and numbers in it
            reason = str(error.__cause__ or error).partition("\n")[0]
            raise UsageError(f"{path}: datasets cannot read it: {reason}") from None
    return [(number, row) for (number, _), row in zip(lines, rows, strict=True)]


def _check_json(line: bytes, place: str) -> None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: not JSON ({error})") from None
    if not isinstance(row, dict):
        raise UsageError(f"{place}: not a JSON object")


def _hub_rows(data: str, file: str) -> list[Mapping[str, Any]]:
    try:
        return _load(data, "main", split=file)
    except Exception as error:  # no network, no such data set, a hub that is down, ...
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UsageError(
            f"cannot read GSM8K from '{data}': no such folder, and from the hub: {reason}; "
            f"give a folder with train.jsonl and test.jsonl as data, or in {DATA_VARIABLE}"
        ) from None


def _load(*arguments: Any, **options: Any) -> list[Mapping[str, Any]]:
    """Return the rows that `datasets.load_dataset` finds, without its progress bars and logs."""
    import datasets

    bars = not datasets.utils.are_progress_bars_disabled()
    verbosity = datasets.logging.get_verbosity()
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity(datasets.logging.CRITICAL)
    try:
        rows: list[Mapping[str, Any]] = datasets.load_dataset(*arguments, **options).to_list()
    finally:
        datasets.logging.set_verbosity(verbosity)
        if bars:
            datasets.enable_progress_bars()
    return rows
