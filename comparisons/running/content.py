"""What decides the outcome of a run beside its seed: settings, code, versions, files of the user.

It stands in each cell's ``spec.json`` as ``content``, part by part, so that it can be said what
has changed; ``content_sha256`` is the hash of all of it with the settings, and ``code_sha256`` of
what all runs of a comparison should share.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import platform
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import bakeoff
from bakeoff.comparisons.running.grid import CellSpec, sha256
from bakeoff.comparisons.running.host import version
from bakeoff.models import local_folder
from bakeoff.plugins import entry_point_targets, parse_spec

ROOMS = ("algorithms", "comparisons.cell", "envs", "models", "rewards", "training")
"""The packages of bakeoff that decide what a run does; reports and commands do not."""

PACKAGES = (
    *("torch", "transformers", "tokenizers", "numpy", "sympy", "gymnasium", "datasets"),
    *("peft", "bitsandbytes", "vllm", "reasoning-gym"),
)
"""Dependencies that a run may compute with; those that are not installed are left out."""

HEAD_BYTES = 2**20
"""Of a longer file the length and these first bytes are hashed: data and weights may be large."""

CHECKPOINT = "checkpoint"
"""The part that stands for the other code that the first updates of a resumed run were made by."""


def with_content(grid: Iterable[CellSpec]) -> list[CellSpec]:
    """Return cells with what their outcome depends on now, each file read once."""
    file_of = functools.cache(_of_target)
    tree = functools.cache(tree_sha256)
    code = code_content()
    found = []
    for cell in grid:
        parts = dict(code)
        for kind, name in (("algorithm", cell.algorithm), ("environment", cell.environment)):
            spec = parse_spec(name)
            places = [Path(v) for v in spec.arguments.values() if isinstance(v, str) and "/" in v]
            hashes = [file_of(spec.target, kind), *(tree(p) for p in places if p.exists())]
            if hashes := [text for text in hashes if text]:
                parts[kind] = "-".join(hashes)
        if (folder := local_folder(cell.model)) is not None:
            parts["model"] = tree(folder)
        if cell.accelerate_config is not None:
            parts["accelerate_config"] = tree(Path(cell.accelerate_config))
        found.append(_hashed(cell, parts))
    return found


def resumed(cell: CellSpec, before: Mapping[str, object]) -> CellSpec:
    """Return a cell that goes on from the checkpoint of an earlier attempt.

    If that one was made with other code the run is of both, and its content says so.

    Args:
        cell: with the content that it has now.
        before: the ``spec.json`` of the earlier attempt.
    """
    earlier = before.get("content_sha256")
    if not earlier or earlier == cell.content_sha256:
        return cell
    return _hashed(cell, {**cell.content, CHECKPOINT: str(earlier)})


def changes(
    then: Mapping[str, str], now: Mapping[str, str], when: tuple[str, str] = ("then", "now")
) -> list[str]:
    """Return what differs between two contents, in words; nothing if one of them is unknown.

    Args:
        then: one of them.
        now: the other one.
        when: what each of them is called.

    Example:
        >>> changes({"bakeoff": "1f", "torch": "2.12.0"}, {"bakeoff": "2e", "torch": "2.13.0"})
        ["bakeoff's source", 'torch 2.12.0 then and 2.13.0 now']
    """
    words = {
        "bakeoff": "bakeoff's source",
        "algorithm": "the algorithm's file",
        "environment": "the environment's files",
        "model": "the model's files",
        "accelerate_config": "the accelerate configuration",
    }
    if not then or not now:
        return []
    return [
        words.get(key)
        or f"{key} {then.get(key, 'absent')} {when[0]} and {now.get(key, 'absent')} {when[1]}"
        for key in {**then, **now}
        if key != CHECKPOINT and then.get(key) != now.get(key)
    ]


@functools.cache
def code_content() -> Mapping[str, str]:
    """Return the hash of bakeoff's source, and the versions of what it computes with."""
    versions = {name: version(name) for name in PACKAGES}
    return {
        "bakeoff": _source_sha256(),
        "python": platform.python_version(),
        **{name: found for name, found in versions.items() if found is not None},
    }


def tree_sha256(place: Path) -> str:
    """Return the hash of a file, or of all files in a folder with their names; empty if missing.

    Hidden files and compiled ones do not count. It has 16 hexadecimal digits.
    """
    if not place.exists():
        return ""
    digest = hashlib.sha256()
    for path in sorted(_files(place)):
        name = path.relative_to(place).as_posix()
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        digest.update(f"{name}\0{path.stat().st_size}\0".encode() + head)
    return digest.hexdigest()[:16]


def _hashed(cell: CellSpec, parts: Mapping[str, str]) -> CellSpec:
    settings = [cell.algorithm, cell.environment, cell.model, dict(cell.config)]
    return dataclasses.replace(
        cell,
        content=parts,
        content_sha256=sha256([*settings, parts]),
        code_sha256=sha256(code_content()),
    )


def _source_sha256() -> str:
    """Return the hash of the modules at bakeoff's top and of the packages in ``ROOMS``."""
    (top,) = bakeoff.__path__
    places = sorted(Path(top).glob("*.py"))
    for room in ROOMS:
        spec = importlib.util.find_spec(f"bakeoff.{room}")
        if spec is not None:
            places += [Path(place) for place in spec.submodule_search_locations or ()]
    return sha256([tree_sha256(place) for place in places])[:16]


def _files(place: Path) -> Iterator[Path]:
    if place.is_file():
        yield place
        return
    for path in place.rglob("*"):
        parts = path.relative_to(place).parts
        hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
        if path.is_file() and not hidden:
            yield path


def _of_target(target: str, kind: str) -> str:
    """Return the hash of the file that a target of the user's own stands in; empty if none."""
    from bakeoff import algorithms, envs

    group = (algorithms if kind == "algorithm" else envs).ENTRY_POINTS
    place = entry_point_targets(group).get(target, target).partition(":")[0]
    if place.endswith(".py"):
        return tree_sha256(Path(place))
    if ":" not in target and place == target:
        return ""  # one that ships
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError):
        return ""
    return tree_sha256(Path(spec.origin)) if spec is not None and spec.origin else ""
