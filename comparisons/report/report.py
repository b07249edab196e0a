"""The report of a comparison: derived tables, figures, ``report.md``, and text for a terminal.

All of it is made from the cells' raw rows, at any time, without torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bakeoff.comparisons import tables
from bakeoff.comparisons.report import figures
from bakeoff.comparisons.report.fairness import noise
from bakeoff.comparisons.report.markdown import document
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.sentences import cautions, failures, sentences
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import Row, groups, load
from bakeoff.comparisons.running import contamination
from bakeoff.comparisons.schema import PAIRWISE_COLUMNS, SUMMARY_COLUMNS
from bakeoff.comparisons.wording import amount, short, text_table

SHOWN = {
    "memory above baseline": "training_bytes",
    "peak RSS": "peak_rss_bytes",
    "per update": "update_s",
    "tokens/s": "completion_tokens_per_s",
}
"""The columns of the terminal's table that are means over seeds, and their metrics."""


def write(out: Path) -> None:
    """Make everything in a results folder that is derived from its cells.

    Writes the merged tables, ``summary.csv``, ``pairwise.csv``, three figures and ``report.md``.

    Args:
        out: the results folder.

    Raises:
        UsageError: there is no cell in the folder, or none that can be read.
    """
    results = load(out)
    tables.write_merged(results)
    summary, pairwise = summary_rows(results), pairwise_rows(results)
    tables.write_rows(out / "summary.csv", SUMMARY_COLUMNS, summary)
    tables.write_rows(out / "pairwise.csv", PAIRWISE_COLUMNS, pairwise)
    figures.save(figures.draw(results, summary), out)
    tables.replace_file(out / "report.md", document(results, summary, pairwise).encode())


def console(out: Path) -> str:
    """Return what a comparison found as plain text: a table and sentences for each place.

    Args:
        out: the results folder.

    Raises:
        UsageError: there is no cell in the folder, or none that can be read.
    """
    results = load(out)
    summary, pairwise = summary_rows(results), pairwise_rows(results)
    blocks = [f"! {line}" for line in [*cautions(results), *contamination.cautions(out)]]
    for (environment, model), rows in groups(summary, "environment", "model"):
        here = (environment, model)
        pairs = [row for row in pairwise if (row["environment"], row["model"]) == here]
        runs = [run for run in results.runs if (run["environment"], run["model"]) == here]
        lines = [*sentences(rows, pairs), *filter(None, [noise(runs)])]
        said = "\n".join(f"- {line}" for line in lines)
        title = f"{short(environment)}, {short(model)} (means over the n seeds that ended ok)"
        blocks.append(f"{title}\n{_table(rows)}\n\n{said}")
    notes = [f"! {line}" for line in failures(results)]
    return "\n\n".join([*blocks, *(["\n".join(notes)] if notes else [])])


def _table(summary: Sequence[Row]) -> str:
    """Return the terminal's table of one environment and model."""
    header = ["algorithm", "held-out score", *SHOWN, "n", "failed"]
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
    return text_table(header, lines)
