"""What one row of ``pairwise.csv`` says, and who wins on each axis, in words.

An interval that holds "no difference" is called no difference shown, never equality, and what so
few seeds could not have shown, whatever happened, is called too few seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bakeoff.comparisons.report.measures import MEASURES
from bakeoff.comparisons.report.pairwise import ALPHA
from bakeoff.comparisons.results import Row
from bakeoff.comparisons.wording import amount, and_list, short, signed, times

NOUNS = {
    "score_final": "held-out score",
    "reward_final": "training reward",
    "score": "held-out score",
    "reward": "training reward",
    "training_bytes": "training memory",
    "peak_rss_bytes": "peak memory of the process",
    "peak_device_allocated_bytes": "peak memory of the device",
    "update_s": "time per update",
    "train_s": "training time",
    "cpu_s": "processor time",
    "completion_tokens_per_s": "tokens per second",
    "target/update": "updates to the target",
    "target/completion_tokens": "completion tokens to the target",
    "target/total_tokens": "tokens to the target",
    "target/train_wall_s": "training time to the target",
    "target/train_flops": "FLOPs to the target",
}
"""What each metric of ``pairwise.csv`` is called."""

PHRASES = {
    "training_bytes": "held {}x the memory of {} during training",
    "update_s": "took {}x the time of {} per update",
}
"""How a ratio is said where "had 1.5x the ... of ..." reads badly."""

PLACES = {
    "update": "{:g} updates",
    "completion_tokens": "{:g} completion tokens",
    "total_tokens": "{:g} tokens",
    "train_wall_s": "{:g} s of training",
    "train_flops": "{:.3g} FLOPs",
    "score": "a score of {:g}",
}
"""How a place on an axis is said."""

QUESTIONS = (
    ("score_final", "update"),
    ("score", "completion_tokens"),
    ("score", "train_wall_s"),
    ("score", "train_flops"),
    ("training_bytes", "update"),
    ("update_s", "update"),
    ("target/completion_tokens", "score"),
    ("target/train_wall_s", "score"),
)
"""Metric and axis of what has a winner named; of an axis its largest value is taken."""


def verdict_sentence(row: Row) -> str:
    """Return one comparison as a sentence, with its interval, number of pairs and verdict.

    Args:
        row: of ``pairwise.csv``.
    """
    a, b = short(str(row["algorithm_a"])), short(str(row["algorithm_b"]))
    noun = f"{NOUNS[row['metric']]}{_at(row)}"
    if row["verdict"] == "not_comparable" or row["difference"] is None:
        return f"{b} and {a} are not compared in {noun}: {row['note'] or 'no pair of runs has it'}"
    if row["ratio_b_over_a"] is None:
        if row["verdict"] == "no_difference_shown":
            no_gap = f"no gap at all ({pairs(row)})"
            gap = f"{difference(row)}{_unshown(row)}" if row["difference"] else no_gap
            return f"no difference in {noun} shown between {a} and {b}: {gap}"
        return f"{difference(row)}{_ending(row)}"
    low, high = row["ratio_ci_low"], row["ratio_ci_high"]
    interval = "" if low is None else f"95 % CI {times(low)} to {times(high)}, "
    unit = MEASURES[row["metric"]].unit
    means = f"{amount(row['mean_b'], unit)} against {amount(row['mean_a'], unit)}"
    basis = f"{interval}{pairs(row)}; {means}"
    ratio = times(row["ratio_b_over_a"])
    if row["verdict"] == "no_difference_shown":
        said = f"{b} and {a}: no difference shown in {noun} (ratio {ratio}, {basis})"
        return f"{said}{_unshown(row)}{hint(row)}"
    phrase = PHRASES.get(row["metric"], f"had {{}}x the {noun} of {{}}")
    return f"{b} {phrase.format(ratio, a)} ({basis}){_ending(row)}"


def difference(row: Row) -> str:
    """Return how far one algorithm ended above the other, with its interval.

    A difference of scores that would read as 0.000 has no upper side: it is said to be less.

    Args:
        row: of ``pairwise.csv``, with a difference.
    """
    unit = MEASURES[row["metric"]].unit
    sign = -1 if row["difference"] < 0 else 1
    names = short(str(row["algorithm_b"])), short(str(row["algorithm_a"]))
    upper, lower = names[::sign]
    ends = [row["diff_ci_low"], row["diff_ci_high"]][::sign]
    interval = ""
    if None not in ends:
        low, high = (
            signed(sign * end) if unit == "score" else amount(sign * end, unit) for end in ends
        )
        interval = f"95 % CI {low} to {high}, "
    size = amount(abs(row["difference"]), unit)
    if unit != "score":
        gap = f"{upper} had {size} more {NOUNS[row['metric']]} than {lower}{_at(row)}"
    elif size == amount(0.0, unit):
        near = "less than 0.001 from" if row["difference"] else "level with"
        gap = f"{upper} ended {near} {lower}{_at(row)}"
    else:
        gap = f"{upper} ended {size} above {lower}{_at(row)}"
    return f"{gap} ({interval}{pairs(row)})"


def pairs(row: Row) -> str:
    """Return how many pairs stand behind a row."""
    if row["n_pairs"] == 1:
        return "n=1 pair of runs, so no interval"
    return f"n={row['n_pairs']} paired seeds"


def hint(row: Row) -> str:
    """Return how many pairs would show a difference like the one that was seen; "" if unknown.

    Args:
        row: of ``pairwise.csv``.
    """
    needed = row["pairs_needed"]
    if needed is None or needed <= row["n_pairs"]:
        return ""
    return f"; with the spread seen, {needed} pairs would be needed"


def winners(pairwise: Sequence[Row], summary: Sequence[Row]) -> list[str]:
    """Return who wins on each axis, as far as that is shown, a line each.

    A winner is better than every other algorithm after correction. Where there is none, the
    algorithm with the best mean is named, with what its lead lacks; but not if it may not be
    compared with another one, or if a run missed the target: its mean is then one of the runs that
    did well.

    Args:
        pairwise: the rows of ``pairwise.csv`` for one environment and model.
        summary: those of ``summary.csv``.
    """
    lines = []
    for metric, axis in QUESTIONS:
        rows = [
            row
            for row in pairwise
            if (row["metric"], row["at_axis"]) == (metric, axis)
            and row["algorithm_a"] != row["algorithm_b"]
        ]
        if not rows:
            continue
        last = rows[-1]["at_value"]  # of an axis the largest value comes last
        here = [row for row in rows if row["at_value"] == last]
        means = [
            row
            for row in summary
            if (row["metric"], row["at_axis"], row["at_value"]) == (metric, axis, last)
        ]
        found = _missed(means) or _winner(
            here, {str(row["algorithm"]): row["mean"] for row in means if row["mean"] is not None}
        )
        lines.append(f"winner in {NOUNS[metric]}{_at(here[0])}: {found}")
    return lines


def _missed(summary: Sequence[Row]) -> str:
    """Return how many runs of each algorithm reached a target; "" if all did."""
    if not any(row["n_missed"] for row in summary):
        return ""
    counts = [
        f"{short(str(row['algorithm']))} in {row['n_seeds']} of {row['n_seeds'] + row['n_missed']}"
        for row in summary
    ]
    return f"none shown; runs that reached it: {and_list(counts)}"


def _winner(rows: Sequence[Row], means: Mapping[str, float]) -> str:
    better: dict[str, set[str]] = {}
    for row in rows:
        a, b = str(row["algorithm_a"]), str(row["algorithm_b"])
        if row["verdict"] in ("a_better", "b_better"):
            upper, lower = (a, b) if row["verdict"] == "a_better" else (b, a)
            better.setdefault(upper, set()).add(lower)
    names = {str(row[key]) for row in rows for key in ("algorithm_a", "algorithm_b")}
    for name, beaten in better.items():
        if len(beaten) == len(names) - 1:
            return f"{short(name)}, over {and_list(sorted(map(short, beaten)))}"
    if not means:
        return "none shown; no run has it"
    measure = MEASURES[rows[0]["metric"]]
    best = (max if measure.higher_is_better else min)(means, key=means.__getitem__)
    unlike = [
        other
        for row in rows
        if row["verdict"] == "not_comparable" and (other := _other(row, best)) in means
    ]
    if unlike:
        return (
            f"none shown; {short(best)} is not comparable to {and_list(list(map(short, unlike)))}"
        )
    reads = amount(means[best], measure.unit)  # who leads by less than is said leads nobody
    level = [
        short(name)
        for name, mean in means.items()
        if amount(mean, measure.unit) == reads and name not in better.get(best, ())
    ]
    lead = f"{level[0]} leads with" if len(level) == 1 else f"{and_list(level)} are level at"
    over = f", better than {and_list(sorted(map(short, better[best])))}" if best in better else ""
    return f"none shown; {lead} {reads}{over} ({_lacking(rows, best)})"


def _lacking(rows: Sequence[Row], best: str) -> str:
    """Return what stands between the algorithm with the best mean and a verdict."""
    open_rows = [
        row for row in rows if _other(row, best) and row["verdict"] not in ("a_better", "b_better")
    ]
    words: dict[str, list[str]] = {}
    for row in open_rows:
        word = str(row["verdict"]).replace("_", " ")
        words.setdefault(word, []).append(short(_other(row, best)))
    said = and_list([f"{word}: {and_list(names)}" for word, names in words.items()])
    needed = [row["pairs_needed"] for row in open_rows]
    if None in needed or not needed:
        return said
    return f"{said}; with the spread seen, {max(needed)} pairs would be needed"


def _other(row: Row, name: str) -> str:
    """Return the algorithm that a row sets beside another one; "" if it is not about that one."""
    a, b = str(row["algorithm_a"]), str(row["algorithm_b"])
    return b if name == a else a if name == b else ""


def _unshown(row: Row) -> str:
    """Return what a difference lacks for a verdict: its interval alone may exclude none."""
    p_value = row["p_value_holm"]
    if p_value is None:
        return ""
    within = "; an algorithm differs as much from itself" if p_value <= ALPHA else ""
    return f"; p = {p_value:.2g} (Holm){within}"


def _ending(row: Row) -> str:
    """Return the verdict as the end of a sentence."""
    if row["verdict"] == "too_few_seeds":
        return f": too few seeds for a verdict ({hint(row)[2:] or _first(row['note'])})"
    if row["ratio_b_over_a"] is None:  # the side with more is named first
        first_is_better = MEASURES[row["metric"]].higher_is_better
    else:
        first_is_better = row["verdict"] == "b_better"
    word = "better" if first_is_better else "worse"
    return f": {word}, p = {row['p_value_holm']:.2g} (Holm)"


def _first(note: object) -> str:
    return str(note or "one pair has no spread").split("; ")[0]


def _at(row: Row) -> str:
    if row["at_value"] == "last":
        return ""
    return f" at {PLACES[row['at_axis']].format(float(row['at_value']))}"
