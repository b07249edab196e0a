"""What is said of a grid while it runs, and of a cell that failed."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakeoff.comparisons.running.endings import advice, status_of_killed, tail
from bakeoff.comparisons.running.grid import CellSpec, cells, plan
from bakeoff.comparisons.running.process import Ending
from bakeoff.comparisons.running.progress import CellRow, Lines, LiveTable, remaining_s, window
from bakeoff.comparisons.running.room import DISK_FULL
from bakeoff.comparisons.schema import RUNS_COLUMNS


def grid(count: int) -> list[CellSpec]:
    return cells(plan(algorithms=["grpo"], seeds=count, memory_limit=2**30))


def rows(*states: tuple[str, float, int]) -> Sequence[CellRow]:
    """Return rows of (status, seconds, finished updates of 10), the first update after 8 s."""
    return [
        CellRow(cell, status, seconds, {"update": done, "updates": 10} if done else {}, (8.0, 1))
        for cell, (status, seconds, done) in zip(grid(len(states)), states, strict=True)
    ]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        # nothing has been seen yet
        ([("running", 1.0, 0), ("waiting", 0.0, 0)], None),
        # one update says nothing of the pace: most of the 8 s before it went into imports
        ([("running", 9.0, 1), ("waiting", 0.0, 0)], None),
        # 3 updates in the 12 s since the first one: the 6 that are left need 24 s, so a whole cell
        # takes 44 s, and another one waits
        ([("running", 20.0, 4), ("waiting", 0.0, 0)], 68.0),
        # one took 40 s: so will the one that waits; the running one, 10 s old, needs 30 s more
        ([("ok", 40.0, 10), ("running", 10.0, 0), ("waiting", 0.0, 0)], 70.0),
        # a cell that failed after a second says nothing about the others
        ([("error", 1.0, 0), ("ok", 40.0, 10), ("waiting", 0.0, 0)], 40.0),
        # two at a time share the rest: 40 s of the one that waits and 30 s + 20 s of these
        ([("ok", 40.0, 10), ("running", 10.0, 0), ("running", 20.0, 0), ("waiting", 0.0, 0)], 45.0),
        # later than expected is not less than nothing
        ([("ok", 40.0, 10), ("running", 60.0, 0)], 0.0),
    ],
)
def test_the_rest_of_the_grid_is_estimated_from_what_was_seen(
    states: list[tuple[str, float, int]], expected: float | None
) -> None:
    found = remaining_s(rows(*states))

    assert found is None if expected is None else found == pytest.approx(expected)


def test_plain_lines_come_at_the_start_every_ten_seconds_and_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (row,) = rows(("running", 0.0, 0))
    screen = Lines([row])

    screen.started(row)
    for second in range(1, 26):
        row.elapsed_s, row.progress = float(second), {"update": second, "updates": 26}
        screen.polled(row)
    row.status = "ok"
    screen.ended(row)

    lines = capsys.readouterr().out.splitlines()
    # at 10 s and 20 s of 25, between the first and the last
    assert [line.split(" ", 3)[3].split(",")[0] for line in lines] == [
        "starts",
        "update 10/26",
        "update 20/26",
        "ok: update 25/26",
    ]


def test_the_live_table_shows_the_running_cell_of_a_grid_too_long_for_the_screen() -> None:
    from rich.console import Console
    from rich.live import Live

    states = [("ok", 9.0, 10)] * 30 + [("running", 10.0, 3)] + [("waiting", 0.0, 0)] * 30
    many = rows(*states)
    screen = io.StringIO()
    console = Console(file=screen, width=120, height=20, force_terminal=True)

    with Live(console=console, auto_refresh=False) as live:
        LiveTable(many, live).polled(many[30])

    assert "grpo s30" in screen.getvalue() and "3/10" in screen.getvalue()
    # all 61 rows count, not only those on the screen: 30 cells that wait take 9 s each, and the
    # running one, at a second an update (2 in 10 s - 8 s), has 7 to go: 277 s
    assert "30 of 61 cells have ended, about 4 min 37 s to go" in screen.getvalue()


def test_a_window_of_a_grid_keeps_to_its_ends() -> None:
    first = rows(("running", 1.0, 0), *[("waiting", 0.0, 0)] * 9)
    last = rows(*[("ok", 1.0, 0)] * 9, ("running", 1.0, 0))

    assert list(window(first, 4)) == list(first[:4])
    assert list(window(last, 4)) == list(last[6:])
    assert list(window(last, 50)) == list(last)


def test_a_logs_end_cannot_move_the_cursor_or_flood_the_screen(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"early\n" * 10_000 + b"\x1b[2Jgone \xff\n\n" + b"y" * 5_000 + b"\n")

    found = tail(log, 2)

    assert found[0] == " [2Jgone \N{REPLACEMENT CHARACTER}"
    assert found[1] == "y" * 300


@pytest.mark.parametrize(
    ("ending", "status", "words"),
    [
        (Ending("exited", -9, 2.0, 5), "error", ["signal 9", "SIGKILL", "last words"]),
        (Ending("exited", 7, 2.0, 5), "error", ["exit code 7", "last words"]),
        (Ending("timeout", -15, 2.0, 5), "timeout", ["2.0 s"]),
        (Ending("oom", -15, 2.0, 3 * 2**29), "oom", ["1.50 GiB", "1.00 GiB", str(3 * 2**29)]),
        (Ending("interrupted", -15, 2.0, None), "interrupted", ["the same command goes on"]),
        (Ending("exited", DISK_FULL, 2.0, 5), "interrupted", ["could not write"]),
    ],
)
def test_a_cell_that_left_no_status_gets_one_that_says_why(
    ending: Ending, status: str, words: list[str], tmp_path: Path
) -> None:
    (cell,) = grid(1)
    (tmp_path / "log.txt").write_text("first\nlast words\n")
    (tmp_path / "progress.json").write_text('{"update": 4, "completion_tokens": 99}')

    found = status_of_killed(cell, ending, tmp_path)

    # every column of its row, in order, and the hashes of what it left
    assert tuple(found) == (*RUNS_COLUMNS, "files_sha256")
    assert (found["status"], found["exit_code"]) == (status, ending.exit_code)
    assert [word for word in words if word not in found["error_message"]] == []
    assert (found["updates"], found["completion_tokens"], found["wall_s"]) == (4, 99, 2.0)
    assert found["peak_rss_bytes"] == ending.peak_rss_bytes
    assert bool(advice(found)) == (status != "interrupted")


def test_advice_after_a_kill_by_the_system_is_about_memory() -> None:
    assert "--micro-batch" in advice({"status": "error", "exit_code": -9})
