"""What the tables say, in sentences; each names its interval and how many seeds stand behind it.

Nothing is said of runs that may not be compared but why. An interval that holds "no difference" is
called no difference shown, never equality.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bakeoff.comparisons.results import Results, Row
from bakeoff.comparisons.wording import NO_SANDBOX, amount, and_list, short, signed, times

COSTS = {
    "training_bytes": ("held {}x the memory of {} during training", "training memory"),
    "update_s": ("took {}x the time of {} per update", "time per update"),
}
"""How a ratio to the first algorithm is said, and what it is called."""


def sentences(summary: Sequence[Row], pairwise: Sequence[Row]) -> list[str]:
    """Return what one environment and model shows: memory, time, then held-out score.

    Args:
        summary: the rows of ``summary.csv`` for one environment and model.
        pairwise: those of ``pairwise.csv``.
    """
    said = [line for metric in COSTS for line in _cost(metric, summary, pairwise)]
    return [
        *said,
        *_gains(summary),
        *_ranking([r for r in pairwise if r["metric"] == "score_final"]),
    ]


def cautions(results: Results) -> list[str]:
    """Return what a reader must know before any number, a line each.

    Args:
        results: the cells' rows.
    """
    return [NO_SANDBOX] if any(_sandbox(run) == "none" for run in results.runs) else []


def failures(results: Results) -> list[str]:
    """Return who failed and why, what could not be read, and what is to come, a line each.

    Args:
        results: the cells' rows.
    """
    alike: dict[str, list[str]] = {}
    for run in results.runs:
        if run["status"] != "ok":
            why = " ".join(str(run["error_message"] or "no reason was recorded").split())
            place = f"{short(run['environment'])}, {short(run['model'])}"
            name = f"{short(run['algorithm'])} seed {run['seed']}"
            alike.setdefault(f"{run['status']} on {place}: {why}", []).append(name)
    lines = [f"{and_list(names)}: {what}" for what, names in alike.items()]
    lines += results.problems
    if results.waiting:
        lines.append(f"{results.waiting} cells have not ended yet and are not counted")
    return lines


def _sandbox(run: Row) -> object:
    """Return the sandbox that a run asked for by name, if it did."""
    try:
        config = json.loads(run["config_json"])
    except (ValueError, TypeError):
        return None
    return config.get("sandbox") if isinstance(config, dict) else None


def _cost(metric: str, summary: Sequence[Row], pairwise: Sequence[Row]) -> list[str]:
    """Compare each algorithm with the first one."""
    own = [row for row in summary if row["metric"] == metric and row["n_seeds"] > 0]
    if len(own) < 2:
        return []
    first = str(own[0]["algorithm"])
    return [
        _ratio(_pair_of(row["algorithm"], first, metric, pairwise), first, str(row["unit"]))
        for row in own[1:]
    ]


def _pair_of(algorithm: str, other: str, metric: str, pairwise: Sequence[Row]) -> Row:
    names = {algorithm, other}
    of_metric = (row for row in pairwise if row["metric"] == metric)
    return next(row for row in of_metric if {row["algorithm_a"], row["algorithm_b"]} == names)


def _ratio(pair: Row, base: str, unit: str) -> str:
    """Say how many times as much as ``base`` the other algorithm of a pair needs."""
    phrase, noun = COSTS[pair["metric"]]
    base_is_a = pair["algorithm_a"] == base
    other = short(str(pair["algorithm_b" if base_is_a else "algorithm_a"]))
    if pair["verdict"] == "not_comparable" or pair["ratio_b_over_a"] is None:
        why = pair["note"] or "no pair of runs has it"
        return f"{other} and {short(base)} are not compared in {noun}: {why}"
    ratio, low, high = pair["ratio_b_over_a"], pair["ratio_ci_low"], pair["ratio_ci_high"]
    means = (pair["mean_b"], pair["mean_a"]) if base_is_a else (pair["mean_a"], pair["mean_b"])
    if not base_is_a:
        ratio, low, high = 1 / ratio, 1 / high if high else None, 1 / low if low else None
    interval = "" if low is None or high is None else f"95 % CI {times(low)} to {times(high)}, "
    basis = f"{interval}{_pairs(pair)}; {amount(means[0], unit)} against {amount(means[1], unit)}"
    if interval and low <= 1 <= high:
        basis = f"ratio {times(ratio)}, {basis}"
        return f"{other} and {short(base)}: no difference shown in {noun} ({basis})"
    return f"{other} {phrase.format(times(ratio), short(base))} ({basis})"


def _gains(summary: Sequence[Row]) -> list[str]:
    """Say from where to where each algorithm's held-out score went."""
    cells = {(row["algorithm"], row["metric"]): row for row in summary}
    parts = []
    for algorithm in dict.fromkeys(row["algorithm"] for row in summary):
        gain = cells[algorithm, "score_gain"]
        if gain["n_seeds"] == 0:
            parts.append(f"{short(algorithm)} none (no run ended ok, {gain['n_failed']} failed)")
            continue
        start = amount(cells[algorithm, "score_initial"]["mean"], "score")
        end = amount(cells[algorithm, "score_final"]["mean"], "score")
        failed = f", {gain['n_failed']} failed" if gain["n_failed"] else ""
        parts.append(
            f"{short(algorithm)} {signed(gain['mean'])} "
            f"({start} to {end}, n={gain['n_seeds']}{failed})"
        )
    return ["held-out score: " + "; ".join(parts)]


