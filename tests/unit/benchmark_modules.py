"""The modules of ``benchmarks``, which is no package: importable for the time of a test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
MODULES = [
    *sorted(path.stem for path in BENCHMARKS.glob("speed_*.py")),
    *("vs_trl", "vs_trl_tables", "limits", "growth", "growth_figure", "gpu", "overhead"),
]


def importing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield what imports one by its name; they are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in MODULES:
        sys.modules.pop(name, None)
