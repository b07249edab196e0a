"""What the command line says of a mistake."""

from __future__ import annotations

import pytest

from bakeoff.comparisons.cli import main


def complaint(capsys: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run a command that must fail as misuse, and return the one line that it prints."""
    code = main(argv)
    captured = capsys.readouterr()
    assert code == 2
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("bakeoff: error: ")
    return line
