"""What the page's charts and tables are drawn from: one JSON object."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.comparisons.report.measures import MEASURES, NOT_TRAINING, number
from bakeoff.comparisons.report.page.curves import (
    AXES,
    place_curves,
    points_kept,
    rounded,
    tracks,
)
from bakeoff.comparisons.report.page.effects import TRADED, item_panels, panels, traded
from bakeoff.comparisons.report.page.samples import place_samples
from bakeoff.comparisons.report.pairing import is_control
from bakeoff.comparisons.report.style import (
    COMPONENT_COLOURS,
    PHASE_COLOURS,
    line_styles,
)
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import COMPONENTS, PHASES
from bakeoff.comparisons.wording import short

MAX_TABLE_BYTES = 1_000_000
"""A larger table is only named: it stands beside the page."""


def page_data(
    results: Results, summary: Sequence[Row], pairwise: Sequence[Row], files: Mapping[str, bytes]
) -> dict[str, Any]:
    """Return everything that the page's scripts need, as JSON can say it.

    Args:
        results: the cells' rows.
        summary: the rows of ``summary.csv``.
        pairwise: the rows of ``pairwise.csv``.
        files: the tables, by file name; what is no CSV is left out.
    """
    runs = shown_runs(results)
    found = tracks(results.raw["curves.csv"])
    points = points_kept(found)
    algorithms = list(dict.fromkeys(str(run["algorithm"]) for run in runs))
    return {
        "algorithms": [
            {
                "name": name,
                "short": short(name),
                "colour": style["color"],
                "line": style["linestyle"],
            }
            for name, style in line_styles(algorithms).items()
        ],
        "axes": AXES,
        "traded": {name: [said, MEASURES[name].unit] for name, said in TRADED.items()},
        "components": {name: COMPONENT_COLOURS[name] for name in COMPONENTS},
        "phases": {p: PHASE_COLOURS[p] for p in PHASES if p not in NOT_TRAINING},
        "places": [
            {
                "title": f"{short(place[0])}, {short(place[1])}",
                **_runs(own, algorithms),
                "curves": place_curves(own, found, points),
                "samples": place_samples(own, results.samples),
                **_from_tables(place, summary, pairwise, files),
            }
            for place, own in groups(runs, "environment", "model")
        ],
        "tables": {name: _embedded(data) for name, data in files.items() if name.endswith(".csv")},
    }


def shown_runs(results: Results) -> list[Row]:
    """Return the runs that are no controls: one of each algorithm, place and seed."""
    return [run for run in results.runs if not is_control(run)]


def _embedded(table: bytes) -> dict[str, Any]:
    fits = len(table) <= MAX_TABLE_BYTES
    return {"text": table.decode() if fits else None, "bytes": len(table)}


def _runs(own: Sequence[Row], algorithms: Sequence[str]) -> dict[str, Any]:
    """Return the runs of a place and how they ended; an algorithm is its place on the page."""
    runs = [
        {
            "algorithm": algorithms.index(str(run["algorithm"])),
            "seed": run["seed"],
            "status": run["status"],
            "ok": run["status"] == "ok",
        }
        for run in own
    ]
    return {"algorithms": list(dict.fromkeys(run["algorithm"] for run in runs)), "runs": runs}


def _from_tables(
    place: Sequence[str],
    summary: Sequence[Row],
    pairwise: Sequence[Row],
    files: Mapping[str, bytes],
) -> dict[str, Any]:
    """Return what is drawn of the derived tables of one environment and model."""
    ended = [
        row
        for row in _of(summary, place)
        if (row["at_axis"], row["at_value"]) == ("update", "last")
    ]
    return {
        **_bars(ended),
        "audit": _audit(_of(_table(files, "ledger.csv"), place)),
        "utilisation": _utilisation(_of(_table(files, "flops.csv"), place)),
        "traded": traded(ended),
        "differences": [
            *panels(_of(pairwise, place)),
            *item_panels(_of(_table(files, "items.csv"), place)),
        ],
    }


def _of(rows: Sequence[Row], place: Sequence[str]) -> list[Row]:
    """Return the rows of one place."""
    return [row for row in rows if (row["environment"], row["model"]) == tuple(place)]


def _table(files: Mapping[str, bytes], name: str) -> list[Row]:
    """Return the rows of a table as text; none if the comparison has no such table."""
    return list(csv.DictReader(io.StringIO(files.get(name, b"").decode(), newline="")))


def _audit(ledger: Sequence[Row]) -> dict[str, Any]:
    """Return what an audit counted: bars of the peak, and the most held beside the predicted."""
    bars = []
    for (algorithm,), rows in groups(ledger, "algorithm"):
        parts = {row["component"]: number(row["bytes_at_peak"]) for row in rows}
        held = {name: parts[name] for name in COMPONENTS if parts.get(name) is not None}
        bars.append({"algorithm": algorithm, "label": short(algorithm), "parts": held})
    columns = ("bytes_max", "bytes_predicted", "relative_error")
    lines = [
        [short(row["algorithm"]), row["component"], *(rounded(number(row[c])) for c in columns)]
        for row in ledger
    ]
    return {"bars": bars, "ledger": lines}


def _utilisation(flops: Sequence[Row]) -> list[list[Any]]:
    """Return each algorithm's share of the machine's rate while it updates."""
    return [
        [short(row["algorithm"]), rounded(number(row["utilisation_frac"]))]
        for row in flops
        if row["phase"] == "update" and row["utilisation_frac"]
    ]


def _bars(summary: Sequence[Row]) -> dict[str, list[dict[str, Any]]]:
    """Return the parts of each algorithm's memory and of an update's seconds; means over seeds."""
    found: dict[str, list[dict[str, Any]]] = {"memory": [], "seconds": []}
    for (algorithm,), rows in groups(summary, "algorithm"):
        of = {str(row["metric"]): row for row in rows if row["n_seeds"]}
        for key, prefix in (("memory", "memory/"), ("seconds", "update_s/")):
            parts = {
                metric.removeprefix(prefix): rounded(row["mean"])
                for metric, row in of.items()
                if metric.startswith(prefix)
            }
            n = max((row["n_seeds"] for row in of.values()), default=0)
            found[key].append({"algorithm": algorithm, "n": n, "parts": parts})
    return found
