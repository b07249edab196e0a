"""Where the metrics of a comparison are read: at the end of the runs, at equal axis values, and
where they reach the target.
"""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.comparisons.report import axes
from bakeoff.comparisons.report.axes import READ, Curve, Reading
from bakeoff.comparisons.report.measures import DIVERGED_SCORE, run_values
from bakeoff.comparisons.report.targets import target_readings
from bakeoff.comparisons.results import Results, Row, groups


def readings(results: Results) -> dict[tuple[str, ...], list[Reading]]:
    """Return what the runs had come to wherever it is read, by environment and model.

    The end of the runs comes first. A run that diverged before it came to an axis value has the
    score of one that diverged there, unless no other run of its algorithm moves along that axis.

    Args:
        results: the cells' rows.
    """
    curves = {name: axes.curves_of(results, *where) for name, where in READ.items()}
    last, along, targets = run_values(results), axes.readings(results), target_readings(results)
    found = {}
    for place, runs in groups(results.runs, "environment", "model"):
        diverged = [run for run in runs if run["status"] == "diverged"]
        ok = [run for run in runs if run["status"] == "ok"]
        at_axes = [_with_diverged(reading, ok, diverged, curves) for reading in along[place]]
        reached = [targets[place]] if place in targets else []
        found[place] = [Reading("update", "last", last), *at_axes, *reached]
    return found


def _with_diverged(
    reading: Reading,
    ok: Sequence[Row],
    diverged: Sequence[Row],
    curves: dict[str, dict[str, Curve]],
) -> Reading:
    values = dict(reading.values)
    moving = {run["algorithm"] for run in ok if str(run["run_id"]) in values}
    still = {run["algorithm"] for run in ok} - moving
    for run in (run for run in diverged if run["algorithm"] not in still):
        name = str(run["run_id"])
        heights = {}
        for metric, of_run in curves.items():
            curve = of_run.get(name)
            height = curve and axes.value_at(curve, reading.at_axis, float(reading.at_value))
            heights[metric] = DIVERGED_SCORE if height is None else height
        values[name] = heights
    return reading._replace(values=values)
