"""Names on the command line and their one text form."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.algorithms import make
from bakeoff.errors import UsageError
from bakeoff.plugins import Spec, import_object, parse_spec


@given(st.floats(allow_nan=False) | st.integers() | st.booleans() | st.none())
def test_a_spec_is_read_back_from_its_text(value: object) -> None:
    spec = Spec("grpo", {"clip": value})

    again = parse_spec(str(spec)).arguments["clip"]

    assert again == value
    assert type(again) is type(value)


@pytest.mark.parametrize(("text", "value"), [("1e-3", 1e-3), ("1E5", 1e5), (".inf", math.inf)])
def test_numbers_are_numbers_however_they_are_written(text: str, value: float) -> None:
    assert parse_spec(f"ppo:clip_value={text}").arguments == {"clip_value": value}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("grpo:clip=2", "clip must be a number from 0 to 1, not 2"),
        ("grpo:clip=two", "clip must be a number from 0 to 1, not 'two'"),
        ("grpo:clop=0.1", "unknown argument of grpo 'clop'; did you mean 'clip'?"),
        ("grpo:scale_by_std=none", "scale_by_std must be true or false"),
        ("grpo:epochs=1.5", "epochs must be a whole number"),
        ("reinforce:baseline=leave_one", "did you mean 'leave_one_out'?"),
        ("reinforce:baseline=[a]", "unknown baseline of reinforce"),
        ("gprpo", "did you mean 'grpo'?"),
        (":grpo", "name a file or a module before the colon"),
        ("grpo:clip=0.1:clip=0.2", "gives 'clip' twice"),
        ("no_such_module:x", "no module named 'no_such_module'"),
        ("no_such_file.py:x", "no such file: no_such_file.py"),
        ("math:pi", "math:pi is not a function"),
        ("math:tau_", "math has no 'tau_'"),
        ("math:floor:y=1", "unknown argument of math:floor 'y'"),
    ],
)
def test_a_wrong_algorithm_is_named_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        make(spec)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("code", ["def f(:\n", "import nothing_of_this_name\n", "1 / 0\n"])
def test_a_file_that_cannot_be_imported_is_named_in_one_line(tmp_path: Path, code: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(code)

    with pytest.raises(UsageError, match=r"broken\.py cannot be imported: \w+") as caught:
        import_object(f"{path}:f")

    assert "\n" not in str(caught.value)


def test_a_file_is_imported_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("import random\nvalue = random.random()\n")

    assert import_object(f"{path}:value") == import_object(f"{path}:value")
