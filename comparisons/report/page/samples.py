"""What the algorithms wrote to the same item after the same update, a bounded number of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.comparisons.report.page.curves import evenly, rounded
from bakeoff.comparisons.results import Row

MOMENTS = 24
"""Items and updates of one place that are kept, of those asked again and again (held-out ones) and
of the others each."""

REPLIES = 4
"""Completions of one algorithm to one item after one update."""

MAX_CHARACTERS = 1_500
"""Of one completion or prompt."""


def place_samples(runs: Sequence[Row], samples: Sequence[str]) -> dict[str, Any]:
    """Return the completions of one environment and model, of one seed.

    It is the seed that most algorithms have samples of, the lowest of several.

    Args:
        runs: the rows of runs.csv.
        samples: the lines of samples.jsonl.
    """
    of_run = {str(run["run_id"]): run for run in runs}
    found = [line for text in samples if (line := _read(text)) and line["run_id"] in of_run]
    have = {(of_run[line["run_id"]]["seed"], line["run_id"]) for line in found}
    if not have:
        return {"seed": None, "moments": [], "kept": 0, "of": 0}
    counts = Counter(seed for seed, _ in have)
    seed = min(counts, key=lambda seed: (-counts[seed], seed))
    moments: dict[tuple[int, str], dict[str, Any]] = {}
    for line in found:
        run = of_run[line["run_id"]]
        if run["seed"] != seed:
            continue
        moment = moments.setdefault(
            (line["update"], str(line["item_id"])),
            {
                "update": line["update"],
                "item": str(line["item_id"]),
                "prompt": _cut(line.get("prompt")),
                "replies": {},
            },
        )
        moment["replies"].setdefault(str(run["algorithm"]), []).append(_reply(line))
    kept = _kept(moments)
    for moment in kept:
        moment["replies"] = {name: own[:REPLIES] for name, own in moment["replies"].items()}
    return {"seed": seed, "moments": kept, "kept": len(kept), "of": len(moments)}


def _read(text: str) -> dict[str, Any] | None:
    """Return a line that has what a sample has, else None."""
    line = json.loads(text)
    if not isinstance(line, dict) or not isinstance(line.get("update"), int):
        return None
    return line if isinstance(line.get("run_id"), str) and "item_id" in line else None


def _reply(line: Mapping[str, Any]) -> dict[str, Any]:
    parts = line.get("parts")
    return {
        "text": _cut(line.get("completion")),
        "score": _number(line.get("score")),
        "reason": str(line["reason"]) if line.get("reason") else None,
        "truncated": line.get("truncated") is True,
        "parts": {str(key): _number(value) for key, value in parts.items()}
        if isinstance(parts, dict)
        else {},
    }


def _number(value: object) -> float | None:
    return rounded(float(value)) if isinstance(value, int | float) else None


def _cut(text: object) -> dict[str, Any]:
    """Return the beginning of a text, and how many characters were left out."""
    whole = "" if text is None else str(text)
    return {"shown": whole[:MAX_CHARACTERS], "left_out": max(0, len(whole) - MAX_CHARACTERS)}


def _kept(moments: Mapping[tuple[int, str], dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the moments to show: items that come again first, each kind in the order of time."""
    times = Counter(item for _, item in moments)
    ordered = sorted(moments)
    again = [moments[key] for key in ordered if times[key[1]] > 1]
    once = [moments[key] for key in ordered if times[key[1]] == 1]
    return [*evenly(again, MOMENTS), *evenly(once, MOMENTS)]
