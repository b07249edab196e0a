"""The fairness card: what was held equal, what was not, and what each algorithm alone needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.results import Row, groups
from bakeoff.comparisons.wording import amount, and_list, short

HELD = {
    "config_sha256": "all settings",
    "updates": "updates",
    "prompts": "prompts",
    "completions": "completions",
    "eval_items": "held-out items",
    "params_policy": "policy parameters",
    "dtype": "number type",
    "device_name": "device",
    "threads": "threads",
    "host_id": "machine",
    "package_version": "bakeoff",
    "torch": "torch",
    "transformers": "transformers",
    "git_sha": "commit",
}
"""Columns of runs.csv that should have one value in all runs of one comparison."""

ASKED = ("prompts", "completions")
"""Columns of both: equal, unless algorithms ask further items, or none, or for more replies."""

SPENT = {
    **dict.fromkeys(ASKED, ""),
    "completion_tokens": "tokens",
    "trained_tokens": "tokens",
    "train_flops": "flops",
    "train_s": "s",
    "cpu_s": "s",
}
"""Columns in which algorithms differ at an equal number of updates."""

OPAQUE = ("config_sha256", "host_id", "git_sha")


def fairness_card(runs: Sequence[Row]) -> list[str]:
    """Return the card of one environment and model, a line each; of the runs that ended ok.

    Args:
        runs: the rows of ``runs.csv`` for one environment and model.
    """
    ok = [run for run in runs if run["status"] == "ok"]
    if not ok:
        return ["No run ended ok: there is nothing to weigh."]
    lines = []
    held, differing, apart = [], [], []
    for column, name in HELD.items():
        values = sorted({str(run[column]) for run in ok if run[column] is not None})
        if len(values) == 1:
            held.append(name if column in OPAQUE else f"{name} ({values[0]})")
        elif len(values) > 1:
            listed = ", ".join(value[:24] for value in values)
            differing.append(f"{name} (see below)" if column in ASKED else f"{name} ({listed})")
            apart.append(column)
    lines.append(f"Held equal: {and_list(held)}.")
    lines.append(_seeds(runs))
    if differing:
        lines.append(f"**Not held equal**: {and_list(differing)}.")
    spent = [column for column in SPENT if column in apart or column not in ASKED]
    lines += [_spent(ok, column, SPENT[column]) for column in spent if _has(ok, column)]
    lines += [_needs(algorithm, own) for (algorithm,), own in groups(ok, "algorithm")]
    busy = noise(ok)
    return [*lines, f"**Watch out**: {busy}."] if busy else lines


def semantics(runs: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return the resolved formula of each algorithm that has written one down."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        try:
            manifest = json.loads(run["semantics_json"] or "{}")
        except ValueError:
            continue
        if isinstance(manifest, dict) and manifest:
            found.setdefault(str(run["algorithm"]), manifest)
    return found


def _seeds(runs: Sequence[Row]) -> str:
    seeds = {
        algorithm: sorted({int(run["seed"]) for run in own})
        for (algorithm,), own in groups(runs, "algorithm")
    }
    if len({tuple(found) for found in seeds.values()}) == 1:
        shared = next(iter(seeds.values()))
        return (
            f"Seeds: {', '.join(map(str, shared))} for every algorithm; runs of one seed start "
            f"from the same weights and {_items(runs)}."
        )
    parts = (f"{short(name)} {', '.join(map(str, found))}" for name, found in seeds.items())
    return f"**Seeds differ**: {'; '.join(parts)}. Only seeds that both have are compared."


def _items(runs: Sequence[Row]) -> str:
    if any(_curriculum(run) for run in runs):
        return "each chooses its items by its own scores (`curriculum`)"
    same = "meet the same items in the same order"
    further = len({run["prompts"] for run in runs if run["status"] == "ok"}) > 1
    return f"{same}, apart from the further ones of those that filter" if further else same


def _curriculum(run: Row) -> bool:
    try:
        config = json.loads(run["config_json"] or "{}")
    except ValueError:
        return False
    return isinstance(config, dict) and config.get("curriculum", "none") != "none"


def _has(runs: Sequence[Row], column: str) -> bool:
    return any(number(run[column]) is not None for run in runs)


def _spent(runs: Sequence[Row], column: str, unit: str) -> str:
    parts = []
    for (algorithm,), own in groups(runs, "algorithm"):
        values = [value for run in own if (value := number(run[column])) is not None]
        mean = amount(fmean(values), unit) if values else "unknown"
        parts.append(f"{short(algorithm)} {mean} (n={len(values)})")
    return f"Spent: `{column}`, mean of a run: {', '.join(parts)}."


def _needs(algorithm: str, runs: Sequence[Row]) -> str:
    needs = [
        f"{what} of {params / 1e6:.2f} M parameters"
        for column, what in (
            ("params_critic", "a critic"),
            ("params_reference", "a reference model"),
        )
        if (params := max((number(run[column]) or 0.0 for run in runs), default=0.0))
    ]
    return f"{short(algorithm)} needed {and_list(needs) or 'no model'} beside the policy."


def noise(runs: Sequence[Row]) -> str | None:
    """Return a warning if the machine was busy when runs started, else None.

    A load average above the threads of a run plus 1 means that others were at work: the run before
    it accounts for its own threads only.

    Args:
        runs: the rows of ``runs.csv`` for one environment and model.
    """
    loads = [load for run in runs if (load := number(run["load_avg_start"])) is not None]
    threads = max((number(run["threads"]) or 0.0 for run in runs), default=0.0)
    if not loads or not threads or max(loads) <= threads + 1:
        return None
    return (
        f"times are noisy: the load average was up to {max(loads):.1f} when a run started, and a "
        f"run has {threads:.0f} threads; compare times on an idle machine"
    )
