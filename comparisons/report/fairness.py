"""The fairness card: what was held equal, what was not, and what each algorithm alone needed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from bakeoff.comparisons.report.measures import number
from bakeoff.comparisons.report.pairing import own_settings
from bakeoff.comparisons.report.summary import counted
from bakeoff.comparisons.report.verdicts import NOUNS
from bakeoff.comparisons.results import Row, groups
from bakeoff.comparisons.wording import amount, and_list, short, times
from bakeoff.training.budget import COUNTERS

HELD = {
    "config_sha256": "settings",
    "updates": "updates",
    "prompts": "prompts",
    "completions": "completions",
    "eval_items": "held-out items",
    "params_policy": "policy parameters",
    "dtype": "number type",
    "device_name": "device",
    "n_devices": "processes",
    "threads": "threads",
    "host_id": "machine",
    "package_version": "bakeoff",
    "torch": "torch",
    "transformers": "transformers",
    "git_sha": "commit",
    "code_sha256": "code and versions",
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

OPAQUE = ("config_sha256", "host_id", "git_sha", "code_sha256")


def fairness_card(runs: Sequence[Row], pairs: Sequence[Row]) -> list[str]:
    """Return the card of one environment and model, a line each; of the runs that ended ok.

    Args:
        runs: the rows of ``runs.csv`` for one environment and model.
        pairs: those of ``pairwise.csv``.
    """
    runs = counted(runs)
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
    lines += [line for line in (_tuning(ok), _budget(ok), _own(ok), _diverged(runs)) if line]
    if differing:
        lines.append(f"**Not held equal**: {and_list(differing)}.")
    spent = [column for column in SPENT if column in apart or column not in ASKED]
    lines += [_spent(ok, column, SPENT[column]) for column in spent if _has(ok, column)]
    lines += [_needs(algorithm, own) for (algorithm,), own in groups(ok, "algorithm")]
    lines += [line for line in (_correlation(pairs), _control(pairs)) if line]
    busy = noise(ok)
    return [*lines, f"**Watch out**: {busy}."] if busy else lines


def semantics(runs: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return the resolved formula of each algorithm that has written one down."""
    found: dict[str, dict[str, Any]] = {}
    for run in runs:
        try:
            manifest = json.loads(run["semantics_json"] or "{}")
        except (ValueError, TypeError):
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


def _tuning(runs: Sequence[Row]) -> str:
    trials = {str(run["tuning_trials"] or 0) for run in runs}
    if trials == {"0"}:
        return "**Untuned defaults**: no algorithm had a tuning trial (`bakeoff tune`)."
    if len(trials) > 1:
        return f"**Tuning differs**: {and_list(sorted(trials))} trials. Do not rank by scores."
    reasons = sorted({str(run["own_reason"]) for run in runs if run["own_reason"]})
    told = not reasons or own_settings(runs)  # which give the reason
    return f"Tuning: {trials.pop()} trials for each algorithm{'' if told else f' ({reasons[0]})'}."


def _budget(runs: Sequence[Row]) -> str:
    """Say what ended the runs; nothing where that is not written down."""
    budgets = {(str(run["budget_kind"]), str(run["budget_value"])) for run in runs}
    kinds = sorted(
        f"{kind} = {amount(float(value), 'bytes') if kind == 'memory' else value}"
        for kind, value in budgets
        if kind != "None"
    )
    if not kinds:
        return ""
    said = "Budget of each run" if len(kinds) == 1 else "**Budgets differ**"
    timed = any(kind == "train_s" for kind, _ in budgets)
    chance = "; where seconds end a run, the same command may end it elsewhere" if timed else ""
    short_of = list(dict.fromkeys(short(str(run["algorithm"])) for run in runs if _unspent(run)))
    left = f"; **not used up** by {and_list(short_of)}: the updates ended first" if short_of else ""
    return f"{said}: {and_list(kinds)}{chance}{left}{_over(runs)}."


