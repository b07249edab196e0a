"""Short programs with one bug, and what they should do, in four levels."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

from bakeoff.envs.code.expressions import (
    DIVIDED,
    MINUS,
    MODULO,
    PLUS,
    TIMES,
    Expression,
    condition,
    drawn_branches,
    drawn_steps,
    either,
    two_steps,
)
from bakeoff.envs.code.family import BLANK, Family, Levels, Task
from bakeoff.envs.code.longer_programs import LONGER
from bakeoff.envs.code.loops import LOOPS
from bakeoff.envs.code.one_expression import FILLS, MAX_X, SHAPES
from bakeoff.envs.code.programs import Program

CONFUSED = {PLUS: MINUS, MINUS: PLUS, TIMES: PLUS, DIVIDED: MODULO, MODULO: DIVIDED}
NUMBERS = range(3, 10)  # not the 1 and 2 that the expressions hold as well


def _one_number(rng: random.Random) -> Task:
    shape = rng.choice(SHAPES)
    wrong, right = rng.sample(NUMBERS, 2)
    code = f"def f(x): return {shape.code}"
    return Task(
        ask=f"What should {wrong} be if {{examples}}?\n{code.replace(BLANK, str(wrong))}",
        content=shape.code.replace(BLANK, str(right)),
        program=code.replace(BLANK, str(right)),
        reply=str(right),
        template=code.replace(BLANK, f"({BLANK})"),
        function=partial(shape.function, right),
        arguments=_small,
        rivals=[partial(shape.function, other) for other in FILLS if other != right],
        wrong=partial(shape.function, wrong),
        shown=2,
        asks_number=True,
    )


def _one_step(rng: random.Random) -> Task:
    if rng.random() < 0.3:
        kind, branches = condition(rng), drawn_branches(rng)
        return _one_line(either(kind, *branches), either(kind, *branches[::-1]))
    steps = drawn_steps(rng)
    wrong, place = list(steps), rng.randrange(2)
    operation, n = steps[place]
    other = rng.choice([m for m in range(2, 10) if m != n])
    wrong[place] = (CONFUSED[operation], n) if rng.random() < 0.5 else (operation, other)
    return _one_line(two_steps(*steps), two_steps(*wrong))


def _one_line(right: Expression, wrong: Expression) -> Task:
    return Task(
        ask=f"Repair this: f(x) should be {right.words}.\ndef f(x): return {wrong.code}\n"
        "For example, {examples}.",
        content=right.code,
        program=f"def f(x): return {right.code}",
        reply=right.code,
        template=f"def f(x): return ({BLANK})",
        function=right.function,
        arguments=_small,
        rivals=right.rivals,
        wrong=wrong.function,
    )


def _small(rng: random.Random) -> tuple[object, ...]:
    return (rng.randrange(1, MAX_X + 1),)


def _several_lines(programs: Sequence[Program]) -> Callable[[random.Random], Task]:
    """Return what draws the task of repairing one line of a program."""

    def task(rng: random.Random) -> Task:
        program = rng.choice(programs)
        n = rng.choice(program.fills)
        bug, wrong = rng.choice(program.bugs)
        code = f"def {program.head}:\n{program.code.format(n=n)}"
        line, bug = program.line.format(n=n), bug.format(n=n)
        return Task(
            ask=f"Repair this: {program.head} should be {program.words.format(n=n)}.\n"
            f"{code.replace(BLANK, bug)}\nFor example, {{examples}}. Which line is right?",
            content=code.replace(BLANK, line),
            program=code.replace(BLANK, line),
            reply=line,
            template=code,
            function=partial(program.function, n),
            arguments=program.arguments,
            wrong=partial(wrong, n),
        )

    return task


LEVELS: Levels = {
    1: _one_number,
    2: _one_step,
    3: _several_lines(LOOPS),
    4: _several_lines(LONGER),
}


class FixTheBug(Family):
    """A short program with one bug, and what it should do: `return x + 8` where f(2) should be 5.

    Args:
        level: 1 asks for the number that should stand in place of another, from two values; 2 for
            a line that does what it should, in words; 3 for the right line of a loop that adds or
            collects; 4 for that of a longer program.
        partial: whether a reply earns the share of the tests that pass; else all or nothing.
        split: where ``reset`` takes its items from.
        render_mode: ``None`` or "ansi".

    Raises:
        UsageError: no such level or split.

    Example:
        >>> env = FixTheBug(level=3)
        >>> item = env.item(0)
        >>> env.score(item, item.gold).value, env.score(item, item.answer).value
        (1.0, 1.0)
    """

    id = "bakeoff/FixTheBug-v0"
    levels = LEVELS
    lengths = (24, 64, 64, 96)