def _ranking(pairs: Sequence[Row]) -> list[str]:
    """Say which algorithm ended with the higher held-out score, as far as that is shown."""
    lines = []
    unclear: dict[str, list[Row]] = {"too_few_seeds": [], "no_difference_shown": []}
    for pair in pairs:
        if pair["verdict"] == "not_comparable":
            names = f"{short(pair['algorithm_a'])} and {short(pair['algorithm_b'])}"
            lines.append(f"{names} are not ranked by held-out score: {pair['note']}")
        elif pair["verdict"] in unclear:
            unclear[pair["verdict"]].append(pair)
        else:
            lines.append(_difference(pair) + f", p = {pair['p_value_holm']:.2g} (Holm)")
    for pair in unclear["no_difference_shown"]:
        names = f"{short(pair['algorithm_a'])} and {short(pair['algorithm_b'])}"
        lines.append(f"no difference in held-out score shown between {names}: {_difference(pair)}")
    few = [pair for pair in unclear["too_few_seeds"] if pair["difference"] is not None]
    if few:
        widest = max(few, key=lambda pair: abs(pair["difference"]))
        names = and_list(
            list(
                dict.fromkeys(
                    short(pair[k]) for pair in few for k in ("algorithm_a", "algorithm_b")
                )
            )
        )
        gap = f"the widest gap: {_difference(widest)}" if widest["difference"] else "no gap at all"
        lines.append(f"too few seeds to rank {names} by held-out score ({widest['note']}); {gap}")
    return lines


def _difference(pair: Row) -> str:
    a_ended_higher = pair["difference"] < 0
    names = short(pair["algorithm_a"]), short(pair["algorithm_b"])
    upper, lower = names if a_ended_higher else names[::-1]
    gap, low, high = pair["difference"], pair["diff_ci_low"], pair["diff_ci_high"]
    if a_ended_higher:
        gap, low, high = (
            -gap,
            -high if high is not None else None,
            -low if low is not None else None,
        )
    interval = "" if low is None else f"95 % CI {signed(low)} to {signed(high)}, "
    return f"{upper} ended {gap:.3f} above {lower} ({interval}{_pairs(pair)})"


def _pairs(pair: Row) -> str:
    if pair["n_pairs"] == 1:
        return "n=1 pair of runs, so no interval"
    return f"n={pair['n_pairs']} paired seeds"
