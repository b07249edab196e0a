"""The tables of ``vs_trl.py``, from the rows of its CSV."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from speed_cells import Row
from speed_own import PHASES
from speed_tables import Interval, markdown, ratio, spelled

Pairs = Mapping[tuple[str, str], Sequence[tuple[Row, Row]]]
"""For each shape and precision, the rows of this project and of TRL of every round."""

GIB_IN_MIB = 1024


def ratios(pairs: Pairs) -> str:
    """Return the table of ratios: time, CPU time and memory."""
    header = ("shape", "precision", "rounds", "s here", "s TRL", "times as fast",
              "times less CPU", "peak GiB here", "peak GiB TRL", "share of TRL's peak",
              "share above the model")  # fmt: skip
    rows = []
    for (shape, precision), found in pairs.items():
        if not found:
            continue
        own, theirs = zip(*found, strict=True)
        rows.append([
            f"{shape} ({own[0]['sizes']})", precision, str(len(found)),
            f"{_median(own, 'wall_s'):.2f}", f"{_median(theirs, 'wall_s'):.2f}",
            spelled(_ratio(theirs, own, "wall_s")), spelled(_ratio(theirs, own, "cpu_s")),
            f"{_median(own, 'peak_mib') / GIB_IN_MIB:.2f}",
            f"{_median(theirs, 'peak_mib') / GIB_IN_MIB:.2f}",
            spelled(_ratio(own, theirs, "peak_mib")), spelled(_ratio(own, theirs, "above_mib")),
        ])  # fmt: skip
    return markdown(header, rows, words=2)


def phases(pairs: Pairs) -> str:
    """Return the table of phases: wall and CPU seconds of an update, and both sides' ratio."""
    header = ("shape", "precision", "phase", "s here", "s TRL", "CPU s here", "CPU s TRL",
              "times as fast")  # fmt: skip
    rows = []
    for (shape, precision), found in pairs.items():
        for phase in PHASES if found else ():
            own, theirs = zip(*found, strict=True)
            wall, cpu = f"{phase}_wall_s", f"{phase}_cpu_s"
            rows.append([
                shape, precision, phase,
                *(f"{_median(side, kind):.2f}" for kind in (wall, cpu) for side in (own, theirs)),
                # of what takes no time a ratio says nothing
                spelled(_ratio(theirs, own, wall)) if phase in ("generation", "update") else "",
            ])  # fmt: skip
    return markdown(header, rows, words=3)


def tuning(rows: Sequence[Row]) -> str:
    """Return the table of TRL's variants: one update each, without warm-up."""
    header = ("shape", "precision", "TRL's micro-batch", "s an update", "peak GiB", "")
    fastest: dict[tuple[str, str], float] = {}
    for row in rows:
        place, seconds = (row["shape"], row["precision"]), float(row["wall_s"])
        fastest[place] = min(seconds, fastest.get(place, seconds))
    cells = [
        [row["shape"], row["precision"], row["variant"], f"{float(row['wall_s']):.2f}",
         f"{float(row['peak_mib']) / GIB_IN_MIB:.2f}",
         "used" if float(row["wall_s"]) == fastest[row["shape"], row["precision"]] else ""]
        for row in rows
    ]  # fmt: skip
    return markdown(header, cells, words=3)


def _median(rows: Sequence[Row], column: str) -> float:
    return statistics.median(float(row[column]) for row in rows)


def _ratio(one: Sequence[Row], other: Sequence[Row], column: str) -> Interval:
    """Return by what factor the one's are larger, and the interval."""
    return ratio(*([float(row[column]) for row in rows] for rows in (one, other)))
