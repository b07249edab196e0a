"""Settings for all tests."""

from collections.abc import Iterator

import pytest
import torch

from bakeoff.rewards.code import Sandbox, SandboxUnavailable

torch.set_num_threads(1)  # these tensors are tiny: more threads only wait for each other


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
