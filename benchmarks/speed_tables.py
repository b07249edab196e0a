"""What the speed benchmarks print: ratios with intervals, Markdown tables, and pages with both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bakeoff.comparisons.statistics import t_interval
from bakeoff.comparisons.tables import replace_file
from bakeoff.errors import UsageError

MIB = 2**20


class Interval(NamedTuple):
    """A number and the bounds of its 95 % interval; nan where there are none."""

    middle: float
    low: float
    high: float


def ratio(theirs: Sequence[float], own: Sequence[float]) -> Interval:
    """Return by what factor ``theirs`` are larger than ``own``, round by round.

    The geometric mean of the rounds' ratios, with Student's interval of the mean of their
    logarithms; none for a single round.

    Example:
        >>> ratio([2.0, 8.0], [1.0, 1.0]).middle
        4.0
    """
    logs = [math.log(its / ours) for its, ours in zip(theirs, own, strict=True)]
    middle = sum(logs) / len(logs)
    low, high = t_interval(logs) or (math.nan, math.nan)
    return Interval(math.exp(middle), math.exp(low), math.exp(high))


def spelled(interval: Interval, digits: int = 2) -> str:
    """Return an interval in words.

    Example:
        >>> spelled(Interval(2.0, 1.5, 2.625)), spelled(Interval(2.0, math.nan, math.nan), 1)
        ('2.00 (1.50 to 2.62)', '2.0 (one round)')
    """
    middle, low, high = (f"{value:.{digits}f}" for value in interval)
    return f"{middle} (one round)" if math.isnan(interval.low) else f"{middle} ({low} to {high})"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """Return a Markdown table whose first columns, ``words`` of them, are words.

    Example:
        >>> print(markdown(["phase", "s"], [["update", "1.5"]], words=1))
        | phase | s |
        | --- | ---: |
        | update | 1.5 |
    """
    line = ["---"] * words + ["---:"] * (len(header) - words)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, line, *rows))


def replaced(page: str, name: str, block: str) -> str:
    """Return a page with what stands between the markers of ``name`` replaced.

    Raises:
        UsageError: the page does not have both markers, once each and in order.

    Example:
        >>> replaced("<!-- a -->old<!-- /a --> rest", "a", "new")
        '<!-- a -->\\nnew\\n<!-- /a --> rest'
    """
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if page.count(start) != 1 or page.count(end) != 1 or page.index(start) > page.index(end):
        raise UsageError(f"the page needs one {start} and, after it, one {end}")
    before, rest = page.split(start)
    return f"{before}{start}\n{block}\n{end}{rest.split(end)[1]}"


def write_block(page: Path, name: str, block: str) -> None:
    """Replace what stands in a file between the markers of ``name``."""
    text = replaced(page.read_text(encoding="utf-8"), name, block)
    replace_file(page, text.encode())
