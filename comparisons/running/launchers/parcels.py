"""A cell's folder on its way between two machines: what is in it, a copy that holds, what arrives.

Whatever is read while a cell writes must make a folder that a next attempt can go on from: tables
with at least the rows of the checkpoint beside them. So the checkpoint is taken before the tables,
and put down after them; the status, whose presence means the end, is put down last of all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

PIECE_BYTES = 8 * 2**20
LIGHT = ("progress.json", "log.txt")
"""What is asked for often while a cell is at work."""

LAST = ("checkpoint", "status.json")


def names(folder: Path) -> list[str]:
    """Return the files in a folder by their place in it; what is half written is left out."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    whole = (place for place in found if not _unfinished(place))
    return sorted(place.as_posix() for place in whole)


def pieces(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield a file piece by piece, each with its place; an empty file is one empty piece."""
    at = 0
    while (piece := piece_of(path, at)) or not at:
        yield at, piece
        if not piece:
            return
        at += len(piece)


def piece_of(path: Path, at: int) -> bytes:
    """Return the piece of a file that begins at a place; empty at its end."""
    with path.open("rb") as file:
        file.seek(at)
        return file.read(PIECE_BYTES)


def put_piece(path: Path, at: int, piece: bytes) -> None:
    """Write a piece of a file at its place; what stood there and behind it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("r+b" if path.exists() else "wb") as file:
        file.truncate(at)
        file.seek(at)
        file.write(piece)


def snapshot(folder: Path, to: Path, only: Sequence[str] | None = None) -> list[str]:
    """Copy what is in a cell's folder now and return the names.

    Files of folders in it (checkpoint, model) are complete once they are there, and are linked.

    Args:
        folder: the cell's, at which the cell may be at work.
        to: where the copy is made, on the same disk; what is there goes.
        only: the names that are wanted; by default all.
    """
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    if only is None:
        for place in sorted(folder.iterdir()):
            if place.is_dir() and not _unfinished(Path(place.name)):
                _link(place, to / place.name)
    for path in sorted(folder.iterdir()):
        wanted = only is None or path.name in only
        if wanted and path.is_file() and not _unfinished(Path(path.name)):
            shutil.copy2(path, to / path.name)
    return names(to)


def put_down(parcel: Path, folder: Path, *, whole: bool = False) -> None:
    """Move what has arrived to its place, each file or folder in one step.

    Args:
        parcel: what arrived, on the disk of the folder; it is gone afterwards.
        folder: the cell's.
        whole: whether it is all there is: files that did not arrive are deleted.
    """

    def late(path: Path) -> tuple[int, str]:
        return (LAST.index(path.name) + 1 if path.name in LAST else 0, path.name)

    arrived = sorted(parcel.iterdir(), key=late)
    if whole:
        names_now = {path.name for path in arrived}
        for path in folder.iterdir():
            if path.is_file() and path.name[0] != "." and path.name not in names_now:
                path.unlink()
    for path in arrived:
        if path.is_dir():
            _replace(path, folder / path.name)
        else:
            os.replace(path, folder / path.name)
    shutil.rmtree(parcel)


def _replace(path: Path, target: Path) -> None:
    """Put a folder in the place of another; a kill at any moment leaves one of the two."""
    old = target.with_name(f"{target.name}.old")
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.rename(target, old)
    os.rename(path, target)
    shutil.rmtree(old, ignore_errors=True)


def _link(place: Path, to: Path) -> None:
    """Link a folder's files elsewhere, all of one version of it: it may be replaced meanwhile."""
    for _ in range(10):
        try:
            before = place.stat().st_ino
            shutil.copytree(place, to, copy_function=os.link)
            if place.stat().st_ino == before:
                return
        except (FileNotFoundError, shutil.Error):
            pass
        shutil.rmtree(to, ignore_errors=True)


def _unfinished(place: Path) -> bool:
    top = place.parts[0]
    return top.startswith(".") or top.endswith((".new", ".old"))
