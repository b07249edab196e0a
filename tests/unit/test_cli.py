"""The command line: what is understood, and how quickly it answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from bakeoff.algorithms import ALGORITHMS
from bakeoff.comparisons.cli import main
from bakeoff.comparisons.settings import config_text, experiment_of, read_config
from bakeoff.training.config import knobs

HEAVY = ("torch", "transformers", "pandas", "gymnasium", "datasets", "matplotlib", "scipy", "rich")
COMMANDS = ("compare", "train", "report", "envs", "algorithms", "models", "doctor")


def printed_config(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    assert main([*argv, "--print-config"]) == 0
    found = yaml.safe_load(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_imports_nothing_heavy_and_shows_an_example(command: list[str]) -> None:
    code = (
        "import sys\n"
        "from bakeoff.comparisons.cli import main\n"
        "try:\n"
        f"    main({[*command, '--help']!r})\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0, end.code\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "HEAVY []"
    assert "example" in done.stdout


def test_every_knob_is_a_flag_of_compare_and_of_train(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("compare", "train"):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        text = capsys.readouterr().out

        missing = [name for name in knobs() if f"--{name.replace('_', '-')} " not in text]
        assert missing == []


def test_the_defaults_are_three_algorithms_on_arithmetic_with_three_seeds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = printed_config(capsys, "compare")

    assert config["algorithms"] == ["grpo", "ppo", "reinforce"]
    assert config["environments"] == ["bakeoff/Arithmetic-v0"]
    assert config["models"] == ["tiny"]
    assert config["seeds"] == [0, 1, 2]
    assert {name: config[name] for name in knobs()} == {n: k.default for n, k in knobs().items()}


def test_flags_come_before_the_file_and_the_file_before_the_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "grid.yaml"
    file.write_text("updates: 7\ngroup_size: 4\nseeds: 5\nlearning_rate: 1e-4\n")

    config = printed_config(capsys, "compare", "--config", str(file), "--updates", "9")

    assert (config["updates"], config["group_size"], config["top_k"]) == (9, 4, 0)
    assert config["seeds"] == [0, 1, 2, 3, 4]
    assert config["learning_rate"] == 0.0001  # YAML 1.1 reads 1e-4 as a word; a person does not


def test_a_printed_config_describes_the_same_comparison(tmp_path: Path) -> None:
    made = experiment_of(
        {
            "algorithms": ["grpo:clip=0.1", "ppo"],
            "seeds": "0,4",
            "memory_limit": "1.5GiB",
            "cell_timeout": "90",
            "learning_rate": "3e-5",
            "out": str(tmp_path / "é x"),
        }
    )
    file = tmp_path / "grid.yaml"
    file.write_text(config_text(made), encoding="utf-8")

    assert experiment_of(read_config(file)) == made


def test_algorithms_are_given_with_commas_or_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["compare", "--algorithms", "ppo,grpo:clip=0.1", "--algorithms", "reinforce"]

    config = printed_config(capsys, *argv)

    assert config["algorithms"] == ["ppo", "grpo:clip=0.1", "reinforce"]


def test_all_are_the_algorithms_that_ship(capsys: pytest.CaptureFixture[str]) -> None:
    config = printed_config(capsys, "compare", "--algorithms", "all")

    assert config["algorithms"] == list(ALGORITHMS)


def test_data_goes_to_the_environments_that_take_it_as_an_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"train": '{"question": "1 + 1?", "answer": "It is 2.\\n#### 2"}\n'}
    rows["test"] = '{"question": "1 + 2?", "answer": "It is 3.\\n#### 3"}\n'
    for name, text in rows.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / f"{name}.jsonl").write_text(text)
    monkeypatch.chdir(tmp_path)
    places = ["--env", "bakeoff/GSM8K-v0", "--env", "bakeoff/Arithmetic-v0:level=1"]

    config = printed_config(capsys, "compare", *places, "--data", "folder")

    absolute = f"bakeoff/GSM8K-v0:data={tmp_path / 'folder'}"
    assert config["environments"] == [absolute, "bakeoff/Arithmetic-v0:level=1"]
    assert config["out"] == "results/gsm8k-v0-arithmetic-v0-level-1-tiny"


def test_train_is_one_seed_with_checkpoints_in_a_folder_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = printed_config(capsys, "train", "--algorithm", "ppo", "--seed", "4")

    assert (config["algorithms"], config["seeds"]) == (["ppo"], [4])
    assert config["checkpoint_every"] == 20
    assert config["out"] == "results/train-ppo-arithmetic-v0-tiny"


def test_the_lists_name_what_ships(capsys: pytest.CaptureFixture[str]) -> None:
    for command, name in [
        ("envs", "bakeoff/GSM8K-v0"),
        ("algorithms", "reinforce"),
        ("models", "smollm2"),
    ]:
        assert main([command]) == 0
        assert name in capsys.readouterr().out.split()


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f"{sys.executable} -m bakeoff algorithms | true"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)

    assert done.stderr == ""
