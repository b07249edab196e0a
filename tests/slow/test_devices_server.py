"""A server that rank 0 drives makes the run of several processes the run of one with that server.

It is a stand-in, so that these need no vLLM; the ranks' side of it is what runs are made of.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from ranked_world import Result, Run, alone, check_equal, ranked

pytest.importorskip("accelerate", reason="processes meet by accelerate: bakeoff[accelerate]")
pytestmark = pytest.mark.slow


def served(name: str, algorithm: str = "grpo", **knobs: object) -> Run:
    environment = "HigherLower" if name == "several turns" else "EvenReplies"
    return Run(name, algorithm, knobs, environment, server="Writer")


ALIKE = [
    served("grpo"),
    served("separate critic", "ppo"),
    served("greedy baselines", "remax"),
    served("further rounds", "dapo"),
    served("several turns"),
    served("fewer items than ranks", "remax", prompts_per_update=1, eval_items=1),
    served("old samples", "remax", staleness=1, curriculum="adaptive", updates=4),
]
WHOLE = [served("lora", lora_rank=4)]
"""Those that do not go with shards."""

FAILING = {
    "Unstarted": "LinkError: it does not start",
    "Unloaded": "LinkError: it does not load",
    "Unanswered": "LinkError: it does not answer",
}

Results = Mapping[str, list[Result]]


def sharded(run: Run) -> Run:
    knobs = {**run.knobs, "sharding": "full"}
    return Run(f"{run.name}, shards", run.algorithm, knobs, run.environment, server=run.server)


def failing(server: str, staleness: int, sharding: str) -> Run:
    knobs = {"staleness": staleness, "sharding": sharding}
    return Run(f"{server} {staleness} {sharding}", knobs=knobs, server=server)


BROKEN = [
    failing(server, staleness, sharding)
    for server in FAILING
    for staleness, sharding in ((0, "full"), (1, "none"))
]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Results:
    runs = [*ALIKE, *WHOLE, *(sharded(run) for run in ALIKE), *BROKEN]
    return ranked(runs, 2, tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize("run", [*ALIKE, *WHOLE], ids=lambda run: run.name)
def test_two_processes_make_the_run_of_one(run: Run, two: Results) -> None:
    one = alone(run)

    for found in two[run.name]:
        check_equal(found, one)


@pytest.mark.parametrize("run", ALIKE, ids=lambda run: run.name)
def test_two_processes_with_shards_make_the_run_of_one(run: Run, two: Results) -> None:
    one = alone(run)

    for found in two[sharded(run).name]:
        check_equal(found, one)


@pytest.mark.parametrize("run", BROKEN, ids=lambda run: run.name)
def test_all_ranks_end_with_what_befell_the_server(run: Run, two: Results) -> None:
    first, second = (found.error for found in two[run.name])

    assert first == second == FAILING[run.server]
