"""Comparisons: cells, measurements, statistics, tables, reports, the command line.

``from bakeoff.comparisons import compare, load`` runs a comparison from Python, or opens one that
was run. Importing this package alone imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bakeoff.comparisons.comparison import Comparison, compare, load

__all__ = ["Comparison", "compare", "load"]


def __getattr__(name: str) -> object:
    if name in __all__:
        from bakeoff.comparisons import comparison

        return getattr(comparison, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
