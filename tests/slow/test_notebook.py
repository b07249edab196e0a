"""The example notebook runs from its first cell to its last, and shows something in every one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "comparison.ipynb"

RUN = """
import ast, json, sys
from pathlib import Path

names = {"__name__": "__main__"}
for cell in json.loads(Path(sys.argv[1]).read_text())["cells"]:
    if cell["cell_type"] != "code":
        continue
    *body, last = ast.parse("".join(cell["source"])).body
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    assert isinstance(last, ast.Expr), "a cell ends in what it shows"
    shown = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    page = shown._repr_html_() if hasattr(shown, "_repr_html_") else None
    print(type(shown).__name__, page is None or "<table" in page)
"""
"""Run each cell and show its last expression, as a notebook does, in a process of its own."""


@pytest.mark.slow
def test_every_cell_of_the_example_runs_and_shows_something(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", RUN, str(NOTEBOOK)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    shown = [line.split() for line in done.stdout.splitlines()]
    kinds = ["Comparison", "DataFrame", "Figure", "DataFrame", "DataFrame"]
    assert shown == [[kind, "True"] for kind in kinds]
    assert (tmp_path / "results" / "notebook" / "report.md").exists()


def test_the_example_holds_no_outputs() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    ran = [cell for cell in cells if cell["cell_type"] == "code"]

    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in ran)
