"""The parts of the page that are words: they stand in the HTML itself, and need no script."""

from __future__ import annotations

from collections.abc import Sequence

from bakeoff.comparisons.report.again import OWN_FILE, command, elsewhere, own_text, versions
from bakeoff.comparisons.report.fairness import fairness_card, semantics
from bakeoff.comparisons.report.measures import DIVERGED_SCORE
from bakeoff.comparisons.report.page.markup import Markup, bullets, escape, grid, inline, tag
from bakeoff.comparisons.report.pairing import is_control
from bakeoff.comparisons.report.sentences import cautions, failures, sentences
from bakeoff.comparisons.report.targets import target_said
from bakeoff.comparisons.results import Results, Row, by_place, groups
from bakeoff.comparisons.running import contamination
from bakeoff.comparisons.wording import MISSING, amount, short

SHOWN = {
    "held-out score": "score_final",
    "memory above baseline": "training_bytes",
    "time per update": "update_s",
    "training time": "train_s",
}
"""The columns of a place's first table, and their metrics."""

_EMPTY = Markup("")


def opening(results: Results, name: str) -> Markup:
    """Return the title, and what was run in a sentence."""
    runs = results.runs
    ok = sum(run["status"] == "ok" for run in runs)
    controls = sum(map(is_control, runs))
    listed = {
        key: ", ".join(dict.fromkeys(short(str(run[key])) for run in runs))
        for key in ("algorithm", "environment", "model")
    }
    seeds = sorted({int(run["seed"]) for run in runs})
    counted = f"{len(runs)} {_plural(len(runs), 'run')}, {ok} of them ended ok"
    counted += f", {controls} of them controls" if controls else ""
    what = (
        f"{listed['algorithm']} on {listed['environment']} with {listed['model']}, "
        f"{_plural(len(seeds), 'seed')} {', '.join(map(str, seeds))}: {counted}. "
        "One run is one fresh process."
    )
    return Markup(tag("h1", escape(name)) + tag("p", escape(what), class_="lead"))


def warnings(results: Results) -> Markup:
    """Return what a reader must know before any number; nothing if there is nothing."""
    lines = [*cautions(results), *contamination.cautions(results.out)]
    if not lines:
        return _EMPTY
    return tag(
        "aside",
        tag("h2", escape("Before you read on")),
        bullets([inline(line) for line in lines]),
        class_="warning",
        aria_label="Warnings",
    )


def verdicts(results: Results, summary: Sequence[Row], pairwise: Sequence[Row]) -> Markup:
    """Return what each environment and model shows, in sentences, with its fairness card."""
    parts = [tag("h2", escape("What was found"))]
    for environment, model, rows, pairs, runs in by_place(results, summary, pairwise):
        title = f"{short(environment)}, {short(model)}"
        said = [*sentences(rows, pairs), *target_said(pairs, results.out)]
        parts.append(
            tag(
                "section",
                tag("h3", escape(title)),
                bullets([inline(line) for line in said], "verdicts"),
                _first_table(rows, title),
                tag(
                    "div",
                    tag("h4", escape("Fairness card: what was held equal, and what was not")),
                    bullets([inline(line) for line in fairness_card(runs, pairs)]),
                    class_="card",
                ),
                class_="place",
            )
        )
    return tag("section", *parts, id="found")


def failed(results: Results) -> Markup:
    """Return who failed and what is missing; nothing if nothing is."""
    lines = [escape(line) for line in failures(results)]
    return _listed("What failed, and what is missing", lines, "failed")


def overlap(results: Results) -> Markup:
    """Return whether held-out items are trained on; nothing where it was not looked at."""
    lines = [inline(line) for line in contamination.sentences(results.out)]
    return _listed("Held-out items among the training items", lines, "overlap")


def manifests(runs: Sequence[Row]) -> Markup:
    """Return the algorithms' resolved formulas side by side; rows that differ are marked."""
    found = semantics(runs)
    heading = tag("h2", escape("What each algorithm was"))
    if not found:
        said = "No run has written down its algorithm's formula."
        return tag("section", heading, tag("p", escape(said)), id="semantics")
    keys = list(dict.fromkeys(key for manifest in found.values() for key in manifest))
    rows, marked = [], []
    for key in keys:
        cells = [str(manifest.get(key, MISSING)) for manifest in found.values()]
        marked.append(len(set(cells)) > 1)
        shown = f"{key} \N{NOT EQUAL TO}" if marked[-1] else key
        rows.append([escape(shown), *map(escape, cells)])
    header = ["part", *(short(name) for name in found)]
    caption = (
        f"The formula as it ran. \N{NOT EQUAL TO} marks what differs: {sum(marked)} of {len(rows)}."
    )
    return tag("section", heading, grid(header, rows, caption, marked), id="semantics")


def again(results: Results) -> Markup:
    """Return the command that makes a comparison like this one, and what it was made with."""
    own, needed = own_text(results), elsewhere(results)
    return tag(
        "section",
        tag("h2", escape("The same again")),
        tag("pre", tag("code", escape(command(results))), tabindex=0),
        tag("p", escape(f"{OWN_FILE}, what single algorithms alone were given:"))
        if own
        else _EMPTY,
        tag("pre", tag("code", escape(own)), tabindex=0) if own else _EMPTY,
        tag("p", escape(needed)) if needed else _EMPTY,
        tag("p", escape(versions(results.runs)), class_="small"),
        id="again",
    )


def _listed(title: str, lines: Sequence[Markup], name: str) -> Markup:
    """Return a section of some lines; nothing if there are none."""
    return tag("section", tag("h2", escape(title)), bullets(lines), id=name) if lines else _EMPTY


def _first_table(summary: Sequence[Row], title: str) -> Markup:
    last = [row for row in summary if row["at_axis"] == "update" and row["at_value"] == "last"]
    lines = []
    for (algorithm,), own in groups(last, "algorithm"):
        of = {row["metric"]: row for row in own}
        counts = [escape(of["score_final"][key]) for key in ("n_seeds", "n_failed")]
        cells = [_with_interval(of.get(metric)) for metric in SHOWN.values()]
        lines.append([escape(short(algorithm)), *cells, *counts])
    caption = (
        f"{title}: means over seeds, with 95 % intervals. A run that diverged counts with a score "
        f"of {DIVERGED_SCORE:g}; what failed otherwise is left out of the means."
    )
    return grid(["algorithm", *SHOWN, "seeds", "failed"], lines, caption)


def _with_interval(row: Row | None) -> Markup:
    if row is None or row["mean"] is None:
        return escape(MISSING)
    unit = str(row["unit"])
    mean = tag("span", escape(amount(row["mean"], unit)), class_="mean")
    if row["ci_low"] is None:
        return mean
    interval = f"[{amount(row['ci_low'], unit)}, {amount(row['ci_high'], unit)}]"
    return Markup(mean + " " + tag("span", escape(interval), class_="interval"))


def _plural(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"
