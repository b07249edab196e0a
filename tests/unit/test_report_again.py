"""The command in a report makes the same comparison again: budgets, control, own settings."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from unit.true_folder import make

from bakeoff.comparisons.commands.flags import parse
from bakeoff.comparisons.report.again import OWN_FILE, command, own_text
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running import folder
from bakeoff.comparisons.settings import experiment_of, read_config


def again(out: Path, tmp_path: Path) -> dict[str, object]:
    """Return ``experiment.json`` as the command in the report of ``out`` would write it."""
    results = load(out)
    if text := own_text(results):
        (tmp_path / OWN_FILE).write_text(text)
    _, *words = shlex.split(command(results))
    given = vars(parse(words))
    written = read_config(tmp_path / given.pop("config")) if "config" in given else {}
    del given["command"]
    (tmp_path / "again").mkdir()
    folder.record(experiment_of({**written, **given, "out": str(tmp_path / "again")}))
    return (folder.read_json(tmp_path / "again" / "experiment.json") or {}) | {"name": out.name}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seeds": [4]},
        {"control": True, "seeds": [0, 3]},
        {"algorithms": ("grpo:clip=0.1", "ppo"), "learning_rate": 3e-4},
        {"budget": "completion_tokens=5000"},
        {"own": {"ppo": {"learning_rate": 1e-4}}, "own_reason": "tuned in here: 4 trials"},
        {"memory_limit": 3 * 2**30, "cell_timeout": 90.0},
    ],
    ids=str,
)
def test_the_command_asks_for_the_same_comparison(tmp_path, settings):
    out = make(tmp_path / "first", **settings)

    assert again(out, tmp_path) == folder.read_json(out / "experiment.json")


def test_a_budget_of_memory_decides_the_own_settings_again(tmp_path):
    own = {"ppo": {"group_size": 4}}
    out = make(tmp_path / "first", budget="memory=2GiB", own=own, own_reason="2 GiB")

    assert own_text(load(out)) == ""
    assert "--budget memory=2GiB" in command(load(out))


def test_runs_beside_each_other_are_asked_for_again(tmp_path):
    assert "--max-parallel" not in command(load(make(tmp_path / "alone")))
    folder_of_two = make(tmp_path / "two", parallel=2)

    assert "--max-parallel 2" in command(load(folder_of_two))
