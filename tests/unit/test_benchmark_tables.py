"""The tables of the speed benchmarks, and the pages that they are written into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmark_modules import BENCHMARKS, importing

from bakeoff.errors import UsageError


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    yield from importing(monkeypatch)


def test_a_block_is_replaced_and_the_rest_of_the_page_stays(module: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- a -->\nold\n<!-- /a -->\nend\n<!-- b -->\n<!-- /b -->\n")

    module("speed_tables").write_block(page, "a", "new")

    expected = "# Title\n<!-- a -->\nnew\n<!-- /a -->\nend\n<!-- b -->\n<!-- /b -->\n"
    assert page.read_text() == expected


def test_a_page_without_the_markers_is_an_error(module: Any) -> None:
    with pytest.raises(UsageError, match="needs one <!-- a --> and, after it, one <!-- /a -->"):
        module("speed_tables").replaced("<!-- /a --><!-- a -->", "a", "new")


def test_every_benchmark_finds_its_markers_in_the_page(module: Any) -> None:
    page = (BENCHMARKS.parent / "docs" / "performance.md").read_text()

    for name in ("vs_trl", "limits", "growth", "gpu"):
        assert "new" in module("speed_tables").replaced(page, name, "new")


def pair(shape: str, own_s: float, their_s: float) -> tuple[dict[str, str], dict[str, str]]:
    """Rows of both sides: their memory is twice this project's, and so is what they add."""
    columns = [f"{phase}{kind}" for phase in ("generation_", "scoring_", "update_", "other_", "")
               for kind in ("wall_s", "cpu_s")]  # fmt: skip
    sizes = {"sizes": shape, "peak_mib": "512", "above_mib": "100"}
    more = {"peak_mib": "1024", "above_mib": "200"}
    return (
        {**dict.fromkeys(columns, str(own_s)), **sizes},
        {**dict.fromkeys(columns, str(their_s)), **sizes, **more},
    )


def test_the_table_of_ratios_has_medians_and_shares(module: Any) -> None:
    pairs = {("short", "fp32"): [pair("4 x 8", 1, 3), pair("4 x 8", 2, 6), pair("4 x 8", 9, 27)]}

    line = module("vs_trl_tables").ratios(pairs).splitlines()[2]

    # each round has the ratio 3; medians of the seconds are 2 and 6
    three, half = "3.00 (3.00 to 3.00)", "0.50 (0.50 to 0.50)"
    cells = ["short (4 x 8)", "fp32", "3", "2.00", "6.00", three, three, "0.50", "1.00", half, half]
    assert line == f"| {' | '.join(cells)} |"
