"""What ``bakeoff explain`` prints and writes."""

import io
from pathlib import Path

import pytest
from explained import the_explanation

from bakeoff import algorithms
from bakeoff.comparisons.cli import main
from bakeoff.comparisons.explain.command import write
from bakeoff.comparisons.explain.explanation import Explanation
from bakeoff.comparisons.explain.terminal import show


@pytest.fixture
def seen() -> Explanation:
    return the_explanation()


def test_the_page_is_written_with_every_figure_that_it_shows(
    seen: Explanation, tmp_path: Path
) -> None:
    write(seen, tmp_path)

    text = (tmp_path / "explain.md").read_text()
    names = ["update.png", "surrogate.png", "steps.png", "three_gradients.png"]
    for name in names:
        assert f"]({name})" in text
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "explain.md"])


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", sorted(algorithms.ALGORITHMS))
def test_every_algorithm_can_be_explained(
    algorithm: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / algorithm

    assert main(["explain", "--algorithm", algorithm, "--out", str(out)]) == 0

    assert (out / "explain.md").is_file()
    assert "What is 13 + 28?" in capsys.readouterr().out


def test_outside_of_a_terminal_the_view_is_plain_text(seen: Explanation) -> None:
    stream = io.StringIO()

    show(seen, stream)

    assert "\x1b" not in stream.getvalue()
    assert max(map(len, stream.getvalue().splitlines())) <= 110


def test_in_a_terminal_the_view_has_colours(
    seen: Explanation, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()

    show(seen, stream)

    assert "\x1b[" in stream.getvalue()


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--seed", "one"], "--seed must be a whole number, not 'one'"),
        (["--algorithm", "grop"], "unknown algorithm 'grop'; did you mean 'grpo'?"),
        (["--env", "bakeoff/Arithmetc-v0"], "did you mean 'bakeoff/Arithmetic-v0'?"),
        (["--sed", "1"], "unknown flag --sed of bakeoff explain; did you mean --seed?"),
    ],
)
def test_mistakes_are_one_line_that_names_the_nearest(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["explain", *flags]) == 2

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
