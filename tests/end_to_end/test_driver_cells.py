"""The driver with real processes: what befalls one cell stays its own, what ended is kept."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.running.driver import run
from bakeoff.comparisons.running.folder import place
from bakeoff.comparisons.running.grid import cells, plan
from bakeoff.errors import UsageError

pytestmark = pytest.mark.usefixtures("no_figures")

FAKE = [sys.executable, str(Path(__file__).with_name("fake_cell.py"))]
MIB = 2**20


def status(out: Path, seed: int) -> dict[str, Any]:
    (path,) = out.glob(f"cells/*-s{seed}-*/status.json")
    found = json.loads(path.read_text())
    assert isinstance(found, dict)
    return found


def starts(out: Path, seed: int) -> list[int]:
    """Return the process ids of a cell's attempts so far."""
    found = list(out.glob(f"cells/*-s{seed}-*/starts.txt"))
    return [int(line) for path in found for line in path.read_text().split()]


def wait_for(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it did not come to that within 20 s"
        time.sleep(0.02)


@contextmanager
def command(*argv: str) -> Iterator[subprocess.Popen[str]]:
    """Start a real ``bakeoff`` process whose cells are fake ones."""
    code = (
        # a runner that was started in the background hands down an interrupt that is ignored
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from bakeoff.comparisons.cli import main; sys.exit(main(cell={FAKE!r}))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_whatever_befalls_a_cell_it_keeps_a_row_and_the_others_finish(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["compare", "--algorithms", "grpo", "--seeds", "1,3,4,5,6,7,0", "--out", str(out)]

    code = main([*argv, "--cell-timeout", "2", "--memory-limit", "150MiB"], cell=FAKE)

    # the last of the seven is fine: the grid as a whole was completed
    assert code == 0
    ended = {seed: status(out, seed)["status"] for seed in (0, 1, 3, 4, 5, 6, 7)}
    assert ended == {
        0: "ok",
        1: "error",
        3: "timeout",
        4: "oom",
        5: "diverged",
        6: "error",
        7: "error",
    }
    assert status(out, 1)["exit_code"] == -signal.SIGKILL
    assert status(out, 1)["error_type"] == "Killed"
    assert status(out, 4)["peak_rss_bytes"] > 150 * MIB
    assert status(out, 7)["error_message"].endswith("last line of the log: no luck")
    with (out / "runs.csv").open(newline="") as file:
        rows = {int(row["seed"]): row["status"] for row in csv.DictReader(file)}
    assert rows == ended
    shown = capsys.readouterr().out
    assert "no luck" in shown and "--cell-timeout" in shown and "--learning-rate" in shown
    assert (out / "report.md").exists()


def test_what_has_ended_is_not_run_again_and_failures_only_on_request(tmp_path: Path) -> None:
    def go(only: str | None = None) -> list[int]:
        made = plan(algorithms=["grpo"], seeds=[0, 5], out=tmp_path / "out")
        run(made, only=only, quiet=True, command=FAKE)
        return [len(starts(tmp_path / "out", seed)) for seed in (0, 5)]

    assert go() == [1, 1]
    before = status(tmp_path / "out", 0)
    assert go() == [1, 1]
    # a failed cell starts again in an empty folder: one start is on record, of attempt 2
    assert go("failed") == [1, 1]
    assert status(tmp_path / "out", 0) == before
    (spec,) = (tmp_path / "out").glob("cells/*-s5-*/spec.json")
    assert json.loads(spec.read_text())["attempt"] == 2


def test_a_grid_grows_in_its_folder_and_records_what_was_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(plan(algorithms=["grpo"], seeds=1, out=out), quiet=True, command=FAKE)
    run(plan(algorithms=["ppo"], seeds=[0, 10], out=out), quiet=True, command=FAKE)

    assert len(starts(out, 0)) == 2  # grpo and ppo, once each
    recorded = json.loads((out / "experiment.json").read_text())
    assert recorded["algorithms"] == ["grpo", "ppo"]
    assert recorded["seeds"] == [0, 10]


def test_every_cell_failing_is_exit_code_1(tmp_path: Path) -> None:
    argv = ["compare", "--algorithms", "grpo", "--seeds", "5,", "--out", str(tmp_path / "out")]

    assert main([*argv, "--quiet"], cell=FAKE) == 1


def test_ctrl_c_leaves_what_ended_intact_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ["compare", "--algorithms", "grpo", "--seeds", "0,2,10", "--out", str(out)]

    with command(*argv) as process:
        wait_for(lambda: starts(out, 2))
        process.send_signal(signal.SIGINT)
        output, complaint = process.communicate(timeout=20)

    assert process.returncode == 130, output
    assert complaint.splitlines() == ["bakeoff: interrupted; the same command goes on from here"]
    assert status(out, 2)["status"] == "interrupted"
    assert starts(out, 10) == []
    with pytest.raises(ProcessLookupError):  # no orphan
        os.kill(starts(out, 2)[0], 0)
    (first,) = out.glob("cells/*-s0-*/status.json")
    before = first.read_bytes(), first.stat().st_mtime_ns

    assert main([*argv, "--quiet"], cell=FAKE) == 0
    assert (first.read_bytes(), first.stat().st_mtime_ns) == before
    assert {seed: len(starts(out, seed)) for seed in (0, 2, 10)} == {0: 1, 2: 2, 10: 1}
    assert status(out, 2)["status"] == "ok"


def test_two_drivers_never_share_a_folder_not_even_after_one_was_killed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = ["compare", "--algorithms", "grpo", "--seeds", "2,", "--out", str(out)]
    made = plan(algorithms=["grpo"], seeds=[2], out=out)

    with command(*argv) as process:
        wait_for(lambda: starts(out, 2))
        with pytest.raises(UsageError, match=f"process {process.pid}"):
            run(made, command=FAKE)
        process.kill()
        process.wait()
        # the orphan still writes into its folder: starting it a second time would mix two runs
        with pytest.raises(UsageError, match="a cell it started"):
            run(made, command=FAKE)
        os.kill(starts(out, 2)[0], signal.SIGKILL)

    wait_for(lambda: not _held(out))
    run(made, quiet=True, command=FAKE)
    assert status(out, 2)["status"] == "ok"


def _held(out: Path) -> bool:
    from bakeoff.comparisons.running.folder import locked

    try:
        with locked(out):
            return False
    except UsageError:
        return True


def test_a_cell_gets_its_whole_specification_and_a_quiet_environment(tmp_path: Path) -> None:
    out = tmp_path / "out"
    made = plan(algorithms=["ppo"], seeds=[4], out=out, memory_limit=1024 * MIB, threads=3)
    variables = ("OMP_NUM_THREADS", "PYTHONUNBUFFERED", "TOKENIZERS_PARALLELISM")
    script = tmp_path / "show.py"
    script.write_text(
        "import json, os, sys\n"
        f"print(json.dumps([os.environ.get(name) for name in {variables!r}]), flush=True)\n"
        "json.dump({'status': 'ok', 'exit_code': 0}, open(sys.argv[1] + '/status.json', 'w'))\n"
    )

    run(made, quiet=True, command=[sys.executable, str(script)])

    (cell,) = cells(made)
    folder = place(out, cell)
    assert json.loads((folder / "log.txt").read_text()) == ["3", "1", "false"]
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["run_id"] == f"out/{folder.name}"
    assert (spec["algorithm"], spec["seed"], spec["memory_limit_bytes"]) == ("ppo", 4, 1024 * MIB)
    assert spec["config"] == dict(made.config)
    assert json.loads((out / "environment.json").read_text())["cores"] == os.cpu_count()
