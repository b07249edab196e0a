"""What the code environments share: the parts that a program's tests are reported as."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from bakeoff.rewards import Malformed, RewardFunction
from bakeoff.rewards.code import Score, Tests, score_many
from bakeoff.rewards.code.replies import program_of
from bakeoff.types import Item

ProgramOf = Callable[[str, Item], str | None]


class NotScored(RuntimeError):
    """The sandbox could not run the program: nothing is known about the reply."""


@dataclass(frozen=True)
class Part:
    """One number of how replies' programs did on the tests in ``item.data``; a batched reward.

    The parts of a reply share one run: verdicts are remembered by program and tests.

    Attributes:
        name: "passed", "all", "compiled", or "refused", the number of kinds of forbidden acts that
            the sandbox refused.
        program: what makes the program of a reply, or ``None`` if there is none.
    """

    name: str
    program: ProgramOf
    batched: ClassVar[bool] = True
    overlapping: ClassVar[bool] = True

    def __call__(
        self, replies: Sequence[str], items: Sequence[Item]
    ) -> list[float | NotScored | Malformed]:
        """Return the numbers; programs are run on all workers of the sandbox.

        In the place of a number stand ``NotScored`` where the sandbox could not run the program,
        and ``Malformed`` where the tests should be passed and there is no program.
        """
        programs = [self.program(reply, item) for reply, item in zip(replies, items, strict=True)]
        asked = [(one, item) for one, item in zip(programs, items, strict=True) if one is not None]
        jobs = [(one, cast(Tests, item.data["tests"])) for one, item in asked]
        found = iter(score_many(jobs))
        return [self._nothing() if one is None else self._number(next(found)) for one in programs]

    def _nothing(self) -> float | Malformed:
        return Malformed("the reply holds no program") if self.name in ("passed", "all") else 0.0

    def _number(self, found: Score) -> float | NotScored:
        if found.reason:
            return NotScored(found.reason)
        return float(len(found.refused)) if self.name == "refused" else found.parts[self.name]


def code_rewards(
    program: ProgramOf, *, partial: bool = True
) -> Mapping[str, tuple[float, RewardFunction]]:
    """Return the named parts: ``passed`` (weight 1), and the metrics, which have no weight.

    Args:
        program: what makes the program of a reply to an item.
        partial: whether ``passed`` is the share of the tests that pass; else it is 1 if all do.

    Example:
        >>> {name: weight for name, (weight, _) in code_rewards(reply_program).items()}
        {'passed': 1.0, 'all_passed': 0.0, 'compiled': 0.0, 'refused': 0.0}
    """
    return {
        "passed": (1.0, Part("passed" if partial else "all", program)),
        "all_passed": (0.0, Part("all", program)),
        "compiled": (0.0, Part("compiled", program)),
        "refused": (0.0, Part("refused", program)),
    }


def reply_program(reply: str, item: Item) -> str | None:
    """Return the program of a reply as it stands there.

    Example:
        >>> reply_program("print(3)", Item("", ""))
        'print(3)'
    """
    return program_of(reply)


def defines(program: str, name: str) -> bool:
    """Tell whether a line of a program, not indented, defines the name.

    Example:
        >>> defines("x = 2\\ndef f(x): return x", "f"), defines("x = 2", "f")
        (True, False)
    """
    name = re.escape(name)
    kinds = rf"(?:async {{1,8}}def|def|class)[ \t]{{1,8}}{name}\b"
    return bool(re.search(rf"^(?:{kinds}|{name}[ \t]{{0,8}}(?::|=(?!=)))", program, re.MULTILINE))
