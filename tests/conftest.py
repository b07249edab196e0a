"""Settings for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bakeoff.rewards.code import Sandbox, SandboxUnavailable

torch.set_num_threads(1)  # these tensors are tiny: more threads only wait for each other


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no file without a test that is marked "alone" where only those are run.

    There are two of them, and reading all the thousands takes longer than they do.
    """
    if not config.option.markexpr.startswith("alone") or not collection_path.match("test_*.py"):
        return None
    return "mark.alone" not in collection_path.read_text() or None


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """A sandbox of one worker for the tests of a file; they are skipped where none can be had."""
    try:
        with Sandbox(workers=1) as made:
            assert made.level
            yield made
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have reports be written without figures, which take longer than all the rest."""
    monkeypatch.setattr("bakeoff.comparisons.report.figures.draw", lambda *_: {})
