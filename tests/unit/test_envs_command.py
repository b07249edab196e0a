"""`bakeoff envs`: what it lists, shows, samples and checks, and the starter that it writes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import pytest

from bakeoff import envs
from bakeoff.comparisons.cli import main
from bakeoff.envs import make

BROKEN = Path(__file__).parent / "envs" / "broken.py"


def said(capsys: pytest.CaptureFixture[str], *argv: str, code: int = 0) -> str:
    assert main(["envs", *argv]) == code
    return capsys.readouterr().out


def test_without_an_action_it_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys) == said(capsys, "list")


def test_what_a_file_registers_is_listed_too(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "list", str(BROKEN))

    assert "test/Leaky-v0" in text and "bakeoff/Arithmetic-v0" in text


def test_a_file_that_cannot_be_imported_is_said_and_the_others_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.py").write_text("import no_such_thing\n")

    text = said(capsys, "list", str(tmp_path / "bad.py"), code=1)

    assert "bad.py cannot be imported: ModuleNotFoundError: No module named 'no_such" in text
    assert "bakeoff/Arithmetic-v0" in text


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package whose module fails when it is imported."""
    (tmp_path / "failing_plugin.py").write_text("raise RuntimeError('no licence')\n")
    info = tmp_path / "failing_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: failing_plugin\nVersion: 1.0\n")
    points = "[bakeoff.envs]\ntest/Failing-v0 = failing_plugin:Failing\n"
    (info / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    envs._registered.pop("test/Failing-v0", None)  # who asks for it by name has registered it
    gymnasium.registry.pop("test/Failing-v0", None)


@pytest.mark.usefixtures("plugin")
def test_a_plugin_that_cannot_be_imported_is_said_and_the_others_are_listed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, code=1)

    assert "! test/Failing-v0 cannot be imported: RuntimeError: no licence" in text
    assert "bakeoff/Arithmetic-v0" in text


@pytest.mark.usefixtures("plugin")
def test_a_plugin_that_was_asked_for_by_name_does_not_empty_the_list(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["envs", "show", "test/Failing-v0"]) == 2
    capsys.readouterr()

    assert "bakeoff/Sequences-v0          What comes next" in said(capsys, code=1)


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize("action", ["show", "sample", "check"])
def test_a_plugin_that_cannot_be_imported_is_one_line(
    action: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["envs", action, "test/Failing-v0"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "test/Failing-v0" in line and "RuntimeError: no licence" in line


def test_show_tells_arguments_rewards_sizes_and_an_example(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, "show", "bakeoff/Countdown-v0:level=2")

    for part in ("level=1", "format_weight=0.0", "weight 1", "only logged", "eval 65,536", "gold"):
        assert part in text
    assert "Make 40 from the numbers 4, 4, 5, 8." in text


def test_show_describes_what_has_no_data_here_and_says_why_there_is_no_example(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "show", f"bakeoff/GSM8K-v0:data={tmp_path}")

    assert "format_weight=0.0" in text
    assert "There are no items to show: " in text and "train.jsonl" in text


def test_sample_prints_as_many_items_of_the_split_as_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = said(capsys, "sample", "bakeoff/Arithmetic-v0:level=1", "-n", "2", "--split", "eval")

    ids = [line for line in text.splitlines() if line.startswith("bakeoff/")]
    assert ids == [f"bakeoff/Arithmetic-v0/eval/{n}" for n in range(2)]


def test_a_reply_is_scored_part_by_part(capsys: pytest.CaptureFixture[str]) -> None:
    # What is 5 + 1?
    argv = ["sample", "bakeoff/Arithmetic-v0:level=1", "-n", "1", "--reply"]

    assert "train/0: 1\n  correct 1, weight 1" in said(capsys, *argv, "6")
    assert "train/0: 0\n  correct 0, weight 1" in said(capsys, *argv, "7")


def test_a_reply_in_several_turns_is_given_turn_by_turn(capsys: pytest.CaptureFixture[str]) -> None:
    item = make("bakeoff/GuessNumber-v0").item(0)
    wrong = str(int(item.answer) + 1)
    replies = ["--reply", wrong, "--reply", item.answer]
    text = said(capsys, "sample", "bakeoff/GuessNumber-v0", "-n", "1", *replies)

    assert "  heard" in text
    assert "train/0: 1\n  found 1, weight 1" in text


def test_check_exits_with_0_where_nothing_fails_and_prints_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    argv = ["check", f"{BROKEN}:test/Sound-v0", "--items", "2", "--json"]
    found = json.loads(said(capsys, *argv))

    assert found["passed"] is True
    assert found["environment"] == f"{BROKEN}:test/Sound-v0"


def test_check_exits_with_1_and_names_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "check", f"{BROKEN}:test/WrongGold-v0", "--items", "2", code=1)

    assert "FAILED  the gold reply earns the most" in text
    assert "1 of 18 checks failed" in text


def test_a_starter_works_passes_its_check_and_its_test(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    text = said(capsys, "new", "letter_sort")

    assert "bakeoff envs check letter_sort.py:me/LetterSort-v0" in text
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_letter_sort.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "2 passed" in run.stdout, run.stdout


@pytest.mark.parametrize("taken", ["mine.py", "test_mine.py"])
def test_a_starter_overwrites_nothing(
    taken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / taken).write_text("precious")

    assert main(["envs", "new", "mine"]) == 2
    assert f"{taken} exists already" in capsys.readouterr().err
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {taken: "precious"}


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["chek"], ["'chek'", "'check'"]),
        (["check"], ["ID"]),
        (["check", "bakeoff/Aritmetic-v0"], ["'bakeoff/Arithmetic-v0'"]),
        (["check", "bakeoff/Arithmetic-v0", "--itms", "3"], ["--itms", "--items"]),
        (["check", "bakeoff/Arithmetic-v0", "--items", "few"], ["--items", "'few'"]),
        (["check", "bakeoff/Arithmetic-v0", "--items", "1"], ["at least 2"]),
        (["check", "bakeoff/Arithmetic-v0", "--deadline", "0"], ["--deadline", "'0'"]),
        (["check", "bakeoff/Arithmetic-v0", "--data", "."], ["--data"]),
        (["sample", "bakeoff/Arithmetic-v0", "--split", "evla"], ["'evla'", "'eval'"]),
        (["sample", "bakeoff/Arithmetic-v0", "-n", "0"], ["-n", "'0'"]),
        (["sample", "bakeoff/Arithmetic-v0", "--reply", "a", "--reply", "b"], ["1 turn"]),
        (["show", "nowhere.py:me/Add-v0"], ["no such file: nowhere.py"]),
        (["new", "Mine"], ["'Mine'"]),
        (["new", "random"], ["'random'"]),
        (["new", "../mine"], ["'../mine'"]),
    ],
)
def test_a_mistake_is_named(
    argv: list[str],
    named: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["envs", *argv]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert [part for part in named if part not in line] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("action", ["list", "show", "sample", "check", "new"])
def test_help_shows_an_example(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["envs", action, "--help"])

    assert f"  bakeoff envs {action.replace('list', '')}".rstrip() in capsys.readouterr().out
