"""``summary.csv``: what each algorithm comes to on each environment with each model, over seeds.

A mean is over the runs that ended ok; how many did not stands beside it, in ``n_failed``. A run
that diverged is in the means of scores, with a score of 0: leaving it out would flatter an
algorithm for failing. A/A controls are in no mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from bakeoff.comparisons import statistics
from bakeoff.comparisons.report.axes import Reading
from bakeoff.comparisons.report.measures import ALWAYS_SHOWN, MEASURES
from bakeoff.comparisons.report.pairing import is_control
from bakeoff.comparisons.report.readings import readings
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import SUMMARY_COLUMNS


def summary_rows(results: Results) -> list[Row]:
    """Return the rows of ``summary.csv``.

    There is one for every metric that a run of the group has, and for the metrics in
    ``ALWAYS_SHOWN`` and those of a target even if no run has them: ``n_seeds`` is 0 then and the
    mean is missing.

    Args:
        results: the cells' rows.
    """
    found = readings(results)
    rows: list[Row] = []
    for key, runs in groups(counted(results.runs), "environment", "model", "algorithm"):
        environment, model, algorithm = key
        failed = sum(run["status"] != "ok" for run in runs)
        for metric, measure in MEASURES.items():
            for reading in found[environment, model]:
                numbers = metric_values(reading.values, runs, metric)
                of_target = metric.startswith("target/") and reading.at_axis == "score"
                shown = of_target or (metric in ALWAYS_SHOWN and reading.at_value == "last")
                if not numbers and not shown:
                    continue
                row = {
                    "algorithm": algorithm,
                    "environment": environment,
                    "model": model,
                    "metric": metric,
                    "unit": measure.unit,
                    "higher_is_better": measure.higher_is_better,
                    "at_axis": reading.at_axis,
                    "at_value": "first" if metric == "score_initial" else reading.at_value,
                    "n_seeds": len(numbers),
                    "n_failed": failed,
                    "n_missed": _missed(runs, reading) if of_target else None,
                    **spread(numbers, positive=measure.unit != "score"),
                }
                rows.append(dict.fromkeys(SUMMARY_COLUMNS) | row)
    return rows


def counted(runs: Sequence[Row]) -> list[Row]:
    """Return the runs that means and rankings are made of: all but the A/A controls."""
    return [run for run in runs if not is_control(run)]


def metric_values(
    values: Mapping[str, Mapping[str, float]], runs: Sequence[Row], metric: str
) -> list[float]:
    """Return a metric of those of some runs that have it, in their order."""
    found = (values.get(str(run["run_id"]), {}).get(metric) for run in runs)
    return [value for value in found if value is not None]


def spread(numbers: Sequence[float], *, positive: bool) -> dict[str, object]:
    """Return the columns of ``summary.csv`` that say where some numbers lie.

    Args:
        numbers: one for each seed; for none there are no columns.
        positive: of a quantity that cannot be below 0, so that its interval must not be either.
    """
    if not numbers:
        return {}
    found = statistics.mean_interval(numbers, positive=positive)
    boot = statistics.bootstrap_interval(numbers)
    return {
        "mean": fmean(numbers),
        "sd": statistics.standard_deviation(numbers),
        "se": statistics.standard_error(numbers),
        "ci_low": found.interval.low if found else None,
        "ci_high": found.interval.high if found else None,
        "ci_method": found.method if found else None,
        "ci_level": statistics.LEVEL if found else None,
        "boot_low": boot.low if boot else None,
        "boot_high": boot.high if boot else None,
        "median": median(numbers),
        "iqm": statistics.interquartile_mean(numbers),
        "min": min(numbers),
        "max": max(numbers),
    }


def _missed(runs: Sequence[Row], reading: Reading) -> int:
    return sum(str(run["run_id"]) in reading.missed for run in runs)
