"""Cells at work: alone or side by side, within the machine, and on a disk that is full."""

from __future__ import annotations

import errno
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.running import neighbours
from bakeoff.comparisons.running.folder import place, read_json
from bakeoff.comparisons.running.grid import CellSpec, Experiment, cells, plan
from bakeoff.comparisons.running.launchers.local import Local
from bakeoff.comparisons.running.progress import CellRow, Screen
from bakeoff.comparisons.running.room import DISK_FULL, unwritable, writing
from bakeoff.comparisons.running.share import available_bytes, check_share, cores, threads
from bakeoff.comparisons.running.work import NOWHERE, Site, run_all
from bakeoff.errors import UsageError

TOGETHER = """
import json, os, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
seed = json.loads((folder / "spec.json").read_text())["seed"]
here = folder.parent.parent / "here"
here.mkdir(exist_ok=True)
(here / str(seed)).touch()
deadline = time.monotonic() + 20
while {wait} and not (here / str(seed ^ 1)).exists() and time.monotonic() < deadline:
    time.sleep(0.01)
beside = len(list(here.iterdir()))
print(beside, os.environ.get("OMP_NUM_THREADS"), flush=True)
if not {wait}:
    (here / str(seed)).unlink()
(folder / "status.json").write_text('{{"status": "ok", "exit_code": 0}}')
"""

ENDS = "import sys; open(sys.argv[1] + '/status.json', 'w').write('{\"status\": \"ok\"}')"

WRITES = """
import os, sys
from pathlib import Path
from bakeoff.comparisons.running.room import DISK_FULL, unwritable
try:
    with open({target}, "w") as file:
        file.write("x" * 100)
except OSError as error:
    sys.exit(DISK_FULL if unwritable(error) else 1)
"""


