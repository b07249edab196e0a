"""Gold replies in the place of samples: their tokens, what is counted, and what there is not."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from several_turns import DECODING, END, SMALL, HigherLower, Relay, ids
from small_world import Successor, small_model, small_training

from bakeoff.comparisons.cell.recorder import Recorder
from bakeoff.comparisons.schema import CURVES_COLUMNS
from bakeoff.comparisons.tables import read_rows
from bakeoff.errors import UsageError
from bakeoff.models.loading import load
from bakeoff.training.gold import end_id, gold_completion
from bakeoff.training.reports import GOLD
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.steps import Diverged
from bakeoff.types import Item


class Guide(Relay):
    """Shows the way: any digit first, then the one that was said."""

    def gold_reply(self, item: Item, replies: Sequence[str]) -> str:
        return item.answer if replies else "7"


def test_a_gold_completion_is_the_gold_reply_and_its_end() -> None:
    item = Successor().item(3, "train")

    one = gold_completion(Successor(), SMALL, item, DECODING)

    assert one.prompt_ids == ids("3?")
    assert one.token_ids == (*ids("4"), END)
    assert one.mask == (1, 1)
    assert one.text == "4"
    assert not one.truncated
    assert all(math.isnan(logp) for logp in one.logprobs) and len(one.logprobs) == 2


@pytest.mark.parametrize(("room", "text", "truncated"), [(4, "456", False), (3, "456", True)])
def test_a_gold_reply_that_does_not_fit_with_its_end_is_cut(
    room: int, text: str, truncated: bool
) -> None:
    item = replace(Successor().item(3, "train"), gold="456")

    one = gold_completion(Successor(), SMALL, item, Decoding(max_new_tokens=room))

    # three tokens and an end: four
    assert one.token_ids == (*ids(text), END)[:room]
    assert (one.text, one.truncated) == (text, truncated)


def test_a_gold_episode_has_what_the_environment_says_between_its_replies() -> None:
    one = gold_completion(Guide(), SMALL, Guide().item(2), DECODING)

    assert one.token_ids == (*ids("7"), END, *ids("2"), *ids("2"), END)
    assert one.mask == (1, 1, 0, 1, 1)
    assert one.replies == ("7", "2")
    assert [math.isnan(logp) for logp in one.logprobs] == [True, True, False, True, True]


def test_a_gold_episode_ends_when_nothing_more_is_said() -> None:
    class Knows(HigherLower):
        def gold_reply(self, item: Item, replies: Sequence[str]) -> str:
            return item.answer

    one = gold_completion(Knows(), SMALL, Knows().item(1), DECODING)

    assert one.replies == ("2",)


def test_a_gold_episode_that_outgrows_the_context_is_truncated() -> None:
    class Talkative(Guide):
        def turn(self, item: Item, replies: Sequence[str]) -> str | None:
            return "5" * 59

    one = gold_completion(Talkative(), SMALL, Talkative().item(0), DECODING)

    # prompt 2, reply 2, said 59, room for a reply 2: one more than the context of 64
    assert one.token_ids == (*ids("7"), END)
    assert one.truncated


def test_a_prompt_that_leaves_no_room_for_its_gold_reply_is_refused() -> None:
    item = Item("x/train/0", "1" * 63, gold="4")

    with pytest.raises(UsageError, match="item 'x/train/0' and max_new_tokens 2 do not fit"):
        gold_completion(Successor(), SMALL, item, DECODING)


def test_with_a_chat_template_a_gold_reply_is_the_message_of_the_assistant() -> None:
    tiny = load("tiny")

    one = gold_completion(Successor(), tiny, Successor().item(3, "train"), DECODING)

    messages = [{"role": "user", "content": "3?"}, {"role": "assistant", "content": "4"}]
    whole = tiny.tokenizer.apply_chat_template(messages, tokenize=False)
    assert tiny.tokenizer.decode(one.prompt_ids + one.token_ids) == whole


def test_of_several_ends_a_gold_reply_has_the_one_of_the_chat_template() -> None:
    model = small_model()
    model.model.generation_config.eos_token_id = [1, 2]
    templated = copy.deepcopy(model.tokenizer)
    templated.chat_template = "{% for m in messages %}{{ m['content'] }}<unk>{% endfor %}"

    assert end_id(replace(model, tokenizer=templated)) == 2
    assert end_id(model) == 1  # without a template, the tokenizer's


class Goldless(Successor):
    def item(self, index: int, split: str) -> Item:
        return replace(super().item(index, split), gold="")


def test_an_environment_without_gold_replies_is_refused_before_anything_runs() -> None:
    with pytest.raises(UsageError, match=r"'test/Successor-v0' has none for item '.*/train/\d'"):
        small_training("sft", environment=Goldless())

    small_training("grpo", environment=Goldless())


def test_an_episode_needs_more_than_the_gold_reply_of_its_item() -> None:
    class Silent(Goldless):
        turns = 2

    with pytest.raises(UsageError, match="has none for item"):
        small_training("sft", environment=Silent())


def test_each_item_of_an_update_gives_one_gold_reply_and_no_sample() -> None:
    gold = small_training("sft").gatherer.gather(0)
    sampled = small_training("grpo").gatherer.gather(0)

    assert [s.item for s in gold.samples] == [s.item for s in sampled.samples[::4]]
    assert [s.completion.text for s in gold.samples] == [s.item.answer for s in gold.samples]
    assert all(s.score is GOLD for s in gold.samples)
    assert gold.learned == gold.samples


def test_gold_replies_have_no_reward_and_were_sampled_by_nobody() -> None:
    batch = small_training("sft").gatherer.gather(0).batch

    assert batch is not None
    assert batch.reward_B.isnan().all()
    assert batch.logp_old_BT[batch.mask_BT > 0].isnan().all()
    assert batch.group_B.tolist() == [0, 1, 2, 3]


def test_a_ratio_to_gold_replies_ends_the_run_as_diverged() -> None:
    training = small_training("grpo")
    training.learner.algorithm = training.learner.algorithm._replace(on_gold=True)

    with pytest.raises(Diverged, match="policy loss is nan"):
        list(training.run())


def test_of_gold_replies_only_what_is_learned_is_counted() -> None:
    *_, report = small_training("sft", updates=2).run()

    counters = report.counters
    assert (counters.prompts, counters.completions, counters.completion_tokens) == (8, 0, 0)
    assert counters.unscored_completions == 0
    assert counters.prompt_tokens == 8 * 2  # "3?"
    assert counters.trained_tokens == 8 * 2  # "4" and its end


def test_learning_from_gold_costs_a_forward_and_a_backward_pass() -> None:
    training = small_training("sft", updates=1)

    *_, report = training.run()

    # four items, two tokens of prompt and two of the reply; a backward pass is two forward ones
    assert report.counters.train_flops == 4 * 3 * training.flops.forward(2, 1, 2)


def test_an_update_on_gold_replies_has_no_reward_and_no_rollout() -> None:
    *_, report = small_training("sft", updates=1).run()

    assert not {name for name in report.metrics if name.startswith(("reward", "groups"))}
    assert "completions/unscored_frac" not in report.metrics
    assert "logp_mismatch/max" not in report.metrics
    assert not {"rollout", "reward"} & {phase.name for phase in report.phases}
    assert "score/mean" in report.eval_metrics


def test_gold_replies_that_were_cut_are_counted() -> None:
    class Long(Successor):
        def item(self, index: int, split: str) -> Item:
            item = super().item(index, split)
            return replace(item, gold="456" if index % 2 else item.gold)

    training = small_training("sft", environment=Long(), prompts_per_update=10)

    metrics = training.gatherer.gather(0).metrics

    # all ten items, five of which have three tokens and an end in the place of two tokens' room
    assert metrics["completions/truncated_frac"] == 0.5
    assert metrics["completions/mean_length"] == 2


def test_gold_replies_that_were_cut_can_be_left_out() -> None:
    class Long(Successor):
        def item(self, index: int, split: str) -> Item:
            item = super().item(index, split)
            return replace(item, gold="456" if index % 2 else item.gold)

    env, name = Long(), "sft:drop_truncated=true"

    gathered = small_training(name, environment=env, prompts_per_update=10).gatherer.gather(0)

    assert len(gathered.learned) == 5
    assert not any(s.completion.truncated for s in gathered.learned)
    assert gathered.metrics["completions/dropped_frac"] == 0.5


def test_a_curriculum_that_has_no_scores_keeps_to_the_order_without_one() -> None:
    adaptive = small_training("sft", curriculum="adaptive").gatherer
    plain = small_training("sft").gatherer

    for update in range(4):
        gathered = [gatherer.gather(update).samples for gatherer in (adaptive, plain)]
        assert gathered[0] == gathered[1]


def test_the_rows_of_a_run_on_gold_say_over_how_many_replies_they_are(tmp_path: Path) -> None:
    spec = {"run_id": "x", "algorithm": "sft", "environment": "test/Successor-v0", "seed": 0}
    recorder = Recorder(tmp_path, spec, 1, started=0.0)
    for report in small_training("sft", updates=1).run():
        recorder.write(report, 1000)

    rows = read_rows(tmp_path / "curves.csv", CURVES_COLUMNS)
    train = {row["metric"]: row["n"] for row in rows if row["split"] == "train"}
    assert train["completions/mean_length"] == train["loss/policy"] == "4"
    assert "reward_final" not in recorder.totals
