"""Cells on other machines: what stands in their folders on the way, and what watches them there."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from bakeoff.comparisons.running.driver import run
from bakeoff.comparisons.running.folder import write_json
from bakeoff.comparisons.running.grid import CellSpec, cells, plan
from bakeoff.comparisons.running.launchers import parcels
from bakeoff.comparisons.running.launchers.placed import PYTHON, arguments
from bakeoff.comparisons.running.launchers.ray_cluster import Node, fits, needs, shipped
from bakeoff.errors import UsageError


def cell(**knobs: object) -> CellSpec:
    return cells(plan(algorithms=["grpo"], seeds=1, **knobs))[0]


def at_work(folder: Path, update: int) -> Path:
    """Write what a cell has after an update of which it made a checkpoint."""
    new = folder / "checkpoint.new"
    new.mkdir(parents=True)
    (new / "position.json").write_text(str(update))
    (folder / "curves.csv").write_text("".join(f"{done}\n" for done in range(update + 1)))
    if (folder / "checkpoint").exists():
        (folder / "checkpoint").rename(folder / "checkpoint.old")
    new.rename(folder / "checkpoint")
    return folder


def test_a_copy_holds_its_checkpoint_when_the_cell_has_made_another(tmp_path: Path) -> None:
    folder = at_work(tmp_path / "cell", 1)
    names = parcels.snapshot(folder, tmp_path / "parcel")
    at_work(folder, 2)

    assert names == ["checkpoint/position.json", "curves.csv"]
    assert (tmp_path / "parcel/checkpoint/position.json").read_text() == "1"
    assert (tmp_path / "parcel/curves.csv").read_text() == "0\n1\n"


def test_what_is_half_written_stays_where_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    (folder / "checkpoint.new").mkdir(parents=True)
    (folder / "checkpoint.new/position.json").touch()
    (folder / ".status.json.part").touch()
    (folder / "log.txt").touch()

    assert parcels.names(folder) == ["log.txt"]
    assert parcels.snapshot(folder, tmp_path / "parcel") == ["log.txt"]


def test_what_arrives_takes_the_place_of_what_was_there(tmp_path: Path) -> None:
    home, parcel = at_work(tmp_path / "home", 1), at_work(tmp_path / "parcel", 3)
    (home / "log.txt").write_text("from the first attempt")
    parcels.put_down(parcel, home)

    assert (home / "checkpoint/position.json").read_text() == "3"
    assert (home / "curves.csv").read_text() == "0\n1\n2\n3\n"
    assert sorted(path.name for path in home.iterdir()) == ["checkpoint", "curves.csv", "log.txt"]
    assert not parcel.exists()


def test_at_the_end_files_that_the_cell_no_longer_has_go(tmp_path: Path) -> None:
    home, parcel = tmp_path / "home", tmp_path / "parcel"
    for folder, names in ((home, ("evals.csv", "log.txt")), (parcel, ("log.txt", "status.json"))):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    parcels.put_down(parcel, home, whole=True)

    assert sorted(path.name for path in home.iterdir()) == ["log.txt", "status.json"]


@pytest.mark.parametrize("length", [0, 3, 4, 9])
def test_a_file_in_pieces_is_the_file_even_if_a_piece_comes_twice(
    length: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcels, "PIECE_BYTES", 4)
    source, target = tmp_path / "source", tmp_path / "below" / "target"
    source.write_bytes(bytes(range(length)))
    pieces = list(parcels.pieces(source))
    for at, piece in [*pieces, pieces[-1]]:
        parcels.put_piece(target, at, piece)

    assert target.read_bytes() == source.read_bytes()
    assert len(pieces) == max(1, -(-length // 4))


def test_a_cell_takes_threads_for_each_process_and_its_limit_of_memory() -> None:
    node = Node("1f", "10.0.0.5", {"CPU": 16.0, "GPU": 2.0, "memory": 2.0**30})
    wanted = needs(cell(threads=3, memory_limit=2**29), node, 1)

    assert wanted == {"CPU": 3, "GPU": 1, "memory": 2**29}  # device auto: a GPU where there is one
    assert fits(wanted, node)
    assert not fits(needs(cell(memory_limit=2**31), node, 1), node)


def test_one_that_must_have_a_gpu_fits_no_node_without() -> None:
    assert not fits(needs(cell(device="cuda"), Node("1f", "here", {"CPU": 4.0}), 1),
                    Node("1f", "here", {"CPU": 4.0}))  # fmt: skip


def test_files_below_this_folder_are_shipped_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "mine").mkdir(parents=True)
    (tmp_path / "mine.py").write_text("above")
    (tmp_path / "here/mine/envs.py").write_text("below")
    monkeypatch.chdir(tmp_path / "here")
    grid = cells(plan(environments=["../mine.py:me/A-v0", "mine/envs.py:me/B-v0"], seeds=1))

    assert shipped(grid) == {"mine/envs.py": b"below"}


def run_placed(folder: Path, script: str, *, tied: bool, **changed: object) -> subprocess.Popen:
    folder.mkdir(parents=True)
    spec = dataclasses.replace(cell(threads=3), **changed)
    write_json(folder / "spec.json", dataclasses.asdict(spec))
    command = arguments(folder, [PYTHON, "-c", script], None, tied=tied)
    environment = {**os.environ, "OMP_NUM_THREADS": "7"}
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    if tied:
        assert process.wait() == 0  # it goes on without its parent
    return process


def over(process: subprocess.Popen) -> None:
    """Wait until nobody holds the other end of the pipe any more."""
    assert process.stdout is not None and process.stdin is not None
    assert process.stdout.read() == b""
    process.stdout.close()
    process.stdin.close()
    process.wait()


def test_a_cell_elsewhere_has_the_threads_that_were_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    script = "import os, sys; print(os.environ['OMP_NUM_THREADS'], sys.argv[1]); sys.exit(5)"
    over(run_placed(folder, script, tied=False))

    assert (folder / "log.txt").read_text().split() == ["3", str(folder)]
    status = json.loads((folder / "status.json").read_text())
    assert (status["status"], status["exit_code"]) == ("error", 5)


WAITS = "import time; print('here', flush=True); time.sleep(60)"


def test_a_word_on_the_line_interrupts_the_cell(tmp_path: Path) -> None:
    folder = tmp_path / "held" / "cell"
    process = run_placed(folder, WAITS, tied=True)
    assert process.stdin is not None
    process.stdin.write(b".")
    process.stdin.flush()
    assert process.stdout is not None and process.stdout.read() == b""

    status = json.loads((folder / "status.json").read_text())
    assert status["status"] == "interrupted"
    over(process)


def test_when_the_line_is_cut_the_cell_ends_and_nothing_stays(tmp_path: Path) -> None:
    folder = tmp_path / "held" / "cell"
    process = run_placed(folder, WAITS, tied=True)
    assert process.stdin is not None
    process.stdin.close()
    over(process)

    deadline = time.monotonic() + 20
    while list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert list(tmp_path.iterdir()) == []


def test_ray_that_is_not_installed_is_named_with_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "ray" else find(name)
    )

    with pytest.raises(UsageError, match=r"needs ray: pip install 'bakeoff\[ray\]'"):
        run(plan(out=tmp_path / "out", launcher="ray"))
    assert not (tmp_path / "out").exists()


def test_an_address_of_ray_without_its_launcher_is_refused() -> None:
    with pytest.raises(UsageError, match="ray_address is for launcher ray, not local"):
        plan(ray_address="10.0.0.5:6379")
