"""The curriculum: what it estimates and takes, and that it can be made again."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
import torch
from small_world import small_training, stopped_and_resumed

from bakeoff.envs import make
from bakeoff.envs.levels import levels_of
from bakeoff.errors import UsageError
from bakeoff.training.config import TrainConfig, flat, train_config
from bakeoff.training.curriculum import FLOOR, MEMORY, TRIES, AdaptiveOrder
from bakeoff.training.order import Order, item_indices
from bakeoff.training.reports import Sample
from bakeoff.training.statistics import sample_metrics
from bakeoff.types import Completion, Item, Score


class Levelled:
    """As many items of each of three levels; 30 in all, or too many to come again."""

    id = "test/Levelled-v0"
    turns = 1

    def __init__(self, size: int = 2**31) -> None:
        self._size = size

    def size(self, split: str) -> int:
        return self._size

    def item(self, index: int, split: str) -> Item:
        return Item(f"{self.id}/{split}/{index}", f"{index}?", data={"level": index % 3 + 1})


def adaptive(size: int = 2**31, seed: int = 0) -> AdaptiveOrder:
    return AdaptiveOrder(Levelled(size), seed)  # type: ignore[arg-type]


def sample(item: Item, value: float | None, group: int = 0) -> Sample:
    return Sample(item, Completion((1,), (1,), (0.0,), False, ""), Score(value), group)


def solved(items: list[Item], rates: dict[int, list[float | None]]) -> list[Sample]:
    """What came of some items: the values that belong to the level of each."""
    return [
        sample(item, value, group)
        for group, item in enumerate(items)
        for value in rates[item.data["level"]]  # type: ignore[index]
    ]


RATES: dict[int, list[float | None]] = {1: [1.0] * 4, 2: [1.0, 0.0] * 2, 3: [0.0] * 4}
"""Level 1 is solved, level 2 half of the times, level 3 never."""


def levels_asked(order: Order, updates: range) -> list[int]:
    asked = []
    for update in updates:
        items = order.items(update, 12)
        order.learn(solved(items, RATES))
        asked += [int(item.data["level"]) for item in items]  # type: ignore[call-overload]
    return asked


def test_without_a_history_every_item_is_taken_in_the_order_without_a_curriculum() -> None:
    order = adaptive(size=30)

    items = order.items(0, 12)

    assert items == Order(Levelled(30), 0).items(0, 12)  # type: ignore[arg-type]
    assert order.position == 12


def test_items_of_middling_solve_rate_are_taken_more_often() -> None:
    asked = levels_asked(adaptive(), range(60))[120:]

    # a third of the candidates are of each level; those that teach nothing are taken with about
    # FLOOR = 0.1 to 0.4 (what is known of them fades), the others always
    assert asked.count(2) / len(asked) > 0.6
    assert asked.count(1) > 0 and asked.count(3) > 0


def test_the_weight_is_four_times_the_variance_of_the_estimated_rate() -> None:
    order = adaptive()
    items = order.items(0, 1)
    level = items[0].data["level"]
    order.learn([sample(items[0], value) for value in (1.0, 1.0, 1.0, 0.0)])

    # 3 of 4 and a guess of 2 of 4: p = 5/8; then 4 p (1 - p) = 15/16
    other = Item("", "", data={"level": level})
    assert order.weight(10**6, other) == pytest.approx(15 / 16)


def test_an_item_that_comes_again_is_judged_by_its_own_last_completions() -> None:
    order = adaptive(size=30)
    (item,) = order.items(0, 1)
    order.learn([sample(item, 1.0)] * 12)
    index = int(item.id.rpartition("/")[2])
    other = (index + 3) % 30  # of the same level, and not asked yet

    # the level: (12 + 2) / (12 + 4) = 7/8; the item: (12 + 4 * 7/8) / (12 + 4) = 31/32
    assert order.weight(other, item) == pytest.approx(4 * 7 / 8 * 1 / 8)
    assert order.weight(index, item) == pytest.approx(max(FLOOR, 4 * 31 / 32 * 1 / 32))


def test_what_is_known_of_a_level_fades_towards_a_half() -> None:
    order = adaptive()
    hard = Item("", "", data={"level": 3})
    order.levels = {"3": (0.0, 100.0)}
    weights = []
    for update in range(60):
        items = order.items(update, 1)
        order.learn([sample(items[0], None)])  # nothing could be scored
        weights.append(order.weight(0, hard))

    # after 60 updates 100 completions count as 100 * 0.9^60 = 0.18, against a guess of 4
    assert order.levels["3"][1] == pytest.approx(100 * MEMORY**60)
    assert weights == sorted(weights)
    assert (weights[0], weights[-1]) == (FLOOR, pytest.approx(1.0, abs=0.01))


def test_an_update_is_always_full() -> None:
    order = adaptive()
    order.levels = {str(level): (1e9, 1e9) for level in (1, 2, 3)}

    items = order.items(0, 12)

    assert len({item.id for item in items}) == 12
    assert order.position <= TRIES * 12


def test_scores_beyond_zero_and_one_count_as_those() -> None:
    order = adaptive()
    items = order.items(0, 1)
    order.learn([sample(items[0], value) for value in (-3.0, 7.5, None)])

    assert order.levels == {str(items[0].data["level"]): (1.0, 2.0)}


def test_the_same_seed_and_history_give_the_same_items() -> None:
    first, second, other = (levels_asked(adaptive(seed=s), range(10)) for s in (1, 1, 2))

    assert first == second
    assert first != other


@pytest.mark.parametrize("size", [30, 2**31])
def test_an_order_goes_on_from_its_state_in_json(size: int) -> None:
    whole, stopped, resumed = adaptive(size), adaptive(size), adaptive(size)
    expected = levels_asked(whole, range(9))
    first = levels_asked(stopped, range(5))
    resumed.restore(json.loads(json.dumps(stopped.state())))

    assert first + levels_asked(resumed, range(5, 9)) == expected
    assert resumed.state() == whole.state()


def test_further_items_leave_the_order_where_it_would_be_without_them() -> None:
    plain, more = adaptive(size=30), adaptive(size=30)
    first = plain.items(0, 4)

    assert more.items(0, 4) == first
    more.further(0, 1, 3)

    assert more.position == plain.position
    assert more.items(1, 4) == plain.items(1, 4)


def test_no_further_item_was_asked_in_the_update_while_there_are_others() -> None:
    order = adaptive(size=10)
    first = order.items(0, 4)
    order.levels = {str(level): (1e9, 1e9) for level in (1, 2, 3)}  # nine of ten are passed over

    items = first + order.further(0, 1, 3) + order.further(0, 2, 3)

    assert sorted(item.prompt for item in items) == [f"{index}?" for index in range(10)]


def test_without_a_curriculum_the_items_are_those_of_the_seed() -> None:
    order = Order(Levelled(30), 3)  # type: ignore[arg-type]
    order.learn([])

    asked = [int(item.id.rpartition("/")[2]) for item in order.items(2, 5)]
    assert asked == item_indices(3, 2, 5, 30)
    assert order.state() == {}


def test_a_resumed_run_with_a_curriculum_is_the_same_to_the_bit(tmp_path: Path) -> None:
    knobs = {"updates": 5, "checkpoint_every": 2, "curriculum": "adaptive"}

    whole, resumed, expected, metrics = stopped_and_resumed(
        lambda: small_training(**knobs), tmp_path, 3
    )

    assert metrics == {update: expected[update] for update in (3, 4, 5)}
    ours, theirs = (run.learner.policy.state_dict() for run in (resumed, whole))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert resumed.gatherer.order.state() == whole.gatherer.order.state()


def test_each_level_that_items_name_has_a_mean_of_its_own() -> None:
    items = [Item(str(n), "", data={"level": level}) for n, level in enumerate((1, 1, 3, 3))]
    samples = [sample(*pair) for pair in zip(items, (1.0, 0.0, 0.25, None), strict=True)]

    metrics = sample_metrics(samples, score="reward")

    assert {k: v for k, v in metrics.items() if "level" in k} == {
        "reward/level_1": 0.5,
        "reward/level_3": 0.25,  # of the one that could be scored
    }


def test_a_reward_part_may_not_have_the_name_of_a_level() -> None:
    named = Sample(Item("", ""), sample(Item("", ""), 1.0).completion, Score(1.0, {"level_1": 1.0}))

    with pytest.raises(UsageError, match="may not be named 'level_1'"):
        sample_metrics([named], score="reward")


def test_the_curriculum_is_a_knob_and_in_no_settings_without_it() -> None:
    assert "curriculum" not in flat(TrainConfig())
    assert flat(train_config({"curriculum": "adaptive"}))["curriculum"] == "adaptive"
    with pytest.raises(UsageError, match="did you mean 'adaptive'"):
        train_config({"curriculum": "adaptiv"})


def test_a_range_of_levels_is_all_of_them() -> None:
    assert levels_of("2-4", (1, 2, 3, 4)) == (2, 3, 4)
    assert levels_of(3, (1, 2, 3, 4)) == (3,)


@pytest.mark.parametrize("level", ["0-2", "2-9", "3-1", "1-", "-1", "a", 9, 2.0, True, None, ""])
def test_a_level_that_is_none_is_refused(level: object) -> None:
    with pytest.raises(UsageError, match="level must be"):
        levels_of(level, (1, 2, 3, 4))  # type: ignore[arg-type]


RANGED = ["Arithmetic", "Countdown", "GuessNumber", "Instructions", "Needle", "OneExpression"]


@pytest.mark.parametrize("name", RANGED)
def test_an_item_of_a_range_is_the_item_of_its_level(name: str) -> None:
    mixed = make(f"bakeoff/{name}-v0:level=1-3")
    single = {level: make(f"bakeoff/{name}-v0:level={level}") for level in (1, 2, 3)}

    levels = []
    for index, split in itertools.product(range(20), ("train", "eval")):
        item = mixed.item(index, split)
        level = int(item.data["level"])  # type: ignore[call-overload]
        levels.append(level)
        assert item.prompt == single[level].item(index, split).prompt
        assert "level" not in single[level].item(index, split).data

    # of 40 draws, each of three levels comes 13 times on average
    assert set(levels) == {1, 2, 3}
