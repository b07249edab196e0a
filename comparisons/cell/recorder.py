"""The raw rows of a cell, appended as it goes: curves, phases, evaluations, samples, progress."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.running.folder import write_json
from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.tables import append_rows, read_rows, replace_file, write_rows

if TYPE_CHECKING:
    from bakeoff.training.reports import Report, Sample

WARMUP_UPDATES = 1
"""The first update allocates and warms caches: its phases are kept, and marked."""

OF_SAMPLING = ("completions/", "groups/", "overlap/", "refill/", "reward_seconds/", "staleness/")
"""What the names of metrics begin with that are over all completions of an update."""


class Recorder:
    """Writes down the reports of one run.

    Attributes:
        totals: the columns of ``runs.csv`` that the run's progress decides.
    """

    def __init__(
        self,
        folder: Path,
        spec: Mapping[str, Any],
        updates: int,
        *,
        started: float,
    ) -> None:
        """Record in ``folder`` what the cell of ``spec`` reports.

        Args:
            folder: the cell's.
            spec: the cell's.
            updates: how many there will be.
            started: when the cell was started, by ``time.perf_counter``; earlier by the time that
                attempts before this one took.
        """
        self.folder, self.spec, self.updates = folder, spec, updates
        self.started = started
        self.totals: dict[str, Any] = {}
        self.warm_after = WARMUP_UPDATES
        self._rewards: list[float] = []

    def keep_until(self, update: int | None) -> None:
        """Drop rows of updates after a checkpoint's; all of them if there is no checkpoint."""
        for name, columns in RAW_TABLES.items():
            path = self.folder / name
            if not path.exists():
                continue
            if update is None:
                path.unlink()
            elif name != "memory.csv":  # which is written whole, by the next report
                rows = read_rows(path, columns)
                kept = [row for row in rows if int(row["update"]) <= update]
                write_rows(path, columns, kept)
                if name == "curves.csv":
                    self._remember(kept)
        self.warm_after = (update or 0) + WARMUP_UPDATES
        path = self.folder / "samples.jsonl"
        if path.exists():
            lines = path.read_text().splitlines() if update is not None else []
            kept_lines = [f"{line}\n" for line in lines if _update_of(line) <= (update or 0)]
            replace_file(path, "".join(kept_lines).encode())

    def write(
        self, report: Report, peak_rss_bytes: int, used: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Append the rows of one report, replace ``progress.json``; return the rows of curves.

        Args:
            report: of an update.
            peak_rss_bytes: the highest mark so far.
            used: what else has been used so far, for the next attempt if there is one.
        """
        curves = self._curves(report, peak_rss_bytes)
        append_rows(self.folder / "curves.csv", RAW_TABLES["curves.csv"], curves)
        self._write_phases(report)
        self._write_evals(report)
        with (self.folder / "samples.jsonl").open("a") as file:
            for sample in [*report.samples, *report.eval_samples[: len(report.samples)]]:
                file.write(json.dumps(self._sample(report.update, sample)) + "\n")
        self._count(report)
        self._write_progress(report, {"peak_rss_bytes": peak_rss_bytes or None, **(used or {})})
        return curves

    def _curves(self, report: Report, peak_rss_bytes: int) -> list[dict[str, Any]]:
        counters = report.counters
        shared = {
            "run_id": self.spec["run_id"],
            "algorithm": self.spec["algorithm"],
            "environment": self.spec["environment"],
            "seed": self.spec["seed"],
            "update": report.update,
            "completion_tokens": counters.completion_tokens,
            "total_tokens": counters.prompt_tokens + counters.completion_tokens,
            "train_wall_s": counters.train_s,
            "wall_s": time.perf_counter() - self.started,
            "train_flops": counters.train_flops,
            "peak_rss_bytes": peak_rss_bytes or None,
        }
        return [
            {
                **shared,
                "split": split,
                "metric": metric,
                "value": value,
                "n": _n(metric, n, metrics),
            }
            for split, metrics, n in (
                ("train", report.metrics, report.completions),
                ("eval", report.eval_metrics, len(report.eval_samples)),
            )
            for metric, value in metrics.items()
        ]

    def _write_phases(self, report: Report) -> None:
        rows = [
            {
                "run_id": self.spec["run_id"],
                "update": report.update,
                "phase": phase.name,
                "wall_s": phase.wall_s,
                "cpu_s": phase.cpu_s,
                "tokens": phase.tokens or None,
                "flops": phase.flops,
                "warmup": report.update <= self.warm_after,
                "peak_bytes": phase.peak_bytes,
            }
            for phase in report.phases
        ]
        append_rows(self.folder / "phases.csv", RAW_TABLES["phases.csv"], rows)

    def _write_evals(self, report: Report) -> None:
        rows = [
            {
                "run_id": self.spec["run_id"],
                "update": report.update,
                "item_id": sample.item.id,
                "sample": 0,
                "score": sample.score.value,
                "tokens": sample.completion.sampled,
                "truncated": sample.completion.truncated,
            }
            for sample in report.eval_samples
        ]
        append_rows(self.folder / "evals.csv", RAW_TABLES["evals.csv"], rows)

    def _sample(self, update: int, sample: Sample) -> dict[str, object]:
        return {
            "run_id": self.spec["run_id"],
            "update": update,
            "item_id": sample.item.id,
            "prompt": sample.item.prompt,
            "completion": sample.completion.text,
            "score": sample.score.value,
            "parts": dict(sample.score.parts),
            "truncated": sample.completion.truncated,
            **({} if sample.version is None else {"policy_update": sample.version}),
            **({"reason": sample.score.reason} if sample.score.reason else {}),
        }

    def _count(self, report: Report) -> None:
        counted = report.counters.as_dict()
        if "reward/mean" in report.metrics:
            self._rewards.append(report.metrics["reward/mean"])
        if report.eval_metrics:
            self.totals["eval_score"] = report.eval_metrics.get("score/mean")
            scored = (sample.score.value is not None for sample in report.eval_samples)
            self.totals["eval_items"] = sum(scored)
        self.totals |= counted
        self._sum_up_rewards()

    def _sum_up_rewards(self) -> None:
        if self._rewards:
            self.totals |= {
                "reward_initial": self._rewards[0],
                "reward_final": self._rewards[-1],
                "reward_best": max(self._rewards),
            }

    def _remember(self, rows: Sequence[Mapping[str, str]]) -> None:
        """Take up the totals of the rows that an earlier attempt left."""
        train = [row for row in rows if row["split"] == "train" and row["metric"] == "reward/mean"]
        self._rewards = [float(row["value"]) for row in train]
        self._sum_up_rewards()
        scores = [row for row in rows if row["split"] == "eval" and row["metric"] == "score/mean"]
        if scores:
            self.totals["eval_score"] = float(scores[-1]["value"])
            self.totals["eval_items"] = int(scores[-1]["n"])

    def _write_progress(self, report: Report, used: Mapping[str, Any]) -> None:
        counters = report.counters
        seconds, tokens = counters.train_s, counters.completion_tokens
        write_json(
            self.folder / "progress.json",
            {
                "phase": "train",
                "update": report.update,
                "updates": self.updates,
                "done_frac": report.done_frac,
                "reward": self._rewards[-1] if self._rewards else None,
                "eval_score": self.totals.get("eval_score"),
                "completion_tokens": tokens,
                "tokens_per_s": tokens / seconds if seconds and tokens else None,
                "elapsed_s": time.perf_counter() - self.started,
                **used,
            },
        )

    @staticmethod
    def write_memory(folder: Path, run_id: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Write ``memory.csv`` whole, in place of the one that is there."""
        full = [{"run_id": run_id, "rank": 0, **row} for row in rows]
        write_rows(folder / "memory.csv", RAW_TABLES["memory.csv"], full)


def _n(metric: str, completions: int, metrics: Mapping[str, float]) -> int | None:
    """Return over how many completions a metric is: scores over those that have one.

    What is said of learning is over those that were learned from. How many of an update are of one
    level, or could be scored of its greedy replies, is not known here.
    """
    if metric == "reward/greedy" or metric.startswith(("reward/level_", "score/level_")):
        return None
    if metric.startswith(OF_SAMPLING):
        return completions
    left_out = metrics.get("completions/unscored_frac", 0.0)
    if not metric.startswith(("reward/", "score/")):
        left_out += metrics.get("completions/dropped_frac", 0.0)
    return round(completions * (1 - left_out))


def _update_of(line: str) -> float:
    try:
        return float(json.loads(line)["update"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")  # a torn last line
