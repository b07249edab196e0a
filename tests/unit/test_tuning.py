"""Tuning: equal trials, on seeds and items of their own; what is chosen, and what it is for."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from small_world import small_training

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells, config_of, plan
from bakeoff.comparisons.tuning.choice import choose
from bakeoff.comparisons.tuning.space import space_of
from bakeoff.comparisons.tuning.tuned import with_tuned
from bakeoff.comparisons.tuning.tuning import Tuning, declare, planned, rows_of, run
from bakeoff.errors import UsageError


def tuning(out: Path, rates: list[float], *, algorithms: tuple[str, ...] = ("grpo",)) -> Tuning:
    """Return a tuning whose last trials try ``rates``, each once."""
    base = plan(algorithms=algorithms, seeds=[10_000], out=out)
    space = space_of({"learning_rate": rates}, algorithms, by_updates=True)
    return planned(base, space, len(rates) + 1)


def compared(**given: Any) -> Experiment:
    return plan(**{"algorithms": ["grpo", "ppo"], "seeds": 2, **given})


def row(trial: int, score: float | None, *, flops: int = 10, status: str = "ok") -> dict[str, Any]:
    return {"trial": trial, "status": status, "score": score, "train_flops": flops}


def test_the_trial_with_the_best_mean_over_seeds_is_chosen() -> None:
    rows = [row(0, 0.5), row(0, 0.5), row(1, 0.9), row(1, 0.3)]

    best = choose(rows)

    assert best is not None
    assert best.trial == 1  # 0.6 against 0.5


def test_a_trial_of_which_a_seed_failed_is_not_chosen() -> None:
    rows = [row(0, 0.5), row(0, 0.5), row(1, 1.0), row(1, None, status="diverged")]

    best = choose(rows)

    assert best is not None
    assert best.trial == 0


def test_a_tie_goes_to_the_trial_that_cost_less_and_then_to_the_earlier_one() -> None:
    rows = [row(0, 0.5, flops=20), row(1, 0.5, flops=10), row(2, 0.5, flops=10)]

    best = choose(rows)

    assert best is not None
    assert best.trial == 1


def test_nothing_is_chosen_where_every_trial_failed() -> None:
    assert choose([row(0, None, status="oom"), row(1, None, status="timeout")]) is None


def test_a_trial_is_a_comparison_on_seeds_and_held_out_items_of_its_own(tmp_path: Path) -> None:
    base = plan(algorithms=["grpo", "ppo"], seeds=[10_000], out=tmp_path / "t", eval_items=50)
    space = space_of(
        {"learning_rate": [1e-3], "ppo": {"critic_learning_rate": [1e-2]}},
        base.algorithms,
        by_updates=True,
    )

    made = planned(base, space, 2)
    trial = made.comparison(made.trials[1])

    assert trial.seeds == (10_000,)
    assert (trial.config["eval_offset"], trial.config["eval_items"]) == (50, 50)
    assert trial.config["learning_rate"] == 1e-3
    assert trial.own == {"ppo": {"critic_learning_rate": 1e-2}}
    assert not trial.control


def test_arguments_that_are_drawn_are_in_the_algorithm_s_name() -> None:
    base = plan(algorithms=["grpo", "ppo"], seeds=[10_000])
    space = space_of({"ppo": {"lam": [0.9]}}, base.algorithms, by_updates=True)

    made = Tuning(base, space, 2)

    assert made.comparison(made.trials[1]).algorithms == ("grpo", "ppo:lam=0.9")


def test_settings_that_an_algorithm_has_of_its_own_anyway_stay_in_every_trial() -> None:
    own = {"ppo": {"critic_learning_rate": 1e-2}}
    base = plan(algorithms=["grpo", "ppo"], seeds=[10_000], own=own)
    space = space_of({"ppo": {"lam": [0.9]}}, base.algorithms, by_updates=True)

    made = Tuning(base, space, 2)

    assert made.comparison(made.trials[0]).own == own
    assert made.comparison(made.trials[1]).own == {"ppo:lam=0.9": own["ppo"]}


def test_every_algorithm_has_the_same_trials_with_the_same_updates(tmp_path: Path) -> None:
    made = tuning(tmp_path / "t", [1e-4, 1e-3], algorithms=("grpo", "ppo"))

    rows = rows_of(made)

    for name in ("grpo", "ppo"):
        assert [r["trial"] for r in rows if r["algorithm"] == name] == [0, 1, 2]
    assert {config_of(made.comparison(t), "ppo")["updates"] for t in made.trials} == {40}


def test_too_few_held_out_items_for_both_are_refused_before_anything_starts(
    tmp_path: Path,
) -> None:
    base = plan(seeds=[10_000], out=tmp_path / "t", eval_items=2**15 + 1)
    space = space_of({"learning_rate": [1e-3]}, base.algorithms, by_updates=True)

    # Arithmetic has 2**16 held-out items: half of them for each
    with pytest.raises(UsageError, match="at most 32768"):
        planned(base, space, 2)
    assert not (tmp_path / "t").exists()


def test_the_runs_of_a_trial_are_started_as_the_tuning_asks(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    base = plan(algorithms=["grpo"], out=tmp_path, launcher="ray", ray_address="10.0.0.5:6379")
    made = planned(base, space_of({"learning_rate": [1e-3]}, ("grpo",), by_updates=True), 2)
    trial = made.comparison(made.trials[1])

    assert (trial.launcher, trial.ray_address) == ("ray", "10.0.0.5:6379")


def test_trials_cannot_be_written_down_to_be_submitted_later(tmp_path: Path) -> None:
    base = plan(algorithms=["grpo"], out=tmp_path, launcher="slurm", write_only=True)

    with pytest.raises(UsageError, match="write_only is for compare"):
        planned(base, space_of({"learning_rate": [1e-3]}, ("grpo",), by_updates=True), 2)


def test_a_value_that_no_run_may_have_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="learning_rate must be at least 0"):
        tuning(tmp_path / "t", [-1.0])


def test_an_evaluation_takes_the_items_behind_the_offset() -> None:
    reports = list(small_training(eval_items=3, eval_offset=4, updates=1).run())

    asked = [sample.item.id for sample in reports[0].eval_samples]
    assert asked == [f"test/Successor-v0/eval/{index}" for index in (4, 5, 6)]


def test_an_evaluation_ends_with_the_items_that_there_are() -> None:
    reports = list(small_training(eval_items=5, eval_offset=8, updates=1).run())

    assert len(reports[0].eval_samples) == 2  # of ten: 8 and 9


def test_an_offset_that_leaves_no_item_is_refused() -> None:
    with pytest.raises(UsageError, match="no eval items behind the first 10"):
        small_training(eval_offset=10)


def ended(out: Path, failed: tuple[int, ...] = ()) -> Tuning:
    """Write a tuning of grpo and ppo with two seeds in which every run has ended.

    ppo scores best with the rate 0.01, grpo with the defaults; the trials ``failed`` diverged.
    """
    base = plan(algorithms=["grpo", "ppo"], seeds=[10_000, 10_001], out=out)
    space = space_of({"learning_rate": [0.01, 0.1]}, base.algorithms, by_updates=True)
    made = planned(base, space, 3)
    declare(made)
    for trial in made.trials:
        comparison = made.comparison(trial)
        comparison.out.mkdir(parents=True)
        folder.record(comparison)
        for cell in cells(comparison):
            ran = {"status": "ok", "eval_score": score_of(cell), "train_flops": 1}
            if trial.number in failed:
                ran = {"status": "diverged", "error_message": "the loss is nan"}
            place = folder.place(comparison.out, cell)
            place.mkdir(parents=True)
            folder.write_json(place / "spec.json", dataclasses.asdict(cell))
            folder.write_json(place / "status.json", ran)
    return made


def score_of(cell: CellSpec) -> float:
    rate = cell.config["learning_rate"] or 0.0
    return 0.5 - abs(rate - 0.01) if cell.algorithm == "ppo" else 0.5 - rate


def tune(out: Path) -> int:
    """Run ``bakeoff tune`` as it would have been run to make the folder of ``ended``."""
    flags = ["--algorithms", "grpo,ppo", "--trials", "3", "--seeds", "2", "--quiet"]
    return main(["tune", *flags, "--space", str(out / "space.yaml"), "--out", str(out)])


def test_the_table_has_every_run_failed_ones_too(tmp_path: Path) -> None:
    made = ended(tmp_path, failed=(2,))

    assert tune(tmp_path) == 0

    with (tmp_path / "tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    keys = [(row["trial"], row["algorithm"], row["seed"]) for row in rows]
    seeds = ("10000", "10001")
    assert keys == [(str(k), a, seed) for k in range(3) for a in ("grpo", "ppo") for seed in seeds]
    assert [row["status"] for row in rows] == ["ok"] * 8 + ["diverged"] * 4
    rates = [json.loads(row["knobs_json"]).get("learning_rate") for row in rows[4::4]]
    assert rates == [trial.shared["learning_rate"] for trial in made.trials[1:]]


def test_each_algorithm_is_given_the_settings_of_its_own_best_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(tmp_path)

    assert tune(tmp_path) == 0
    made = with_tuned(compared(), tmp_path)

    assert "grpo: the defaults" in capsys.readouterr().out
    assert made.algorithms == ("grpo", "ppo")
    assert made.own == {"ppo": {"learning_rate": 0.01}}
    assert made.tuning_trials == 3
    assert "3 trials of 40 updates on seeds 10000 to 10001" in made.own_reason


def test_where_every_trial_fails_the_command_fails_and_nothing_can_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended(tmp_path, failed=(0, 1, 2))

    assert tune(tmp_path) == 1

    assert "grpo: every trial failed" in capsys.readouterr().out
    with pytest.raises(UsageError, match="every trial of grpo failed"):
        with_tuned(compared(), tmp_path)


def test_a_tuning_with_another_space_is_refused_in_the_same_folder(tmp_path: Path) -> None:
    declare(tuning(tmp_path, [0.01, 0.1]))

    with pytest.raises(UsageError, match="tuned with other space"):
        declare(tuning(tmp_path, [0.01, 0.2]))


def test_what_failed_is_not_run_again_before_all_was_run_once(tmp_path: Path) -> None:
    made = tuning(tmp_path, [1e-3])

    with pytest.raises(UsageError, match="never run"):
        run(made, quiet=True, command=["false"], only="failed")
    assert not any(tmp_path.iterdir())


def test_a_plan_that_was_left_half_written_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / ".tuning.json.part").write_text("{")  # killed before it had its name

    declare(tuning(tmp_path, [1e-3]))

    assert (tmp_path / "tuning.json").exists()


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")

    with pytest.raises(UsageError, match="not the folder of a tuning"):
        declare(tuning(tmp_path, [1e-3]))
