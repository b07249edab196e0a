"""Sandboxes with some of their layers taken out, and whether an attack works in them."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from bakeoff.rewards.code import Limits, calls
from bakeoff.rewards.code.cage import START, Cage, Refused
from bakeoff.rewards.code.comparing import Equal
from bakeoff.rewards.code.splitting import Question

LIMITS = Limits(seconds=20, memory_mib=100)


def opened(tmp_path: Path, level: str, patches: Sequence[str]) -> Cage:
    """Return a cage whose server has some of its layers taken out."""
    script = tmp_path / "start.py"
    script.write_text(f"""
import importlib.util
spec = importlib.util.spec_from_file_location("start", {START!r})
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
start.enlarge_stack()
start.make_importable()
from bakeoff.rewards.code.jail import (
    credentials, descriptors, landlock, limits, namespaces, nest, notices, seccomp, warden)
{chr(10).join(patches)}
warden.main()
""")
    try:
        return Cage(level, start=str(script))
    except Refused as error:
        pytest.skip(f"{level} cannot be had here: {error}")


def works(box: Cage, attack: str, arguments: Sequence[object]) -> bool:
    question = Question("attack", tuple(arguments), {}, Equal(True))
    run = calls.run(box, attack, [question], LIMITS, stop_early=False)
    assert run.compiled
    return run.outcomes[0].status == "passed"
