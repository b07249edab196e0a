import functools
import json
import subprocess
import sys

import pytest
from unit.results_folder import write_cell, write_grid

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.report import report
from bakeoff.comparisons.report.again import command
from bakeoff.comparisons.report.figures import draw
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import load
from bakeoff.errors import UsageError

WRITTEN = {
    *("runs.csv", "curves.csv", "phases.csv", "memory.csv", "evals.csv", "samples.jsonl"),
    *("summary.csv", "pairwise.csv", "items.csv", "profiles.csv", "ledger.csv", "flops.csv"),
    *("report.md", "report.html", "checksums.json"),
    *(f"{name}.png" for name in ("rewards", "axes", "pareto", "memory", "speed")),
    *(f"{name}.svg" for name in ("rewards", "axes", "pareto", "memory", "speed")),
}


def document_of(out):
    return report.derived(load(out))["report.md"].decode()


def test_everything_that_is_derived_is_written_and_nothing_else(tmp_path):
    write_grid(tmp_path)
    report.write(tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == WRITTEN | {"cells"}


def test_the_critic_costs_are_said_with_interval_and_seeds(tmp_path):
    write_grid(tmp_path)
    text = report.console(tmp_path)

    # 60 against 40 MiB above the baseline, 6 against 4 s an update, equal for every seed
    assert (
        "ppo held 1.50x the memory of grpo during training "
        "(95 % CI 1.50 to 1.50, n=3 paired seeds; 60.0 MiB against 40.0 MiB)" in text
    )
    assert "ppo took 1.50x the time of grpo per update (95 % CI 1.50 to 1.50, n=3" in text


def test_the_ratio_is_to_the_first_algorithm_of_the_tables(tmp_path):
    # "apex" comes before "grpo" in the tables and needs 1.5 times as much: grpo needs 1/1.5 = 0.667
    for seed in (0, 1):
        write_cell(tmp_path, "grpo", seed)
        heavy = {"process_baseline": 300.0, "unattributed": 60.0}
        write_cell(tmp_path, "apex", seed, memory=heavy, phases={"rollout": 4.0})

    text = report.console(tmp_path)
    assert "grpo held 0.67x the memory of apex during training (95 % CI 0.67 to 0.67" in text
    assert "40.0 MiB against 60.0 MiB" in text


def test_an_interval_that_holds_1_is_no_difference_shown(tmp_path):
    for seed, factor in enumerate((0.8, 1.3) * 3):
        write_cell(tmp_path, "grpo", seed, phases={"rollout": 1.0})
        write_cell(tmp_path, "ppo", seed, phases={"rollout": factor})

    assert "ppo and grpo: no difference shown in time per update (ratio" in report.console(tmp_path)


def test_one_seed_gives_a_ratio_and_says_that_there_is_no_interval(tmp_path):
    write_grid(tmp_path, seeds=1)
    text = report.console(tmp_path)

    assert "ppo held 1.50x the memory of grpo during training (n=1 pair of runs, so no" in text
    assert "CI" not in text


def test_the_score_is_said_from_start_to_end_with_n(tmp_path):
    write_grid(tmp_path)

    # grpo .25 to .71, ppo .25 to .76
    said = "held-out score: grpo +0.460 (0.250 to 0.710, n=3); ppo +0.510 (0.250 to 0.760, n=3)"
    assert said in report.console(tmp_path)


def test_three_seeds_rank_nobody(tmp_path):
    write_grid(tmp_path)
    text = report.console(tmp_path)

    assert "too few seeds to rank grpo and ppo by held-out score (at least 6 pairs" in text
    assert "ppo ended 0.050 above grpo (95 % CI +0.050 to +0.050, n=3 paired seeds)" in text


def test_six_seeds_rank_with_a_p_value(tmp_path):
    write_grid(tmp_path, seeds=6)

    # 2 / 2**6
    assert "n=6 paired seeds): better, p = 0.031 (Holm)" in report.console(tmp_path)


def test_what_may_not_be_compared_is_not_and_says_why(tmp_path):
    write_grid(tmp_path, seeds=1)
    write_cell(tmp_path, "ppo", 1, status="oom", error_message="9000 MiB,\nover the limit")
    text = report.console(tmp_path)

    assert "ppo and grpo are not compared in training memory: ppo seed 1 oom" in text
    assert "held 1.50x" not in text
    assert "ppo seed 1: oom on bakeoff/Arithmetic-v0, tiny: 9000 MiB, over the limit" in text


def test_an_algorithm_that_always_failed_is_told_of(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, status="oom", error_message="9000 MiB, over the limit of 8192")
    text = report.console(tmp_path)

    assert "ppo none (no run ended ok, 1 failed)" in text
    row = next(line for line in text.splitlines() if line.startswith("ppo"))
    assert row.split()[-2:] == ["0", "1"]


def test_a_comparison_in_which_everything_failed_is_still_a_report(tmp_path):
    write_cell(tmp_path, "grpo", 0, status="timeout")
    write_cell(tmp_path, "ppo", 0, status=None)

    assert "No run ended ok" in document_of(tmp_path)


def test_a_cell_that_cannot_be_read_is_named_in_the_report(tmp_path):
    write_grid(tmp_path, seeds=1)
    broken = tmp_path / "cells" / "ppo-s0-Arithmetic-v0"
    (broken / "status.json").write_text('{"status"')

    line = "cell ppo-s0-Arithmetic-v0 was left out: status.json is not readable JSON"
    assert line in document_of(tmp_path)
    assert line in report.console(tmp_path)


def test_the_fairness_card_says_who_needed_a_critic(tmp_path):
    write_grid(tmp_path)
    text = document_of(tmp_path)

    assert "ppo needed a critic of 1.00 M parameters beside the policy." in text
    assert "grpo needed no model beside the policy." in text
    assert "threads (2)" in text


def test_what_was_not_held_equal_is_said(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, threads=16)

    assert "**Not held equal**: threads (16, 2)." in document_of(tmp_path)


def test_the_command_is_that_of_the_experiment_and_names_changed_knobs_alone(tmp_path):
    write_grid(tmp_path, seeds=1)
    asked = {
        "algorithms": ["grpo", "ppo"],
        "environments": ["bakeoff/Arithmetic-v0:level=2"],
        "models": ["tiny"],
        "seeds": [0],
        "config": {"updates": 3, "group_size": 8, "learning_rate": None},
        "memory_limit": 8 * 2**30,
        "cell_timeout": 60,
    }
    (tmp_path / "experiment.json").write_text(json.dumps(asked))

    # group_size is 8 by default, and so is a learning rate of None
    assert command(load(tmp_path)) == (
        "bakeoff compare --algorithms grpo,ppo --env bakeoff/Arithmetic-v0:level=2 --model tiny "
        "--seeds 0, --updates 3 --no-audit --memory-limit 8GiB --cell-timeout 60 --out FOLDER"
    )


def test_a_figure_has_a_row_of_panels_for_each_environment(tmp_path):
    for environment in ("bakeoff/A-v0", "bakeoff/B-v0"):
        write_cell(tmp_path, "grpo", 0, environment=environment)
    results = load(tmp_path)
    figures = draw(results, summary_rows(results))

    # scores against updates and seconds, tokens and FLOPs, memory and time; memory: with and
    # without the baseline; seconds: alone
    assert {name: len(figure.axes) for name, figure in figures.items()} == {
        "rewards.png": 4,
        "axes.png": 4,
        "pareto.png": 4,
        "memory.png": 4,
        "speed.png": 2,
    }


def test_the_mean_line_leaves_out_failed_runs(tmp_path):
    write_cell(tmp_path, "grpo", 0, scores=(0.25, 0.5))
    write_cell(tmp_path, "grpo", 1, scores=(0.25, 0.0), status="diverged")
    results = load(tmp_path)
    by_update = draw(results, summary_rows(results))["rewards.png"].axes[0]
    mean = next(line for line in by_update.lines if line.get_label() == "grpo (n=1, 1 failed)")

    assert list(mean.get_ydata()) == [0.25, 0.5]


def test_bars_end_at_the_peak(tmp_path):
    write_cell(tmp_path, "ppo", 0)
    results = load(tmp_path)
    with_baseline, without = draw(results, summary_rows(results))["memory.png"].axes

    ends = [
        max(p.get_x() + p.get_width() for p in axes.patches) for axes in (with_baseline, without)
    ]
    assert ends == [360.0, 60.0]  # MiB


@pytest.mark.usefixtures("no_figures")
def test_the_command_finds_what_it_writes_and_says_once(tmp_path, monkeypatch):
    found = []
    for name in ("summary_rows", "pairwise_rows"):

        def counted(results, *, name, function):
            found.append(name)
            return function(results)

        function = functools.partial(counted, name=name, function=getattr(report, name))
        monkeypatch.setattr(report, name, function)

    assert main(["report", str(write_grid(tmp_path, seeds=1))]) == 0
    assert found == ["summary_rows", "pairwise_rows"]


def test_no_torch_and_no_pandas_are_imported_for_a_report(tmp_path):
    write_grid(tmp_path, seeds=1)
    program = (
        "import sys; from pathlib import Path; from bakeoff.comparisons.report import report; "
        "out = Path(sys.argv[1]); report.write(out); report.console(out); "
        "print([name for name in ('torch', 'transformers', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_importing_the_package_imports_nothing_heavy():
    program = (
        "import sys, bakeoff.comparisons, bakeoff.comparisons.schema, bakeoff.comparisons.tables; "
        "heavy = ('torch', 'pandas', 'numpy', 'matplotlib'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"


def test_a_folder_that_holds_no_results_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match="holds no results") as error:
        report.write(tmp_path)

    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_busy_machine_is_told_of_beside_the_times(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    quiet = report.console(tmp_path)
    write_cell(tmp_path, "grpo", 1, load_avg_start=3.5)  # 2 threads a run, so 3 is a quiet 2 + 1

    assert "noisy" not in quiet
    assert "times are noisy: the load average was up to 3.5" in report.console(tmp_path)
