"""Cells of several processes, without starting any: commands, refusals, endings, tables."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from unit.true_folder import make, rehash

from bakeoff.comparisons.cell.usage import Earlier, Usage, columns, memory_rows
from bakeoff.comparisons.cli import main
from bakeoff.comparisons.comparison import compare
from bakeoff.comparisons.report.again import command as again
from bakeoff.comparisons.report.check import contradictions
from bakeoff.comparisons.report.measures import run_values
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running.audits import audits
from bakeoff.comparisons.running.checks import check_processes
from bakeoff.comparisons.running.content import changes, with_content
from bakeoff.comparisons.running.endings import status_of_killed
from bakeoff.comparisons.running.folder import read_json, write_json
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells, plan
from bakeoff.comparisons.running.preflight import outlook
from bakeoff.comparisons.running.process import Ending
from bakeoff.comparisons.running.ranks import (
    CONFIG,
    FAILURE,
    check_all_started,
    check_alone,
    failure_in,
    note_failure,
    ranked,
)
from bakeoff.comparisons.running.share import check_share, cores
from bakeoff.comparisons.running.work import variables
from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.settings import config_text, experiment_of, read_config
from bakeoff.comparisons.tables import append_rows, read_rows
from bakeoff.errors import UsageError

MIB = 2**20
CELL = [sys.executable, "-m", "cell"]


def asked(**settings: Any) -> Experiment:
    beside = {"launcher": "accelerate", "algorithms": ["grpo"], "seeds": 1, "processes": 2}
    return plan(**{**beside, **settings})


def spec(**settings: Any) -> CellSpec:
    return cells(asked(**settings))[0]


def config_file(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


def failure(rank: int, message: str, **more: Any) -> dict[str, Any]:
    status = {"status": "error", "exit_code": 1, "error_type": "ValueError"}
    return {"rank": rank, **status, "error_message": message, **more}


def test_a_cell_of_one_process_is_started_by_nothing_else(tmp_path):
    assert ranked(CELL, spec(processes=1, launcher="local"), tmp_path) == CELL


def test_a_cell_of_two_processes_is_started_by_the_launch_module(tmp_path):
    found = ranked(CELL, spec(), tmp_path)

    assert found[1:6] == ["-P", "-m", "bakeoff.comparisons.cell.launch", "--processes", "2"]
    assert found[6:] == CELL


def test_an_accelerate_configuration_is_copied_to_the_cell_and_used_from_there(tmp_path):
    given = config_file(tmp_path, "distributed_type: MULTI_GPU\n")
    place = tmp_path / "cell"
    place.mkdir()

    found = ranked(CELL, spec(accelerate_config=given), place)

    assert found[6:8] == ["--config", str(place / CONFIG)]
    assert (place / CONFIG).read_text() == Path(given).read_text()


def test_an_edited_accelerate_configuration_is_other_content(tmp_path):
    cell = spec(accelerate_config=config_file(tmp_path, "distributed_type: FSDP\n"))
    (before,) = with_content([cell])
    config_file(tmp_path, "distributed_type: MULTI_GPU\n")
    (after,) = with_content([cell])

    assert changes(before.content, after.content) == ["the accelerate configuration"]


def test_the_local_launcher_starts_one_process_only():
    with pytest.raises(UsageError, match="--launcher accelerate --num-processes 2"):
        check_processes(asked(launcher="local"))


def test_without_accelerate_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(UsageError, match=r"needs accelerate: pip install 'bakeoff\[accelerate\]'"):
        check_processes(asked())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("distributed_type: MULTI_CPU", "distributed_type MULTI_CPU"),
        ("distributed_type: DEEPSPEED", "distributed_type DEEPSPEED"),
        ("{distributed_type: FSDP, num_machines: 2}", "is for 2 machines"),
        ("{distributed_type: FSDP, num_processes: 4}", "num_processes 4, and --num-processes is 2"),
        ("a list", "no file of accelerate config"),
        ("{distributed_type: FSDP, fsdp_config: 2}", "no file of accelerate config"),
        ("{distributed_type: FSDP, fsdp_config: {}}", "has fsdp_version 1"),
        ("{distributed_type: FSDP, fsdp_config: {fsdp_version: 2}}", "asks for sharding full"),
        ("{distributed_type: MULTI_GPU, mixed_precision: fp16}", "mixed precision fp16"),
    ],
)
def test_a_configuration_that_starts_something_else_is_refused(tmp_path, text, words):
    with pytest.raises(UsageError, match=words):
        check_processes(asked(accelerate_config=config_file(tmp_path, text)))


def test_a_configuration_whose_shards_are_those_of_the_settings_is_taken(tmp_path):
    text = "{distributed_type: FSDP, mixed_precision: no, fsdp_config: {fsdp_version: 2}}"

    check_processes(asked(sharding="full", accelerate_config=config_file(tmp_path, text)))


def test_a_configuration_that_starts_nothing_is_refused(tmp_path):
    given = config_file(tmp_path, "distributed_type: MULTI_GPU")

    with pytest.raises(UsageError, match="of no use with one process"):
        check_processes(asked(processes=1, accelerate_config=given))


def test_a_configuration_needs_the_launcher_that_reads_it(tmp_path):
    given = config_file(tmp_path, "distributed_type: FSDP")

    with pytest.raises(UsageError, match="of no use without --launcher accelerate"):
        check_processes(asked(launcher="local", processes=1, accelerate_config=given))


def test_an_unknown_launcher_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="did you mean 'accelerate'"):
        asked(launcher="acelerate")


def test_cells_side_by_side_need_a_core_for_each_of_their_processes():
    # one more cell of two processes than there are pairs of cores
    with pytest.raises(UsageError, match="with processes 2 and threads 1 needs"):
        check_share(asked(max_parallel=cores() // 2 + 1 if cores() > 1 else 2))


def test_the_processes_of_a_cell_share_its_cores():
    # each of so many processes that no core is left over has one thread
    assert variables(spec(processes=cores() + 1))["OMP_NUM_THREADS"] == "1"


def test_threads_that_are_asked_for_are_those_of_each_process():
    assert variables(spec(threads=3))["OMP_NUM_THREADS"] == "3"


def test_audits_have_one_process_each():
    (audit,) = audits(asked(sharding="full"))

    assert not {"processes", "sharding"} & audit.config.keys()


def test_what_sharded_runs_hold_is_said_to_be_unknown():
    experiment = asked(sharding="full", memory_limit=2**20)

    assert outlook(experiment, cells(experiment)).warnings == [
        "whether sharded runs fit in memory is not foretold"
    ]


def test_a_config_file_keeps_launcher_processes_and_configuration(tmp_path):
    experiment = asked(accelerate_config=config_file(tmp_path, "distributed_type: FSDP"))
    path = tmp_path / "again.yaml"
    path.write_text(config_text(experiment))

    assert experiment_of(read_config(path)) == experiment


def test_compare_is_not_run_several_times_over():
    with pytest.raises(UsageError, match="compare was launched as 2 processes"):
        check_alone("compare", {"RANK": "1", "WORLD_SIZE": "2"})


def test_compare_in_python_is_not_run_several_times_over(monkeypatch, tmp_path):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")

    with pytest.raises(UsageError, match="compare was launched as 2 processes"):
        compare(out=tmp_path / "grid")


def test_train_is_one_run_of_as_many_processes_as_were_launched(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")

    assert main(["train", "--num-processes", "3", "--out", str(tmp_path / "out")]) == 2
    assert "launched as 2 processes, not 3" in capsys.readouterr().err
    assert main(["train", "--print-config", "--out", str(tmp_path / "out")]) == 0
    assert "\nprocesses: 2\n" in capsys.readouterr().out


def test_a_launch_that_leaves_processes_to_mpi_is_refused():
    # what accelerate launch --cpu --num_processes 2 sets, without a RANK
    alone = {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}
    with pytest.raises(UsageError, match="--multi_gpu"):
        check_all_started(alone)
    check_all_started({**alone, "RANK": "0"})


def test_the_first_rank_that_fails_is_the_cause(tmp_path):
    note_failure(tmp_path, failure(1, "no such item"))
    note_failure(tmp_path, failure(0, "Connection closed by peer"))

    assert failure_in(tmp_path) == failure(1, "no such item")
    assert [path.name for path in tmp_path.iterdir()] == [FAILURE]


def test_a_killed_rank_is_the_cause_whatever_the_others_said(tmp_path):
    note_failure(tmp_path, failure(0, "Connection closed by peer"))
    note_failure(tmp_path, failure(1, "killed", exit_code=-9), certain=True)

    assert failure_in(tmp_path) == failure(1, "killed", exit_code=-9)


def test_a_cell_without_status_is_told_of_by_the_rank_that_failed(tmp_path):
    note_failure(tmp_path, failure(1, "300 MiB in phase 'values'", status="oom", exit_code=4))

    found = status_of_killed(spec(), Ending("exited", 1, 2.0, None), tmp_path)

    assert (found["status"], found["exit_code"]) == ("oom", 4)
    assert found["error_message"] == "rank 1: 300 MiB in phase 'values'"


def test_a_timeout_stays_one_though_ranks_failed_for_it(tmp_path):
    note_failure(tmp_path, failure(1, "Connection closed by peer"))

    found = status_of_killed(spec(), Ending("timeout", -15, 2.0, None), tmp_path)

    assert found["status"] == "timeout"


def used(rss: int, *held: int) -> Usage:
    rows = [{"component": f"part{i}", "bytes_at_peak": n} for i, n in enumerate(held)]
    return Usage(1.0, {"peak_rss_bytes": rss}, rows)


def test_peaks_of_earlier_attempts_count_and_their_processor_time_is_added():
    earlier = Earlier(cpu_s=10.0, peak_rss_bytes=45, peak_rss_total_bytes=60)

    found = columns([used(40), used(30)], earlier)

    # 10 + 1 + 1 s; the highest of 40, 30 and 45; 40 + 30 against 60
    assert found == {"cpu_s": 12.0, "peak_rss_bytes": 45, "peak_rss_total_bytes": 70}


def test_each_rank_has_the_rows_of_the_attempt_in_which_it_held_most():
    before = {0: [{"component": "old", "bytes_at_peak": "9", "rank": "0"}],
              1: [{"component": "old", "bytes_at_peak": "1", "rank": "1"}]}  # fmt: skip

    found = memory_rows([used(0, 5, 3), used(0, 5, 3)], Earlier(memory=before))

    names = [(row["rank"], row["component"]) for row in found]
    assert names == [(0, "old"), (1, "part0"), (1, "part1")]


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs of two ranks, the second of which held half as much again."""
    out = make(tmp_path_factory.mktemp("ranks") / "results", processes=2, launcher="accelerate")
    for place in out.glob("cells/*"):
        memory = read_rows(place / "memory.csv", RAW_TABLES["memory.csv"])
        higher = [
            {**row, "rank": 1, "bytes_at_peak": int(row["bytes_at_peak"]) * 3 // 2,
             "bytes_max": ""} for row in memory
        ]  # fmt: skip
        append_rows(place / "memory.csv", RAW_TABLES["memory.csv"], higher)
        peaks = {"peak_rss_bytes": 510 * MIB, "peak_rss_total_bytes": 850 * MIB}  # 340 + 510
        status = read_json(place / "status.json") or {}
        write_json(place / "status.json", {**status, "n_devices": 2, **peaks})
    rehash(out)
    return out


def test_components_are_those_of_the_rank_with_the_highest_peak(of_two):
    # 340 MiB on rank 0, of which 300 are the baseline; on rank 1 half as much again of both
    values = run_values(load(of_two))

    assert {found["training_bytes"] for found in values.values()} == {60 * MIB}


def test_the_command_that_makes_it_again_has_the_launcher(of_two):
    assert "--processes 2 --no-control --no-audit --launcher accelerate" in again(load(of_two))


def test_the_sums_of_each_rank_pass_the_check(of_two):
    assert contradictions(load(of_two)) == []


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("peak_rss_bytes", 509 * MIB, f"adds up to {510 * MIB} bytes at the peak"),
        ("peak_rss_total_bytes", 849 * MIB, f"ranks of memory.csv add up to {850 * MIB} bytes"),
        ("n_devices", 3, "has rows of 2 ranks, and the run had 3"),
    ],
)
def test_sums_over_ranks_that_cannot_be_are_found(of_two, tmp_path, column, value, words):
    out = shutil.copytree(of_two, tmp_path / "results")
    place = next(out.glob("cells/*/status.json"))
    write_json(place, {**(read_json(place) or {}), column: value})

    assert any(words in line for line in contradictions(load(out)))
