"""``summary.csv``: what each algorithm comes to on each environment with each model, over seeds.

A mean is over the runs that ended ok; how many did not stands beside it, in ``n_failed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median

from bakeoff.comparisons import statistics
from bakeoff.comparisons.report.measures import ALWAYS_SHOWN, MEASURES, run_values
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import SUMMARY_COLUMNS


def summary_rows(results: Results) -> list[Row]:
    """Return the rows of ``summary.csv``.

    There is one for every metric that a run of the group has, and for the metrics in
    ``ALWAYS_SHOWN`` even if no run has them: ``n_seeds`` is 0 then and the mean is missing.

    Args:
        results: the cells' rows.
    """
    values = run_values(results)
    rows: list[Row] = []
    for key, runs in groups(results.runs, "environment", "model", "algorithm"):
        environment, model, algorithm = key
        failed = sum(run["status"] != "ok" for run in runs)
        for metric, measure in MEASURES.items():
            numbers = metric_values(values, runs, metric)
            if numbers or metric in ALWAYS_SHOWN:
                rows.append(
                    dict.fromkeys(SUMMARY_COLUMNS)
                    | {
                        "algorithm": algorithm,
                        "environment": environment,
                        "model": model,
                        "metric": metric,
                        "unit": measure.unit,
                        "higher_is_better": measure.higher_is_better,
                        "at_axis": "update",
                        "at_value": "first" if metric == "score_initial" else "last",
                        "n_seeds": len(numbers),
                        "n_failed": failed,
                        **_spread(numbers),
                    }
                )
    return rows


def metric_values(
    values: Mapping[str, Mapping[str, float]], runs: Sequence[Row], metric: str
) -> list[float]:
    """Return a metric of those of some runs that have it, in their order."""
    found = (values.get(str(run["run_id"]), {}).get(metric) for run in runs)
    return [value for value in found if value is not None]


def _spread(numbers: Sequence[float]) -> dict[str, object]:
    if not numbers:
        return {}
    interval = statistics.t_interval(numbers)
    return {
        "mean": fmean(numbers),
        "sd": statistics.standard_deviation(numbers),
        "se": statistics.standard_error(numbers),
        "ci_low": interval.low if interval else None,
        "ci_high": interval.high if interval else None,
        "ci_method": "student_t" if interval else None,
        "ci_level": statistics.LEVEL if interval else None,
        "median": median(numbers),
        "iqm": statistics.interquartile_mean(numbers),
        "min": min(numbers),
        "max": max(numbers),
    }