def _unspent(run: Row) -> bool:
    """Tell whether a run ended at the ceiling of its updates and not at its budget."""
    counter = COUNTERS.get(str(run["budget_kind"]))
    spent = number(run[counter]) if counter else None
    return spent is not None and spent < (number(run["budget_value"]) or 0.0)


def _over(runs: Sequence[Row]) -> str:
    """Say how many runs held more memory than their budget, which is filled by formula."""
    filled = [run for run in runs if str(run["budget_kind"]) == "memory"]
    shares = [
        (number(run["peak_device_allocated_bytes"]) or number(run["peak_rss_bytes"]) or 0.0)
        / float(run["budget_value"])
        for run in filled
    ]
    over = [share for share in shares if share > 1]
    if not over:
        return ""
    return (
        f"; it is filled by formula, and **{len(over)} of {len(filled)} runs held more**: "
        f"up to {times(max(over))}x"
    )


def _own(runs: Sequence[Row]) -> str:
    """Say which settings an algorithm alone was given."""
    said = own_settings(runs)
    return f"**Settings of their own**: {and_list(said)}." if said else ""


def _diverged(runs: Sequence[Row]) -> str:
    """Say which runs are in the means of scores as 0."""
    names = [f"{short(r['algorithm'])} seed {r['seed']}" for r in runs if r["status"] == "diverged"]
    return f"**Diverged**, a score of 0 in every mean: {and_list(names)}." if names else ""


def _correlation(pairs: Sequence[Row]) -> str:
    """Say how far the seeds of two algorithms moved together, which is what pairing gains from."""
    parts = []
    for metric in ("score_final", "update_s"):
        found = [
            float(row["seed_correlation"])
            for row in pairs
            if row["metric"] == metric
            and row["seed_correlation"] is not None
            and row["algorithm_a"] != row["algorithm_b"]
        ]
        if found:
            ends = dict.fromkeys(f"{end:+.2f}" for end in (min(found), max(found)))
            parts.append(f"{' to '.join(ends)} in {NOUNS[metric]}")
    if not parts:
        return ""
    return (
        f"Seed correlation achieved, of pairs of algorithms: {and_list(parts)} (1: pairing removes "
        "all spread of seeds; 0: it gains nothing)."
    )


def _control(pairs: Sequence[Row]) -> str:
    """Say how far an algorithm differs from itself, below which nothing is claimed."""
    rows = {
        row["metric"]: row
        for row in pairs
        if row["algorithm_a"] == row["algorithm_b"] and row["at_value"] == "last"
    }
    parts = []
    for metric in ("score_final", "update_s", "training_bytes", "peak_rss_bytes"):
        row = rows.get(metric)
        if row is None or row["aa_floor"] is None:
            continue
        ratio = row["ratio_b_over_a"] is not None
        size = f"{times(row['aa_floor'])}x" if ratio else f"{row['aa_floor']:.3f}"
        parts.append(f"{size} in {NOUNS[metric]}")
    if not parts:
        apart = any(row["algorithm_a"] != row["algorithm_b"] for row in pairs)
        return "No A/A control: what machine and chance do alone was not measured." if apart else ""
    first = next(iter(rows.values()))
    return (
        f"A/A control: {short(str(first['algorithm_a']))} ran twice with each seed. It may differ "
        f"from itself by up to {and_list(parts)} (95 % interval, n={first['n_pairs']} pairs); no "
        "smaller difference is claimed."
    )


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
    each = ((number(run["threads"]) or 0.0) * (number(run["n_devices"]) or 1.0) for run in runs)
    threads = max(each, default=0.0)
    if not loads or not threads or max(loads) <= threads + 1:
        return None
    return (
        f"times are noisy: the load average was up to {max(loads):.1f} when a run started, and a "
        f"run has {threads:.0f} threads; compare times on an idle machine"
    )
