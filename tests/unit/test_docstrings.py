"""The examples in the docstrings run, and every public thing has a docstring (ruff checks that)."""

import doctest
import importlib

import pytest
from test_layout import ROOMS, ROOT

SOURCES = [
    *(path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))),
    *sorted((ROOT / "src" / "bakeoff").rglob("*.py")),
]
MODULES = sorted(
    {
        "bakeoff." + ".".join(path.relative_to(root).with_suffix("").parts)
        for path in SOURCES
        for root in [ROOT / "src" / "bakeoff" if path.is_relative_to(ROOT / "src") else ROOT]
        if path.stem not in ("__init__", "__main__")
    }
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name))

    assert failed == 0
