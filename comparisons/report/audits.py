"""What the audits counted, beside what was predicted and what the timed runs took.

``ledger.csv`` has the bytes of each component, measured and predicted; ``flops.csv`` the operations
of each phase, counted and by formula, and the share of the machine's rate that the timed runs made
of it: model FLOPs utilisation (https://arxiv.org/abs/2204.02311, appendix B).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.results import Results, Row
from bakeoff.comparisons.running.content import changes
from bakeoff.comparisons.running.folder import read_json
from bakeoff.comparisons.schema import COMPONENTS, PHASES, RAW_TABLES
from bakeoff.comparisons.tables import read_rows
from bakeoff.comparisons.wording import and_list, short
from bakeoff.errors import UsageError

FOLDER = "audits"

PLACE = ("environment", "model", "algorithm")

MACHINE = ("host_id", "device_name", "n_devices", "threads", "dtype")
"""What a timed run shares with an audit whose rate it is measured by."""

UPDATES = ("update_policy", "update_critic")
"""The phases of which a share of the rate is told; sampling is limited by memory's speed."""


class Audited(NamedTuple):
    """One audit that ended well.

    Attributes:
        status: its ``status.json``.
        memory: its rows of ``memory.csv``.
        folder: its own.
    """

    status: Row
    memory: Sequence[Row]
    folder: Path


def audited(out: Path) -> list[Audited]:
    """Return the audits of a results folder that ended ok and can be read, in a fixed order."""
    found = []
    for place in sorted((out / FOLDER).glob("*/status.json")):
        try:
            status = read_json(place) or {}
            memory = read_rows(place.with_name("memory.csv"), RAW_TABLES["memory.csv"])
            readable = all(isinstance(status.get(key), str) for key in PLACE)
            for value in _numbers(status, memory):
                number(value)
        except (UsageError, ValueError):
            continue
        if readable and status.get("status") == "ok":
            found.append(Audited(status, memory, place.parent))
    return sorted(found, key=lambda one: [str(one.status[key]) for key in PLACE])


def _numbers(status: Row, memory: Sequence[Row]) -> Iterator[object]:
    """Yield what must be a number in the files of an audit."""
    for row in memory:
        yield from (row[name] for name in ("bytes_at_peak", "bytes_max", "bytes_predicted"))
    for name in ("peak_live_tensor_bytes", "predicted_live_bytes", "matmul_flops_per_s"):
        yield status.get(name)
    for name in ("flops_counted", "flops_analytic"):
        found = status.get(name, {})
        yield from found.values() if isinstance(found, dict) else [found]


def stale(results: Results) -> list[str]:
    """Return a line for each way in which audits are of other code than the runs beside them.

    Args:
        results: the cells' rows.
    """
    found: dict[str, list[str]] = {}
    for audit in audited(results.out):
        place = [audit.status[key] for key in PLACE]
        of_runs = {
            run["content_sha256"]: run["cell_id"]
            for run in results.runs
            if [run[key] for key in PLACE] == place
        }
        counted = _content(audit.folder)
        for cell_id in of_runs.values():
            timed = _content(results.out / "cells" / str(cell_id))
            if texts := changes(counted, timed, ("in the audit", "in the run")):
                name = f"{short(place[2])} on {short(place[0])}, {short(place[1])}"
                found.setdefault("; ".join(texts), []).append(name)
    return [
        f"what was counted of {and_list(list(dict.fromkeys(names)))} is of other code than runs "
        f"beside it ({what}): bytes in ledger.csv and FLOPs in flops.csv need not be theirs"
        for what, names in found.items()
    ]


