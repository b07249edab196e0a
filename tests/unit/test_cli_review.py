"""Mistakes on the command line for algorithms, replay and explain: one line, at once, no trace."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff import models
from bakeoff.algorithms import make, register
from bakeoff.algorithms.checking import check
from bakeoff.algorithms.grpo import grpo
from bakeoff.comparisons import cli
from bakeoff.comparisons.replay import command, recording
from bakeoff.errors import UsageError


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """Return the one line that a mistaken command prints."""
    assert cli.main(argv) == cli.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("advantages", None, "advantages must be a function, not None"),
        ("policy_loss", 0.5, "policy_loss must be a function, not 0.5"),
        ("keep", True, "keep must be a function, not True"),
        ("epochs", 0, "epochs must be a whole number of at least 1, not 0"),
        ("epochs", "two", "epochs must be a whole number of at least 1, not 'two'"),
        ("min_group_size", 1.5, "min_group_size must be a whole number of at least 1, not 1.5"),
        ("refill", "lots", "refill must be a whole number of at least 0, not 'lots'"),
        ("on_gold", None, "on_gold must be True or False, not None"),
        ("critic", "shared", "critic must be a CriticPlan or None, not 'shared'"),
        ("semantics", "words", "semantics must be a dict that JSON can hold"),
        ("semantics", {"loss": object()}, "semantics must be a dict that JSON can hold"),
    ],
)
def test_a_field_that_the_loop_cannot_use_is_named(
    field: str, value: object, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bakeoff.algorithms._registered", {})
    register("mine", lambda: grpo()._replace(**{field: value}))

    with pytest.raises(UsageError) as caught:
        make("mine")

    assert str(caught.value).startswith(f"mine: {wanted}")


def test_what_is_no_algorithm_is_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bakeoff.algorithms._registered", {"mine": lambda: None})

    with pytest.raises(UsageError) as caught:
        make("mine")

    assert str(caught.value) == "mine: it returns NoneType, not an Algorithm"


def test_a_loss_that_exits_fails_its_check() -> None:
    def policy_loss(*_: object) -> object:
        sys.exit(7)

    found = check(grpo()._replace(policy_loss=policy_loss))

    assert "SystemExit: 7" in found.failures[0].detail


@pytest.mark.parametrize("action", ["show", "check"])
def test_a_misspelled_algorithm_is_an_error_before_torch_is_imported(action: str) -> None:
    code = (
        "import sys; from bakeoff.comparisons.cli import main; "
        f"code = main(['algorithms', '{action}', 'grop']); "
        "print(code, 'torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["2", "False"]


def test_a_flag_like_no_other_is_an_error_without_a_hint(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = said(capsys, "algorithms", "--zzz")

    assert line == (
        "bakeoff: error: unknown flag --zzz of bakeoff algorithms (see bakeoff algorithms --help)"
    )


@pytest.mark.parametrize("flag", ["--out", "--from"])
def test_a_replay_of_an_empty_folder_name_is_not_one_of_the_current_folder(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "replay", flag, "").endswith(f"{flag} names no folder: it is empty")


def test_one_setting_that_is_written_in_two_ways_is_named_twice() -> None:
    with pytest.raises(UsageError, match=r"names grpo:clip=0\.1 twice"):
        command.chosen(["grpo:clip=0.10,grpo:clip=1e-1"])


def test_a_group_too_small_is_an_error_before_anything_is_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"

    line = said(
        capsys, "replay", "--out", str(out), "--group-size", "1", "--algorithms", "reinforce,grpo"
    )

    assert "grpo needs a group_size of at least 2" in line
    assert not out.exists()


def test_a_recording_that_is_named_itself_is_told_from_none(tmp_path: Path) -> None:
    (tmp_path / "recording.json").write_text("{}")

    with pytest.raises(UsageError, match="is a recording itself; name the folder that it is in"):
        recording.load(tmp_path / "recording")


def test_a_recording_in_a_file_is_none(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(UsageError, match="holds no whole recording"):
        recording.load(file / "recording")


def test_an_explanation_cannot_be_written_into_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")

    line = said(capsys, "explain", "--out", str(file))

    assert line == f"bakeoff: error: cannot write into {file}: File exists"


def test_a_closed_standard_output_is_no_error() -> None:
    command = [sys.executable, "-m", "bakeoff", "algorithms"]

    done = subprocess.run(
        command, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1), text=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_an_adapter_folder_without_weights_is_no_model(tmp_path: Path) -> None:
    pytest.importorskip("peft")
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "tiny"}')

    with pytest.raises(UsageError, match=r"has no adapter_model\.safetensors"):
        models.check(str(tmp_path))


ENVIRONMENT = """
from bakeoff.envs import register
from bakeoff.types import Item

register(
    "me/NoGold-v0",
    make_item=lambda rng: Item("", f"What is {rng.randrange(100000)} + 1?", answer="1"),
    sizes={"train": 50, "eval": 5},
    rewards={"correct": (1, lambda reply, item: reply == item.answer)},
)
"""


def test_supervised_learning_without_gold_replies_is_refused_before_any_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no_gold.py").write_text(ENVIRONMENT)
    monkeypatch.chdir(tmp_path)

    line = said(capsys, "compare", "--algorithms", "grpo,sft", "--env", "no_gold.py:me/NoGold-v0")

    assert "sft learns from gold replies" in line and "no_gold.py:me/NoGold-v0" in line
    assert not (tmp_path / "results").exists()
