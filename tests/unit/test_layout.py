"""The repository's shape: who may import whom, and that packaging knows every folder."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ["algorithms", "comparisons", "envs", "rewards"]
BASE = {"types", "errors", "streams", "plugins", "checkup"}
MAY_IMPORT = {  # part -> the bakeoff parts it may name, besides itself
    "rewards": BASE,
    "envs": BASE | {"rewards"},
    "algorithms": BASE,
    "models": BASE,
    "training": BASE | {"algorithms", "models"},
    "comparisons": BASE | {"rewards", "envs", "algorithms", "models", "training"},
}
FORBIDDEN = {  # part -> packages that its modules may not import at all
    "rewards": {"torch", "gymnasium", "transformers"},
    "envs": {"torch", "transformers"},
    "algorithms": {"transformers", "vllm", "ray", "gymnasium"},
}


def folder_of(part: str) -> Path:
    return ROOT / part if part in ROOMS else ROOT / "src" / "bakeoff" / part


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


@pytest.mark.parametrize("part", MAY_IMPORT)
def test_imports_only_point_downwards(part: str) -> None:
    for path in sorted(folder_of(part).rglob("*.py")):
        names = imported(path)
        parts = {name.split(".")[1] for name in names if name.startswith("bakeoff.")}
        extra = parts - {part, "__version__"} - MAY_IMPORT[part]
        assert not extra, f"{path.relative_to(ROOT)} imports bakeoff.{sorted(extra)}"
        roots = {name.split(".")[0] for name in names}
        wrong = roots & (set(ROOMS) | FORBIDDEN.get(part, set()))
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"


def test_packaging_lists_every_folder_with_code() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    rooms = [init for room in ROOMS for init in (ROOT / room).rglob("__init__.py")]
    source = ROOT / "src" / "bakeoff"
    parts = [init for folder in source.iterdir() if not folder.is_symlink() and folder.is_dir()
             for init in folder.rglob("__init__.py")]  # fmt: skip
    found = {"bakeoff." + ".".join(init.parent.relative_to(ROOT).parts) for init in rooms}
    found |= {"bakeoff." + ".".join(init.parent.relative_to(source).parts) for init in parts}

    assert found | {"bakeoff"} == set(setuptools["packages"])
    assert {f"bakeoff.{room}" for room in ROOMS} | {"bakeoff"} == set(setuptools["package-dir"])


@pytest.mark.parametrize("room", ROOMS)
def test_static_checkers_find_every_room(room: str) -> None:
    link = ROOT / "src" / "bakeoff" / room

    assert link.is_symlink()
    assert link.resolve() == ROOT / room


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("bakeoff.comparisons.cli", {"torch", "transformers", "pandas", "gymnasium", "sympy"}),
        (
            "bakeoff.comparisons.commands.doctor",
            {"torch", "transformers", "pandas", "gymnasium", "sympy"},
        ),
        ("bakeoff.comparisons.running.driver", {"torch", "transformers"}),
        ("bakeoff.comparisons.report.report", {"torch", "transformers"}),
        ("bakeoff.algorithms", {"torch"}),
        ("bakeoff.envs", {"torch", "transformers"}),
        ("bakeoff.models", {"torch", "transformers"}),
    ],
)
def test_what_must_start_quickly_imports_nothing_heavy(module: str, forbidden: set[str]) -> None:
    code = f"import sys, {module}; print(*(set(sys.modules) & {forbidden!r}))"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == ""
