r"""The base of the procedural families of code: what ``f`` should do, in levels, without end.

A reply is a program that defines ``f``. Or it is one line that does not, and stands where the task
has a blank: ``3`` for the ``_`` in ``def f(x): return x + _``, ``x + 3`` for what is returned, or
the line of a program that is to be repaired.

An item is drawn from a stream keyed by (id, level, split, index), until its content belongs to the
split (``split_of``) and it is a fair question:
- the tests are inputs that the prompt does not show;
- no constant is right for more than half of them, and neither is the input given back;
- what is nearly right fails at least one of them;
- a number that is asked for does not stand in the prompt, and no other agrees with the examples;
- a program that is to be repaired fails all of them, so giving it back earns nothing.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

from bakeoff.envs.code.parts import code_rewards, defines
from bakeoff.envs.levels import level_at, level_data, levels_of
from bakeoff.envs.text_env import TextEnv, checked_split, split_of
from bakeoff.rewards.code import Call, CallTests, Limits
from bakeoff.rewards.code.replies import program_of
from bakeoff.streams import stream
from bakeoff.types import Item

ENTRY = "f"
BLANK = "_"
HIDDEN = 8  # tests
MAX_LINE = 500  # characters that may stand for a blank
MAX_DRAWS = 100  # of inputs, to find those that tell a right program from a wrong one
NOTHING = object()  # equal to no value
LIMITS = Limits(seconds=0.5, total_seconds=2, memory_mib=64, output_mib=1)

Function = Callable[..., object]


class Task(NamedTuple):
    """A function to be written, completed or repaired.

    Attributes:
        ask: the prompt, with ``{examples}`` where they stand.
        content: the same for what counts as the same question; if a number is asked for, the
            examples belong to it as well.
        program: a right program.
        reply: the shortest right reply.
        template: the program that a reply of one line completes.
        function: what the program does.
        arguments: draws the arguments of one call.
        rivals: functions that fail at least one test, and if a number is asked for also one of the
            examples.
        wrong: what the program that is to be repaired does; it is right for no test.
        shown: how many examples the prompt gives.
        asks_number: whether the reply is a number, which may not stand in the prompt.
    """

    ask: str
    content: str
    program: str
    reply: str
    template: str
    function: Function
    arguments: Callable[[random.Random], tuple[object, ...]]
    rivals: Sequence[Function] = ()
    wrong: Function | None = None
    shown: int = 1
    asks_number: bool = False


Levels = Mapping[int, Callable[[random.Random], Task]]
Case = tuple[tuple[object, ...], object]  # the arguments and the value


class Family(TextEnv):
    """A family of generated functions. A subclass sets ``id``, ``levels`` and ``lengths``.

    Attributes:
        levels: what draws a task, by level.
        lengths: how many new tokens a reply needs, by level.
    """

    needs_sandbox = True
    levels: ClassVar[Levels] = {}
    lengths: ClassVar[tuple[int, ...]] = ()

    def __init__(
        self,
        *,
        level: int | str = 1,
        partial: bool = True,
        split: str = "train",
        render_mode: str | None = None,
    ) -> None:
        super().__init__(split=split, render_mode=render_mode)
        self.level = level
        self.asked_levels = levels_of(level, self.levels)
        self.reply_tokens = max(self.lengths[level - 1] for level in self.asked_levels)
        self.rewards = code_rewards(completed_program, partial=partial)

    def size(self, split: str) -> int:
        """Return how many indexes the split has; easy levels repeat their few functions."""
        return {"train": 2**31, "eval": 2**16}[checked_split(split)]

    def item(self, index: int, split: str = "train") -> Item:
        """Return one task; the gold reply is the shortest."""
        level = level_at(self.asked_levels, self.id, split, self._checked_index(index, split))
        rng = stream(self.id, level, split, index)
        while True:
            task = self.levels[level](rng)
            cases = fair_cases(task, rng)
            if cases and split_of(self.id, _content(task, cases)) == split:
                break
        calls = tuple(Call(args=args, expected=value) for args, value in cases[task.shown :])
        return Item(
            f"{self.id}/{split}/{index}",
            _prompt(task, cases),
            answer=task.program,
            gold=task.reply,
            data={
                "tests": CallTests(entry=ENTRY, calls=calls, limits=LIMITS),
                "template": task.template,
                **level_data(self.asked_levels, level),
            },
        )


def completed_program(reply: str, item: Item) -> str | None:
    """Return the program of a reply: what defines ``f``, or the template with the blank filled.

    Example:
        >>> item = Item("", "", data={"template": "def f(x): return x + (_)"})
        >>> completed_program("3", item)
        'def f(x): return x + (3)'
        >>> completed_program("def f(x): return x + 3", item)
        'def f(x): return x + 3'
        >>> completed_program("I cannot.\\nSorry.", item) is None
        True
    """
    text = program_of(reply)
    if text is None or defines(text, ENTRY):
        return text
    line = text.strip()
    if "\n" in line or len(line) > MAX_LINE:
        return None
    return str(item.data["template"]).replace(BLANK, line)


def fair_cases(task: Task, rng: random.Random) -> list[Case]:
    """Return the examples to show and then the tests, or nothing if this time they are not fair."""
    cases: list[Case] = []
    for _ in range(MAX_DRAWS):
        args = task.arguments(rng)
        value = _outcome(task.function, args)
        asked = value is not NOTHING and all(args != seen for seen, _ in cases)
        if asked and value != _outcome(task.wrong, args):
            cases.append((args, value))
        if len(cases) == task.shown + HIDDEN:
            break
    else:
        return []
    return cases if _is_fair(task, cases[: task.shown], cases[task.shown :]) else []


def _content(task: Task, cases: Sequence[Case]) -> str:
    examples = sorted(map(repr, cases[: task.shown])) if task.asks_number else []
    return "\n".join([task.content, *examples])


def _is_fair(task: Task, shown: Sequence[Case], tests: Sequence[Case]) -> bool:
    commonest = Counter(repr(value) for _, value in tests).most_common(1)[0][1]
    given_back = max(
        sum(args[n] == value for args, value in tests) for n in range(len(tests[0][0]))
    )
    if max(commonest, given_back) > len(tests) // 2:
        return False
    if any(_agrees(rival, tests) for rival in task.rivals):
        return False
    if not task.asks_number:
        return True
    copied = task.reply in re.findall(r"[0-9]+", _prompt(task, shown))
    return not copied and not any(_agrees(rival, shown) for rival in task.rivals)


def _agrees(function: Function, cases: Sequence[Case]) -> bool:
    return all(_outcome(function, args) == value for args, value in cases)


def _outcome(function: Function | None, args: tuple[object, ...]) -> object:
    """Return what a function gives; an error is equal to no value."""
    try:
        return function(*args) if function else NOTHING
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return NOTHING


def _prompt(task: Task, cases: Sequence[Case]) -> str:
    examples = (
        f"{ENTRY}({', '.join(map(repr, args))}) = {value!r}" for args, value in cases[: task.shown]
    )
    return task.ask.replace("{examples}", " and ".join(examples))
