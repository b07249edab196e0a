"""Sandboxes with some of their layers taken out, and whether an attack works in them."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from code_hosts import start_of

from bakeoff.rewards.code import Limits, calls
from bakeoff.rewards.code.cage import Cage, Refused
from bakeoff.rewards.code.comparing import Equal
from bakeoff.rewards.code.splitting import Question

LIMITS = Limits(seconds=20, memory_mib=100)


def opened(tmp_path: Path, level: str, patches: Sequence[str]) -> Cage:
    """Return a cage whose server has some of its layers taken out."""
    start = start_of(tmp_path, "\n".join(patches))
    try:
        return Cage(level, start=start)
    except Refused as error:
        pytest.skip(f"{level} cannot be had here: {error}")


def works(box: Cage, attack: str, arguments: Sequence[object]) -> bool:
    question = Question("attack", tuple(arguments), {}, Equal(True))
    run = calls.run(box, attack, [question], LIMITS, stop_early=False)
    assert run.compiled
    return run.outcomes[0].status == "passed"
