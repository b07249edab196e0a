"""A grid on a Ray cluster of two nodes on this machine: its tables, and what is lost of it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_nodes import head, kill, left_behind, node
from without_clocks import CLOCKS, rows, words

pytest.importorskip("ray", reason="ray is not installed")
pytestmark = pytest.mark.slow

FAKE = Path(__file__).parents[1] / "end_to_end" / "fake_cell.py"

WITH_FAKE = """
import sys
from bakeoff.comparisons.cli import main
sys.exit(main(sys.argv[2:], cell=[sys.executable, sys.argv[1]]))
"""

HOLDS = """
import os, sys, time
from pathlib import Path
from bakeoff.comparisons.cell.__main__ import main
from bakeoff.comparisons.cell.recorder import Recorder
write = Recorder.write
def held(self, report, *more):
    rows = write(self, report, *more)
    while report.update and "HOLDS" in os.environ:
        Path(os.environ["HOLDS"]).touch()
        time.sleep(0.1)
    return rows
Recorder.write = held
sys.exit(main())
"""
"""A real cell; where the variable names a file it comes as far as its first update, and says so."""

WAITS_FOR_THE_OTHER = """
import json, sys, time
from pathlib import Path
folder, other = Path(sys.argv[1]), Path(__file__).with_name("other")
if json.loads((folder / "spec.json").read_text())["seed"]:
    other.touch()
while not other.exists():
    time.sleep(0.1)
(folder / "status.json").write_text('{"status": "ok", "exit_code": 0}')
"""

REAL = words("""
    --algorithms grpo,ppo,reinforce --seeds 2 --updates 2 --prompts-per-update 2 --group-size 2
    --eval-items 4 --eval-every 1 --threads 1 --no-control --no-audit
""")

WAIT_S = 900.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("ray")
    with head(folder) as address:
        yield address


def driver(
    out: Path, *arguments: str, fake: bool = True, cell: Path = FAKE
) -> subprocess.Popen[bytes]:
    """Start a comparison; what it says is appended to a log beside its folder."""
    what = ["-c", WITH_FAKE, str(cell)] if fake else ["-m", "bakeoff"]
    command = [sys.executable, "-W", "ignore", *what, "compare", *arguments, "--out", str(out)]
    with out.with_suffix(".said").open("ab") as said:
        return subprocess.Popen(
            command, stdout=said, stderr=said, cwd=out.parent, preexec_fn=heed_ctrl_c
        )


def heed_ctrl_c() -> None:
    """Undo what a shell does to commands in its background, such as these tests."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def compared(out: Path, *arguments: str, fake: bool = True) -> str:
    """Run a comparison to its end and return what it said."""
    driver(out, *arguments, fake=fake).wait(WAIT_S)
    return out.with_suffix(".said").read_text()


def fakes(address: str, seeds: str) -> list[str]:
    ours = ["--launcher", "ray", "--ray-address", address, "--no-audit", "--no-control"]
    return ["--algorithms", "grpo", "--seeds", seeds, "--threads", "1", *ours]


def until(what: Callable[[], Any]) -> Any:
    """Return what is true at last."""
    deadline = time.monotonic() + WAIT_S
    while not (found := what()):
        assert time.monotonic() < deadline, f"{what} never came about"
        time.sleep(0.1)
    return found


def statuses(out: Path) -> list[dict[str, Any]]:
    """Return the statuses of cells by their folders' names, in which their seeds stand."""
    return [json.loads(path.read_text()) for path in sorted(out.glob("cells/*/status.json"))]


def at_work(out: Path) -> list[str]:
    """Return the cells that have said at home how far they are, and have not ended."""
    places = out.glob("cells/*/progress.json")
    return [path.parent.name for path in places if not path.with_name("status.json").exists()]


