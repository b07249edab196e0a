"""What is foretold of a run of the tiny model is what it holds; more of them in tests/slow."""

from __future__ import annotations

import pytest
from memory_world import counted


@pytest.mark.alone  # tensors that other tests of a process have left alive are counted
def test_the_peak_of_a_run_of_the_tiny_model_is_as_foretold() -> None:
    prediction, meter = counted(
        "tiny", "ppo", prompts_per_update=2, group_size=4, minibatches=1, max_new_tokens=12
    )

    assert prediction.peak_bytes == pytest.approx(meter.accountant.peak_bytes, rel=0.05)
    assert prediction.peak_phase == meter.accountant.peak_phase
