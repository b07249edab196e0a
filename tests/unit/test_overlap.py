"""Scores while others are still being sampled: the same ones, from one thread at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

import pytest
from several_turns import SMALL, Relay, Script
from small_world import Successor, small_training

from bakeoff.training.gathering import Gathered
from bakeoff.training.overlap import Judge, Pace
from bakeoff.training.sampling.protocol import Decoding, Finished
from bakeoff.types import Completion, Item, Metrics, Score

PATIENCE_S = 30.0  # for what another thread does at once


class Elsewhere(Successor):
    """Says that it may be asked while others are sampled, and notes who asks for how many."""

    overlaps = True

    def __init__(self) -> None:
        self.calls: list[int] = []
        self.threads: list[str] = []
        self.asked = threading.Event()
        self.busy = threading.Lock()

    def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
        assert self.busy.acquire(blocking=False), "asked by two threads at once"
        try:
            self.calls.append(len(items))
            self.threads.append(threading.current_thread().name)
            return super().score_many(items, replies)
        finally:
            self.busy.release()
            self.asked.set()


class Stepwise:
    """A sampler that finishes so many completions at a time, and does something in between."""

    kv_cache_bytes = 0

    def __init__(self, parts: Sequence[int], between: Callable[[], object]) -> None:
        self.parts, self.between = parts, between

    def sample(
        self,
        prompts: Sequence[tuple[int, ...]],
        n: int,
        decoding: Decoding,
        seed: int,
        finished: Finished | None = None,
        *,
        first: int = 0,
    ) -> list[Completion]:
        replies = [
            Completion(prompt, (4, 1), (-1.0, -1.0), truncated=False, text="1")
            for prompt in prompts
            for _ in range(n)
        ]
        order = iter(reversed(range(len(replies))))  # the last is done first
        for part in self.parts:
            for _, row in zip(range(part), order, strict=False):
                if finished is not None:
                    finished(row, replies[row])
            self.between()
        return replies


def gathered(
    environment: Successor,
    algorithm: str = "grpo",
    sampler: Stepwise | None = None,
    **knobs: object,
) -> Gathered:
    """The first update of 4 items with 4 completions each."""
    gatherer = small_training(algorithm, environment=environment, **knobs).gatherer
    if sampler is not None:
        gatherer.sampler = sampler
    return gatherer.gather(0)


def test_what_is_finished_is_judged_while_others_are_being_sampled() -> None:
    env = Elsewhere()
    met = []
    sampler = Stepwise([6, 10], lambda: met.append(env.asked.wait(PATIENCE_S)))

    gathered(env, sampler=sampler)

    assert met == [True, True]
    assert 4 <= env.calls[0] <= 6
    assert sum(env.calls) == 16
    assert (env.threads[0], env.threads[-1]) == ("bakeoff-judge", "MainThread")


def test_each_completion_has_its_own_score_in_its_own_place() -> None:
    class Places(Elsewhere):
        def score(self, item: Item, reply: str) -> Score:
            return Score(float(item.prompt[0]), {"item": float(item.prompt[0])})

    env = Places()

    found = gathered(env, sampler=Stepwise([5, 11], lambda: env.asked.wait(PATIENCE_S)))

    assert [s.score.value for s in found.samples] == [
        float(s.item.prompt[0]) for s in found.samples
    ]
    assert [s.group for s in found.samples] == [group for group in range(4) for _ in range(4)]


@pytest.mark.parametrize("algorithm", ["grpo", "remax", "dapo", "grpo:drop_truncated=true"])
def test_samples_and_metrics_are_those_without_overlap(algorithm: str) -> None:
    def without_time(metrics: Metrics) -> Metrics:
        return {name: value for name, value in metrics.items() if name != "overlap/reward_s"}

    one, two = gathered(Elsewhere(), algorithm), gathered(Successor(), algorithm)

    assert one.samples == two.samples
    assert one.greedy == two.greedy
    assert one.learned == two.learned
    assert without_time(one.metrics) == two.metrics


def test_evaluation_has_the_same_scores_too() -> None:
    one, two = (
        small_training(environment=environment).gatherer.held_out(range(10))
        for environment in (Elsewhere(), Successor())
    )

    assert one == two


def test_greedy_replies_and_samples_do_not_take_each_others_place() -> None:
    env = Elsewhere()

    found = gathered(env, "remax", Stepwise([99], lambda: env.asked.wait(PATIENCE_S)))

    assert sum(env.calls) == 4 + 16
    assert [s.item.id for s in found.greedy] == [s.item.id for s in found.samples[::4]]


def test_a_sampler_that_tells_nothing_is_judged_at_the_end() -> None:
    env = Elsewhere()

    gathered(env, sampler=Stepwise([], lambda: None))

    assert env.calls == [16]


def test_few_completions_are_not_worth_a_call_of_their_own() -> None:
    env = Elsewhere()
    seen: list[list[int]] = []

    def between() -> None:
        env.asked.wait(PATIENCE_S if seen else 3 * Judge.SETTLE_S)
        seen.append([*env.calls])

    gathered(env, sampler=Stepwise([3, 13], between))

    # a group has 4
    assert seen == [[], [16]]


def test_what_finishes_at_the_same_moment_is_judged_in_one_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Judge, "SETTLE_S", 0.5)  # this machine's moments may be long
    env = Elsewhere()

    gathered(env, sampler=Stepwise([15, 1], lambda: env.asked.wait(PATIENCE_S)))

    assert env.calls == [15, 1]


def test_an_environment_that_does_not_say_so_is_asked_once_by_the_main_thread() -> None:
    class Here(Elsewhere):
        overlaps = False

    env = Here()

    found = gathered(env, sampler=Stepwise([8, 8], lambda: None))

    assert (env.calls, env.threads) == ([16], ["MainThread"])
    assert "overlap/reward_s" not in found.metrics


def test_the_seconds_that_ran_beside_the_sampling_are_a_metric() -> None:
    env = Elsewhere()
    sampler = Stepwise([16], lambda: env.asked.wait(PATIENCE_S))

    # all of it was scored before the sampling ended
    assert gathered(env, sampler=sampler).metrics["overlap/reward_s"] > 0


def test_nothing_hidden_is_zero_seconds() -> None:
    assert (
        gathered(Elsewhere(), sampler=Stepwise([], lambda: None)).metrics["overlap/reward_s"] == 0
    )


def test_the_phases_are_the_same_with_and_without() -> None:
    names = []
    for env in (Elsewhere(), Successor()):
        *_, report = small_training(environment=env, updates=1).run()
        names.append([phase.name for phase in report.phases])

    assert names[0] == names[1]


class Broken(Elsewhere):
    """Raises when it is asked."""

    def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
        try:
            raise SystemExit("the judge has left")
        finally:
            self.asked.set()


def test_an_error_of_the_environment_arrives_in_the_main_thread_as_it_is() -> None:
    env = Broken()

    with pytest.raises(SystemExit, match="the judge has left"):
        gathered(env, sampler=Stepwise([8, 8], lambda: env.asked.wait(PATIENCE_S)))

    assert env.threads == []
    assert judges() == []


def test_scores_that_are_too_few_are_an_error_as_ever() -> None:
    class Short(Elsewhere):
        def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
            return super().score_many(items, replies)[1:]

    env = Short()

    with pytest.raises(ValueError, match="zip"):
        gathered(env, sampler=Stepwise([8, 8], lambda: env.asked.wait(PATIENCE_S)))


def test_when_sampling_fails_nothing_more_is_judged_and_the_thread_ends() -> None:
    env = Elsewhere()
    judge = Judge(env, Pace(), expected=8, at_least=4)

    with pytest.raises(FloatingPointError), judge:
        raise FloatingPointError
    for row in range(8):
        judge.take(row, (Item("", "1?"), Completion((1,), (1,), (0.0,), truncated=False, text="")))
    for thread in judges():
        thread.join(PATIENCE_S)

    assert (judges(), env.calls) == ([], [])


def test_the_thread_of_a_round_ends_with_it() -> None:
    gathered(Elsewhere())

    assert judges() == []


WAITING = """
import threading
from bakeoff.training.overlap import Judge, Pace
from bakeoff.types import Completion, Item

