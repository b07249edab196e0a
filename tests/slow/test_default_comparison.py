"""The main job as ``make compare`` runs it."""

from pathlib import Path

import pytest

from bakeoff.comparisons import compare


@pytest.mark.slow
def test_every_algorithm_ends_a_quarter_above_its_start(tmp_path: Path) -> None:
    """The mean held-out score over 3 seeds; a run of 128 items has a standard error of .04."""
    result = compare(out=tmp_path / "results", quiet=True)

    summary = result.summary.set_index(["algorithm", "metric"])["mean"]
    gain = {name: summary[name, "score_gain"] for name in ("grpo", "ppo", "reinforce")}
    assert min(gain.values()) >= 0.25, gain
