import json

import pytest
from unit.results_folder import write_cell

from bakeoff.comparisons.report.items import item_rows, item_sentences
from bakeoff.comparisons.results import load
from bakeoff.comparisons.schema import EVALS_COLUMNS
from bakeoff.comparisons.tables import append_rows


def write_items(out, algorithm, seed, scores, update=2, **status):
    """Write a cell whose evaluation after ``update`` gave these scores, item by item."""
    folder = out / "cells" / f"{algorithm}-s{seed}-Arithmetic-v0"
    if not folder.exists():
        write_cell(out, algorithm, seed, **status)
        (folder / "evals.csv").unlink()
    run_id = json.loads((folder / "spec.json").read_text())["run_id"]
    rows = [
        {"run_id": run_id, "update": update, "item_id": f"e/eval/{n}", "sample": 0, "score": score}
        for n, score in enumerate(scores)
    ]
    append_rows(folder / "evals.csv", EVALS_COLUMNS, rows)


def test_items_are_paired_within_seed_and_item(tmp_path):
    write_items(tmp_path, "grpo", 0, [1.0, 0.0, 0.0, 0.0])
    write_items(tmp_path, "ppo", 0, [1.0, 1.0, 1.0, 0.0])
    (row,) = item_rows(load(tmp_path))

    # differences 0 1 1 0: mean .5, sd .577, se .289; t(3) = 3.1824
    assert (row["mean_a"], row["mean_b"], row["difference"]) == (0.25, 0.75, 0.5)
    assert (row["n_items"], row["n_seeds"]) == (4, 1)
    assert row["se"] == row["se_item"] == pytest.approx(0.288675, rel=1e-4)
    assert row["ci_high"] == pytest.approx(0.5 + 3.1824 * 0.288675, rel=1e-4)
    assert row["note"] == "of these two trained models, not of the algorithms"


def test_the_same_items_after_two_seeds_are_not_twice_as_many(tmp_path):
    for seed in (0, 1):
        write_items(tmp_path, "grpo", seed, [0.0, 0.0, 0.0, 0.0])
        write_items(tmp_path, "ppo", seed, [1.0, 1.0, 0.0, 0.0])
    (row,) = item_rows(load(tmp_path))

    # both seeds differ in the same items: no more is known of items than after one seed
    assert row["se_item"] == pytest.approx(0.288675, rel=1e-4)
    assert row["se_naive"] < row["se_item"]
    assert row["ci_method"] == "t, clustered by item and by seed"


def test_only_the_last_evaluation_counts(tmp_path):
    for algorithm in ("grpo", "ppo"):
        write_items(tmp_path, algorithm, 0, [1.0, 1.0], update=0)
        write_items(tmp_path, algorithm, 0, [0.0, 0.5], update=2)
    (row,) = item_rows(load(tmp_path))

    assert (row["mean_a"], row["difference"]) == (0.25, 0.0)


def test_a_score_that_is_no_number_is_none(tmp_path):
    write_items(tmp_path, "grpo", 0, [0.5, float("inf"), 0.0])
    write_items(tmp_path, "ppo", 0, [1.0, float("nan"), 0.0])
    (row,) = item_rows(load(tmp_path))

    assert (row["n_items"], row["difference"], row["items_left_out"]) == (2, 0.25, 0)


def test_an_item_that_one_run_could_not_score_is_left_out_and_counted(tmp_path):
    write_items(tmp_path, "grpo", 0, [1.0, 1.0, 1.0])
    write_items(tmp_path, "ppo", 0, [0.0, None, 0.0])
    (row,) = item_rows(load(tmp_path))

    assert (row["n_items"], row["items_left_out"], row["difference"]) == (2, 1, -1.0)


def test_a_run_that_diverged_is_left_out_by_name(tmp_path):
    for seed, status in ((0, "ok"), (1, "diverged")):
        write_items(tmp_path, "grpo", seed, [1.0, 0.0])
        write_items(tmp_path, "ppo", seed, [1.0, 1.0], status=status)
    (row,) = item_rows(load(tmp_path))

    assert row["n_seeds"] == 1
    assert row["note"].startswith("left out: ppo seed 1 diverged")


def test_an_algorithm_is_not_compared_with_its_control(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "grpo", 0, repeat=1)

    assert item_rows(load(tmp_path)) == []


def test_what_is_known_of_other_items_is_said_with_interval_seeds_and_items(tmp_path):
    for seed in (0, 1):
        write_items(tmp_path, "grpo", seed, [0.5, 0.5])
        write_items(tmp_path, "ppo", seed, [1.0, 1.0])

    assert item_sentences(item_rows(load(tmp_path))) == [
        "ppo less grpo on bakeoff/Arithmetic-v0, tiny: +0.500 "
        "(95 % CI +0.500 to +0.500, n=2 seeds, 2 items)"
    ]
