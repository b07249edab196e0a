"""Functions of one expression over small whole numbers, in four levels."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from bakeoff.envs.code.expressions import (
    Expression,
    condition,
    drawn_branches,
    drawn_steps,
    either,
    of_pairs,
    two_steps,
)
from bakeoff.envs.code.family import BLANK, Family, Levels, Task

MAX_X = 30
FILLS = range(-9, 31)  # what might stand for the blank, all but one ruled out by the examples


class Shape(NamedTuple):
    """An expression of ``x`` with one number left open, and what it computes."""

    code: str
    function: Callable[[int, int], int]


SHAPES = (
    Shape("x + _", lambda n, x: x + n),
    Shape("x - _", lambda n, x: x - n),
    Shape("_ - x", lambda n, x: n - x),
    Shape("x * _", lambda n, x: x * n),
    Shape("x // _", lambda n, x: x // n),
    Shape("x % _", lambda n, x: x % n),
    Shape("x // _ * 2", lambda n, x: x // n * 2),
    Shape("x % _ + 1", lambda n, x: x % n + 1),
)


def _blank(rng: random.Random) -> Task:
    shape, n = rng.choice(SHAPES), rng.randrange(2, 10)
    code = f"def f(x): return {shape.code}"
    return Task(
        ask=f"What is {BLANK} if {{examples}}?\n{code}",
        content=shape.code.replace(BLANK, str(n)),
        program=code.replace(BLANK, str(n)),
        reply=str(n),
        template=code.replace(BLANK, f"({BLANK})"),
        function=partial(shape.function, n),
        arguments=lambda rng: (rng.randrange(1, MAX_X + 1),),
        rivals=[partial(shape.function, other) for other in FILLS if other != n],
        shown=2,
        asks_number=True,
    )


def _steps(rng: random.Random) -> Task:
    return _written(two_steps(*drawn_steps(rng)), ("x",))


def _branches(rng: random.Random) -> Task:
    return _written(either(condition(rng), *drawn_branches(rng)), ("x",))


def _pairs(rng: random.Random) -> Task:
    return _written(of_pairs(rng), ("x", "y"))


def _written(expression: Expression, names: tuple[str, ...]) -> Task:
    """Return the task of writing a function that is described in words."""
    head = f"f({', '.join(names)})"
    program = f"def {head}: return {expression.code}"
    return Task(
        ask=f"Write {head} in Python: {expression.words}.\nFor example, {{examples}}.",
        content=expression.code,
        program=program,
        reply=expression.code,
        template=f"def {head}: return ({BLANK})",
        function=expression.function,
        arguments=lambda rng: tuple(rng.randrange(MAX_X + 1) for _ in names),
        rivals=expression.rivals,
    )


LEVELS: Levels = {1: _blank, 2: _steps, 3: _branches, 4: _pairs}


class OneExpression(Family):
    """Functions of one expression: what is `_` in `def f(x): return x + _`? Or the whole of it.

    Args:
        level: 1 asks for the number in an expression, from two values of it; 2 for two steps on x;
            3 for one step or another by a condition; 4 for an expression of x and y.
        partial: whether a reply earns the share of the tests that pass; else all or nothing.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = OneExpression(level=2)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value, env.score(item, item.answer).value
        (1.0, 1.0)
    """

    id = "bakeoff/OneExpression-v0"
    levels = LEVELS
    lengths = (24, 48, 64, 80)
