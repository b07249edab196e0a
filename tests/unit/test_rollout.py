"""Episodes of several turns: their tokens and masks, how they go on, and how they end."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from several_turns import DECODING, END, SMALL, HigherLower, Relay, Script, ids, played
from small_world import Successor

from bakeoff.models.loading import LanguageModel, load
from bakeoff.training.rollout import rollout
from bakeoff.training.sampling.builtin import sampler_of
from bakeoff.training.sampling.padded import PaddedSampler
from bakeoff.types import Item


def test_an_episode_is_its_replies_with_the_observations_between_them() -> None:
    script = Script(SMALL, ["7"], ["4"])

    (one,) = played(Relay(), SMALL, script, [Relay().item(2)])

    # the prompt "0?"; then the reply "7", what is said, "2", and the reply "4"
    assert one.prompt_ids == ids("0?")
    assert one.token_ids == (*ids("7"), END, *ids("2"), *ids("4"), END)
    assert one.mask == (1, 1, 0, 1, 1)
    assert one.logprobs == (-1.0, -2.0, 0.0, -1.0, -2.0)
    assert one.replies == ("7", "4")
    assert one.text == "724"
    assert one.sampled == 4
    assert not one.truncated


def test_each_reply_is_asked_for_after_all_that_came_before() -> None:
    script = Script(SMALL, ["7"], ["4"])

    played(Relay(), SMALL, script, [Relay().item(2)])

    assert script.contexts == [[ids("0?")], [(*ids("0?"), *ids("7"), END, *ids("2"))]]


def test_an_episode_that_is_over_waits_while_others_go_on() -> None:
    env = HigherLower()
    script = Script(SMALL, ["2", "2", "3"], ["3", "1"])

    over, higher, lower = played(env, SMALL, script, [env.item(index) for index in (1, 2, 0)])

    # the secrets are 2, 3 and 1: the first guess is right, and only the others are answered
    assert (over.replies, higher.replies, lower.replies) == (("2",), ("2", "3"), ("3", "1"))
    assert over.mask == ()
    assert higher.token_ids == (*ids("2"), END, *ids("9"), *ids("3"), END)
    assert lower.token_ids == (*ids("3"), END, *ids("0"), *ids("1"), END)


def test_completions_of_one_item_go_on_from_their_own_replies() -> None:
    env = HigherLower()
    script = Script(SMALL, ["1", "3"], ["2", "2"])

    low, high = played(env, SMALL, script, [env.item(1)], n=2)

    assert low.token_ids[2:3] == ids("9")
    assert high.token_ids[2:3] == ids("0")


@pytest.mark.parametrize(("turns", "replies"), [(["7~"], ("7",)), (["7", "4~"], ("7", "4"))])
def test_a_reply_that_is_cut_off_ends_the_episode_truncated(
    turns: list[str], replies: tuple[str, ...]
) -> None:
    (one,) = played(Relay(), SMALL, Script(SMALL, *([t] for t in turns)), [Relay().item(2)])

    assert one.truncated
    assert one.replies == replies


def test_the_last_turn_is_not_truncated_even_if_the_environment_would_go_on() -> None:
    (one,) = played(HigherLower(), SMALL, Script(SMALL, ["2"], ["2"]), [HigherLower().item(2)])

    assert one.replies == ("2", "2")
    assert not one.truncated


class Talkative(Relay):
    """Says many digits, so that the context of 64 tokens is full."""

    turns = 9

    def __init__(self, says: int) -> None:
        super().__init__()
        self.says = says

    def turn(self, item: Item, replies: Sequence[str]) -> str | None:
        return "5" * self.says


@pytest.mark.parametrize(("says", "replies"), [(58, 2), (59, 1), (100, 1)])
def test_an_episode_is_truncated_before_it_outgrows_the_context(says: int, replies: int) -> None:
    script = Script(SMALL, *[["7"]] * 9)

    (one,) = played(Talkative(says), SMALL, script, [Relay().item(2)])

    # prompt 2, reply 2, said, room for a reply 2: 58 fill the context of 64 and 59 do not fit
    assert len(one.replies) == replies
    assert one.truncated
    # what was said and could not be answered is no part of the episode
    assert one.token_ids[-1] == END
    assert len(one.prompt_ids) + len(one.token_ids) <= 64


def test_one_turn_leaves_completions_as_the_sampler_made_them() -> None:
    items = [Successor().item(index, "train") for index in range(3)]
    prompts = [SMALL.prompt_ids(item.prompt) for item in items]

    episodes, _ = rollout(Successor(), SMALL, sampler_of(SMALL), items, 2, DECODING, 5)

    sampled = sampler_of(SMALL).sample(prompts, 2, DECODING, 5)
    assert [completion for _, completion in episodes] == sampled


def test_the_same_seed_gives_the_same_episodes() -> None:
    items = [HigherLower().item(index) for index in range(3)]
    sampler = sampler_of(SMALL)

    first, second, other = (
        rollout(HigherLower(), SMALL, sampler, items, 8, DECODING, seed)[0] for seed in (5, 5, 6)
    )

    assert first == second
    assert first != other


def test_the_largest_cache_of_all_turns_is_reported() -> None:
    sampler = PaddedSampler(SMALL)
    items = [Relay().item(0)]

    episodes, cache_bytes = rollout(Relay(), SMALL, sampler, items, 64, DECODING, 0)

    # 2 layers x (keys + values) x 1 head x 16 wide x 4 bytes a position and row; the last turn has
    # the most positions, and the first the most rows
    positions = max(len(c.prompt_ids) + len(c.token_ids) for _, c in episodes)
    assert cache_bytes >= 2 * 2 * 16 * 4 * max(64 * 2, positions - 1)


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    return load("tiny")


def test_with_a_chat_template_an_observation_is_the_next_message_of_the_user(
    tiny: LanguageModel,
) -> None:
    env = HigherLower()

    (one,) = played(env, tiny, Script(tiny, ["2"], ["3"]), [env.item(2)])

    messages = [("user", "1?"), ("assistant", "2"), ("user", "9"), ("assistant", "3")]
    whole = tiny.tokenizer.apply_chat_template(
        [{"role": role, "content": content} for role, content in messages], tokenize=False
    )
    assert tiny.tokenizer.decode(one.prompt_ids + one.token_ids) == whole
    shown = [token for token, counts in zip(one.token_ids, one.mask, strict=True) if not counts]
    assert tiny.tokenizer.decode(shown) == "<user>9<reply>"
