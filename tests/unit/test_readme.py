"""The environments that README and docs show: complete, short, and what is said of them."""

import re
from pathlib import Path

from bakeoff.envs import make

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"


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


def test_the_programs_of_the_page_on_environments_run() -> None:
    page = (ROOT / "docs" / "envs.md").read_text()
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict[str, object] = {}
    for program in programs:
        exec(program.replace("me/", "page/"), names)  # noqa: S102 - the page's own

    env = make("page/Higher-v0")
    item = env.item(7)
    # 140 to 148, the answer 147: the first guess is the middle, then the answer is given
    replies = [env.gold_reply(item, ())]
    assert env.turn(item, replies) == "higher"
    replies.append(env.gold_reply(item, replies))
    assert env.turn(item, replies) is None
    assert env.score(item, tuple(replies)).value == 1.0
    assert make("page/Capitals-v0").size("train") == 1