class Slow:
    turns, overlaps = 1, True

    def score_many(self, items, replies):
        print("asked", flush=True)
        threading.Event().wait()

judge = Judge(Slow(), Pace(), expected=2, at_least=1)
episode = Item("", ""), Completion((1,), (1,), (0.0,), truncated=False, text="")
with judge:
    judge.take(0, episode)
    judge._thread.join(1.0)
judge.samples([episode] * 2, [0, 0])
"""


@pytest.mark.slow
def test_ctrl_c_ends_a_process_that_waits_for_scores() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "asked\n"

        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == -signal.SIGINT
    assert errors.strip().endswith("KeyboardInterrupt")


def judges() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "bakeoff-judge"]


def test_episodes_of_several_turns_are_judged_when_all_are_over() -> None:
    class Eager(Relay):
        overlaps = True

    training = small_training(environment=Eager(), group_size=2, prompts_per_update=1)
    training.gatherer.sampler = Script(SMALL, ["1", "2"], ["1", "2"])
    judge = Judge(Eager(), Pace(), expected=2, at_least=1)

    found = training.gatherer.gather(0)

    assert not judge.overlaps
    assert [len(sample.completion.replies) for sample in found.samples] == [2, 2]


def test_a_call_that_is_not_worth_it_is_left_to_the_end() -> None:
    env, pace = Elsewhere(), Pace()
    for episodes_of_call in (2, 4):
        pace.note_call(episodes_of_call, 3.0)
    pace.note_round(8, 0.0)
    judge = Judge(env, pace, expected=8, at_least=4)
    reply = Completion((1,), (1,), (0.0,), truncated=False, text="")
    episodes = [(Item("", "1?"), reply)] * 8

    with judge:
        for row in range(4):
            judge.take(row, episodes[row])
        for thread in judges():
            thread.join(PATIENCE_S)
    judge.samples(episodes, range(8))

    assert (env.calls, env.threads) == ([8], ["MainThread"])
