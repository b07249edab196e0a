"""Every algorithm learns what takes several turns, from what the environment says in between."""

from __future__ import annotations

import pytest
from several_turns import HigherLower, Relay
from small_world import small_config, small_model

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.envs import TextEnv
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [Relay, HigherLower])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_episodes_of_two_turns_are_learned(name: str, kind: type[TextEnv], seed: int) -> None:
    config = small_config(updates=200, prompts_per_update=12, group_size=16, learning_rate=1e-3)
    training = Training(
        small_model(seed, layers=2), kind(), make(name), config, seed=seed, meter=Meter("cpu")
    )

    reports = list(training.run())

    # replies that do not heed what was said are right for one item of three, or two of three
    start, end = (report.eval_metrics["score/mean"] for report in (reports[0], reports[-1]))
    assert start <= 0.34
    assert end == 1.0
