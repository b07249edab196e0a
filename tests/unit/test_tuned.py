"""A comparison with what a tuning chose: its settings, and what it may not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from results_folder import write_cell

from bakeoff.comparisons import compare
from bakeoff.comparisons.report.fairness import fairness_card
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.grid import Experiment, plan
from bakeoff.comparisons.settings import config_text, experiment_of
from bakeoff.comparisons.tuning.space import space_of
from bakeoff.comparisons.tuning.tuned import with_tuned
from bakeoff.comparisons.tuning.tuning import Tuning, declare, outcome, planned, rows_of
from bakeoff.errors import UsageError


def tuning(out: Path) -> Tuning:
    """Return a tuning of grpo and ppo on one seed: the defaults and a higher learning rate."""
    base = plan(algorithms=["grpo", "ppo"], seeds=[10_000], out=out)
    return planned(base, space_of({"learning_rate": [1e-3]}, base.algorithms, by_updates=True), 2)


def finished(out: Path, **chosen: Any) -> Path:
    """Write the ``tuned.json`` of a tuning of grpo and ppo, and return its folder."""
    made = tuning(out)
    told = outcome(made, rows_of(made))
    best = {"trial": 1, "spec": "ppo:lam=0.9", "knobs": {"learning_rate": 1e-3}, **chosen}
    told["tuned"]["grpo"] |= {"trial": 0, "spec": "grpo", "knobs": {}}
    told["tuned"]["ppo"] |= best
    out.mkdir(parents=True, exist_ok=True)
    folder.write_json(out / "tuned.json", told)
    return out


def compared(**given: Any) -> Experiment:
    return plan(**{"algorithms": ["grpo", "ppo"], "seeds": 2, **given})


def test_arguments_that_were_chosen_are_in_the_algorithm_s_name(tmp_path: Path) -> None:
    made = with_tuned(compared(), finished(tmp_path))

    assert made.algorithms == ("grpo", "ppo:lam=0.9")
    assert made.own == {"ppo:lam=0.9": {"learning_rate": 1e-3}}


def test_what_a_tuned_comparison_prints_as_its_config_is_that_comparison(tmp_path: Path) -> None:
    made = with_tuned(compared(out=tmp_path / "out"), finished(tmp_path / "t"))

    assert experiment_of(yaml.safe_load(config_text(made))) == made


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"algorithms": ["grpo", "rloo"]}, "rloo was not tuned"),
        ({"seeds": [3, 10_000]}, "seed 10000 was tuned on"),
        ({"eval_items": 200}, "items 0 to 199 overlap.*128 to 255.*at most 128"),
        ({"learning_rate": 1e-4}, "learning_rate was tuned"),
        ({"own": {"ppo": {"learning_rate": 1e-4}}}, "learning_rate was tuned"),
    ],
)
def test_a_comparison_that_would_undo_the_tuning_is_refused(
    tmp_path: Path, given: dict[str, Any], named: str
) -> None:
    folder_of_tuning = finished(tmp_path)

    with pytest.raises(UsageError, match=named):
        with_tuned(compared(**given), folder_of_tuning)


def test_settings_in_which_the_tuning_was_otherwise_are_told(tmp_path: Path) -> None:
    made = with_tuned(compared(prompts_per_update=4), finished(tmp_path))

    assert "; there prompts_per_update=16;" in made.own_reason


@pytest.mark.parametrize(
    ("trials", "said"),
    [
        ((0, 0), "**Untuned defaults**"),
        ((8, 8), "Tuning: 8 trials for each algorithm (tuned in t: 8 trials"),
        ((8, 0), "**Tuning differs**: 0 and 8 trials"),
    ],
)
def test_the_fairness_card_says_how_many_trials_there_were(
    tmp_path: Path, trials: tuple[int, int], said: str
) -> None:
    for name, count in zip(("grpo", "ppo"), trials, strict=True):
        reason = f"tuned in t: {count} trials" if count else ""
        write_cell(tmp_path, name, tuning_trials=count, own_reason=reason)

    assert any(line.startswith(said) for line in fairness_card(load(tmp_path).runs, []))


def test_from_python_too_a_tuning_is_looked_for_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no tuning"):
        compare(["grpo"], out=tmp_path / "out", tuned=tmp_path, quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_tuning_that_has_not_finished_cannot_be_used(tmp_path: Path) -> None:
    declare(tuning(tmp_path))

    with pytest.raises(UsageError, match="has not finished"):
        with_tuned(compared(), tmp_path)


def test_a_folder_without_a_tuning_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no tuning"):
        with_tuned(compared(), tmp_path)
