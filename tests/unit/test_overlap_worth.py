"""Which environments may judge while others are sampled, and when a call is worth it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from bakeoff.envs import TextEnv
from bakeoff.envs.code.parts import code_rewards, reply_program
from bakeoff.rewards import batched, overlapping
from bakeoff.training.overlap import Pace
from bakeoff.types import Item


def plain(reply: str, item: Item) -> float:
    return 1.0


async def waits(reply: str, item: Item) -> float:
    return 1.0


@batched
def together(replies: Sequence[str], items: Sequence[Item]) -> list[float]:
    return [float(len(replies)) for _ in replies]


@batched
async def together_later(replies: Sequence[str], items: Sequence[Item]) -> list[float]:
    return [float(len(replies)) for _ in replies]


@pytest.mark.parametrize(
    ("functions", "expected"),
    [
        ([plain], False),  # may rely on being in the main thread: a signal, a database
        ([waits], True),
        ([waits, plain], False),
        ([together], False),  # what it says may depend on which replies it is given
        ([together_later], False),
        ([overlapping(lambda reply, item: 1.0), waits], True),
        ([], False),
    ],
)
def test_an_environment_overlaps_if_all_its_functions_may(
    functions: list[Callable[..., object]], expected: bool
) -> None:
    env = TextEnv()
    env.rewards = {str(number): (1.0, function) for number, function in enumerate(functions)}

    assert env.overlaps is expected


def test_an_environment_whose_scores_have_a_deadline_overlaps() -> None:
    env = TextEnv()
    env.rewards, env.deadline_s = {"plain": (1.0, plain)}, 5.0

    assert env.overlaps


def test_programs_are_run_while_others_are_being_sampled() -> None:
    env = TextEnv()
    env.rewards = code_rewards(reply_program)

    assert env.overlaps


def paced(*calls: tuple[int, float]) -> Pace:
    """What is known after some calls and a round of 100 episodes that took 10 s to sample."""
    pace = Pace()
    for episodes, seconds in calls:
        pace.note_call(episodes, seconds)
    pace.note_round(100, 10.0)
    return pace


def test_before_anything_is_known_every_call_is_worth_it() -> None:
    assert Pace().worth(100, 1e6)


def test_work_that_is_shared_out_is_worth_it_to_the_last_moment() -> None:
    pace = paced((10, 1.0), (40, 4.0), (20, 2.0))

    # 0.1 s an episode and nothing besides
    assert pace.worth(100, 9.9)


def test_a_service_that_answers_all_at_once_is_not_asked_when_the_round_is_nearly_over() -> None:
    pace = paced((10, 3.0), (90, 3.0))

    # asked at 6.5 s it answers at 9.5 s; asked at 7.5 s it would make the rest wait
    assert [pace.worth(100, elapsed_s) for elapsed_s in (6.5, 7.5)] == [True, False]


def test_no_call_is_taken_to_be_dearer_than_the_shortest_so_far() -> None:
    # remembered verdicts: a line through these meets 0 episodes at 4.4 s
    pace = paced((10, 4.0), (90, 1.0))

    assert [pace.worth(100, elapsed_s) for elapsed_s in (8.5, 9.5)] == [True, False]
