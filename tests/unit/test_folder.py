"""A results folder and who holds it: what is made for what is refused, and the lock that counts."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from bakeoff.comparisons.running.folder import LOCK, locked
from bakeoff.errors import UsageError


def test_what_is_refused_once_the_folder_is_held_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no cluster"), locked(tmp_path / "below" / "grid"):
        raise UsageError("no cluster")

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_or_holds_something_stays(tmp_path: Path) -> None:
    before, used = tmp_path / "before", tmp_path / "used"
    before.mkdir()
    with locked(before), locked(used):
        (used / "experiment.json").touch()

    assert before.is_dir()
    assert sorted(path.name for path in used.iterdir()) == [LOCK, "experiment.json"]


def test_a_lock_that_goes_before_it_is_held_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, hold = tmp_path / "out", fcntl.flock
    tries = []

    def late(lock: int, how: int) -> None:
        if not tries:
            shutil.rmtree(out)  # as another driver does that made it, and was refused
        tries.append(lock)
        hold(lock, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with locked(out) as lock:
        # else a third driver would hold another file of that name beside this one
        assert os.fstat(lock).st_ino == (out / LOCK).stat().st_ino
    assert len(tries) == 2
