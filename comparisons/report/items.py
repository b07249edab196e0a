"""``items.csv``: the last held-out evaluation of two algorithms, item by item.

Both answer the same items after each seed, so that what is looked at are differences within an
item and a seed. Errors are clustered by item and by seed at once: ``statistics.items`` says how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

from bakeoff.comparisons import statistics
from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.report.pairing import Pairing, pairings
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import ITEMS_COLUMNS
from bakeoff.comparisons.wording import short, signed

Scores = Mapping[str, Mapping[str, float]]
"""Of each run, the mean score of each item of its last evaluation that has one."""


def item_rows(results: Results) -> list[Row]:
    """Return the rows of ``items.csv``: pairs of algorithms of which two runs ended ok.

    Args:
        results: the cells' rows.
    """
    scores = last_scores(results.raw["evals.csv"])
    rows: list[Row] = []
    for (environment, model), runs in groups(results.runs, "environment", "model"):
        for pairing in pairings(runs):
            compared = None if pairing.is_control else _compared(pairing, scores)
            if compared is not None:
                place = {"environment": environment, "model": model}
                rows.append(dict.fromkeys(ITEMS_COLUMNS) | place | compared)
    return rows


def last_scores(evals: Sequence[Mapping[str, str]]) -> Scores:
    """Return the scores of the last evaluation of each run, over the samples of an item.

    Args:
        evals: the rows of ``evals.csv``.
    """
    last: dict[str, int] = {}
    for row in evals:
        last[row["run_id"]] = max(int(row["update"]), last.get(row["run_id"], 0))
    samples: dict[str, dict[str, list[float]]] = {}
    for row in evals:
        score = number(row["score"])
        if int(row["update"]) == last[row["run_id"]] and score is not None and isfinite(score):
            samples.setdefault(row["run_id"], {}).setdefault(row["item_id"], []).append(score)
    return {
        run: {item: fmean(values) for item, values in items.items()}
        for run, items in samples.items()
    }


def _compared(pairing: Pairing, scores: Scores) -> dict[str, Any] | None:
    """Return the columns of one pair of algorithms; None if nothing can be compared."""
    pairs = [
        (scores[str(x["run_id"])], scores[str(y["run_id"])])
        for x, y in zip(pairing.a, pairing.b, strict=True)
        if x["status"] == y["status"] == "ok"
        and str(x["run_id"]) in scores
        and str(y["run_id"]) in scores
    ]
    if not pairs:
        return None
    seen = list(dict.fromkeys(item for pair in pairs for side in pair for item in side))
    shared = [item for item in seen if all(item in side for pair in pairs for side in pair)]
    if not shared:
        return None
    differences = [[b[item] - a[item] for item in shared] for a, b in pairs]
    errors = statistics.panel_errors(differences)
    row = {
        "algorithm_a": pairing.names[0],
        "algorithm_b": pairing.names[1],
        "n_items": len(shared),
        "n_seeds": len(pairs),
        "mean_a": fmean(a[item] for a, _ in pairs for item in shared),
        "mean_b": fmean(b[item] for _, b in pairs for item in shared),
        "difference": fmean(value for line in differences for value in line),
        "items_left_out": len(seen) - len(shared),
        "note": _note(pairing, len(pairs)),
    }
    return row | (_errors(errors) if errors else {})


def _errors(errors: statistics.PanelErrors) -> dict[str, Any]:
    return {
        "se_naive": errors.naive,
        "se_item": errors.by_item,
        "se_seed": errors.by_seed,
        "se": errors.error,
        "ci_low": errors.interval.low,
        "ci_high": errors.interval.high,
        "ci_method": errors.method,
        "ci_level": statistics.LEVEL,
    }


def _note(pairing: Pairing, n_seeds: int) -> str:
    failed = [*pairing.failures]
    failed += [
        f"{run['algorithm']} seed {run['seed']} diverged"
        for run in (*pairing.a, *pairing.b)
        if run["status"] == "diverged"
    ]
    notes = [f"left out: {', '.join(failed)}"] if failed else []
    if n_seeds == 1:
        notes.append("of these two trained models, not of the algorithms")
    return "; ".join(notes)


def item_sentences(rows: Sequence[Row]) -> list[str]:
    """Return what is known of other items of an environment, a line for each pair of algorithms.

    Args:
        rows: of ``items.csv``.
    """
    return [_said(row) for row in rows if row["se"] is not None]


def _said(row: Row) -> str:
    a, b = short(str(row["algorithm_a"])), short(str(row["algorithm_b"]))
    place = f"{short(row['environment'])}, {short(row['model'])}"
    interval = f"95 % CI {signed(row['ci_low'])} to {signed(row['ci_high'])}"
    basis = f"n={row['n_seeds']} seeds, {row['n_items']} items"
    note = f"; {row['note']}" if row["note"] else ""
    return f"{b} less {a} on {place}: {signed(row['difference'])} ({interval}, {basis}{note})"
