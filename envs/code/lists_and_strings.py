"""Functions of lists of small numbers and of strings, in four levels."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

from bakeoff.envs.code.family import BLANK, Family, Function, Levels, Task
from bakeoff.envs.code.shapes import CHOSEN, COMBINED, ONE_STEP, OPEN, Shape

FILLS = range(-9, 31)  # what might stand for the blank, all but one ruled out by the examples


def _blank(rng: random.Random) -> Task:
    shape = rng.choice(OPEN)
    n = rng.choice(shape.fills)
    code = f"def f({shape.name()}): return {shape.code.replace('{n}', BLANK)}"
    return Task(
        ask=f"What is {BLANK} if {{examples}}?\n{code}",
        content=shape.code.format(n=n),
        program=code.replace(BLANK, str(n)),
        reply=str(n),
        template=code.replace(BLANK, f"({BLANK})"),
        function=partial(shape.function, n, 0),
        arguments=lambda rng: (shape.inputs(rng),),
        rivals=[partial(shape.function, other, 0) for other in FILLS if other != n],
        shown=2,
        asks_number=True,
    )


def _rivals(shape: Shape, n: int, m: int) -> list[Function]:
    """Return the functions with a number that is next to the right one."""
    others = [(n - 1, m), (n + 1, m)] if "{n}" in shape.code else []
    others += [(n, m + 1)] if "{m}" in shape.code else []
    return [partial(shape.function, *other) for other in others]


def _described(shapes: Sequence[Shape]) -> Callable[[random.Random], Task]:
    """Return what draws the task of writing a function that is described in words."""

    def task(rng: random.Random) -> Task:
        shape = rng.choice(shapes)
        n, m = rng.choice(shape.fills), rng.randrange(2, 10)
        head, code = f"f({shape.name()})", shape.code.format(n=n, m=m)
        return Task(
            ask=f"Write {head} in Python: {shape.words.format(n=n, m=m)}.\n"
            "For example, {examples}.",
            content=code,
            program=f"def {head}: return {code}",
            reply=code,
            template=f"def {head}: return ({BLANK})",
            function=partial(shape.function, n, m),
            arguments=lambda rng: (shape.inputs(rng),),
            rivals=_rivals(shape, n, m),
        )

    return task


LEVELS: Levels = {
    1: _blank,
    2: _described(ONE_STEP),
    3: _described(CHOSEN),
    4: _described(COMBINED),
}


class ListsAndStrings(Family):
    """Functions of lists and strings: what is `_` in `def f(a): return a[_:]`? Or the whole of it.

    Args:
        level: 1 asks for the number in an expression, from two values of it; 2 for one step on a
            list or a string; 3 for choosing and changing its parts; 4 for two or more of these.
        partial: whether a reply earns the share of the tests that pass; else all or nothing.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = ListsAndStrings(level=3)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value, env.score(item, item.answer).value
        (1.0, 1.0)
    """

    id = "bakeoff/ListsAndStrings-v0"
    levels = LEVELS
    lengths = (24, 48, 64, 80)
