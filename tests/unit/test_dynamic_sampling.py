"""Filters and refill: what is kept, which items take the place of others, and what is counted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from small_world import Successor, small_model, small_training, stopped_and_resumed

from bakeoff.training.curriculum import AdaptiveOrder
from bakeoff.training.gathering import Gathered
from bakeoff.training.loop import Training
from bakeoff.training.meter import Meter
from bakeoff.training.order import Order, further_indices, item_indices
from bakeoff.types import Item, Score

FIRST = item_indices(0, 0, 4, 10)
"""The items that the first update of seed 0 asks: four of ten."""


class Lively(Successor):
    """Gives the replies to an item the rewards 0, 1, 0, 1; to some items, one and the same."""

    def __init__(self, dead: Sequence[int] = (), reward: float | None = 0.0) -> None:
        self.dead, self.reward = dead, reward

    def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
        turn = itertools.count()
        return [
            Score(self.reward) if int(item.prompt[0]) in self.dead else Score(float(next(turn) % 2))
            for item in items
        ]


def index(item: Item) -> int:
    return int(item.id.rpartition("/")[2])


def asked(gathered: Gathered) -> list[int]:
    """The items of an update by group, in the order in which they were asked."""
    by_group = {sample.group: index(sample.item) for sample in gathered.samples}
    assert list(by_group) == list(range(len(by_group)))
    return list(by_group.values())


def first_update(algorithm: str, environment: object, **knobs: object) -> tuple[Training, Gathered]:
    training = small_training(algorithm, environment=environment, **knobs)
    return training, training.gatherer.gather(0)


def test_a_full_batch_needs_no_further_round() -> None:
    _, gathered = first_update("dapo", Lively())

    assert asked(gathered) == FIRST
    assert gathered.learned == gathered.samples
    assert gathered.metrics["refill/rounds"] == 0
    assert gathered.metrics["groups/kept_frac"] == 1
    assert gathered.metrics["completions/dropped_frac"] == 0


def test_as_many_items_take_the_place_of_groups_as_had_no_spread() -> None:
    _, gathered = first_update("dapo", Lively(dead=FIRST[:3]))

    # 4 items, 3 of them dropped, then 3 others, all kept: 4 of 7 groups, 12 of 28 completions less
    assert len(asked(gathered)) == 7
    assert gathered.batch is not None
    assert gathered.batch.group_B.tolist() == [g for g in (3, 4, 5, 6) for _ in range(4)]
    assert gathered.metrics["refill/rounds"] == 1
    assert gathered.metrics["groups/kept_frac"] == pytest.approx(4 / 7)
    assert gathered.metrics["completions/dropped_frac"] == pytest.approx(12 / 28)


def test_no_item_is_asked_twice_in_an_update_while_there_are_others() -> None:
    # the four items of the first round and those of the second are dead: 4 + 4 of ten are asked,
    # then the two that are left and two that come again
    more = further_indices((0, 0, 1), 4, 10, set(FIRST))
    left = set(range(10)) - {*FIRST, *more}

    _, gathered = first_update("dapo:refill=2", Lively(dead=[*FIRST, *more]))

    assert asked(gathered)[:8] == FIRST + more
    assert len({*FIRST, *more}) == 8
    assert set(asked(gathered)[8:10]) == left
    assert set(asked(gathered)[10:]) <= {*FIRST, *more}


@pytest.mark.parametrize("refill", [0, 2])
def test_no_more_rounds_are_asked_than_the_algorithm_allows(refill: int) -> None:
    _, gathered = first_update(f"dapo:refill={refill}", Lively(dead=range(10)))

    # each round asks for all four groups again, for nothing is ever kept
    assert len(asked(gathered)) == 4 * (1 + refill)
    assert gathered.metrics.get("refill/rounds", 0) == refill
    assert gathered.batch is None


def test_groups_that_could_not_be_scored_are_replaced_too() -> None:
    _, gathered = first_update("dapo", Lively(dead=FIRST[:1], reward=None))

    assert len(asked(gathered)) == 5
    # 4 of 20 completions have no score; the filter dropped none of the others
    assert gathered.metrics["completions/unscored_frac"] == pytest.approx(4 / 20)
    assert gathered.metrics["completions/dropped_frac"] == 0
    assert gathered.metrics["groups/kept_frac"] == pytest.approx(4 / 5)


def test_the_share_of_groups_without_spread_is_of_all_that_was_sampled() -> None:
    _, gathered = first_update("dapo", Lively(dead=FIRST[:3]))

    assert gathered.metrics["groups/zero_std_frac"] == pytest.approx(3 / 7)


def test_further_rounds_leave_the_items_of_later_updates_as_they_are() -> None:
    runs = {
        name: small_training(name, environment=Lively(dead=range(0, 10, 2)))
        for name in ("grpo", "dapo")
    }

    for update in range(3):
        found = {name: asked(run.gatherer.gather(update)) for name, run in runs.items()}

        assert len(found["grpo"]) == 4 < len(found["dapo"])
        assert found["dapo"][:4] == found["grpo"]


def test_the_first_round_is_sampled_as_without_a_filter() -> None:
    _, dapo = first_update("dapo", Lively(dead=FIRST[:1]))
    _, grpo = first_update("grpo", Lively(dead=FIRST[:1]))

    assert dapo.samples[:16] == grpo.samples


def test_each_round_has_sampling_noise_of_its_own() -> None:
    class OneItem(Lively):
        def size(self, split: str) -> int:
            return 1

    _, gathered = first_update("dapo:refill=1", OneItem(dead=range(10)), prompts_per_update=1)

    first, second = gathered.samples[:4], gathered.samples[4:]
    assert {s.item.id for s in first} == {s.item.id for s in second}
    assert [s.completion for s in first] != [s.completion for s in second]


def test_all_that_is_sampled_is_counted_and_only_what_is_learned_is_trained() -> None:
    training = small_training("dapo:epochs=2", environment=Lively(dead=FIRST[:3]), updates=1)
    again = small_training("dapo", environment=Lively(dead=FIRST[:3])).gatherer.gather(0)

    *_, report = training.run()

    counters = report.counters
    assert (counters.prompts, counters.completions, report.completions) == (7, 28, 28)
    assert counters.completion_tokens == sum(s.completion.sampled for s in again.samples)
    assert counters.prompt_tokens == 7 * 2  # "3?"
    # two passes over what was learned, which is less than what was sampled
    assert counters.trained_tokens == 2 * sum(s.completion.sampled for s in again.learned)
    assert len(again.learned) == 16


def test_what_is_dropped_costs_its_sampling_and_no_learning() -> None:
    training = small_training("dapo:refill=0", environment=Lively(dead=range(10)), updates=1)
    flops = training.flops
    sampled = training.gatherer.gather(0).samples

    *_, report = training.run()

    # each completion passes the model once; a prompt of two tokens, once for its group of four
    tokens = [len(s.completion.token_ids) for s in sampled]
    once = sum(flops.forward(2, t - 1, t) for t in tokens) - 12 * flops.forward(2, 0, 0)
    assert report.counters.train_flops == once
    assert report.counters.trained_tokens == 0


def test_what_is_dropped_changes_no_weight() -> None:
    """The weights become those of a learner that never saw the dropped groups."""
    dapo = small_training("dapo", environment=Lively(dead=FIRST[:3]), updates=1)
    plain = small_training("dapo:refill=0")
    plain.learner.algorithm = plain.learner.algorithm._replace(keep=None)
    batch = dapo.gatherer.gather(0).batch
    assert batch is not None
    credit = plain.learner.algorithm.advantages(batch)
    batch = batch._replace(adv_BT=credit.adv_BT)
    plain.learner.learn(batch, 0, 0, Meter("cpu"))

    list(dapo.run())

    ours, theirs = (run.learner.policy.state_dict() for run in (dapo, plain))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["dapo", "rft"])
def test_an_update_of_which_nothing_is_kept_changes_nothing_and_goes_on(name: str) -> None:
    training = small_training(name, environment=Lively(dead=range(10)), updates=2)

    *_, report = training.run()

    initial = small_model(0).model.state_dict()
    torch.testing.assert_close(training.learner.policy.state_dict(), initial, rtol=0, atol=0)
    assert report.update == 2
    assert report.metrics["reward/mean"] == 0
    assert report.metrics["groups/kept_frac"] == 0
    assert report.metrics["completions/dropped_frac"] == 1
    assert "loss/policy" not in report.metrics


def test_a_filter_may_keep_a_part_of_a_group() -> None:
    _, gathered = first_update("rft", Lively(dead=FIRST[:1]))

    # of each of three groups the two right replies; the fourth group has none
    assert [s.group for s in gathered.learned] == [1, 1, 2, 2, 3, 3]
    assert all(s.score.value == 1 for s in gathered.learned)
    assert gathered.metrics["groups/kept_frac"] == pytest.approx(3 / 4)
    assert gathered.metrics["completions/dropped_frac"] == pytest.approx(10 / 16)
    assert "refill/rounds" not in gathered.metrics


def test_without_a_filter_there_are_no_metrics_of_one() -> None:
    _, gathered = first_update("grpo", Lively())

    names = {"groups/kept_frac", "completions/dropped_frac", "refill/rounds"}
    assert not names & gathered.metrics.keys()


def test_truncated_completions_can_be_left_out_of_any_algorithm() -> None:
    _, gathered = first_update("grpo:drop_truncated=true", Lively())

    ended = [sample for sample in gathered.samples if not sample.completion.truncated]
    assert 0 < len(ended) < 16
    assert gathered.learned == ended


def test_a_resumed_run_with_further_rounds_is_the_same_to_the_bit(tmp_path: Path) -> None:
    def run() -> Training:
        env = Lively(dead=range(0, 10, 2))
        return small_training("dapo", environment=env, updates=5, checkpoint_every=2)

    whole, resumed, expected, metrics = stopped_and_resumed(run, tmp_path, 3)

    assert any(found.get("refill/rounds") for found in metrics.values())
    assert metrics == {update: expected[update] for update in (3, 4, 5)}
    ours, theirs = (r.learner.policy.state_dict() for r in (resumed, whole))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert resumed.counters.completions == whole.counters.completions


def test_a_curriculum_learns_from_further_rounds_too() -> None:
    training, gathered = first_update("dapo", Lively(dead=FIRST), curriculum="adaptive")
    order = training.gatherer.order

    assert isinstance(order, AdaptiveOrder)
    # four dead items and four others, half of whose four completions are right
    assert len(asked(gathered)) == 8
    assert order.levels == {"": (8.0, 32.0)}
    assert order.solved == {i: (0.0 if i in FIRST else 2.0, 4.0) for i in asked(gathered)}


@pytest.mark.parametrize("size", [5, 10, 2**31])
def test_further_items_depend_on_seed_update_and_round_alone(size: int) -> None:
    drawn = {
        keys: tuple(further_indices(keys, 4, size, {0}))
        for keys in itertools.product(range(3), range(3), range(1, 4))
    }

    assert drawn == {keys: tuple(further_indices(keys, 4, size, {0})) for keys in drawn}
    assert all(0 < i < size for found in drawn.values() for i in found)
    assert len(set(drawn.values())) > 9  # neither of the three leaves them as they are


def test_an_order_without_a_curriculum_remembers_what_an_update_asked() -> None:
    order = Order(Successor(), 0)  # type: ignore[arg-type]

    first, further = order.items(0, 4), order.further(0, 1, 2)

    assert [item for _, item in order.asked] == first + further
    assert order.items(1, 4) == [item for _, item in order.asked]
