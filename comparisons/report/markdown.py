"""``report.md``: a comparison as a page to read."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.comparisons.report import effects
from bakeoff.comparisons.report.again import OWN_FILE, command, elsewhere, own_text, versions
from bakeoff.comparisons.report.fairness import fairness_card, semantics
from bakeoff.comparisons.report.items import item_sentences
from bakeoff.comparisons.report.pairing import is_control
from bakeoff.comparisons.report.profiles import over_environments
from bakeoff.comparisons.report.sentences import cautions, failures, sentences
from bakeoff.comparisons.report.targets import target_said
from bakeoff.comparisons.results import Results, Row, by_place, groups, title
from bakeoff.comparisons.running import contamination
from bakeoff.comparisons.wording import MISSING, amount, markdown_table, short, signed

RESULT_COLUMNS = {
    "held-out score, start": "score_initial",
    "end": "score_final",
    "gain": "score_gain",
    "memory above baseline": "training_bytes",
    "peak RSS": "peak_rss_bytes",
    "time per update": "update_s",
    "tokens/s": "completion_tokens_per_s",
}

FIGURES = {
    "rewards.png": "Held-out score against updates and training time. Thick: mean of the seeds; "
    "thin: each seed; band: 95 % Student-t interval, from 3 seeds on.",
    "axes.png": "The same against tokens and model FLOPs: means at equal values of the axis.",
    "pareto.png": "Held-out score at the end against memory and time, means with their intervals "
    "from 3 seeds on. Filled: no other mean is at least as good in all three and better in one; "
    "the grey line joins those that nothing beats in the two of a panel.",
    "memory.png": "Memory by component at the peak of a run; white hatched: what no counted tensor "
    "explains, activations included.",
    "speed.png": "Seconds of an update by phase; warm-up and evaluation left out. The number is "
    "the sum of the phases' medians.",
}


READING = (
    "Runs of one seed are paired. An effect is a geometric mean ratio (x) or a mean difference, "
    "with its 95 % interval. `p` is that of an exact sign-flip test after Holm's correction over "
    "the pairs of one question; where no outcome could have brought it to 0.05, the verdict is "
    "`too_few_seeds`."
)

CONTROL = (
    "One algorithm against itself: what chance and the machine make, and no verdict may claim:"
)

FILES = (
    *("runs", "curves", "phases", "memory", "evals", "summary", "pairwise", "items", "profiles"),
    *("ledger", "flops"),
)

TABLES = (
    "Every number stands in the tables beside this file: "
    + ", ".join(f"[{name}.csv]({name}.csv)" for name in FILES)
    + "; what the models wrote in [samples.jsonl](samples.jsonl). [report.html](report.html) is "
    "this report to click through. `bakeoff report FOLDER --check` compares all of it with the "
    "rows that the runs left."
)

ITEMS = (
    "Differences of the last held-out evaluation within items and seeds; errors are clustered by "
    "item and by seed. The verdicts above are about the items that were asked."
)


def document(
    results: Results, summary: Sequence[Row], pairwise: Sequence[Row], items: Sequence[Row]
) -> str:
    """Return the text of ``report.md``.

    Args:
        results: the cells' rows.
        summary: the rows of ``summary.csv``.
        pairwise: the rows of ``pairwise.csv``.
        items: the rows of ``items.csv``.
    """
    parts = [f"# {title(results)}", _overview(results)]
    warnings = [*cautions(results), *contamination.cautions(results.out)]
    parts += [f"> **Warning: {line}.**" for line in warnings]
    for environment, model, rows, pairs, runs in by_place(results, summary, pairwise):
        parts += [
            f"## {short(environment)}, {short(model)}",
            _bullets([*sentences(rows, pairs), *target_said(pairs, results.out)]),
            "### What was held equal",
            _bullets(fairness_card(runs, pairs)),
            "### Means",
            _results_table(rows),
            "Means over the seeds that ended ok, with 95 % Student-t intervals; those of times and "
            "bytes by their logarithms.",
            "### Pair by pair",
            *_pair_by_pair(pairs),
        ]
    if said := item_sentences(items):
        parts += ["## Other items of the same kind", _bullets(said), ITEMS]
    parts += ["## Over environments", _bullets(over_environments(results))]
    parts += ["## Figures", *(f"![{text}]({file})\n\n{text}" for file, text in FIGURES.items())]
    shared = contamination.sentences(results.out)
    if shared:
        parts += ["## Held-out items among the training items", _bullets(shared)]
    notes = failures(results)
    if notes:
        parts += ["## What failed, and what is missing", _bullets(notes)]
    parts += ["## What each algorithm was", _semantics(results.runs)]
    parts += ["## The same again", f"```\n{command(results)}\n```"]
    if own := own_text(results):
        parts += [f"with this `{OWN_FILE}`:", f"```\n{own}```"]
    if needed := elsewhere(results):
        parts.append(needed)
    parts += [versions(results.runs), TABLES]
    return "\n\n".join(parts) + "\n"


def _pair_by_pair(pairs: Sequence[Row]) -> list[str]:
    """Return the rows of ``pairwise.csv`` that a reader needs as tables, and how to read them.

    Args:
        pairs: the rows of one environment and model.
    """
    parts = [effects.at_the_end(pairs), READING]
    for lead, table in (
        ("Held-out scores where all had used up the same:", effects.at_equal_axes(pairs)),
        ("What it took to reach the target score:", effects.to_the_target(pairs)),
        (CONTROL, effects.control(pairs)),
    ):
        parts += [lead, table] if table else []
    return parts


def _overview(results: Results) -> str:
    runs = results.runs
    ok = sum(run["status"] == "ok" for run in runs)
    names = {
        key: ", ".join(dict.fromkeys(f"`{short(str(run[key]))}`" for run in runs))
        for key in ("algorithm", "environment", "model")
    }
    seeds = ", ".join(map(str, sorted({int(run["seed"]) for run in runs})))
    again = sum(is_control(run) for run in runs)
    controls = f", {again} of them controls in which an algorithm runs again" if again else ""
    return (
        f"{len(runs)} runs{controls}; {ok} ended ok: {names['algorithm']} on "
        f"{names['environment']} with {names['model']}, seeds {seeds}. One run is one fresh "
        "process."
    )


def _results_table(summary: Sequence[Row]) -> str:
    lines = []
    for (algorithm,), own in groups(summary, "algorithm"):
        of = {row["metric"]: row for row in own}
        cells = [_with_interval(of.get(metric)) for metric in RESULT_COLUMNS.values()]
        counts = [str(of["score_final"][key]) for key in ("n_seeds", "n_failed")]
        lines.append([short(algorithm), *cells, *counts])
    return markdown_table(["algorithm", *RESULT_COLUMNS, "n", "failed"], lines)


def _with_interval(row: Row | None) -> str:
    if row is None or row["mean"] is None:
        return MISSING
    unit = str(row["unit"])
    mean = signed(row["mean"]) if row["metric"] == "score_gain" else amount(row["mean"], unit)
    if row["ci_low"] is None:
        return mean
    return f"{mean} [{amount(row['ci_low'], unit)}, {amount(row['ci_high'], unit)}]"


def _semantics(runs: Sequence[Row]) -> str:
    manifests = semantics(runs)
    if not manifests:
        return "No run has written down its algorithm's formula."
    keys = list(dict.fromkeys(key for manifest in manifests.values() for key in manifest))
    header = ["", *(short(name) for name in manifests)]
    lines = [[key, *(str(m.get(key, MISSING)) for m in manifests.values())] for key in keys]
    return markdown_table(header, lines)


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
