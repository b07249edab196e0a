import json
import math
from pathlib import Path

import pytest
from unit.results_folder import ENVIRONMENT, MODEL, write_cell, write_grid

from bakeoff.comparisons.report.items import item_rows
from bakeoff.comparisons.report.page.curves import MAX_POINTS, place_curves, points_kept, tracks
from bakeoff.comparisons.report.page.data import MAX_TABLE_BYTES, page_data
from bakeoff.comparisons.report.page.samples import MAX_CHARACTERS, MOMENTS, place_samples
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import load
from bakeoff.comparisons.schema import ITEMS_COLUMNS, LEDGER_COLUMNS
from bakeoff.comparisons.tables import table


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """What is drawn of grpo and ppo with three seeds each."""
    return place_of(write_grid(tmp_path_factory.mktemp("grid")))


def data_of(out):
    results = load(out)
    return page_data(results, summary_rows(results), pairwise_rows(results), {})


def place_of(out):
    return data_of(out)["places"][0]


def test_a_large_table_is_named_and_left_beside_the_page(tmp_path):
    results = load(write_grid(tmp_path, seeds=1))
    big = b"x" * (MAX_TABLE_BYTES + 1)
    tables = page_data(results, [], [], {"big.csv": big, "report.md": b"x"})["tables"]

    assert tables == {"big.csv": {"text": None, "bytes": MAX_TABLE_BYTES + 1}}


def test_a_curve_has_mean_and_t_interval_at_each_evaluation(tmp_path):
    curves = curves_of(write_grid(tmp_path))
    metric = curves["metrics"][0]
    mean, low, high, n = metric["means"][0][-1]

    # grpo ends at .70, .71 and .72: sd .01, t(.975, 2) = 4.303, so .71 +- 4.303 * .01 / sqrt(3)
    half = 4.30265 * 0.01 / math.sqrt(3)
    assert (metric["split"], metric["name"], n) == ("eval", "score/mean", 3)
    assert (mean, low, high) == pytest.approx((0.71, 0.71 - half, 0.71 + half), abs=1e-5)


def test_two_seeds_have_a_mean_and_no_interval(tmp_path):
    metric = curves_of(write_grid(tmp_path, seeds=2))["metrics"][0]

    assert metric["means"][0][-1][1:] == [None, None, 2]


def test_every_axis_of_the_tables_can_be_the_x_of_a_curve(tmp_path):
    splits = curves_of(write_grid(tmp_path, seeds=1))["splits"]

    # two updates of 10 s each after the evaluation before training
    assert splits["eval"]["train_wall_s"]["runs"][0] == [0, 10, 20]
    assert splits["eval"]["update"]["means"][0] == [0, 1, 2]


def test_a_failed_run_is_drawn_and_in_no_mean(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5))
    write_cell(tmp_path, "grpo", 1, scores=(0.25, 0.0), status="diverged")
    data = place_of(tmp_path)
    metric = data["curves"]["metrics"][0]

    assert metric["means"][0][-1][0] == 0.5
    assert metric["runs"] == [[0.25, 0.5], [0.25, 0]]
    assert [run["ok"] for run in data["runs"]] == [True, False]


def test_a_missing_value_is_a_gap_and_no_zero(tmp_path):
    folder = write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5, 0.75))
    lines = (folder / "curves.csv").read_text().splitlines()
    place = lines[0].split(",").index("value")
    for number, line in enumerate(lines):
        cells = line.split(",")
        if cells[5] == "reward/mean" and cells[place] == "0.25":  # of update 1: half of .5
            cells[place] = "nan"
            lines[number] = ",".join(cells)
    (folder / "curves.csv").write_text("\n".join(lines) + "\n")
    write_cell(tmp_path, "grpo", 1, scores=(0.25, 0.5, 0.75))
    curves = curves_of(tmp_path)
    reward = next(m for m in curves["metrics"] if m["name"] == "reward/mean")

    # the second seed has a value after update 1, but one seed is not the mean of both
    assert curves["splits"]["train"]["update"]["runs"] == [[1, 2], [1, 2]]
    assert reward["runs"] == [[None, 0.375], [0.25, 0.375]]
    assert reward["means"] == [[None, [0.375, None, None, 2]]]


def test_a_run_that_was_not_evaluated_at_an_update_has_no_point_there(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5))
    write_cell(tmp_path, "ppo", 0, scores=(0.25, 0.5, 0.75))

    assert curves_of(tmp_path)["splits"]["eval"]["update"]["runs"] == [[0, 1, None], [0, 1, 2]]


def test_controls_are_in_no_chart(tmp_path):
    write_grid(tmp_path, seeds=1)
    write_cell(tmp_path, "grpo", 0, repeat=1, scores=(0.25, 0.5, 0.99))
    data = place_of(tmp_path)

    assert len(data["runs"]) == 2
    assert max(line[-1] for line in data["curves"]["metrics"][0]["runs"]) == 0.75
    assert all(pair["a"] != pair["b"] for panel in data["differences"] for pair in panel["pairs"])


def test_long_curves_keep_their_ends_and_say_that_they_were_thinned(tmp_path):
    results = load(write_grid(tmp_path, seeds=1))
    found = tracks(results.raw["curves.csv"])
    thin = place_curves(results.runs, found, points=2)

    assert thin["splits"]["eval"]["update"]["runs"][0] == [0, 2]
    assert thin["thinned"]
    assert not place_curves(results.runs, found, points_kept(found))["thinned"]


