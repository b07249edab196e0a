"""The greedy reply as a baseline: asked once for each item, scored with the samples, counted."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import pytest
from several_turns import SMALL, Relay, Script
from small_world import Successor, small_model, small_training

from bakeoff.errors import UsageError
from bakeoff.training.gathering import Gathered
from bakeoff.training.order import item_indices
from bakeoff.training.reports import Sample
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.statistics import sample_metrics
from bakeoff.types import Completion, Item, Score


class Odd(Successor):
    """Pays a reply by its last character, so that greedy replies have rewards of all kinds."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def score(self, item: Item, reply: str) -> Score:
        return Score(("0123456789?".index(reply[-1]) + 1) / 16 if reply else 0.0)

    def score_many(self, items: Sequence[Item], replies: Sequence[str]) -> list[Score]:
        self.calls.append(len(items))
        return super().score_many(items, replies)


def greedy_texts() -> dict[str, str]:
    """What the untrained model writes greedily to the items of the first update."""
    model = small_model(0)
    items = [Successor().item(index, "train") for index in item_indices(0, 0, 4, 10)]
    decoding = Decoding(max_new_tokens=2, temperature=0.0)
    replies = sampler_of(model).sample([model.prompt_ids(i.prompt) for i in items], 1, decoding, 0)
    return {item.id: reply.text for item, reply in zip(items, replies, strict=True)}


def first_update(environment: object, algorithm: str = "remax") -> Gathered:
    return small_training(algorithm, environment=environment).gatherer.gather(0)


def test_each_completion_has_the_reward_of_the_greedy_reply_to_its_item() -> None:
    gathered = first_update(Odd())

    expected = [Odd().score(Item("", ""), text).value for text in greedy_texts().values()]
    assert gathered.batch is not None and gathered.batch.greedy_reward_B is not None
    assert gathered.batch.greedy_reward_B.tolist() == [r for r in expected for _ in range(4)]
    assert len(set(expected)) > 1


def test_the_samples_are_those_of_an_algorithm_without_a_greedy_reply() -> None:
    assert first_update(Odd()).samples == first_update(Odd(), "grpo").samples


def test_without_a_need_for_it_there_is_no_greedy_reply() -> None:
    gathered = first_update(Odd(), "grpo")

    assert gathered.greedy == []
    assert gathered.batch is not None
    assert gathered.batch.greedy_reward_B is None


def test_greedy_replies_are_scored_in_the_same_call_as_the_samples() -> None:
    env = Odd()

    first_update(env)

    assert env.calls == [4 + 16]


def test_greedy_replies_are_counted_as_any_others() -> None:
    training = small_training("remax", environment=Odd(), updates=1)
    gathered = first_update(Odd())

    *_, report = training.run()

    counters = report.counters
    tokens = sum(s.completion.sampled for s in gathered.samples + gathered.greedy)
    assert (counters.prompts, counters.completions) == (4, 4 * (4 + 1))
    assert counters.completion_tokens == tokens
    # "3?" passes the model once before four samples and once before the greedy reply
    assert counters.prompt_tokens == 4 * 2 * 2
    # they are not learned from, and the metrics of completions are not over them
    assert counters.trained_tokens == sum(s.completion.sampled for s in gathered.samples)
    assert report.completions == 16
    (rollout,) = (phase for phase in report.phases if phase.name == "rollout")
    assert rollout.tokens == tokens


def test_greedy_replies_cost_what_their_tokens_cost() -> None:
    costs = {}
    for name in ("remax", "reinforce"):
        training = small_training(name, environment=Odd(), updates=1)
        *_, report = training.run()
        costs[name] = report.counters.train_flops
    lengths = [len(s.completion.token_ids) for s in first_update(Odd()).greedy]

    # reinforce has the same samples, and one pass and its backward pass over each, as remax has
    forward = training.flops.forward
    assert costs["remax"] - costs["reinforce"] == sum(forward(2, t - 1, t) for t in lengths)


def test_the_mean_reward_of_greedy_replies_is_a_metric_of_its_own() -> None:
    gathered = first_update(Odd())

    rewards = [float(s.score.value or 0) for s in gathered.greedy]
    assert gathered.metrics["reward/greedy"] == pytest.approx(fmean(rewards))
    assert "reward/greedy" not in first_update(Odd(), "grpo").metrics


class Speechless(Odd):
    """Cannot score one reply to one item: the one that the untrained model writes greedily."""

    def __init__(self) -> None:
        super().__init__()
        self.item_id, self.text = next(iter(greedy_texts().items()))

    def score(self, item: Item, reply: str) -> Score:
        if (item.id, reply) == (self.item_id, self.text):
            return Score(None, {}, "the checker timed out")
        return super().score(item, reply)


def test_a_group_whose_greedy_reply_has_no_score_is_left_out() -> None:
    gathered = first_update(Speechless())

    assert gathered.batch is not None and gathered.batch.greedy_reward_B is not None
    # group 0 has nothing to be compared with; the other three are whole
    assert gathered.batch.group_B.tolist() == [g for g in (1, 2, 3) for _ in range(4)]
    whole = first_update(Odd()).batch
    assert whole is not None and whole.greedy_reward_B is not None
    assert gathered.batch.greedy_reward_B.tolist() == whole.greedy_reward_B[4:].tolist()


def test_a_group_without_its_greedy_reply_is_counted_as_not_scored() -> None:
    training = small_training("remax", environment=Speechless(), updates=1, samples_per_update=4)

    *_, report = training.run()

    # four completions and the greedy reply itself
    assert report.counters.unscored_completions == 5
    assert report.metrics["completions/unscored_frac"] == pytest.approx(4 / 16)
    assert {s.score.value for s in report.samples} == {None}
    assert "the greedy reply could not be scored: the checker timed out" in {
        s.score.reason for s in report.samples
    }


def test_without_any_greedy_score_nothing_is_learned() -> None:
    class Mute(Odd):
        def score(self, item: Item, reply: str) -> Score:
            return Score(None, {}, "the checker timed out")

    gathered = first_update(Mute())

    assert gathered.batch is None
    assert "reward/greedy" not in gathered.metrics


def test_the_greedy_reply_to_an_episode_is_an_episode() -> None:
    training = small_training("remax", environment=Relay())
    turns = (["7"] * 4, ["2"] * 4, ["5"] * 16, ["1"] * 16)
    training.gatherer.sampler = Script(SMALL, *turns)

    gathered = training.gatherer.gather(0)

    assert {s.completion.replies for s in gathered.greedy} == {("7", "2")}
    assert {s.completion.replies for s in gathered.samples} == {("5", "1")}


def test_a_reward_part_may_not_take_the_name_of_the_greedy_reward() -> None:
    named = Sample(
        Item("", ""), Completion((1,), (1,), (0.0,), False, ""), Score(1.0, {"greedy": 1.0})
    )

    with pytest.raises(UsageError, match="may not be named 'greedy'"):
        sample_metrics([named], score="reward")
