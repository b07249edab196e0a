"""Fresh results pass the check, and every kind of tampering is found, hidden hashes or not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from unit.tampering import TAMPERING, a_mean_in_a_cell, cell, change_json, swap
from unit.true_folder import edit, make, rehash, write_report

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.report.check import contradictions, findings
from bakeoff.comparisons.report.checking import hashes
from bakeoff.comparisons.report.checking.hashes import fingerprint
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running.folder import locked, write_json
from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.tables import append_rows
from bakeoff.errors import UsageError


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(make(tmp_path_factory.mktemp("fresh") / "results"))


@pytest.fixture
def out(fresh: Path, tmp_path: Path) -> Path:
    return shutil.copytree(fresh, tmp_path / "results")


def test_fresh_results_pass(out):
    assert findings(out) == []


def test_a_folder_that_was_moved_passes(out, tmp_path):
    out.rename(tmp_path / "elsewhere")

    assert findings(tmp_path / "elsewhere") == []


def test_a_check_writes_nothing(out):
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    findings(out)

    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_what_was_tampered_with_is_found_by_its_hash(out, tamper):
    tamper(out)

    assert any("hash differs" in x or "is missing" in x for x in hashes.findings(out))


@pytest.mark.parametrize("tamper", TAMPERING, ids=lambda tamper: tamper.__name__)
def test_and_by_what_it_contradicts_whatever_hashes_and_reports_were_made_anew(out, tamper):
    """What runs contradict is told without a look at any hash or derived file."""
    tamper(out)
    found = contradictions(load(out))

    assert any(TAMPERING[tamper] in line for line in found), found


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("evals.csv", "a/eval/3,0,0.0", "a/eval/3,0,1.0", "line 5, column score, has '1.0' and"),
        ("summary.csv", ",0.375,", ",0.475,", "has '0.475' and should have '0.375'"),
        ("runs.csv", ",ok,", ",oom,", "line 2, column status, has 'oom' and should have 'ok'"),
        ("report.md", "seeds 0, 1", "seeds 0, 1, 2", "and should have"),
    ],
)
def test_a_change_in_a_derived_file_is_shown_beside_what_should_stand_there(
    out, name, old, new, said
):
    edit(out / name, swap(old, new))

    (line,) = [line for line in findings(out) if "does not follow" in line]
    assert line.startswith(f"{name} does not follow from the runs: line ")
    assert said in line


def test_a_figure_that_was_edited_is_found(out):
    (out / "rewards.png").write_bytes(b"")

    (line,) = findings(out)
    assert line == "rewards.png is not the one that checksums.json names (its hash differs)"


def test_an_audit_whose_components_do_not_make_its_peak_is_found(out):
    audit = out / "audits" / "grpo"
    audit.mkdir(parents=True)
    run = {"run_id": "results/grpo", "rank": 0, "method": "accountant"}
    held = {"policy_weights": 3000, "activations": 500}
    rows = [{**run, "component": name, "bytes_at_peak": n} for name, n in held.items()]
    append_rows(audit / "memory.csv", RAW_TABLES["memory.csv"], rows)
    place = {"algorithm": "grpo", "environment": "bakeoff/Arithmetic-v0", "model": "tiny"}
    status = {"cell_id": "grpo", "status": "ok", **place, "peak_live_tensor_bytes": 3500}
    write_json(audit / "status.json", status)
    assert contradictions(load(out)) == []

    write_json(audit / "status.json", status | {"peak_live_tensor_bytes": 3000})
    (line,) = contradictions(load(out))
    assert line == (
        "audits/grpo: memory.csv adds up to 3500 bytes at the peak, status.json gives 3000"
    )


def test_a_run_that_was_removed_with_its_hashes_is_missed(out):
    """Even if no other algorithm has a run of that seed: it was asked for."""
    for algorithm in ("grpo", "ppo"):
        shutil.rmtree(cell(out, algorithm, 1))
    rehash(out)

    assert findings(out) == ["experiment.json asks for seed 1, of which there is no run"]


def test_a_status_without_hashes_is_found(out):
    status = json.loads((cell(out) / "status.json").read_text())
    del status["files_sha256"]
    (cell(out) / "status.json").write_text(json.dumps(status))
    write_report(out)

    (line,) = findings(out)
    assert line.endswith("status.json has no hashes of the run's tables")


def test_a_cell_that_cannot_be_read_is_a_finding(out):
    (cell(out) / "status.json").write_text("{")
    write_report(out)

    assert any("status.json is not readable JSON" in line for line in findings(out))


def test_a_run_that_was_killed_while_it_wrote_passes(out):
    """Its last update has points, and no phases or items yet: that is no fault of the folder's."""
    place = cell(out)
    for name in ("phases.csv", "evals.csv"):
        lines = (place / name).read_text().splitlines(keepends=True)
        column = lines[0].split(",").index("update")
        (place / name).write_text("".join(x for x in lines if x.split(",")[column] != "2"))
    change_json(place / "status.json", status="error", error_message="killed", exit_code=-9)
    rehash(out)

    assert findings(out) == []


def test_a_report_older_than_the_runs_is_told_of(out, tmp_path):
    later = make(tmp_path / "later" / "results", seeds=3)
    shutil.copytree(cell(later, "grpo", 2), out / "cells" / cell(later, "grpo", 2).name)

    assert any("has come since checksums.json was made" in line for line in findings(out))


def test_a_forgery_without_contradiction_is_not_found_but_has_another_fingerprint(out):
    """Nobody who has only the folder can tell: an honest run could have left it."""
    before = fingerprint(out)
    place = cell(out)
    edit(place / "evals.csv", lambda text: text.replace("2,a/eval/3,0,0.0", "2,a/eval/3,0,1.0"))
    edit(place / "curves.csv", swap("score/mean,0.25,4,2", "score/mean,0.5,4,2"))
    change_json(place / "status.json", eval_score=0.5)
    rehash(out)

    assert findings(out) == []
    assert fingerprint(out) != before


def test_a_folder_in_which_a_comparison_is_at_work_is_not_checked(out):
    with locked(out), pytest.raises(UsageError, match="at work"):
        findings(out)


def test_the_command_passes_with_0_and_prints_the_fingerprint(out, capsys):
    assert main(["report", str(out), "--check"]) == 0
    said = capsys.readouterr().out
    assert "everything follows from the 4 runs" in said
    assert fingerprint(out) in said


def test_the_command_fails_with_1_and_a_line_for_each_finding(out, capsys):
    a_mean_in_a_cell(out)
    rehash(out)

    assert main(["report", str(out), "--check"]) == 1
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading == f"{out}: {len(lines)} finding" + "s" * (len(lines) > 1)
    assert all(line.startswith("- cells/grpo-") for line in lines)


def test_a_folder_that_was_never_reported_on_has_no_checksums(out):
    (out / "checksums.json").unlink()

    assert findings(out)[0].startswith("checksums.json is missing or broken")
