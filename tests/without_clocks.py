"""The tables of a comparison without what clocks say: equal wherever the same grid was run."""

from __future__ import annotations

import csv
from pathlib import Path


def words(text: str) -> list[str]:
    return text.split()


CLOCKS = {
    "runs.csv": words("""
        started_utc ended_utc wall_s setup_s train_s eval_s cpu_s peak_rss_bytes
        peak_rss_total_bytes predicted_peak_bytes load_avg_start attempt
    """),
    "curves.csv": words("train_wall_s wall_s peak_rss_bytes"),
    "phases.csv": words("wall_s cpu_s warmup peak_bytes"),
    "memory.csv": words("bytes_at_peak bytes_max bytes_predicted"),
    "evals.csv": [],
    "summary.csv": [],
    "pairwise.csv": [],
}
"""The columns that are times, bytes of memory (which vary from run to run as times do), the number
of attempts, or say which updates were the first of a process. Everything else is equal."""

TIMED = ("s", "bytes", "tokens/s")
"""Units of metrics that are made of such columns."""


def rows(out: Path, name: str) -> list[dict[str, str]]:
    """Return a table without what is a clock's."""
    with (out / name).open(newline="") as file:
        found = list(csv.DictReader(file))
    if name == "summary.csv":
        timed = {row["metric"] for row in found if row["unit"] in TIMED}
    elif name == "pairwise.csv":
        timed = {row["metric"] for row in rows(out, "summary.csv")}
        timed = {row["metric"] for row in found} - timed
    else:
        timed = set()
    return [
        {key: value for key, value in row.items() if key not in CLOCKS[name]}
        for row in found
        if row.get("metric") not in timed
        and not row.get("metric", "").startswith("reward_seconds/")
        and row.get("at_axis") != "train_wall_s"
        and row.get("phase") != "checkpoint"  # an update that was resumed saved nothing before it
    ]
