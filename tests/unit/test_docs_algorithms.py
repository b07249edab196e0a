"""The pages on algorithms say what the code does: arguments, cores, manifests and commands."""

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.algorithms.elsewhere import elsewhere
from bakeoff.algorithms.options import with_options

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "algorithms"
INDEX = DOCS / "index.md"

HEADINGS = [
    "Equation",
    "Source",
    "What it needs",
    "Defaults",
    "How it differs elsewhere",
    "Metrics",
    "When to use it",
    "Core",
]

every_preset = pytest.mark.parametrize("name", ALGORITHMS)


def page_of(name: str) -> Path:
    return DOCS / f"{name.replace('++', '_pp').replace('-', '_')}.md"


def sections(name: str) -> dict[str, str]:
    """Return the text under each heading of a preset's page."""
    _, *parts = re.split(r"^## (.+)\n", page_of(name).read_text(), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def function_of(name: str) -> Callable[..., Any]:
    module, _, attribute = ALGORITHMS[name].target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table's rows, without its two header lines."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip() for cell in row] for row in cells if set(row[0].strip()) != {"-"}][1:]


def shown(default: object) -> str:
    """Return a default as the pages write it."""
    if callable(default):
        return f"`{default.__name__}`"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


@every_preset
def test_it_has_all_headings_in_order_and_something_under_each(name: str) -> None:
    found = sections(name)

    assert list(found) == HEADINGS
    assert all(text.strip() for text in found.values())
    assert page_of(name).read_text().startswith(f"# {name}\n")


@every_preset
def test_the_defaults_are_those_of_the_function(name: str) -> None:
    parameters = inspect.signature(function_of(name)).parameters

    found = [row[:2] for row in rows(sections(name)["Defaults"])]

    assert found == [[f"`{key}`", shown(p.default)] for key, p in parameters.items()]


@every_preset
def test_the_core_stands_in_the_file_that_it_is_from(name: str) -> None:
    text = sections(name)["Core"]
    (path,) = re.findall(r"\]\(\.\./\.\./(.+?)\)", text)
    (core,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    source = [line.strip() for line in (ROOT / path).read_text().splitlines()]

    assert (ROOT / path).samefile(inspect.getfile(function_of(name)))
    for block in re.split(r"\n\n+", core.strip()):
        lines = [line.strip() for line in block.splitlines()]
        starts = range(len(source) - len(lines) + 1)
        assert any(source[start : start + len(lines)] == lines for start in starts), (
            f"this is not in {path} (any more):\n{textwrap.indent(block, '    ')}"
        )


@every_preset
def test_what_other_libraries_do_is_what_the_manifest_says_of_them(name: str) -> None:
    found = rows(sections(name)["How it differs elsewhere"])

    assert found == [[library, text] for library, text in elsewhere(name).items()]


@every_preset
def test_the_metrics_are_explained_on_their_page(name: str) -> None:
    explained = (ROOT / "docs" / "metrics.md").read_text()

    for metric in re.findall(r"`([a-z_]+(?:/[a-z_]+)?)`", sections(name)["Metrics"]):
        assert f"`{metric}`" in explained, metric


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_the_algorithms_of_its_commands_are_there(page: Path) -> None:
    # a file of one's own is named in the examples, and is not there
    given = re.findall(r"bakeoff compare .*?--algorithms ([^\s`]+)", page.read_text())
    specs = [spec for found in given for spec in found.split(",")]

    for spec in specs:
        if ".py:" not in spec and "." not in spec.partition(":")[0]:
            assert make(spec).semantics
    if page.stem in {page_of(name).stem for name in ALGORITHMS}:
        assert specs


def test_the_table_of_the_index_is_the_manifest_of_each_preset() -> None:
    def cells(name: str) -> list[str]:
        algorithm = make(name)
        says = {key: str(value) for key, value in algorithm.semantics.items()}
        needs = [
            ("gold replies", algorithm.on_gold),
            ("a greedy reply to each item", algorithm.needs_greedy),
            (f"a group of {algorithm.min_group_size}", algorithm.min_group_size > 1),
            ("a critic", algorithm.critic is not None),
        ]
        return [
            f"[`{name}`]({page_of(name).name})",
            says["advantage"],
            says["ratio"].removesuffix(", log-ratio within +-20"),
            says["surrogate"],
            says["aggregation"].removesuffix(", over one optimiser step"),
            ", ".join(text for text, needed in needs if needed) or "nothing",
        ]

    text = INDEX.read_text()

    table = text[text.index("| name |") :].partition("\n\n")[0]
    assert rows(table) == [cells(name) for name in ALGORITHMS]


def test_the_options_of_all_are_those_of_the_function() -> None:
    _, *parameters = inspect.signature(with_options).parameters.values()
    text = INDEX.read_text()

    table = text[text.index("| option |") :].partition("\n\n")[0]
    own = "the algorithm's own"
    assert [row[:2] for row in rows(table)] == [
        [f"`{p.name}`", own if p.default is None else shown(p.default)] for p in parameters
    ]


@pytest.mark.parametrize(
    "heading, modules",
    [
        ("Advantages", ["advantages", "returns"]),
        ("Ratios", ["ratios"]),
        ("Surrogates", ["surrogates"]),
        ("Aggregation", ["aggregation"]),
        ("KL", ["kl"]),
        ("Mismatch", ["mismatch"]),
        ("Filters", ["filters"]),
    ],
)
def test_the_parts_of_the_index_are_in_the_modules(heading: str, modules: list[str]) -> None:
    text = INDEX.read_text().partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
    there = {
        key
        for name in modules
        for key in vars(importlib.import_module(f"bakeoff.algorithms.{name}"))
    }

    named = [name for row in rows(text) for name in re.findall(r"`([a-z_0-9]+)", row[0])]
    assert named and set(named) <= there


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_its_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target
