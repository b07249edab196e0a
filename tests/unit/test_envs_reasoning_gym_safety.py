"""reasoning-gym's scorers evaluate replies: no code of one is run, and none could do harm."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import gymnasium
import pytest

from bakeoff.envs import make, register
from bakeoff.envs.reasoning_gym import environment
from bakeoff.envs.reasoning_gym.containment import wanted
from bakeoff.envs.reasoning_gym.guards import is_formula
from bakeoff.envs.reasoning_gym.names import PLACES
from bakeoff.rewards.code.jail import landlock

for _id, _place in PLACES.items():
    if _id not in gymnasium.registry:
        register(_id, _place)


@pytest.fixture
def installed() -> None:
    if importlib.util.find_spec("reasoning_gym") is None:
        pytest.skip("reasoning-gym is not installed: pip install 'bakeoff[reasoning-gym]'")


@pytest.mark.parametrize(
    "text", ["(1 + 2)*3/4.5", "-3*X**3*sin(X) + C", "1.5e-3*exp(-x/2)", "x^2 + asin(y)", ""]
)
def test_formulas_go_to_sympy_s_parser(text: str) -> None:
    assert is_formula(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')", "x.__class__", "().__class__", "open(x)", "eval(x)", "[1, 2]", "x = 1",
        "lambda: 1", "'a'", "f\"{1}\"", "Symbol", "S('1')", "é", "x;y", "1 if x else 2", "1" * 2001,
    ],
)  # fmt: skip
def test_what_is_no_formula_does_not(text: str) -> None:
    assert not is_formula(text)


@pytest.mark.parametrize("name", ["binary_matrix", "spiral_matrix", "n_queens", "string_insertion"])
def test_code_in_a_reply_to_an_evaluating_scorer_is_not_run(
    name: str, installed: None, tmp_path: Path
) -> None:
    # upstream, `eval` of this writes a file, and then makes the answer right
    path = tmp_path / "written"
    code = f"[open({str(path)!r}, 'w'), entry.update(answer='x')]"
    env = make(f"bakeoff/rg-{name}-v0")

    score = env.score(env.item(0), f"<answer>{code}</answer>")

    assert score.value == 0.0
    assert not path.exists()


@pytest.mark.parametrize("name", ["puzzle24", "countdown", "polynomial_multiplication"])
def test_code_in_a_reply_to_a_parsing_scorer_is_not_run(
    name: str, installed: None, tmp_path: Path
) -> None:
    path = tmp_path / "written"
    env = make(f"bakeoff/rg-{name}-v0")

    score = env.score(env.item(0), f"<answer>open({str(path)!r}, 'w').write('24')</answer>")

    assert score.value is not None and score.value <= 0.05
    assert not path.exists()


def test_a_scorer_that_hangs_is_ended_and_the_reply_is_not_scored(
    installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = make("bakeoff/rg-puzzle24-v0")
    item = env.item(0)
    monkeypatch.setattr(environment, "SCORE_S", 0.7)

    hung, right = env.score_many([item, item], ["<answer>9**9**9**9</answer>", item.gold])

    assert (hung.value, right.value) == (None, 1.0)
    assert "TimeoutError" in hung.reason


def test_a_contained_function_can_compute_and_nothing_else(tmp_path: Path) -> None:
    if sys.platform != "linux" or not landlock.version():
        pytest.skip("containment needs Linux with Landlock")
    code = textwrap.dedent("""
        import os, socket, sys
        from pathlib import Path
        from bakeoff.envs.reasoning_gym.containment import contained
        here = sys.argv[1]
        open(here + "/kept", "w").write("kept")
        free = os.open(here + "/open", os.O_RDWR | os.O_CREAT)
        acts = {
            "write": lambda: open(here + "/new", "w"),
            "append": lambda: open(here + "/kept", "a"),
            "delete": lambda: os.unlink(here + "/kept"),
            "rename": lambda: os.rename(here + "/kept", here + "/moved"),
            "cut": lambda: os.truncate(here + "/kept", 0),
            "chmod": lambda: os.chmod(here + "/kept", 0),
            "folder": lambda: os.mkdir(here + "/sub"),
            "descriptor": lambda: os.write(free, b"x"),
            "socket": lambda: socket.socket(),
            "fork": lambda: os.fork() or os._exit(0),
            "program": lambda: os.execv("/bin/true", ["true"]),
            "signal": lambda: os.kill(os.getppid(), 0),
            "user": lambda: os.setuid(0),
        }
        def could(act):
            try:
                act()
            except OSError:
                return 0.0
            return 1.0
        print(*[name for name, act in acts.items() if contained(lambda: could(act)) == 1.0])
        print(contained(lambda: sum(range(10)) / 45))
    """)
    command = [sys.executable, "-c", code, str(tmp_path)]

    run = subprocess.run(command, capture_output=True, text=True, check=True)

    assert run.stdout == "\n1.0\n"
    assert sorted(os.listdir(tmp_path)) == ["kept", "open"]
    assert (tmp_path / "kept").read_text() == "kept"


def test_containment_is_given_up_only_where_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_SANDBOX", "none")

    assert not wanted()
