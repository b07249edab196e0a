"""Instructions, Needle, GuessNumber and TwentyQuestions: what they ask, and what earns what."""

from __future__ import annotations

import itertools
from typing import Any, cast

import pytest

from bakeoff.envs import make
from bakeoff.envs.games.family import Family, whole_number
from bakeoff.envs.games.guess_number import LEVELS as GUESS_LEVELS
from bakeoff.envs.games.guess_number import GuessNumber
from bakeoff.envs.games.instructions import LEVELS as INSTRUCTION_LEVELS
from bakeoff.envs.games.instructions import Instructions
from bakeoff.envs.games.needle import LEVELS as NEEDLE_LEVELS
from bakeoff.envs.games.needle import Needle
from bakeoff.envs.games.twenty_questions import LEVELS as QUESTION_LEVELS
from bakeoff.envs.games.twenty_questions import PROPERTIES, TwentyQuestions
from bakeoff.types import Item

FAMILIES: list[Family] = [
    *(Instructions(level=level) for level in INSTRUCTION_LEVELS),
    *(Needle(level=level) for level in NEEDLE_LEVELS),
    *(GuessNumber(level=level) for level in GUESS_LEVELS),
    *(TwentyQuestions(level=level) for level in QUESTION_LEVELS),
]


def episode(env: Family, item: Item, first: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The replies of an episode: some given ones, then the gold ones, as long as it goes on."""
    replies = list(first)
    while not replies or (env.turns > 1 and env.turn(item, replies) is not None):
        replies.append(env.gold_reply(item, replies))
    return tuple(replies)


@pytest.fixture(params=FAMILIES, ids=lambda env: f"{type(env).__name__}-{env.level}")
def family(request: pytest.FixtureRequest) -> Family:
    return cast(Family, request.param)


def test_the_gold_replies_fit_even_in_single_characters(family: Family) -> None:
    longest = max(len(r) for i in range(100) for r in episode(family, family.item(i)))

    assert longest < family.reply_tokens  # and the end-of-sequence token


def test_each_level_holds_out_enough_to_evaluate_on(family: Family) -> None:
    # GuessNumber has the fewest prompts in level 1: 93 lowest numbers, of which an eighth are for
    # eval; level 1 of Instructions has some 160
    assert len({family.item(index, "eval").prompt for index in range(100)}) >= 8


def test_what_is_said_is_a_function_of_the_replies_alone(family: Family) -> None:
    item = family.item(0)
    replies = episode(family, item)

    said = [family.turn(item, replies[: n + 1]) for n in range(len(replies))]
    assert said == [family.turn(item, replies[: n + 1]) for n in range(len(replies))]
    assert said[-1] is None


@pytest.mark.parametrize(
    "reply", ["", "\x00", "\ud800", "9" * 200_000, "-" * 200_000, "[" * 50_000]
)
def test_no_reply_is_too_odd_to_be_judged(family: Family, reply: str) -> None:
    item = family.item(0)
    assert family.score(item, reply).value == 0.0
    assert family.turns == 1 or family.score(item, (reply,) * family.turns).value == 0.0
    assert family.turns == 1 or family.turn(item, [reply]) not in (None, "")


@pytest.mark.parametrize("level", GUESS_LEVELS)
def test_bisection_always_finds_the_number_and_no_fewer_guesses_do(level: int) -> None:
    env = GuessNumber(level=level)
    item = env.item(0)
    low, high = cast(int, item.data["low"]), cast(int, item.data["high"])
    every = [Item(item.id, item.prompt, str(n), item.gold, item.data) for n in range(low, high + 1)]
    replies = [episode(env, one) for one in every]

    assert [env.score(*pair).value for pair in zip(every, replies, strict=True)] == [1.0] * len(
        every
    )
    assert max(map(len, replies)) == env.turns
    # the first n guesses tell 2^n - 1 numbers: one reply alone is right for one number
    assert sum(len(r) == 1 for r in replies) == 1


def test_fixed_guesses_find_as_many_numbers_as_there_are_guesses() -> None:
    env = GuessNumber()
    item = env.item(0)
    low = cast(int, item.data["low"])
    every = [Item("", "", str(low + n), data=item.data) for n in range(7)]

    guesses = tuple(str(low + n) for n in (3, 1, 5))
    assert sum(env.score(one, guesses).value or 0 for one in every) == 3
    assert env.score(every[6], tuple(str(low + n) for n in range(7))).value == 0.0  # a 7th guess


@pytest.mark.parametrize(
    "reply", ["{} or {}", "{}, {}", "-{}", "{}.5", "number {}", "{}{}", "0x{}", ""]
)
def test_only_one_number_is_a_guess(reply: str) -> None:
    env = GuessNumber()
    for item in map(env.item, range(5)):
        said = reply.format(item.answer, item.answer)
        if whole_number(said) is None:
            assert env.turn(item, [said]) == "reply with one number"
        assert env.score(item, (said,)).value == 0.0


def test_what_is_said_tells_higher_from_lower() -> None:
    env = GuessNumber(level=2)
    for item in map(env.item, range(20)):
        secret = int(item.answer)

        assert env.turn(item, [str(secret - 1)]) == "higher"
        assert env.turn(item, [str(secret + 1)]) == "lower"
        assert env.turn(item, [str(secret)]) is None
        assert env.turn(item, ["0"] * 4) is None


@pytest.mark.parametrize("reply", ["nonsense", "0", "99999"])
def test_the_gold_replies_go_on_from_a_wasted_guess(reply: str) -> None:
    env = GuessNumber()
    item = env.item(3)
    low = cast(int, item.data["low"])
    easy = Item(item.id, item.prompt, str(low + 1), item.gold, item.data)  # the second of bisection

    assert env.score(easy, episode(env, easy, (reply,))).value == 1.0


@pytest.mark.parametrize("level", QUESTION_LEVELS)
def test_asking_well_always_finds_the_number(level: int) -> None:
    env = TwentyQuestions(level=level)
    for item in map(env.item, range(20)):
        numbers = cast(tuple[int, ...], item.data["numbers"])
        every = [Item(item.id, item.prompt, str(n), item.gold, item.data) for n in numbers]
        replies = [episode(env, one) for one in every]

        scores = [env.score(one, reply).value for one, reply in zip(every, replies, strict=True)]
        assert scores == [1.0] * len(numbers)
        assert max(map(len, replies)) == env.turns
        assert min(map(len, replies)) > 1


def test_the_answers_are_the_facts() -> None:
    # 49: odd, at most 50, 3 and 5 do not divide it, 7 * 7, digits 4 and 9
    facts = [False, False, False, False, False, True, True, True]

    assert [one.holds(49) for one in PROPERTIES] == facts
    assert [n for n in range(2, 30) if PROPERTIES[4].holds(n)] == [
        2,
        3,
        5,
        7,
        11,
        13,
        17,
        19,
        23,
        29,
    ]


def test_a_number_that_is_named_ends_the_game_right_or_wrong() -> None:
    env = TwentyQuestions()
    for item in map(env.item, range(10)):
        for number in cast(tuple[int, ...], item.data["numbers"]):
            assert env.turn(item, [str(number)]) is None
            value = env.score(item, (str(number), item.answer)).value
            assert value == float(str(number) == item.answer)


def test_what_is_no_question_and_no_number_of_the_list_is_sent_back() -> None:
    env = TwentyQuestions()
    item = env.item(0)
    others = ["z", "h", "ab", "", "1", "1000", f"{item.answer} or 3"]

    said = {env.turn(item, [reply]) for reply in others}
    assert said == {"reply with one letter or one number of the list"}
    assert env.turn(item, ["A?"]) == env.turn(item, ["a"])


def test_one_reply_alone_finds_no_more_than_chance() -> None:
    env = TwentyQuestions(level=2)
    firsts = [env.score(item, (str(cast(Any, item.data["numbers"])[0]),)).value or 0.0
              for item in map(env.item, range(400))]  # fmt: skip

    # one of seven: 57 of 400, and the standard error is 7
    assert sum(firsts) == pytest.approx(57, abs=21)


@pytest.mark.parametrize("name", ["GuessNumber", "TwentyQuestions"])
def test_an_episode_goes_through_gymnasium(name: str) -> None:
    env = make(f"bakeoff/{name}-v0")
    for index in range(10):
        env.reset(options={"index": index})
        item = env.item(index)
        replies: list[str] = []
        for turn in itertools.count(1):
            replies.append(env.gold_reply(item, replies))
            said, reward, terminated, truncated, info = env.step(replies[-1])
            if terminated or truncated:
                break
            assert (said, reward) == (env.turn(item, replies), 0.0)
            assert turn < env.turns

        assert (reward, terminated, truncated) == (1.0, True, False)
        assert info["scored"]


@pytest.mark.parametrize("name", ["GuessNumber", "Instructions", "Needle", "TwentyQuestions"])
def test_a_range_has_the_turns_of_its_longest_level(name: str) -> None:
    assert make(f"bakeoff/{name}-v0:level=1-3").turns == make(f"bakeoff/{name}-v0:level=3").turns
