"""Tasks of one's own, with tests: rows of a JSON file or of a data set on the hub.

What a row may hold is in ``formats``.
"""

from __future__ import annotations

from bakeoff.envs.code.formats import read
from bakeoff.envs.code.parts import code_rewards, reply_program
from bakeoff.envs.rows import Source
from bakeoff.envs.text_env import TextEnv, checked_split, split_of
from bakeoff.errors import UsageError
from bakeoff.rewards.code import Limits
from bakeoff.types import Item

SOURCE = Source(
    name="the tasks",
    hub_id="",
    config=None,
    variable="BAKEOFF_CODE_TESTS",
    hint="a .json or .jsonl file of tasks with tests, or a folder that holds it",
)


class CodeTests(TextEnv):
    """Tasks of one's own: programs that read and write text, or functions, with tests (CodeTests).

    Args:
        data: a ``.json`` or ``.jsonl`` file, a folder that holds one, or a hub id, of which the
            split "train" is read. By default what the environment variable ``BAKEOFF_CODE_TESTS``
            says.
        partial: whether a reply earns the share of the tests that pass; else all or nothing.
        seconds: how long one test may take.
        memory_mib: how much memory a program may use.
        split: where ``reset`` takes its items from; one row in eight, by its prompt, is "eval".
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: there is no data, it cannot be read, or holds a row without tests or with
            tests that cannot be read.
    """

    id = "bakeoff/CodeTests-v0"
    reply_tokens = 1024
    needs_sandbox = True

    def __init__(
        self,
        *,
        data: str | None = None,
        partial: bool = True,
        seconds: float = 5.0,
        memory_mib: int = 512,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        place = SOURCE.place(data)
        if not place:
            raise UsageError(f"{self.id} needs data: give {SOURCE.hint}, or {SOURCE.variable}")
        self.rewards = code_rewards(reply_program, partial=partial)
        limits = Limits(seconds=seconds, memory_mib=memory_mib)
        self._tasks: dict[str, list[Item]] = {"train": [], "eval": []}
        for at, row in SOURCE.rows(place, "train"):
            task = read(row, at, limits)
            self._tasks[split_of(self.id, " ".join(task.prompt.split()))].append(task)

    def size(self, split: str) -> int:
        """Return how many tasks the split has."""
        return len(self._tasks[checked_split(split)])

    def item(self, index: int, split: str = "train") -> Item:
        """Return one task; the gold reply is the row's solution, if it has one."""
        index = self._checked_index(index, split)
        task = self._tasks[split][index]
        return Item(f"{self.id}/{split}/{index}", task.prompt, task.answer, task.gold, task.data)
