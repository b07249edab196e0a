"""Bad input: exit code 2, one line that names the mistake and the nearest choice, nothing lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from complaints import complaint
from results_folder import write_grid

from bakeoff.comparisons.cli import main


@pytest.mark.parametrize(
    ("argv", "named"),
    [
        (["comapre"], ["'comapre'", "'compare'"]),
        (["compare", "--algorithms", "gppo"], ["algorithm 'gppo'", "'ppo'"]),
        (["compare", "--algorithms", "grpo:clipp=0.1"], ["'clipp'", "'clip'"]),
        (["compare", "--algorithms", "grpo:clip=-1"], ["clip", "-1"]),
        (["compare", "--algorithms", "nowhere.py:mine"], ["nowhere.py"]),
        (["compare", "--group-size", "1", "--algorithms", "grpo"], ["grpo", "group_size"]),
        (["compare", "--updates", "5", "--algorithms", "vapo"], ["vapo", "critic_warmup", "5"]),
        (["compare", "--env", "bakeoff/Arithmetik-v0"], ["Arithmetik", "'bakeoff/Arithmetic-v0'"]),
        (["compare", "--env", "bakeoff/Arithmetic-v0:levle=1"], ["'levle'", "'level'"]),
        (["compare", "--env", "bakeoff/Arithmetic-v0:level=99"], ["level", "99"]),
        (["compare", "--model", "tinny"], ["model 'tinny'", "'tiny'"]),
        (["compare", "--data", "."], ["--data", "bakeoff/Arithmetic-v0"]),
        (["compare", "--updates", "0"], ["updates", "at least 1", "0"]),
        (["compare", "--updates", "many"], ["updates", "whole number", "'many'"]),
        (["compare", "--learning-rate", "nan"], ["learning_rate"]),
        (["compare", "--updates"], ["--updates"]),
        (["compare", "--update", "3"], ["--update", "--updates"]),
        (["compare", "--algorithm=grpo"], ["--algorithm", "--algorithms"]),
        (["compare", "grpo"], ["'grpo'"]),
        (["compare", "--budget", "flops=9", "--budget", "train_s=5"], ["flops=9", "train_s=5"]),
        (["compare", "--processes=1", "--num-processes=2"], ["--num-processes", "1", "2"]),
        (["envs", "sample", "bakeoff/Countdown-v0", "-n", "3", "-n", "4"], ["-n", "3", "4"]),
        (["compare", "--decay", "cosin"], ["'cosin'", "'cosine'"]),
        (["compare", "--sandbox", "off"], ["sandbox 'off'", "none"]),
        (["compare", "--only", "failed", "--out", "none"], ["nothing has been run in none"]),
        (["compare", "--seeds", "0"], ["at least one seed"]),
        (["compare", "--seeds", "1,1"], ["seed 1"]),
        (["compare", "--seeds", "0,-1"], ["-1"]),
        (["compare", "--seeds", "few"], ["'few'"]),
        (["compare", "--seeds", "20260101"], ["20260101 seeds", "'20260101,'"]),
        (["compare", "--data", ""], ["--data", "empty"]),
        (["compare", "--env", "mine.py"], ["mine.py:me/Name-v0"]),
        (["compare", "--env", "bakeoff/Arithmetic-v0:level"], ["bakeoff/Arithmetic-v0:key=value"]),
        (["compare", "--out", "x" * 300], ["File name too long"]),
        (["compare", "--out", "a\0b"], ["out must be a folder's name"]),
        (["compare", "--memory-limit", "8"], ["'8'", "8GiB"]),
        (["compare", "--memory-limit", "0GiB"], ["memory_limit", "above 0"]),
        (["compare", "--cell-timeout", "-5"], ["cell_timeout", "above 0"]),
        (["compare", "--cell-timeout", "soon"], ["'soon'"]),
        (["compare", "--config", "nowhere.yaml"], ["nowhere.yaml"]),
        (["train", "--algorithm", "grpo", "--algorithm", "ppo"], ["one cell", "bakeoff compare"]),
        (["train", "--seed", "1,2"], ["--seed is one whole number", "'1,2'"]),
        (["compare", "--tuned", __file__], ["test_cli_errors.py holds no tuning"]),
        (["report", "nowhere"], ["nowhere"]),
        (["models", "fetch"], ["bakeoff models fetch smollm2"]),
        (["models", "fetch", "smolm2"], ["'smolm2'", "'smollm2'"]),
        (["models", "fecth"], ["'fecth'", "'fetch'"]),
        (["doctor", "--jsn"], ["--jsn", "--json"]),
    ],
)
def test_a_mistake_is_named_with_the_nearest_choice_and_nothing_is_written(
    argv: list[str],
    named: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    line = complaint(capsys, argv)

    assert [part for part in named if part not in line] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("algoritms: [grpo]\n", ["'algoritms'", "'algorithms'"]),
        ("- grpo\n", ["list"]),
        ("algorithms: [grpo\n", ["broken YAML", "line 2"]),
        ("updates: !!python/object/apply:os.system ['true']\n", ["broken YAML"]),
        ("updates: true\n", ["updates", "True"]),
        ("algorithms: 3\n", ["algorithms", "3"]),
        ("seeds: [0, one]\n", ["'one'"]),
        ("1: 2\n", ["'1'"]),
        ("updates: 2024-13-45\n", ["broken YAML", "month"]),
        ("seeds: 2\nupdates: 3\nseeds: 5\n", ["line 3", "'seeds'", "line 1 already"]),
        ("own:\n  ppo: {updates: 2, updates: 3}\n", ["line 2", "'updates'"]),
        ("seeds: " + "[" * 5000, ["broken YAML", "recursion"]),
    ],
)
def test_a_mistake_in_a_config_file_is_named(
    text: str, named: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text(text)

    line = complaint(capsys, ["compare", "--config", str(file), "--out", str(tmp_path / "out")])

    assert [part for part in named if part not in line] == []
    assert not (tmp_path / "out").exists()


def test_an_empty_data_folder_is_noticed_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    argv = ["compare", "--env", "bakeoff/GSM8K-v0", "--data", str(tmp_path / "empty")]

    line = complaint(capsys, [*argv, "--out", str(tmp_path / "out")])

    assert str(tmp_path / "empty") in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("line", ['{"question": "q", "ans', "[" * 100_000])
def test_a_row_of_data_that_is_not_json_is_named(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.jsonl").write_text(f"{{}}\n{line}\n")

    said = complaint(capsys, ["compare", "--env", "bakeoff/GSM8K-v0", "--data", str(tmp_path)])

    assert f"{tmp_path}/train.jsonl, line 2: not JSON" in said


@pytest.mark.parametrize("name", ["da:ta", "da=ta:x", "da #ta"])
def test_a_folder_whose_name_a_spec_cannot_hold_is_refused_and_never_cut_short(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # "da #ta" is "da" to YAML, which here is another folder that exists
    for folder in ("da", name):
        (tmp_path / folder).mkdir()

    argv = ["compare", "--env", "bakeoff/GSM8K-v0", "--data", str(tmp_path / name)]

    assert f"'{tmp_path / name}' cannot stand in a name" in complaint(capsys, argv)


REGISTERING = """
from bakeoff.envs import register
from bakeoff.types import Item
def make(rng, text="?"): {body}
register("cli/{name}-v0", make_item=make, sizes=dict(train=9, eval=9), rewards=dict(r=(1.0, len)))
"""


@pytest.mark.parametrize(
    ("text", "argv", "named"),
    [
        ("1 / 0", ["--env", "mine.py:me/Add-v0"], ["mine.py", "ZeroDivisionError"]),
        ("raise SystemExit(0)", ["--env", "mine.py:me/Add-v0"], ["mine.py", "SystemExit"]),
        ("def f(:", ["--env", "mine.py:me/Add-v0"], ["mine.py", "SyntaxError"]),
        (
            REGISTERING.format(body="return 1 / 0", name="Raises"),
            ["--env", "mine.py:cli/Raises-v0"],
            ["cli/Raises-v0", "ZeroDivisionError"],
        ),
        (
            REGISTERING.format(body="return Item('', 'same', '', '')", name="Few"),
            ["--env", "mine.py:cli/Few-v0"],
            ["cli/Few-v0", "too few"],
        ),
        ("1 / 0", ["--algorithms", "mine.py:f"], ["mine.py", "ZeroDivisionError"]),
        ("raise SystemExit(0)", ["--algorithms", "mine.py:f"], ["mine.py", "SystemExit"]),
    ],
)
def test_code_of_ones_own_that_fails_is_named_in_one_line(
    text: str,
    argv: list[str],
    named: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(text)

    line = complaint(capsys, ["compare", *argv])

    assert [part for part in named if part not in line] == []
    assert not (tmp_path / "results").exists()


def test_a_model_that_cannot_be_fetched_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # a file where the cache folder should be: whether or not the extra is installed, it must fail
    (tmp_path / "cache").write_text("")
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))

    argv = ["compare", "--model", "smollm2", "--out", str(tmp_path / "out")]
    line = complaint(capsys, argv)

    assert "smollm2" in line or str(tmp_path / "cache") in line
    assert not (tmp_path / "out").exists()


def test_what_the_system_refuses_is_one_line_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_grid(tmp_path)
    (tmp_path / "report.md").mkdir()  # a folder where the report should be written

    assert main(["report", str(tmp_path)]) == 1
    assert "Is a directory" in capsys.readouterr().err
