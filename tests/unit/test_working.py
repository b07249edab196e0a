"""The line that says what is being done."""

import io
import time

from bakeoff.comparisons.commands import working
from bakeoff.comparisons.commands.working import Progress


def test_it_is_silent_for_two_seconds() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.report("3 replies judged")
        assert stream.getvalue() == ""
        progress._next = time.monotonic()  # as if two seconds had gone by
        progress.report("4 replies judged")

    assert stream.getvalue().endswith("s: 4 replies judged\n")


def test_what_lasts_is_said_while_it_lasts(monkeypatch) -> None:
    monkeypatch.setattr(working, "QUIET_S", 0.02)
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.count("recording samples", 0, 2)
        time.sleep(0.3)

        assert stream.getvalue() == "0 s: recording samples\n"


def test_what_is_over_before_it_is_due_is_never_said(monkeypatch) -> None:
    monkeypatch.setattr(working, "QUIET_S", 0.05)
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.report("loading the model")
    time.sleep(0.2)

    assert stream.getvalue() == ""


def test_the_rest_is_as_fast_as_what_is_done() -> None:
    stream = io.StringIO()
    with Progress(stream) as progress:
        progress.count("gradients", 0, 4)
        progress._began -= 30  # as if it had taken 30 s
        progress._next = time.monotonic()
        progress.count("gradients", 1, 4)

    # 30 s for one of four: 90 s for the other three
    assert stream.getvalue().endswith("s: gradients: 1 of 4, about 90 s more\n")