def environment(folder: Path) -> None:
    """Write ``echo.py``, which registers ``me/Echo-v0``."""
    command = [sys.executable, "-m", "bakeoff", "envs", "new", "echo"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_a_grid_whose_node_is_killed_has_the_tables_of_one_on_this_machine(
    cluster: str, tmp_path: Path
) -> None:
    here, there = tmp_path / "here" / "grid", tmp_path / "there" / "grid"
    for out in (here, there):
        out.parent.mkdir()
    script, in_the_middle = tmp_path / "holds.py", tmp_path / "in_the_middle"
    script.write_text(HOLDS)
    with node(cluster, tmp_path, HOLDS=str(in_the_middle)) as second:
        going = driver(there, *REAL, "--launcher", "ray", "--ray-address", cluster, cell=script)
        until(in_the_middle.exists)
        kill(second)
    going.wait(WAIT_S)
    compared(here, *REAL, fake=False)

    assert going.returncode == 0
    said = there.with_suffix(".said").read_text()
    assert "the Ray node 127.0.0.2 is lost; it runs again" in said
    for name in CLOCKS:
        assert rows(there, name) == rows(here, name), name
    attempts = [row["attempt"] for row in statuses(there)]
    assert sorted(attempts) == [1, 1, 1, 1, 1, 2]  # one cell was there, and it alone is begun anew
    assert until(lambda: not left_behind())


def test_a_cell_that_fails_by_itself_keeps_its_row_and_is_not_run_again(
    cluster: str, tmp_path: Path
) -> None:
    out = tmp_path / "grid"
    said = compared(out, *fakes(cluster, "1,7,10"))

    # 1 kills itself, 7 leaves no status: what watches a cell on its node writes one
    by_itself, without, well = sorted(statuses(out), key=lambda status: status.get("seed", 10))
    assert (by_itself["status"], without["status"], well["status"]) == ("error", "error", "ok")
    assert by_itself["exit_code"] == -signal.SIGKILL
    assert "no luck" in without["error_message"]
    starts = [path.read_text().split() for path in out.glob("cells/*/starts.txt")]
    assert [len(processes) for processes in starts] == [1, 1, 1]
    assert "I am seed 7" in said
    assert not left_behind()


def test_ctrl_c_ends_the_cells_on_their_nodes_and_the_same_command_goes_on(
    cluster: str, tmp_path: Path
) -> None:
    out = tmp_path / "grid"
    first = driver(out, *fakes(cluster, "2,"))
    until(lambda: at_work(out))
    first.send_signal(signal.SIGINT)

    assert first.wait(WAIT_S) == 130
    (status,) = statuses(out)
    assert status["status"] == "interrupted"
    assert until(lambda: not left_behind())
    compared(out, *fakes(cluster, "2,"))  # which hangs at its first attempt only
    assert [status["status"] for status in statuses(out)] == ["ok"]


def test_the_cells_of_a_driver_that_is_killed_end_and_the_same_command_goes_on(
    cluster: str, tmp_path: Path
) -> None:
    out = tmp_path / "grid"
    first = driver(out, *fakes(cluster, "2,"))
    until(lambda: at_work(out))
    assert left_behind()
    os.kill(first.pid, signal.SIGKILL)
    first.wait()

    assert until(lambda: not left_behind())
    compared(out, *fakes(cluster, "2,"))
    assert [status["status"] for status in statuses(out)] == ["ok"]


def test_a_cluster_that_is_lost_ends_the_driver_and_another_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "grid"
    with head(tmp_path) as address:
        going = driver(out, *fakes(address, "2,"))
        until(lambda: at_work(out))

    assert going.wait(WAIT_S) != 0  # Ray ends what has missed its head for a minute
    assert until(lambda: not left_behind())
    with head(tmp_path) as address:
        compared(out, *fakes(address, "2,"))
    assert [status["status"] for status in statuses(out)] == ["ok"]


def test_a_node_that_joins_is_used(cluster: str, tmp_path: Path) -> None:
    script = tmp_path / "waits.py"
    script.write_text(WAITS_FOR_THE_OTHER)
    going = driver(tmp_path / "grid", *fakes(cluster, "2"), cell=script)
    until(left_behind)  # on the only core there is, seed 0 waits for seed 1
    with node(cluster, tmp_path, number=3):
        assert going.wait(WAIT_S) == 0

    assert [status["status"] for status in statuses(tmp_path / "grid")] == ["ok", "ok"]


def test_a_timeout_and_a_limit_of_memory_hold_on_the_node(cluster: str, tmp_path: Path) -> None:
    out = tmp_path / "grid"
    compared(out, *fakes(cluster, "3,"), "--cell-timeout", "6")
    compared(out, *fakes(cluster, "4,"), "--memory-limit", "200MiB")

    assert sorted(status["status"] for status in statuses(out)) == ["oom", "timeout"]


def test_an_environment_of_ones_own_goes_along_with_a_cell_and_its_audit(
    cluster: str, tmp_path: Path
) -> None:
    out = tmp_path / "grid"
    environment(tmp_path)
    few = words("--algorithms grpo --seeds 1 --updates 1 --prompts-per-update 2 --group-size 2 "
                "--eval-items 2 --threads 1 --env echo.py:me/Echo-v0")  # fmt: skip
    compared(out, *few, "--launcher", "ray", "--ray-address", cluster, fake=False)

    (status,) = statuses(out)
    (audit,) = [json.loads(path.read_text()) for path in out.glob("audits/*/status.json")]
    assert (status["status"], audit["status"]) == ("ok", "ok")


def test_an_environment_that_a_node_does_not_have_is_refused_before_anything_starts(
    cluster: str, tmp_path: Path
) -> None:
    out = tmp_path / "below" / "grid"
    out.parent.mkdir()
    environment(tmp_path)
    said = compared(out, *fakes(cluster, "10,"), "--env", "../echo.py:me/Echo-v0")

    assert "has other code, versions or files than this machine: the environment's files" in said
    assert not out.exists()


def test_a_node_without_bakeoff_is_refused(cluster: str, tmp_path: Path) -> None:
    out, lacks = tmp_path / "grid", tmp_path / "lacks" / "bakeoff"
    lacks.mkdir(parents=True)
    (lacks / "__init__.py").touch()
    with node(cluster, tmp_path, PYTHONPATH=str(lacks.parent)):
        said = compared(out, *fakes(cluster, "10,"))

    why = "ModuleNotFoundError: No module named 'bakeoff.comparisons'"
    assert said == f"bakeoff: error: the Ray node 127.0.0.2 cannot run bakeoff: {why}\n"
    assert not out.exists()


def test_more_cores_than_any_node_has_are_refused_with_what_there_is(
    cluster: str, tmp_path: Path
) -> None:
    out = tmp_path / "grid"
    said = compared(out, *fakes(cluster, "10,"), "--threads", "9")

    # how many there are is not for this test: Ray counts one that was killed a while longer
    assert "no node of the Ray cluster has what grpo takes, CPU 9; " in said
    assert said.endswith("nodes are there, and the most that one has is CPU 1\n")
    assert not out.exists()


@pytest.mark.parametrize("named", ["by the flag", "by Ray"])
def test_an_address_where_nobody_is_is_refused_at_once(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "grid"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("RAY_ADDRESS", address)  # or of a file that a dead cluster has left
        said = compared(out, *fakes(address if named == "by the flag" else "", "10,"))

    where = f"at {address}" if named == "by the flag" else "on this machine"
    assert said == (
        f"bakeoff: error: there is no Ray cluster {where}: start one (ray start --head), or name "
        "its address with --ray-address\n"
    )
    assert not out.exists()
