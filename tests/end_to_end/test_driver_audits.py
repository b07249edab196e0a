"""Audits beside the timed cells: made once, after them, and harmless."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakeoff.comparisons.running.audits import audits, run_missing
from bakeoff.comparisons.running.driver import run
from bakeoff.comparisons.running.grid import cells, plan
from bakeoff.comparisons.running.launchers.local import Local
from bakeoff.comparisons.running.progress import Screen
from bakeoff.comparisons.running.work import Site

FAKE = [sys.executable, str(Path(__file__).with_name("fake_cell.py"))]

FAILING = [sys.executable, "-c", "import sys; sys.exit('no luck')"]


class Listener(Screen):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def go(
    out: Path, ended: dict[str, str], command: Sequence[str] = FAKE
) -> tuple[dict[str, str], list[str]]:
    """Make the audits of algorithms whose cell ended so; return how they ended, what was said."""
    made = plan(algorithms=list(ended), seeds=1, out=out)
    for cell in cells(made):
        place = out / "cells" / cell.cell_id
        place.mkdir(parents=True, exist_ok=True)
        (place / "status.json").write_text(json.dumps({"status": ended[cell.algorithm]}))
    screen = Listener()
    with (out / ".lock").open("w") as lock:
        site = Site(out, command, Local(1, lock.fileno()), None, lambda: False)
        run_missing(made, site, screen)
    return statuses(out), screen.said


def statuses(out: Path) -> dict[str, str]:
    found = {}
    for spec in out.glob("audits/*/spec.json"):
        name = json.loads(spec.read_text())["algorithm"]
        found[name] = json.loads(spec.with_name("status.json").read_text())["status"]
    return found


def test_there_is_an_audit_for_each_algorithm_and_it_is_made_once(tmp_path: Path) -> None:
    go(tmp_path, {"grpo": "ok"})
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("audits/*/status.json")}
    ended, said = go(tmp_path, {"grpo": "ok", "ppo": "ok"})

    assert ended == {"grpo": "ok", "ppo": "ok"}
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert said[0].startswith("1 audit ")


def test_an_audit_that_fails_is_told_of_with_its_last_words(tmp_path: Path) -> None:
    ended, said = go(tmp_path, {"grpo": "ok"}, FAILING)

    assert ended == {"grpo": "error"}
    assert "audit of grpo, bakeoff/Arithmetic-v0, tiny: error" in said[-1]
    assert "no luck" in said[-1]


def test_what_never_ended_well_is_not_audited(tmp_path: Path) -> None:
    assert go(tmp_path, {"grpo": "diverged", "ppo": "oom"}) == ({}, [])


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(("audit", "expected"), [(True, {"grpo": "ok"}), (False, {})])
def test_the_driver_makes_them_unless_it_is_told_not_to(
    tmp_path: Path, audit: bool, expected: dict[str, str]
) -> None:
    run(
        plan(algorithms=["grpo"], seeds=1, out=tmp_path / "out", audit=audit),
        quiet=True,
        command=FAKE,
    )

    assert statuses(tmp_path / "out") == expected


def test_an_audit_has_the_settings_of_its_algorithm_but_is_short(tmp_path: Path) -> None:
    own = {"ppo": {"group_size": 4}}
    made = plan(
        algorithms=["grpo", "ppo"], seeds=[3], out=tmp_path, own=own, updates=50, sample_batch=32
    )
    grpo, ppo = audits(made)

    assert (grpo.config["group_size"], ppo.config["group_size"]) == (8, 4)
    assert grpo.config["updates"] == ppo.config["updates"] == 2
    assert grpo.config["eval_items"] == 32  # of 128: as many as are sampled at a time
    assert grpo.seed == 0