def test_a_page_keeps_a_bounded_number_of_values():
    # 100 runs with 300 metrics each: 13 values a curve, so the fewest points that make a curve
    many = {(str(run), "train"): {1: dict.fromkeys(map(str, range(300)))} for run in range(100)}

    assert points_kept(many) == 20
    assert points_kept({}) == MAX_POINTS


def test_bars_add_up_to_the_peak(grid):
    place = grid

    # MiB: 360 for ppo, the process's 300 among them
    assert sum(place["memory"][1]["parts"].values()) == pytest.approx(360 * 2**20, rel=1e-5)
    assert place["seconds"][1]["parts"]["update_critic"] == 2.0


def test_differences_are_drawn_at_the_end_at_equal_values_and_to_a_target(grid):
    panels = grid["differences"]
    views = list(dict.fromkeys(panel["view"] for panel in panels))
    memory = next(panel for panel in panels if panel["title"] == "training memory")

    assert views[0] == "at the end of the runs"
    assert any("something else is equal" in view for view in views)
    assert memory["pairs"][0]["effect"] == [1.5, 1.5, 1.5]  # 60 over 40 MiB in every pair


def test_item_by_item_differences_are_drawn_too(tmp_path):
    results = load(write_grid(tmp_path))
    files = {"items.csv": table(ITEMS_COLUMNS, item_rows(results))}
    (panel,) = page_data(results, [], [], files)["places"][0]["differences"]

    # ppo ends .05 above grpo on the one item, after every seed
    assert (panel["view"], panel["pairs"][0]["n"]) == ("item by item", "1")
    assert panel["pairs"][0]["effect"][0] == pytest.approx(0.05)


def test_what_an_audit_counted_stands_beside_what_was_predicted(tmp_path):
    key = {"environment": ENVIRONMENT, "model": MODEL, "algorithm": "grpo"}
    held = {"bytes_at_peak": 90, "bytes_max": 100, "bytes_predicted": 110, "relative_error": 0.1}
    whole = {"component": "live_tensors", "bytes_at_peak": 90, "bytes_max": 120}
    ledger = [{**key, "component": "kv_cache", **held}, {**key, **whole}]
    files = {"ledger.csv": table(LEDGER_COLUMNS, ledger)}
    results = load(write_grid(tmp_path, seeds=1))
    audit = page_data(results, [], [], files)["places"][0]["audit"]

    # sums are lines of the ledger and no parts of a bar
    assert [bar["parts"] for bar in audit["bars"]] == [{"kv_cache": 90}]
    assert audit["ledger"] == [
        ["grpo", "kv_cache", 100, 110, 0.1],
        ["grpo", "live_tensors", 120, None, None],
    ]


def test_an_algorithm_that_is_worse_in_everything_is_dominated(tmp_path):
    for seed in range(3):
        write_cell(tmp_path, "grpo", seed, scores=(0.25, 0.75), train_s=10.0)
        write_cell(tmp_path, "ppo", seed, scores=(0.25, 0.5), train_s=20.0)
    traded = place_of(tmp_path)["traded"]

    assert [(one["algorithm"], one["front"]) for one in traded] == [("grpo", True), ("ppo", False)]


def test_completions_to_one_item_stand_side_by_side(tmp_path):
    write_grid(tmp_path, seeds=2)
    samples = place_of(tmp_path)["samples"]

    assert (samples["seed"], samples["kept"], samples["of"]) == (0, 1, 1)
    assert list(samples["moments"][0]["replies"]) == ["grpo", "ppo"]


def test_long_completions_are_cut_and_say_by_how_much():
    line = sample(completion="x" * (MAX_CHARACTERS + 7))
    (moment,) = place_samples(RUNS, [line])["moments"]

    assert moment["replies"]["grpo"][0]["text"] == {"shown": "x" * MAX_CHARACTERS, "left_out": 7}


def test_of_many_completions_a_bounded_number_is_kept_the_last_among_them():
    held_out = [sample(update=n, item_id="again") for n in range(60)]
    once = [sample(update=n, item_id=f"once {n}") for n in range(60)]
    found = place_samples(RUNS, [*held_out, *once])

    assert (found["kept"], found["of"]) == (2 * MOMENTS, 120)
    assert [found["moments"][k]["update"] for k in (0, MOMENTS - 1)] == [0, 59]


def test_a_line_that_is_no_sample_is_passed_over():
    assert place_samples(RUNS, ["[]", "{}", '{"run_id": "r", "update": null}'])["moments"] == []


def test_one_run_makes_a_page(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    place = place_of(tmp_path)

    assert place["differences"] == []
    assert place["curves"]["metrics"][0]["means"] == [
        [[s, None, None, 1] for s in (0.25, 0.5, 0.75)]
    ]


def test_environments_and_models_are_places_of_their_own(tmp_path):
    for environment in ("bakeoff/A-v0", "bakeoff/B-v0"):
        write_cell(tmp_path, "grpo", 0, environment=environment)
    places = data_of(tmp_path)["places"]

    assert [place["title"] for place in places] == ["bakeoff/A-v0, tiny", "bakeoff/B-v0, tiny"]


RUNS = [{"run_id": "r", "algorithm": "grpo", "seed": 0}]


def sample(**changes):
    line = {"run_id": "r", "update": 1, "item_id": "a", "prompt": "p", "completion": "c"}
    return json.dumps(line | changes)


def curves_of(out: Path):
    results = load(out)
    found = tracks(results.raw["curves.csv"])
    return place_curves(results.runs, found, points_kept(found))
