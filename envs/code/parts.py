"""What the code environments share: the parts that a program's tests are reported as."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from bakeoff.rewards import RewardFunction
from bakeoff.rewards.code import Tests, score
from bakeoff.rewards.code.replies import program_of
from bakeoff.types import Item

ProgramOf = Callable[[str, Item], str | None]


class NotScored(RuntimeError):
    """The sandbox could not run the program: nothing is known about the reply."""


@dataclass(frozen=True)
class Part:
    """One number of how a reply's program did on the tests in ``item.data``.

    The parts of a reply share one run: verdicts are remembered by program and tests.

    Attributes:
        name: "passed", "all", "compiled", or "refused", the number of forbidden acts that the
            sandbox refused.
        program: what makes the program of a reply, or ``None`` if there is none.
    """

    name: str
    program: ProgramOf

    def __call__(self, reply: str, item: Item) -> float:
        """Return the number; 0 for a reply without a program.

        Raises:
            NotScored: the program could not be run, for no fault of its own.
        """
        program = self.program(reply, item)
        if program is None:
            return 0.0
        found = score(program, cast(Tests, item.data["tests"]))
        if found.reason:
            raise NotScored(found.reason)
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
