"""MBPP: small Python tasks, https://arxiv.org/abs/2108.07732, of which a part was verified by hand.

Read through `datasets` from the hub, or from a JSON file: the verified part (``sanitized``, with
``prompt`` and ``test_imports``) or the whole (with ``text`` and ``test_setup_code``).
"""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.envs.code.parts import code_rewards, reply_program
from bakeoff.envs.rows import Row, Source
from bakeoff.envs.text_env import TextEnv, checked_split
from bakeoff.errors import UsageError
from bakeoff.rewards.code import AssertTests
from bakeoff.types import Item

INSTRUCTION = "Reply with the Python code in a code block."
SOURCE = Source(
    name="MBPP",
    hub_id="google-research-datasets/mbpp",
    config="sanitized",
    variable="BAKEOFF_MBPP",
    hint="sanitized-mbpp.json or mbpp.jsonl, or a folder that holds one of them",
)
# task ids, as in the paper: 1 to 10 are for few-shot prompts and 511 to 600 for validation
IDS = {"train": range(601, 975), "eval": range(11, 511)}


class MBPP(TextEnv):
    """Small Python functions described in a sentence or two (MBPP).

    Args:
        data: a ``.json`` or ``.jsonl`` file of the data set, a folder that holds one, or a hub id.
            By default what the environment variable ``BAKEOFF_MBPP`` says, else the hub's
            ``google-research-datasets/mbpp`` in its configuration ``sanitized``.
        shown: how many of the task's asserts the prompt shows; the rest are hidden.
        partial: whether a reply earns the share of the asserts that pass; else all or nothing.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: the data is not there, cannot be read, holds a row without tests or the same
            task twice, or ``shown`` is below 1.
    """

    id = "bakeoff/MBPP-v0"
    reply_tokens = 512
    needs_sandbox = True

    def __init__(
        self,
        *,
        data: str | None = None,
        shown: int = 1,
        partial: bool = True,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        if shown < 1:  # the name of the function stands nowhere else
            raise UsageError(f"shown must be at least 1, not {shown}")
        self.rewards = code_rewards(reply_program, partial=partial)
        rows = SOURCE.rows(SOURCE.place(data), "train+validation+test+prompt")
        tasks = items(rows, shown)
        self._tasks = {
            split: [task for number, task in tasks.items() if number in ids]
            for split, ids in IDS.items()
        }

    def size(self, split: str) -> int:
        """Return how many tasks the split has."""
        return len(self._tasks[checked_split(split)])

    def item(self, index: int, split: str = "train") -> Item:
        """Return one task; the gold reply is the data set's own."""
        index = self._checked_index(index, split)
        task = self._tasks[split][index]
        return Item(f"{self.id}/{split}/{index}", task.prompt, task.answer, task.gold, task.data)


def items(rows: Sequence[tuple[str, Row]], shown: int = 1) -> dict[int, Item]:
    """Return the item of each row, without its id, by the number of the task, in their order.

    Raises:
        UsageError: a row has no number, text, code or test, or a task is there twice.
    """
    found: dict[int, Item] = {}
    for place, row in rows:
        try:
            number, item = _numbered_item(row, shown)
            if number in found:
                raise ValueError(f"task {number} is there twice")
        except ValueError as error:
            raise UsageError(f"{place}: {error}") from None
        found[number] = item
    return dict(sorted(found.items()))


def _numbered_item(row: Row, shown: int) -> tuple[int, Item]:
    number, text, code = row.get("task_id"), row.get("prompt") or row.get("text"), row.get("code")
    if not isinstance(number, int):
        raise ValueError("a row needs the number 'task_id'")
    if not (isinstance(text, str) and text.strip() and isinstance(code, str) and code.strip()):
        raise ValueError("a row needs the texts 'prompt' (or 'text') and 'code'")
    asserts = row.get("test_list")
    if not (asserts and all(isinstance(line, str) and "assert" in line for line in asserts)):
        raise ValueError("a row needs asserts in 'test_list'")
    setup = "\n".join([*(row.get("test_imports") or ()), row.get("test_setup_code") or ""])
    examples = "\n".join(asserts[:shown])
    return number, Item(
        "",
        f"{text.strip()}\nYour code should satisfy this:\n{examples}\n{INSTRUCTION}",
        answer=code,
        gold=code,
        data={"tests": AssertTests(asserts=tuple(asserts), setup=setup.strip())},
    )
