"""What the tables say, in sentences; each names its interval and how many seeds stand behind it.

Nothing is said of runs that may not be compared but why. An interval that holds "no difference" is
called no difference shown, never equality.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from bakeoff.comparisons.report import audits
from bakeoff.comparisons.report.verdicts import difference, hint, verdict_sentence, winners
from bakeoff.comparisons.results import Results, Row
from bakeoff.comparisons.wording import NO_SANDBOX, amount, and_list, short, signed

COSTS = ("training_bytes", "update_s")
"""What is said of each algorithm beside the first one."""


def sentences(summary: Sequence[Row], pairwise: Sequence[Row]) -> list[str]:
    """Return what one environment and model shows: memory, time, held-out score, winners by axis.

    Args:
        summary: the rows of ``summary.csv`` for one environment and model.
        pairwise: those of ``pairwise.csv``.
    """
    others = [row for row in pairwise if row["algorithm_a"] != row["algorithm_b"]]
    said = [line for metric in COSTS for line in _costs(metric, summary, others)]
    return [
        *said,
        *_gains(summary),
        *_ranking([row for row in others if row["metric"] == "score_final"]),
        *winners(others, summary),
    ]


def cautions(results: Results) -> list[str]:
    """Return what a reader must know before any number, a line each.

    Args:
        results: the cells' rows.
    """
    found = [NO_SANDBOX] if any(_sandbox(run) == "none" for run in results.runs) else []
    devices = sorted({str(run["device_name"]) for run in results.runs if run["device_name"]})
    if len(devices) > 1:
        found.append(
            f"the runs are of different hardware ({', '.join(devices)}): times and bytes are "
            "compared within a seed alone, and their means are of all of it"
        )
    return [*found, *audits.stale(results)]


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


def _costs(metric: str, summary: Sequence[Row], pairwise: Sequence[Row]) -> list[str]:
    """Compare each algorithm with the first one."""
    ran = [r["algorithm"] for r in summary if r["metric"] == metric and r["n_seeds"] > 0]
    rows = (row for row in pairwise if row["metric"] == metric)
    return [
        verdict_sentence(row)
        for row in rows
        if ran[:1] == [row["algorithm_a"]] and row["algorithm_b"] in ran[1:]
    ]


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
    lines = [verdict_sentence(pair) for pair in pairs if pair["verdict"] != "too_few_seeds"]
    few = [pair for pair in pairs if pair["verdict"] == "too_few_seeds"]
    if few:
        widest = max(few, key=lambda pair: abs(pair["difference"]))
        sides = (short(pair[key]) for pair in few for key in ("algorithm_a", "algorithm_b"))
        names = and_list(list(dict.fromkeys(sides)))
        gap = f"the widest gap: {difference(widest)}" if widest["difference"] else "no gap at all"
        lines.append(
            f"too few seeds to rank {names} by held-out score ({widest['note']}); "
            f"{gap}{hint(widest)}"
        )
    return lines
