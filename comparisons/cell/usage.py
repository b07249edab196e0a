"""What the processes of a run have used: memory and processor time, by rank and of all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.tables import read_rows


@dataclass(frozen=True)
class Usage:
    """What one process has used so far.

    Attributes:
        cpu_s: its processor time, of all threads.
        peaks: its highest marks in bytes, by the columns of ``runs.csv``; of all ranks the highest
            stands there.
        memory: its rows of ``memory.csv``, without run and rank.
    """

    cpu_s: float
    peaks: Mapping[str, int]
    memory: Sequence[Mapping[str, object]] = ()


@dataclass
class Earlier:
    """What the attempts before this one have used.

    Attributes:
        elapsed_s: how long they took, lost work included.
        cpu_s: processor time of all ranks.
        peak_rss_bytes: the highest mark of any process.
        peak_rss_total_bytes: the highest sum over ranks.
        memory: rows of ``memory.csv``, by rank.
    """

    elapsed_s: float = 0.0
    cpu_s: float = 0.0
    peak_rss_bytes: int = 0
    peak_rss_total_bytes: int = 0
    memory: Mapping[int, Sequence[Mapping[str, str]]] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Earlier:
        """Return what a cell's folder says of the attempts before."""
        try:
            found = json.loads((folder / "progress.json").read_text())
        except FileNotFoundError:
            return cls()
        rows = read_rows(folder / "memory.csv", RAW_TABLES["memory.csv"])
        highest = found["peak_rss_bytes"] or 0
        return cls(
            elapsed_s=found["elapsed_s"],
            cpu_s=found["cpu_s"],
            peak_rss_bytes=highest,
            peak_rss_total_bytes=found.get("peak_rss_total_bytes") or highest,
            memory={
                rank: [row for row in rows if int(row["rank"]) == rank]
                for rank in sorted({int(row["rank"]) for row in rows})
            },
        )


def columns(ranks: Sequence[Usage], earlier: Earlier) -> dict[str, int | float | None]:
    """Return the columns of ``runs.csv`` that say what a run has used.

    Args:
        ranks: what each rank has used.
        earlier: what the attempts before this one have.

    Example:
        >>> ranks = [Usage(1.0, {"peak_rss_bytes": 40}), Usage(2.0, {"peak_rss_bytes": 50})]
        >>> columns(ranks, Earlier(cpu_s=4.0))
        {'peak_rss_bytes': 50, 'cpu_s': 7.0, 'peak_rss_total_bytes': 90}
    """
    names = dict.fromkeys(name for rank in ranks for name in rank.peaks)
    most = {name: max(rank.peaks.get(name, 0) for rank in ranks) for name in names}
    total = sum(rank.peaks["peak_rss_bytes"] for rank in ranks)
    return {
        **most,
        "cpu_s": earlier.cpu_s + sum(rank.cpu_s for rank in ranks),
        "peak_rss_bytes": max(most["peak_rss_bytes"], earlier.peak_rss_bytes) or None,
        "peak_rss_total_bytes": max(total, earlier.peak_rss_total_bytes) or None,
    }


def memory_rows(ranks: Sequence[Usage], earlier: Earlier) -> list[dict[str, object]]:
    """Return the rows of ``memory.csv``: of each rank, those of the attempt with its highest peak.

    Args:
        ranks: what each rank has used.
        earlier: what the attempts before this one have.
    """
    rows: list[dict[str, object]] = []
    for number, rank in enumerate(ranks):
        before = earlier.memory.get(number, ())
        higher = _at_peak(rank.memory) > _at_peak(before)
        rows += [{**row, "rank": number} for row in (rank.memory if higher else before)]
    return rows


def _at_peak(rows: Iterable[Mapping[str, object]]) -> int:
    return sum(int(str(row["bytes_at_peak"] or 0)) for row in rows)