def ledger_rows(results: Results) -> list[dict[str, Any]]:
    """Return the rows of ``ledger.csv``: the components of each audit, their sum, the process.

    The process is that of the timed runs, whose replies may end early: the median of their highest
    marks. What is foretold of it is a bound, so no error is told.
    """
    rows = []
    for audit in audited(results.out):
        key = {name: audit.status[name] for name in PLACE}
        held = {row["component"]: row for row in audit.memory}
        for component in COMPONENTS:
            if component in held:
                row = held[component]
                columns = ("bytes_at_peak", "bytes_max", "bytes_predicted")
                rows.append(_ledger_row(key, component, *(number(row[name]) for name in columns)))
        live = number(audit.status.get("peak_live_tensor_bytes"))
        foretold = number(audit.status.get("predicted_live_bytes"))
        rows.append(_ledger_row(key, "live_tensors", live, live, foretold))
        timed = [run for run in _timed(results, audit) if number(run["peak_rss_bytes"])]
        if timed:
            highest = median(float(run["peak_rss_bytes"]) for run in timed)
            foretold = number(timed[0]["predicted_peak_bytes"])
            rows.append(
                {**_ledger_row(key, "process", highest, highest, foretold), "relative_error": None}
            )
    return rows


def flops_rows(results: Results) -> list[dict[str, Any]]:
    """Return the rows of ``flops.csv``: the phases of each audit, and both updates together."""
    rows = []
    for audit in audited(results.out):
        counted = audit.status.get("flops_counted", {})
        analytic = audit.status.get("flops_analytic", {})
        timed = _timed(results, audit)
        rate = number(audit.status.get("matmul_flops_per_s"))
        groups = [(name, (name,)) for name in PHASES if counted.get(name)]
        for phase, names in [*groups, ("update", UPDATES)]:
            both = [sum(found.get(name, 0) for name in names) for found in (counted, analytic)]
            if not both[0]:
                continue
            speeds = list(_speeds(results, timed, names))
            speed = median(speeds) if speeds else None
            share = speed / rate if speed and rate and set(names) <= set(UPDATES) else None
            rows.append(
                {
                    **{name: audit.status[name] for name in PLACE},
                    "phase": phase,
                    "flops_counted": both[0],
                    "flops_analytic": both[1] or None,
                    "counted_over_analytic": both[0] / both[1] if both[1] else None,
                    "n_runs": len(speeds),
                    "flops_per_s": speed,
                    "matmul_flops_per_s": rate,
                    "utilisation_frac": share,
                }
            )
    return rows


def _content(folder: Path) -> dict[str, str]:
    """Return what a run's outcome depended on, as far as it is the same for an audit of it."""
    try:
        content = (read_json(folder / "spec.json") or {}).get("content")
    except UsageError:
        content = None
    parts = content if isinstance(content, dict) else {}
    return {key: value for key, value in parts.items() if key != "accelerate_config"}


def _ledger_row(
    key: Row, component: str, at_peak: float | None, most: float | None, foretold: float | None
) -> dict[str, Any]:
    error = foretold / most - 1 if most and foretold is not None else None
    held = {"bytes_at_peak": at_peak, "bytes_max": most, "bytes_predicted": foretold}
    whole = {name: None if value is None else round(value) for name, value in held.items()}
    return {**key, "component": component, **whole, "relative_error": error}


def _timed(results: Results, audit: Audited) -> list[Row]:
    """Return the runs that an audit is of: ended ok, on its machine, and no controls."""
    same = (*PLACE, *MACHINE)
    return [
        run
        for run in results.runs
        if run["status"] == "ok"
        and not run["repeat"]
        and all(str(run[name]) == str(audit.status.get(name)) for name in same)
    ]


def _speeds(results: Results, timed: Sequence[Row], names: Sequence[str]) -> Iterator[float]:
    """Yield the model FLOPs a second of each timed run in some phases, without its warm-up."""
    rows: dict[str, list[Row]] = {str(run["run_id"]): [] for run in timed}
    for row in results.raw["phases.csv"]:
        if row["run_id"] in rows and row["phase"] in names and row["warmup"] != "true":
            rows[row["run_id"]].append(row)
    for found in rows.values():
        seconds = sum(number(row["wall_s"]) or 0.0 for row in found)
        flops = sum(number(row["flops"]) or 0.0 for row in found)
        if seconds and flops:
            yield flops / seconds