class Noted(Screen):
    """A screen that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


class Elsewhere(Local):
    """As if its machine were gone the first few times that it is asked for it."""

    gone = 3

    def takes(self, cell: CellSpec, at_work: Sequence[CellSpec]) -> bool:
        self.gone -= 1
        return self.gone < 0 and super().takes(cell, at_work)


def go(
    out: Path, script: str, seeds: int, others: Sequence[str] = (), launcher: Local | None = None
) -> tuple[list[CellSpec], Noted]:
    """Run cells that are a script; return them, and what was said."""
    grid = cells(plan(algorithms=["grpo"], seeds=seeds, out=out))
    launcher = launcher or Local(1, None)
    site = Site(out, [sys.executable, "-c", script], launcher, None, lambda: False)
    screen = Noted()
    run_all(site, [CellRow(cell) for cell in grid], screen, lambda: others)
    return grid, screen


def logs(out: Path, grid: Sequence[CellSpec]) -> list[list[str]]:
    return [(place(out, cell) / "log.txt").read_text().split() for cell in grid]


def test_one_at_a_time_a_cell_has_the_machine_to_itself(tmp_path: Path) -> None:
    grid, _ = go(tmp_path, TOGETHER.format(wait=False), seeds=3)

    assert [log[0] for log in logs(tmp_path, grid)] == ["1", "1", "1"]


def test_two_at_a_time_are_there_together_with_their_share_of_the_cores(tmp_path: Path) -> None:
    grid, _ = go(tmp_path, TOGETHER.format(wait=True), seeds=2, launcher=Local(2, None))

    # each waits for the other to be there
    assert logs(tmp_path, grid) == [["2", str(threads(0, 2))]] * 2
    specs = [read_json(place(tmp_path, cell) / "spec.json") or {} for cell in grid]
    assert [spec["parallel"] for spec in specs] == [2, 2]


def test_more_at_a_time_than_there_are_cores_are_refused() -> None:
    many = plan(algorithms=["grpo"], max_parallel=cores() + 1)

    with pytest.raises(UsageError, match=f"there are {cores()}; take at most {cores()}"):
        check_share(many)


def test_limits_of_memory_that_do_not_fit_beside_each_other_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bakeoff.comparisons.running.share.cores", lambda: 8)

    def asked(limit: int, parallel: int) -> Experiment:
        return plan(algorithms=["grpo"], memory_limit=limit, max_parallel=parallel)

    free = available_bytes()
    assert free is not None
    check_share(asked(free // 4, 2))
    check_share(asked(free * 2, 1))  # alone it is its own affair
    with pytest.raises(UsageError, match="are free; take at most 1"):
        check_share(asked(free * 3 // 4, 2))


def test_a_containers_limit_counts_where_it_leaves_less_than_the_machine(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable: 5000 kB\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 5000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    (tmp_path / "memory.current").write_text("1000000\n")

    # 3 MB less the 1 MB in use are fewer than 5 MB
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 2_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes(tmp_path / "meminfo", tmp_path) == 5000 * 1024


def test_a_cell_that_finds_the_disk_full_ends_the_grid_and_stays_due(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"cannot write into .* the same command goes on") as error:
        go(tmp_path, WRITES.format(target="'/dev/full'"), seeds=2)

    assert "\n" not in str(error.value)
    first, second = cells(plan(algorithms=["grpo"], seeds=2, out=tmp_path))
    status = read_json(place(tmp_path, first) / "status.json") or {}
    assert (status["status"], status["exit_code"]) == ("interrupted", DISK_FULL)
    assert not place(tmp_path, second).exists()


def test_a_file_that_may_not_grow_is_a_full_disk_too(tmp_path: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (50, 50))\n"

    with pytest.raises(OSError, match="could not write into its folder"):
        go(tmp_path, limited + WRITES.format(target="sys.argv[1] + '/curves.csv'"), seeds=1)


def test_errors_of_libraries_that_wrap_a_full_disk_are_known() -> None:
    safetensors = RuntimeError("Error while serializing: I/O error: ... (os error 28)")

    assert unwritable(safetensors)
    assert unwritable(OSError(errno.EROFS, "Read-only file system"))
    assert not unwritable(RuntimeError("no such thing"))
    assert not unwritable(PermissionError(errno.EACCES, "somebody else's file"))


def test_an_error_that_is_not_of_the_disk_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), writing(tmp_path):
        (tmp_path / "nothing").read_text()


def test_a_driver_on_a_full_disk_says_so_in_one_line_and_leaves_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        code = main(["compare", "--algorithms", "grpo", "--seeds", "1", "--out", str(out)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"bakeoff: error: cannot write into {out} (File too large); what had")
    assert not out.exists()


def test_another_driver_of_this_user_is_seen_while_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "cache"))
    code = (
        "from pathlib import Path; import sys\n"
        "from bakeoff.comparisons.running.neighbours import seen\n"
        "with seen(Path('/somewhere')):\n"
        "    print(flush=True)\n"
        "    sys.stdin.read()\n"
    )
    pipe = subprocess.PIPE
    with (
        subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as other,
        neighbours.seen(tmp_path) as others,
    ):
        assert other.stdout is not None
        other.stdout.readline()
        assert others() == [f"process {other.pid} in /somewhere"]
        other.kill()  # it leaves its file behind
        other.wait()
        assert others() == []


def test_another_driver_is_told_of_once(tmp_path: Path) -> None:
    _, screen = go(tmp_path, ENDS, seeds=2, others=["process 7 in /a"])

    told = [note for note in screen.notes if note.startswith("!")]
    assert told == [
        "! another bakeoff is at work, process 7 in /a: times of both are not to be relied on"
    ]


def test_a_grid_that_waits_for_a_machine_says_so_once_and_goes_on(tmp_path: Path) -> None:
    grid, screen = go(tmp_path, ENDS, seeds=1, launcher=Elsewhere(1, None))

    assert [note for note in screen.notes if note.startswith("!")] == [NOWHERE]
    assert (place(tmp_path, grid[0]) / "status.json").exists()


def test_where_the_cache_cannot_be_written_nobody_is_seen_and_all_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BAKEOFF_CACHE", str(tmp_path / "file"))

    with neighbours.seen(tmp_path) as others:
        assert others() == []
