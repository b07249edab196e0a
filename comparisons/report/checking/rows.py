"""Whether the raw rows of one run can be those of one run: keys, order, axes, counts, scores.

Of a run that ended ``ok`` everything is demanded. Another one may have been killed while it wrote
the rows of an update, so that of its last one only what holds at every moment is: no row twice,
updates in order, axes that never fall.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean

from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.results import Row

Rows = Sequence[Mapping[str, str]]
Raw = Mapping[str, Rows]
"""The rows of a run, by file name."""

KEYS = {
    "curves.csv": ("split", "metric", "update"),
    "phases.csv": ("update", "phase"),
    "memory.csv": ("rank", "component"),
    "evals.csv": ("update", "item_id", "sample"),
}
"""What no two rows of a run share."""

AXES = ("completion_tokens", "total_tokens", "train_wall_s", "wall_s", "train_flops")
"""Columns of curves.csv that never fall. The peak of memory may: a resumed run is a new process."""

TOTALS = {
    "updates": "update",
    "completion_tokens": "completion_tokens",
    "train_flops": "train_flops",
    "train_s": "train_wall_s",
}
"""Columns of runs.csv that are what curves.csv says last, and their names there."""

MEANS: dict[str, Callable[[Mapping[str, str]], float | None]] = {
    "score/mean": lambda row: number(row["score"]),
    "completions/mean_length": lambda row: number(row["tokens"]),
    "completions/truncated_frac": lambda row: _truth(row["truncated"]),
}
"""Metrics of an evaluation in curves.csv that are means over its items in evals.csv."""

SHIPPED = "bakeoff/"
"""What the names of environments begin with whose scores are from 0 to 1."""


def findings(run: Row, raw: Raw, samples: Sequence[str]) -> Iterator[str]:
    """Yield a line for each thing in the rows of a run that cannot be.

    Args:
        run: its row in runs.csv.
        raw: its rows in the raw tables.
        samples: its lines in samples.jsonl.
    """
    for name in KEYS:
        yield from _doubled(name, raw[name])
    for name in ("curves.csv", "phases.csv", "evals.csv"):
        yield from _out_of_order(name, raw[name])
    yield from _of_another(run, raw["curves.csv"])
    yield from _axes(raw["curves.csv"])
    yield from _scores(run, raw["evals.csv"])
    yield from _evaluations(raw, last_whole_update(run, raw))
    yield from _samples(run, raw, samples)
    if run["status"] == "ok":
        yield from _incomplete(run, raw)
        yield from _totals(run, raw["curves.csv"])
        yield from _rewards(run, raw["curves.csv"])
        yield from _last_evaluation(run, raw["evals.csv"])


def close(a: float | None, b: float | None) -> bool:
    """Return whether two numbers are equal but for the order in which they were summed.

    Example:
        >>> close(0.1 + 0.2, 0.3), close(0.3, 0.30001), close(None, None), close(None, 0.0)
        (True, False, True, False)
    """
    if a is None or b is None:
        return a is b
    return a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) or (a != a and b != b)


def last_whole_update(run: Row, raw: Raw) -> int:
    """Return up to which update all rows of a run must be there."""
    last = max((int(row["update"]) for row in raw["curves.csv"]), default=0)
    return last if run["status"] == "ok" else last - 1


def by_update(rows: Rows) -> dict[int, list[Mapping[str, str]]]:
    """Return rows by their update, in the order of the table."""
    found: dict[int, list[Mapping[str, str]]] = {}
    for row in rows:
        found.setdefault(int(row["update"]), []).append(row)
    return found


def _same(text: str, value: object) -> bool:
    try:
        return close(number(text), number(value))
    except ValueError:
        return False


def _shown(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6g}"


def _truth(text: str) -> float | None:
    return {"true": 1.0, "false": 0.0}.get(text)


def _doubled(name: str, rows: Rows) -> Iterator[str]:
    seen = set()
    for row in rows:
        key = tuple(row[column] for column in KEYS[name])
        if key in seen:
            yield f"{name} has two rows of {', '.join(key)}"
        seen.add(key)


def _out_of_order(name: str, rows: Rows) -> Iterator[str]:
    for before, after in pairwise(rows):
        if int(after["update"]) < int(before["update"]):
            yield f"{name} has update {after['update']} after update {before['update']}"


def _of_another(run: Row, curves: Rows) -> Iterator[str]:
    for column in ("algorithm", "environment", "seed"):
        others = {row[column] for row in curves} - {str(run[column])}
        if others:
            yield f"curves.csv gives {min(others)} as {column}, and the run's is {run[column]}"


def _axes(curves: Rows) -> Iterator[str]:
    for update, rows in by_update(curves).items():
        for axis in AXES:
            if len({row[axis] for row in rows}) > 1:
                yield f"curves.csv has more than one {axis} at update {update}"
    for axis in AXES:
        for one, other in pairwise(row for row in curves if row[axis]):
            before, after = float(one[axis]), float(other[axis])
            if after < before:
                where = f"at update {other['update']}"
                yield f"curves.csv: {axis} falls from {before:g} to {after:g} {where}"
                break


def _scores(run: Row, evals: Rows) -> Iterator[str]:
    shipped = str(run["environment"]).startswith(SHIPPED)
    for row in evals:
        score = number(row["score"])
        if score is None:
            continue
        if not math.isfinite(score) or (shipped and not 0 <= score <= 1):
            yield f"evals.csv: the score of {row['item_id']} at update {row['update']} is {score:g}"


def _evaluations(raw: Raw, until: int) -> Iterator[str]:
    """Compare each evaluation's means with its items."""
    items = by_update(raw["evals.csv"])
    means: dict[int, dict[str, float | None]] = {}
    for row in raw["curves.csv"]:
        if row["split"] == "eval":
            means.setdefault(int(row["update"]), {})[row["metric"]] = number(row["value"])
    for update in sorted(items.keys() | means.keys()):
        if update > until:
            break
        if update not in items or update not in means:
            there, not_there = ("curves.csv", "evals.csv")[:: 1 if update in means else -1]
            yield f"{there} has an evaluation after update {update}, {not_there} has none"
            continue
        for metric, value_of in MEANS.items():
            values = [value for row in items[update] if (value := value_of(row)) is not None]
            mean, said = fmean(values) if values else None, means[update].get(metric)
            if not close(said, mean):
                yield (
                    f"curves.csv gives {_shown(said)} as {metric} after update {update}, the items "
                    f"in evals.csv have {_shown(mean)}"
                )


