"""The README's own environment: complete, short, and what it says."""

import re
from pathlib import Path

from bakeoff.envs import make

README = Path(__file__).resolve().parents[2] / "README.md"


def own_environment() -> str:
    """Return the program that the README shows as ``add.py``."""
    (program,) = re.findall(r"As `add\.py`:\n\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    return str(program)


def test_it_has_at_most_twelve_lines() -> None:
    lines = [line for line in own_environment().splitlines() if line.strip()]

    assert len(lines) <= 12


def test_it_runs_as_printed(tmp_path: Path) -> None:
    (tmp_path / "add.py").write_text(own_environment())

    env = make(f"{tmp_path / 'add.py'}:me/Add-v0:digits=1")

    item = env.item(0)
    assert env.score(item, item.gold).value == 1.0
    assert env.score(item, "").value == 0.0
    assert env.size("eval") == 500
