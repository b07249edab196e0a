"""A run goes on from a checkpoint with other processes than wrote it, on the same curve."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from ranked_world import Result, Run, alone, ranked

pytest.importorskip("accelerate", reason="processes meet by accelerate: bakeoff[accelerate]")
pytestmark = pytest.mark.slow

LONGER = {"updates": 4, "checkpoint_every": 2}
SHARDS = {**LONGER, "sharding": "full"}


def stopped(name: str, knobs: dict[str, object], folder: Path) -> Run:
    """Run until one update behind the checkpoint of the second."""
    return Run(name, "ppo", knobs, stop=3, checkpoints=str(folder))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of the second update, of one process, of two, and of two with shards."""
    folder = tmp_path_factory.mktemp("saved")
    alone(stopped("one", LONGER, folder / "one"))
    runs = [stopped("two", LONGER, folder / "two"), stopped("shards", SHARDS, folder / "shards")]
    for results in ranked(runs, 2, folder / "runs").values():
        assert [result.error for result in results] == ["", ""]
    return folder


@pytest.fixture(scope="module")
def whole() -> Result:
    """The run without a stop, of one process."""
    return alone(Run("whole", "ppo", LONGER))


def resumed(saved: Path, name: str, knobs: dict[str, object], folder: Path) -> Run:
    copied = shutil.copytree(saved / name, folder / name)
    return Run(f"from {name}", "ppo", knobs, checkpoints=str(copied))


def check_goes_on(found: Result, whole: Result) -> None:
    assert found.error == ""
    assert list(found.metrics) == ["3", "4"]
    for update, metrics in found.metrics.items():
        assert metrics == pytest.approx(whole.metrics[update], rel=1e-5, abs=1e-5)
    last = {name: t for name, t in whole.tensors.items() if not name.startswith("advantages")}
    gaps = [float((t - found.tensors[name]).abs().max()) for name, t in last.items()]

    assert max(gaps) < 1e-5


@pytest.mark.parametrize("name", ["two", "shards"])
def test_one_process_goes_on_from_two(
    name: str, saved: Path, whole: Result, tmp_path: Path
) -> None:
    check_goes_on(alone(resumed(saved, name, LONGER, tmp_path)), whole)


def test_two_processes_go_on_from_one_and_from_shards(
    saved: Path, whole: Result, tmp_path: Path
) -> None:
    shards = resumed(saved, "one", SHARDS, tmp_path / "into shards")
    runs = [
        resumed(saved, "one", LONGER, tmp_path),
        resumed(saved, "shards", LONGER, tmp_path),
        Run("shards from one", "ppo", SHARDS, checkpoints=shards.checkpoints),
    ]

    for results in ranked(runs, 2, tmp_path / "runs").values():
        for found in results:
            check_goes_on(found, whole)


def test_three_processes_go_on_from_the_shards_of_two(
    saved: Path, whole: Result, tmp_path: Path
) -> None:
    runs = [resumed(saved, "shards", SHARDS, tmp_path)]

    for results in ranked(runs, 3, tmp_path / "runs").values():
        for found in results:
            check_goes_on(found, whole)


def test_torn_shards_are_an_error_of_the_run(saved: Path, tmp_path: Path) -> None:
    run = resumed(saved, "shards", LONGER, tmp_path)
    torn = sorted(Path(run.checkpoints).rglob("policy/*.safetensors"))[-1]
    torn.write_bytes(torn.read_bytes()[:-8])

    assert "incomplete" in alone(run).error


def test_ranks_that_see_different_checkpoints_do_not_go_on(saved: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    runs = [
        replace(resumed(saved, name, knobs, tmp_path), elsewhere=str(elsewhere))
        for name, knobs in (("two", LONGER), ("shards", SHARDS))
    ]

    for name, results in ranked(runs, 2, tmp_path / "runs").items():
        place = tmp_path / name.removeprefix("from ")
        said = f"different checkpoints in {place} (rank 0 one of 2 updates, rank 1 none): give them"
        assert [said in result.error for result in results] == [True, True]


def test_ranks_that_read_different_checkpoints_do_not_go_on(saved: Path, tmp_path: Path) -> None:
    # both are of the second update; what one process adds up, two add up in another order
    run = replace(resumed(saved, "two", LONGER, tmp_path), elsewhere=str(saved / "one"))

    for result in ranked([run], 2, tmp_path / "runs")["from two"]:
        assert result.error.startswith("UsageError: rank 1 has another checkpoint of the ")


def test_shards_are_written_without_pickles(saved: Path) -> None:
    files = [path for path in (saved / "shards").rglob("*") if path.is_file()]

    assert {path.suffix for path in files} == {".safetensors", ".json"}
