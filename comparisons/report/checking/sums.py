"""Whether the parts of a run add up: phases to its seconds and tokens, components to its peak.

Seconds are read off one clock at different moments, so that their sums bound each other. Over an
update let ``train_wall_s`` grow by ``d`` and ``wall_s`` by ``w``, let ``p`` be the seconds of its
phases but evaluation, checkpoint and ``other``, and ``q`` those with ``other``: ``p <= d <= q``,
and all phases together take at most ``w``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from bakeoff.comparisons.report.audits import audited
from bakeoff.comparisons.report.checking.rows import Raw, Rows, by_update, last_whole_update
from bakeoff.comparisons.report.checking.specs import json_object
from bakeoff.comparisons.report.measures import NOT_TRAINING, by_rank, held_at_peak, number
from bakeoff.comparisons.results import Row

ROUNDING_S = 1e-6
"""Seconds by which a sum of floats may be off."""


def findings(run: Row, raw: Raw) -> Iterator[str]:
    """Yield a line for each sum of a run that is not what it should be.

    Args:
        run: its row in runs.csv.
        raw: its rows in the raw tables.
    """
    whole = last_whole_update(run, raw)
    yield from _seconds(raw, whole)
    yield from tokens(run, raw, whole)
    if run["status"] == "ok":
        yield from _evaluation(run, raw["phases.csv"])
        yield from _whole(run, raw["phases.csv"])
        yield from _bytes(run, raw)


def audit_findings(out: Path) -> Iterator[str]:
    """Yield a line for each audit of a results folder whose components do not make its peak."""
    for audit in audited(out):
        total = sum(number(row["bytes_at_peak"]) or 0.0 for row in audit.memory)
        peak = number(audit.status.get("peak_live_tensor_bytes"))
        if peak is not None and total != peak:
            yield (
                f"audits/{audit.status.get('cell_id')}: memory.csv adds up to {total:.0f} bytes at "
                f"the peak, status.json gives {peak:.0f}"
            )


def _seconds(raw: Raw, until: int) -> Iterator[str]:
    clocks = {int(row["update"]): row for row in raw["curves.csv"]}
    for update, rows in by_update(raw["phases.csv"]).items():
        before, after = clocks.get(update - 1), clocks.get(update)
        if before is None or after is None or update > until:
            continue
        took = {row["phase"]: number(row["wall_s"]) or 0.0 for row in rows}
        training = {name: s for name, s in took.items() if name not in NOT_TRAINING}
        named = sum(seconds for name, seconds in training.items() if name != "other")
        grown = _growth(before, after, "train_wall_s")
        if grown is not None:
            where = f"update {update} took {grown:.6g} s of training in curves.csv"
            if named > grown + ROUNDING_S:
                yield f"{where}, its phases {named:.6g} s"
            if sum(training.values()) < grown - ROUNDING_S:
                yield f"{where}, its phases with the rest only {sum(training.values()):.6g} s"
        grown = _growth(before, after, "wall_s")
        if grown is not None and sum(took.values()) > grown + ROUNDING_S:
            yield (
                f"the phases of update {update} take {sum(took.values()):.6g} s, and between its "
                f"rows in curves.csv are {grown:.6g} s"
            )


def tokens(run: Row, raw: Raw, until: int) -> Iterator[str]:
    """Yield a line for each sum of a run's sampled tokens that is not what it should be.

    Args:
        run: its row in runs.csv.
        raw: its rows in the raw tables.
        until: the last update whose rows are whole.
    """
    yield from _all_tokens(run, raw) if _stale(run) else _tokens(raw, until)


def _tokens(raw: Raw, until: int) -> Iterator[str]:
    clocks = {int(row["update"]): row for row in raw["curves.csv"]}
    for row in raw["phases.csv"]:
        update = int(row["update"])
        if row["phase"] != "rollout" or update > until or not {update, update - 1} <= clocks.keys():
            continue
        grown = _growth(clocks[update - 1], clocks[update], "completion_tokens")
        if grown is not None and grown != (number(row["tokens"]) or 0):
            yield (
                f"the rollout of update {update} sampled {row['tokens'] or 0} tokens, "
                f"completion_tokens in curves.csv grow by {grown:.0f}"
            )


def _stale(run: Row) -> bool:
    """Tell whether updates of a run sample for others, and so not what they learn from."""
    return bool(json_object(run["config_json"]).get("staleness"))


def _all_tokens(run: Row, raw: Raw) -> Iterator[str]:
    if run["status"] != "ok" or run["attempt"] not in (1, None):
        return  # what was sampled and not learned from is counted at the end of one attempt only
    rollouts = [row for row in raw["phases.csv"] if row["phase"] in ("rollout", "rollout_wait")]
    sampled = sum(number(row["tokens"]) or 0.0 for row in rollouts)
    total = number(run["completion_tokens"])
    if total is not None and sampled != total:
        yield f"all rollouts sampled {sampled:.0f} tokens, status.json counts {total:.0f}"


def _evaluation(run: Row, phases: Rows) -> Iterator[str]:
    inside = sum(number(row["wall_s"]) or 0.0 for row in phases if row["phase"] == "eval")
    total = number(run["eval_s"])
    if total is not None and inside > total + ROUNDING_S:
        yield f"status.json gives {total:.6g} as eval_s, the phases eval take {inside:.6g} s"


def _whole(run: Row, phases: Rows) -> Iterator[str]:
    parts = sum(number(row["wall_s"]) or 0.0 for row in phases)
    wall, setup = number(run["wall_s"]), number(run["setup_s"]) or 0.0
    if run["attempt"] not in (1, None):  # the set-up is of the last attempt, the seconds of all
        setup = 0.0
    if wall is not None and parts + setup > wall + ROUNDING_S:
        yield f"status.json gives {wall:.6g} as wall_s, set-up and phases take {parts + setup:.6g}"


def _bytes(run: Row, raw: Raw) -> Iterator[str]:
    ranks = by_rank(raw["memory.csv"])
    if not ranks:
        return
    total = held_at_peak(ranks[0])
    device = number(run["peak_device_allocated_bytes"])
    top = device if device is not None else number(run["peak_rss_bytes"])
    if top is not None and (total > top or (device is not None and total != device)):
        yield f"memory.csv adds up to {total:.0f} bytes at the peak, status.json gives {top:.0f}"
    processes = number(run["n_devices"]) or 1
    if len(ranks) != processes:
        yield f"memory.csv has rows of {len(ranks)} ranks, and the run had {processes:.0f}"
    summed, most = sum(map(held_at_peak, ranks)), number(run["peak_rss_total_bytes"])
    if device is None and most is not None and summed > most:
        yield f"the ranks of memory.csv add up to {summed:.0f} bytes, status.json gives {most:.0f}"
    for row in raw["memory.csv"]:
        at_peak, highest = number(row["bytes_at_peak"]), number(row["bytes_max"])
        if at_peak is not None and highest is not None and at_peak > highest:
            yield f"memory.csv: {row['component']} holds more at the peak than ever"
    marks = [number(row["peak_bytes"]) for row in raw["phases.csv"] if row["peak_bytes"]]
    peak = max((mark for mark in marks if mark is not None), default=None)
    if peak is not None and run["attempt"] in (1, None) and total < peak:
        yield f"memory.csv adds up to {total:.0f} bytes at the peak, phases.csv reaches {peak:.0f}"


def _growth(before: Mapping[str, str], after: Mapping[str, str], axis: str) -> float | None:
    start, end = number(before[axis]), number(after[axis])
    return None if start is None or end is None else end - start
