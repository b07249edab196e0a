"""Trackers: shown what the files hold, never in a run's way. Those not installed are skipped."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bakeoff.comparisons.cell.trackers.registry import TRACKERS, require_trackers
from bakeoff.comparisons.cell.trackers.tracking import Tracking, values_of
from bakeoff.comparisons.cli import main
from bakeoff.comparisons.running.grid import cells, plan
from bakeoff.comparisons.schema import CURVES_COLUMNS
from bakeoff.errors import UsageError

SPEC = {
    "run_id": "sums/one",
    "cell_id": "one",
    "experiment": "sums",
    "algorithm": "grpo",
    "environment": "bakeoff/Arithmetic-v0",
    "model": "tiny",
    "seed": 3,
    "config": {"updates": 2},
}


def rows(update: int) -> list[dict[str, Any]]:
    """Return two rows of ``curves.csv``: a reward that is the update's number, and a loss."""
    shared = {**dict.fromkeys(CURVES_COLUMNS), "update": update, "completion_tokens": 10 * update}
    return [
        {**shared, "split": "train", "metric": "reward/mean", "value": float(update)},
        {**shared, "split": "train", "metric": "policy_loss", "value": float("nan")},
    ]


def show(name: str, folder: Path, *, first: int = 0, last: int = 2) -> None:
    tracking = Tracking([name], folder, SPEC, first)
    for update in range(first, last + 1):
        tracking.show(rows(update))
    tracking.close(ok=True)
    assert list(tracking.trackers) == [name]


class Broken:
    """A tracker that fails when it is first shown something."""

    def show(self, values: Mapping[str, float], update: int) -> None:
        raise ConnectionError("no such host")

    def close(self, *, ok: bool) -> None:
        raise AssertionError("it was dropped before")


class Kept:
    """A tracker that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[int, Mapping[str, float]]] = []

    def show(self, values: Mapping[str, float], update: int) -> None:
        self.shown.append((update, values))

    def close(self, *, ok: bool) -> None:
        self.shown.append((-1, {"ok": ok}))


def test_metrics_and_axes_have_the_names_of_the_table() -> None:
    found = values_of(rows(4))

    assert found["train/reward/mean"] == 4.0
    assert found["axes/completion_tokens"] == 40
    # what a row does not have, such as the FLOPs here, is shown as nothing and not as 0
    assert set(found) == {"train/reward/mean", "train/policy_loss", "axes/completion_tokens"}


def test_a_tracker_that_cannot_be_opened_is_dropped_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracking = Tracking(["nowhere"], tmp_path, SPEC, 0)
    tracking.show(rows(0))
    tracking.close(ok=True)

    (line,) = capsys.readouterr().err.splitlines()
    assert "the tracker nowhere is dropped: ModuleNotFoundError" in line


def test_a_tracker_that_fails_is_dropped_with_one_line_and_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tracking, kept = Tracking([], tmp_path, SPEC, 0), Kept()
    tracking.trackers = {"broken": Broken(), "kept": kept}

    for update in (0, 1):
        tracking.show(rows(update))
    tracking.close(ok=False)

    (line,) = capsys.readouterr().err.splitlines()
    assert line == "bakeoff: the tracker broken is dropped: ConnectionError: no such host"
    assert [update for update, _ in kept.shown] == [0, 1, -1]


@pytest.mark.parametrize("name", TRACKERS)
def test_a_tracker_that_is_not_installed_is_refused_with_its_extra(name: str) -> None:
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed here")

    with pytest.raises(UsageError, match=rf"pip install 'bakeoff\[{name}\]'"):
        require_trackers([name])


def test_an_unknown_tracker_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["compare", "--tracker", "tensorbord"]) == 2

    assert "did you mean 'tensorboard'?" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_trackers_are_no_part_of_a_cell_s_identity() -> None:
    with_them, without = (cells(plan(trackers=names)) for names in (["tensorboard", "wandb"], []))

    assert [cell.cell_id for cell in with_them] == [cell.cell_id for cell in without]
    assert {cell.trackers for cell in with_them} == {("tensorboard", "wandb")}


def test_tensorboard_holds_the_metrics_by_update(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs bakeoff[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    show("tensorboard", tmp_path)

    held = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in held.Scalars("train/reward/mean")] == [
        (0, 0.0),
        (1, 1.0),
        (2, 2.0),
    ]
    assert [e.value for e in held.Scalars("axes/completion_tokens")] == [0.0, 10.0, 20.0]


def test_tensorboard_forgets_what_a_lost_attempt_showed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs bakeoff[tensorboard]")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    show("tensorboard", tmp_path, last=2)
    show("tensorboard", tmp_path, first=1, last=3)  # from a checkpoint of update 0

    held = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in held.Scalars("train/reward/mean")] == [0, 1, 2, 3]


def test_wandb_writes_into_the_cell_s_folder_and_asks_for_no_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs bakeoff[wandb]")
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)

    show("wandb", tmp_path)

    (written,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    data = written.read_bytes()
    for text in (b"train/reward/mean", b"axes/completion_tokens", b"grpo bakeoff/Arithmetic-v0"):
        assert text in data


def test_trackio_holds_the_metrics_by_update(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "home"))  # which it reads when imported
    pytest.importorskip("trackio", reason="needs bakeoff[trackio]")

    show("trackio", tmp_path)

    found = sqlite3.connect(tmp_path / "home" / "sums.db").execute(
        "select step, metrics from metrics order by step"
    )
    assert [(step, json.loads(text)["train/reward/mean"]) for step, text in found] == [
        (0, 0.0),
        (1, 1.0),
        (2, 2.0),
    ]
