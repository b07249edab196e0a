"""HumanEval: functions to be completed, https://arxiv.org/abs/2107.03374. For evaluation only.

Read through `datasets` from the hub, or from the JSON Lines file of the data set. A reply may be
the whole function or its body; see ``whole_program``.
"""

from __future__ import annotations

import re

from bakeoff.envs.code.parts import code_rewards, defines
from bakeoff.envs.rows import Row, Source
from bakeoff.envs.text_env import TextEnv, checked_split
from bakeoff.errors import UsageError
from bakeoff.rewards.code import CheckTests
from bakeoff.rewards.code.replies import program_of
from bakeoff.types import Item

INSTRUCTION = "Complete this Python function. Reply with the whole function in a code block."
INDENT = "    "
SOURCE = Source(
    name="HumanEval",
    hub_id="openai/openai_humaneval",
    config=None,
    variable="BAKEOFF_HUMANEVAL",
    hint="HumanEval.jsonl.gz, or a folder that holds it",
)

_COLUMNS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
_FUTURE = re.compile(r"^from __future__ import [^\n]*\n?", re.MULTILINE)
# the stop sequences of the paper, for a body that goes on with something else
_STOP = re.compile(r"\n(?=class|def|#|if|print)")


class HumanEval(TextEnv):
    """Functions to be completed from their signature and docstring (HumanEval), to evaluate with.

    Args:
        data: the data set's ``.jsonl`` or ``.jsonl.gz`` file, a folder that holds it, or a hub id.
            By default what the environment variable ``BAKEOFF_HUMANEVAL`` says, else the hub's
            ``openai/openai_humaneval``.
        split: where ``reset`` takes its items from; there are only those of "eval".
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: the data is not there, cannot be read, or holds a row without tests; later on,
            an item of "train" is asked for.
    """

    id = "bakeoff/HumanEval-v0"
    reply_tokens = 512
    needs_sandbox = True

    def __init__(
        self, *, data: str | None = None, split: str = "eval", render_mode: str | None = None
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.rewards = code_rewards(whole_program)
        rows = SOURCE.rows(SOURCE.place(data), "test")
        self._tasks = [_placed_item(row, place) for place, row in rows]

    def size(self, split: str) -> int:
        """Return how many functions the split has; "train" has none."""
        return len(self._tasks) if checked_split(split) == "eval" else 0

    def item(self, index: int, split: str = "train") -> Item:
        """Return one function; the gold reply is the data set's own."""
        if checked_split(split) == "train":
            raise UsageError("HumanEval is for evaluation; train on bakeoff/MBPP-v0")
        index = self._checked_index(index, split)
        task = self._tasks[index]
        return Item(f"{self.id}/{split}/{index}", task.prompt, task.answer, task.gold, task.data)


def whole_program(reply: str, item: Item) -> str | None:
    r"""Return the program to be tested: what a reply gives, completed by the prompt's own code.

    - A program that defines the function is put below what stands above it in the prompt: imports
      and other functions.
    - Any other is taken as the body, and put below the signature and docstring. If its first line
      is not indented, that line or all of them have lost their indentation and get it back. If it
      is, a bare body, without a fence, ends where a line that is not indented starts with one of
      the paper's stop sequences: ``class``, ``def``, ``#``, ``if`` or ``print``.

    Example:
        >>> data = {"entry": "f", "above": "import math\n", "head": 'def f(x):\n    "Double."\n'}
        >>> print(whole_program("    return 2 * x\n\nprint(f(3))", Item("", "", data=data)))
        import math
        def f(x):
            "Double."
            return 2 * x
        >>> print(whole_program("def f(x): return x + x", Item("", "", data=data)))
        import math
        def f(x): return x + x
    """
    program = program_of(reply)
    if program is None:
        return None
    above, head = str(item.data["above"]), str(item.data["head"])
    if defines(program, str(item.data["entry"])):
        first = "".join(_FUTURE.findall(program))  # must stand above everything else
        return first + above + _FUTURE.sub("", program)
    if program[0].isspace() and "```" not in reply and "~~~" not in reply:
        program = _STOP.split(program, maxsplit=1)[0].rstrip()
    return above + head + _indented(program)


def _indented(body: str) -> str:
    first, *rest = body.split("\n")
    if first[:1].isspace():
        return body
    depths = [len(line) - len(line.lstrip()) for line in rest if line.strip()]
    # below a first line that lost its own indentation alone, a block is indented twice
    least = len(INDENT) + 1 if first.endswith(":") else len(INDENT)
    if depths and min(depths) >= len(INDENT) and depths[0] >= least:
        return INDENT + body
    return "\n".join(INDENT + line if line.strip() else line for line in (first, *rest))


def _placed_item(row: Row, place: str) -> Item:
    try:
        return _item(row)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from None


def _item(row: Row) -> Item:
    """Return the item in a row, without its id.

    Raises:
        ValueError: a column is missing or is no text, or there is no test or no such function.
    """
    for name in _COLUMNS:
        if not (isinstance(row.get(name), str) and row[name].strip()):
            raise ValueError(f"a row needs the text '{name}'")
    prompt, entry = row["prompt"], row["entry_point"]
    start = re.search(rf"^def {re.escape(entry)}\b", prompt, re.MULTILINE)
    if start is None:
        raise ValueError(f"the prompt does not define '{entry}'")
    if "assert" not in row["test"]:
        raise ValueError("the test asserts nothing")
    program = prompt + row["canonical_solution"]
    above = prompt[: start.start()]
    return Item(
        "",
        f"{INSTRUCTION}\n```python\n{prompt.strip()}\n```",
        answer=program,
        gold=program,
        data={
            # with functions of the prompt's own, so that a reply cannot replace them in the test
            "tests": CheckTests(script=above + row["test"], entry=entry),
            "entry": entry,
            "above": above,
            "head": prompt[start.start() :],
        },
    )
