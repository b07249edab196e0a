"""``page``: one HTML file with its style, its scripts and its data in it.

It asks the network for nothing, and could not: a content security policy forbids every request, and
runs no script and no style but those whose hashes it names. Everything on it is made from the rows
that the tables beside it are made from.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files as package_files

from bakeoff.comparisons.report.page import sections
from bakeoff.comparisons.report.page.data import page_data, shown_runs
from bakeoff.comparisons.report.page.markup import Markup, embedded, escape, tag
from bakeoff.comparisons.results import Results, Row, title

STYLES = ("page.css", "figures.css")
SCRIPTS = (
    "dom.js",
    "charts.js",
    "curves.js",
    "bars.js",
    "points.js",
    "samples.js",
    "tables.js",
    "page.js",
)
"""The assets, in the order in which they are put together."""

NO_SCRIPT = (
    "Charts, completions and tables need JavaScript, which this browser has switched off. The "
    "tables are CSV files beside this page."
)

FIGURES = (
    ("curves", "Curves"),
    ("differences", "Paired differences"),
    ("tradeoff", "Score, time and memory"),
    ("memory", "Where the memory is"),
    ("seconds", "Where the time goes"),
    ("levels", "Solve rates by level"),
    ("samples", "What they wrote"),
)
"""The figures' ids and headings; the scripts fill them."""


def page(
    results: Results,
    summary: Sequence[Row],
    pairwise: Sequence[Row],
    files: Mapping[str, bytes],
) -> str:
    """Return the text of ``report.html``.

    Args:
        results: the cells' rows.
        summary: the rows of ``summary.csv``.
        pairwise: the rows of ``pairwise.csv``.
        files: the tables as they stand beside the page, by file name: they can be sorted on it and
            downloaded from it.
    """
    name = title(results)
    style, script = _joined(STYLES), _joined(SCRIPTS)
    body = [
        tag("a", escape("To the findings"), href="#found", class_="skip"),
        _header(results, name),
        _main(results, summary, pairwise),
        tag("script", embedded(page_data(results, summary, pairwise, files)), **_DATA),
        tag("script", Markup(script)),
    ]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            tag("head", *_head(name, style, script)),
            tag("body", *body),
            "</html>\n",
        ]
    )


_DATA: Mapping[str, object] = {"type": "application/json", "id": "data"}


def policy(style: str, script: str) -> str:
    """Return the content security policy of a page with this one style and this one script.

    Example:
        >>> policy("", "").split("; ")[0]
        "default-src 'none'"
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def _head(name: str, style: str, script: str) -> list[Markup]:
    return [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy(style, script)),
        tag("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name_="color-scheme", content="light dark"),
        tag("link", rel="icon", href="data:,"),
        tag("title", escape(f"{name}: a comparison")),
        tag("style", Markup(style)),
    ]


def _header(results: Results, name: str) -> Markup:
    return tag(
        "header",
        tag("button", escape("Theme: system"), type="button", id="theme", hidden=True),
        sections.opening(results, name),
        tag("nav", id="contents", aria_label="Contents"),
    )


def _main(results: Results, summary: Sequence[Row], pairwise: Sequence[Row]) -> Markup:
    return tag(
        "main",
        sections.warnings(results),
        sections.verdicts(results, summary, pairwise),
        sections.failed(results),
        tag("noscript", tag("p", escape(NO_SCRIPT), class_="warning")),
        _figures(),
        sections.overlap(results),
        sections.manifests(shown_runs(results)),
        tag("section", tag("h2", escape("Every number")), id="tables", hidden=True),
        sections.again(results),
    )


def _figures() -> Markup:
    shells = [
        tag("section", tag("h2", escape(heading)), id=key, class_="figure")
        for key, heading in FIGURES
    ]
    return tag("div", tag("div", id="place"), *shells, id="figures", hidden=True)


def _joined(names: Sequence[str]) -> str:
    folder = package_files("bakeoff.comparisons.report.page").joinpath("assets")
    return "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
