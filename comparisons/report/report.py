"""The report of a comparison: derived tables, figures, ``report.md``, and text for a terminal.

All of it is made from the cells' raw rows, at any time, without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bakeoff.comparisons import tables
from bakeoff.comparisons.report import figures
from bakeoff.comparisons.report.audits import flops_rows, ledger_rows
from bakeoff.comparisons.report.checking import hashes
from bakeoff.comparisons.report.fairness import noise
from bakeoff.comparisons.report.items import item_rows
from bakeoff.comparisons.report.markdown import document
from bakeoff.comparisons.report.page.page import page
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.profiles import profile_rows
from bakeoff.comparisons.report.sentences import cautions, failures, sentences
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.report.targets import target_said
from bakeoff.comparisons.results import Results, Row, by_place, groups, load
from bakeoff.comparisons.running import contamination
from bakeoff.comparisons.schema import (
    FLOPS_COLUMNS,
    ITEMS_COLUMNS,
    LEDGER_COLUMNS,
    PAIRWISE_COLUMNS,
    PROFILES_COLUMNS,
    SUMMARY_COLUMNS,
)
from bakeoff.comparisons.wording import amount, short, text_table

SHOWN = {
    "memory above baseline": "training_bytes",
    "peak RSS": "peak_rss_bytes",
    "per update": "update_s",
    "tokens/s": "completion_tokens_per_s",
}
"""The columns of the terminal's table that are means over seeds, and their metrics."""

HEADER = ["algorithm", "held-out score", *SHOWN, "n", "failed"]


class Found(NamedTuple):
    """What takes time to find: the runs of a folder, the rows of summary.csv and pairwise.csv."""

    results: Results
    summary: Sequence[Row]
    pairwise: Sequence[Row]


class Place(NamedTuple):
    """What was found on one environment with one model: a table under ``HEADER``, and sentences."""

    title: str
    table: list[list[str]]
    sentences: list[str]


def found_in(results: Results) -> Found:
    """Return what the runs of a folder come to.

    Args:
        results: the cells' rows.
    """
    return Found(results, summary_rows(results), pairwise_rows(results))


def derived(results: Results) -> dict[str, bytes]:
    """Return every file that follows from cells, audits and what was asked for; write nothing.

    The same rows give the same bytes. Figures are left out: their bytes depend on the versions of
    matplotlib and of its fonts.

    Args:
        results: the cells' rows.
    """
    return _files(found_in(results))


def write(out: Path) -> Found:
    """Make everything in a results folder that is derived from its cells, ``checksums.json`` last.

    Args:
        out: the results folder.

    Returns:
        What was found, for ``text``.

    Raises:
        UsageError: there is no cell in the folder, or none that can be read.
    """
    found = found_in(load(out))
    files = _files(found)
    for name, data in files.items():
        tables.replace_file(out / name, data)
    drawn = figures.save(figures.draw(found.results, found.summary), out, vector=True)
    hashes.write(out, [*files, *drawn])
    return found


def console(out: Path) -> str:
    """Return the ``text`` of a results folder.

    Raises:
        UsageError: there is no cell in the folder, or none that can be read.
    """
    return text(found_in(load(out)))


def text(found: Found) -> str:
    """Return what a comparison found as plain text: a table and sentences for each place.

    Args:
        found: in the cells' rows.
    """
    results = found.results
    parts = [f"! {line}" for line in [*cautions(results), *contamination.cautions(results.out)]]
    for place in places(found):
        said = "\n".join(f"- {line}" for line in place.sentences)
        parts.append(f"{place.title}\n{text_table(HEADER, place.table)}\n\n{said}")
    notes = [f"! {line}" for line in failures(results)]
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def places(found: Found) -> list[Place]:
    """Return what a comparison found, for each environment and model.

    Args:
        found: in the cells' rows.
    """
    said = []
    for environment, model, rows, pairs, runs in by_place(*found):
        lines = [*sentences(rows, pairs), *target_said(pairs, found.results.out)]
        lines += filter(None, [noise(runs)])
        title = f"{short(environment)}, {short(model)} (means over n seeds)"
        said.append(Place(title, _table(rows), lines))
    return said


def _files(found: Found) -> dict[str, bytes]:
    results, summary, pairwise = found
    items = item_rows(results)
    files = {
        **tables.merged(results),
        "summary.csv": tables.table(SUMMARY_COLUMNS, summary),
        "pairwise.csv": tables.table(PAIRWISE_COLUMNS, pairwise),
        "items.csv": tables.table(ITEMS_COLUMNS, items),
        "profiles.csv": tables.table(PROFILES_COLUMNS, profile_rows(results)),
        "ledger.csv": tables.table(LEDGER_COLUMNS, ledger_rows(results)),
        "flops.csv": tables.table(FLOPS_COLUMNS, flops_rows(results)),
        "report.md": document(results, summary, pairwise, items).encode(),
    }
    return files | {"report.html": page(results, summary, pairwise, files).encode()}


def _table(summary: Sequence[Row]) -> list[list[str]]:
    """Return the lines of the terminal's table of one environment and model."""
    lines = []
    for (algorithm,), own in groups(summary, "algorithm"):
        of = {row["metric"]: row for row in own}
        start, end = (of[f"score_{when}"]["mean"] for when in ("initial", "final"))
        ends = "-" if end is None else f"{amount(start, 'score')} -> {amount(end, 'score')}"
        means = [
            amount(of[metric]["mean"], of[metric]["unit"]) if metric in of else amount(None, "")
            for metric in SHOWN.values()
        ]
        counts = [str(of["score_final"][key]) for key in ("n_seeds", "n_failed")]
        lines.append([short(algorithm), ends, *means, *counts])
    return lines