def _samples(run: Row, raw: Raw, samples: Sequence[str]) -> Iterator[str]:
    judged = {(row["update"], row["item_id"]): row for row in raw["evals.csv"]}
    for line in samples:
        sample = json.loads(line)
        if not isinstance(sample, dict) or sample.get("run_id") != run["run_id"]:
            yield "samples.jsonl has a line of no run, or of another one"
            continue
        row = judged.get((str(sample.get("update")), str(sample.get("item_id"))))
        if row is not None and not _same(row["score"], sample.get("score")):
            yield (
                f"samples.jsonl gives {sample.get('score')} as score of {sample['item_id']} at "
                f"update {sample['update']}, evals.csv {row['score'] or 'none'}"
            )


def _incomplete(run: Row, raw: Raw) -> Iterator[str]:
    updates = int(run["updates"] or 0)
    for name in ("curves.csv", "phases.csv"):
        missing = sorted(set(range(updates + 1)) - by_update(raw[name]).keys())
        if missing:
            listed = ", ".join(map(str, missing[:5]))
            yield f"{name} lacks update {listed} of the {updates} that the run made"
    sizes = {update: len(rows) for update, rows in by_update(raw["evals.csv"]).items()}
    if len(set(sizes.values())) > 1:
        yield f"evals.csv has evaluations of {min(sizes.values())} and {max(sizes.values())} items"


def _totals(run: Row, curves: Rows) -> Iterator[str]:
    if not curves:
        yield "the run ended ok, and curves.csv has no row of it"
        return
    last = curves[-1]
    for column, axis in TOTALS.items():
        said, found = number(run[column]), number(last[axis])
        if said is not None and not close(said, found):
            yield f"status.json gives {said:.10g} as {column}, curves.csv ends at {last[axis]}"
    read, written = number(run["prompt_tokens"]), number(run["completion_tokens"])
    total = number(last["total_tokens"])
    if read is not None and written is not None and not close(read + written, total):
        yield (
            f"status.json gives {read:g} prompt and {written:g} completion tokens, curves.csv "
            f"ends at {last['total_tokens']} in all"
        )


def _rewards(run: Row, curves: Rows) -> Iterator[str]:
    found = [
        float(row["value"])
        for row in curves
        if (row["split"], row["metric"]) == ("train", "reward/mean") and row["value"]
    ]
    if not found:
        return
    ends = {"reward_initial": found[0], "reward_final": found[-1], "reward_best": max(found)}
    for column, value in ends.items():
        said = number(run[column])
        if said is not None and not close(said, value):
            yield f"status.json gives {said:.6g} as {column}, curves.csv has {value:.6g}"


def _last_evaluation(run: Row, evals: Rows) -> Iterator[str]:
    if not evals:
        return
    last = by_update(evals)[int(evals[-1]["update"])]
    scores = [score for row in last if (score := number(row["score"])) is not None]
    score, items = number(run["eval_score"]), number(run["eval_items"])
    if score is not None and scores and not close(score, fmean(scores)):
        yield f"status.json gives {score:.6g} as eval_score, evals.csv ends at {fmean(scores):.6g}"
    if items is not None and items != len(scores):
        yield f"status.json gives {items:g} as eval_items, evals.csv ends with {len(scores)}"
