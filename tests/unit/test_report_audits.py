"""What audits counted, beside predictions and timed runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from results_folder import ENVIRONMENT, MODEL, write_cell, write_grid

from bakeoff.comparisons.report.audits import flops_rows, ledger_rows
from bakeoff.comparisons.report.sentences import cautions
from bakeoff.comparisons.results import load
from bakeoff.comparisons.schema import FLOPS_COLUMNS, LEDGER_COLUMNS, RAW_TABLES
from bakeoff.comparisons.tables import append_rows, read_rows, write_rows

MACHINE = {"host_id": None, "device_name": "a processor", "threads": 2, "dtype": "float32"}


def write_audit(out: Path, algorithm: str = "grpo", **status: Any) -> Path:
    """An audit of four components and two phases, whose machine makes 1,000 FLOP/s."""
    folder = out / "audits" / f"{algorithm}-audit"
    folder.mkdir(parents=True)
    held = {"policy_weights": (40, 50), "activations": (60, 100), "kv_cache": (0, None)}
    rows = [
        {
            "run_id": "test/audit",
            "rank": 0,
            "component": component,
            "bytes_at_peak": at_peak,
            "bytes_max": at_peak or 30,
            "bytes_predicted": foretold,
            "method": "accountant",
        }
        for component, (at_peak, foretold) in held.items()
    ]
    append_rows(folder / "memory.csv", RAW_TABLES["memory.csv"], rows)
    found = {
        "algorithm": algorithm,
        "environment": ENVIRONMENT,
        "model": MODEL,
        "status": "ok",
        **MACHINE,
        "peak_live_tensor_bytes": 100,
        "predicted_live_bytes": 110,
        "flops_counted": {"rollout": 90, "update_policy": 660, "eval": 7},
        "flops_analytic": {"rollout": 100, "update_policy": 600},
        "matmul_flops_per_s": 1000.0,
    }
    (folder / "status.json").write_text(json.dumps(found | status))
    return folder


def with_flops(out: Path, flops: int) -> Path:
    """Have every update of all runs spend so many FLOPs on the policy, which takes it 1 s."""
    for path in out.glob("cells/*/phases.csv"):
        rows = read_rows(path, RAW_TABLES["phases.csv"])
        changed = [
            {**row, "flops": flops if row["phase"] == "update_policy" else ""} for row in rows
        ]
        write_rows(path, RAW_TABLES["phases.csv"], changed)
    return out


def rows_of(out: Path, table: str) -> dict[str, dict[str, Any]]:
    results = load(out)
    rows, key = (
        (ledger_rows(results), "component") if table == "ledger" else (flops_rows(results), "phase")
    )
    return {row[key]: row for row in rows}


def test_components_stand_beside_their_prediction_and_add_up(tmp_path: Path) -> None:
    write_audit(write_grid(tmp_path, 1))
    rows = rows_of(tmp_path, "ledger")

    # 50 foretold of 40; 110 of all 100; of the cache nothing
    assert rows["policy_weights"]["relative_error"] == pytest.approx(0.25)
    assert rows["live_tensors"]["relative_error"] == pytest.approx(0.10)
    assert (rows["kv_cache"]["bytes_max"], rows["kv_cache"]["relative_error"]) == (30, None)
    parts = [rows[name]["bytes_at_peak"] for name in ("policy_weights", "activations", "kv_cache")]
    assert sum(parts) == rows["live_tensors"]["bytes_at_peak"]
    assert set(rows["live_tensors"]) == set(LEDGER_COLUMNS)


def test_the_process_is_that_of_the_timed_runs(tmp_path: Path) -> None:
    write_audit(tmp_path)
    for seed, mib in enumerate((300, 340, 350)):
        write_cell(tmp_path, "grpo", seed, peak_rss_bytes=mib * 2**20)

    assert rows_of(tmp_path, "ledger")["process"]["bytes_max"] == 340 * 2**20


def test_utilisation_is_of_the_timed_runs_updates(tmp_path: Path) -> None:
    write_audit(with_flops(write_grid(tmp_path, 3), 250))
    rows = rows_of(tmp_path, "flops")

    # an update takes 1 s, of a machine that makes 1,000 in it
    assert rows["update_policy"]["utilisation_frac"] == pytest.approx(0.25)
    assert rows["update"]["utilisation_frac"] == pytest.approx(0.25)
    assert rows["update"]["n_runs"] == 3
    assert rows["rollout"]["utilisation_frac"] is None
    assert set(rows["update"]) == set(FLOPS_COLUMNS)


def test_counted_operations_stand_beside_those_of_the_formula(tmp_path: Path) -> None:
    write_audit(write_grid(tmp_path, 1))
    rows = rows_of(tmp_path, "flops")

    ratios = {name: row["counted_over_analytic"] for name, row in rows.items()}
    assert ratios == {
        "rollout": pytest.approx(0.9),
        "update_policy": pytest.approx(1.1),
        "eval": None,
        "update": pytest.approx(1.1),
    }


@pytest.mark.parametrize(
    "other", [{"threads": 1}, {"device_name": "another"}, {"dtype": "bfloat16"}]
)
def test_no_utilisation_is_told_of_runs_on_another_machine(
    tmp_path: Path, other: dict[str, object]
) -> None:
    write_audit(with_flops(write_grid(tmp_path, 1), 250), **other)

    assert rows_of(tmp_path, "flops")["update"]["utilisation_frac"] is None


def test_a_control_is_no_timed_run_of_an_audit(tmp_path: Path) -> None:
    write_audit(tmp_path)
    write_cell(tmp_path, "grpo", 0, repeat=1)

    assert "process" not in rows_of(tmp_path, "ledger")


def test_an_audit_that_failed_or_is_broken_costs_its_rows_alone(tmp_path: Path) -> None:
    write_grid(tmp_path, 1)
    write_audit(tmp_path)
    (write_audit(tmp_path, "ppo") / "status.json").write_text("{")
    write_audit(tmp_path, "rloo", status="oom")

    assert {row["algorithm"] for row in ledger_rows(load(tmp_path))} == {"grpo"}


def test_what_was_counted_by_other_code_than_the_runs_is_said_before_any_number(
    tmp_path: Path,
) -> None:
    write_grid(tmp_path, 1)
    write_audit(tmp_path)
    write_audit(tmp_path, "ppo")

    def made_with(versions: dict[str, str], *places: str) -> None:
        for path in (path for place in places for path in tmp_path.glob(place)):
            spec = json.loads(path.read_text())
            path.write_text(json.dumps(spec | {"content": versions}))

    for folder in tmp_path.glob("audits/*"):
        (folder / "spec.json").write_text("{}")
    made_with({"bakeoff": "1", "torch": "2.12.0"}, "*/*/spec.json")
    assert cautions(load(tmp_path)) == []

    made_with({"bakeoff": "1", "torch": "2.13.0"}, "cells/grpo*/spec.json")
    (line,) = cautions(load(tmp_path))
    assert "counted of grpo on bakeoff/Arithmetic-v0, tiny is of other code" in line
    assert "(torch 2.12.0 in the audit and 2.13.0 in the run)" in line
