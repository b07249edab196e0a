"""Names of environments: what ships, one's own, and one clear line for what is wrong."""

from __future__ import annotations

import random
from pathlib import Path

import gymnasium
import pytest
from gymnasium.error import ResetNeeded

from bakeoff.envs import ENVIRONMENTS, AnyText, TextEnv, describe, make, register
from bakeoff.errors import UsageError
from bakeoff.types import Item

SIZES = {"train": 100, "eval": 20}


def echo(rng: random.Random, digits: int = 6) -> Item:
    """Repeat a number.

    More text.
    """
    number = str(rng.randrange(10**digits))
    return Item("", f"Repeat {number}", answer=number, gold=number)


def same(reply: str, item: Item) -> bool:
    return reply == item.answer


def broken(reply: str, item: Item) -> float:
    return 1 / 0


class Fixed(TextEnv):
    """Always the same question."""

    id = "test/Fixed-v0"

    def size(self, split: str) -> int:
        return 1

    def item(self, index: int, split: str = "train") -> Item:
        return Item(f"{self.id}/{split}/{index}", f"Say yes ({split}).", "yes", "yes")


def test_a_function_becomes_an_environment() -> None:
    register("test/Echo-v0", make_item=echo, sizes=SIZES, rewards={"same": (2.0, same)})
    env = make("test/Echo-v0:digits=3")
    item = env.item(7, "eval")

    assert item.id == "test/Echo-v0/eval/7"
    assert len(item.answer) <= 3
    assert env.score(item, item.gold).value == 2.0
    assert ("test/Echo-v0", "Repeat a number.") in describe()
    assert gymnasium.make("test/Echo-v0", digits=3).unwrapped.item(7, "eval") == item


def test_its_splits_share_no_prompt_even_if_there_are_few() -> None:
    register("test/Few-v0", make_item=echo, sizes=SIZES, rewards={"same": (1.0, same)})
    env = make("test/Few-v0:digits=2")
    train, evaluation = ({env.item(i, s).prompt for i in range(20)} for s in ("train", "eval"))

    assert not train & evaluation


def test_a_generator_without_prompts_for_a_split_is_an_error() -> None:
    one = Item("", "the only prompt")
    register("test/One-v0", make_item=lambda rng: one, sizes=SIZES, rewards={"same": (1.0, same)})
    env = make("test/One-v0")

    with pytest.raises(UsageError, match="none of 1000 prompts"):
        [env.item(0, split) for split in ("train", "eval")]


def test_a_class_becomes_an_environment() -> None:
    register("test/Fixed-v0", Fixed)

    assert make("test/Fixed-v0").item(0).prompt == "Say yes (train)."


def test_a_file_that_registers_one_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "my_envs.py").write_text(
        "from bakeoff.envs import TextEnv, register\n"
        "class Mine(TextEnv):\n"
        "    id = 'test/Mine-v0'\n"
        "    def __init__(self, *, color: str = 'red', split: str = 'train', render_mode=None):\n"
        "        super().__init__(split=split, render_mode=render_mode)\n"
        "        self.color = color\n"
        "register('test/Mine-v0', Mine)\n"
    )
    place = f"{tmp_path}/my_envs.py"

    assert vars(make(f"{place}:test/Mine-v0:color=blue"))["color"] == "blue"
    assert vars(make(f"{place}:test/Mine-v0"))["color"] == "red"  # imported once, made twice
    with pytest.raises(UsageError, match="did you mean 'test/Mine-v0'"):
        make(f"{place}:test/Mime-v0")
    with pytest.raises(UsageError, match="color of test/Mine-v0 must be str, not 3"):
        make(f"{place}:test/Mine-v0:color=3")


def test_an_installed_package_adds_one_by_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plugged.py").write_text(
        '"""One environment."""\nfrom bakeoff.envs import TextEnv\n'
        'class Plugged(TextEnv):\n    """Plugged in."""\n    id = "test/Plugged-v0"\n'
    )
    info = tmp_path / "plugged-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[bakeoff.envs]\ntest/Plugged-v0 = plugged:Plugged\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    assert dict(describe())["test/Plugged-v0"] == "plugged:Plugged"  # named, and not yet imported
    assert type(make("test/Plugged-v0")).__name__ == "Plugged"
    assert type(make("test/Plugged-v0")).__name__ == "Plugged"  # again: registered by then
    assert dict(describe())["test/Plugged-v0"] == "Plugged in."


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("bakeoff/Aritmetic-v0", "did you mean 'bakeoff/Arithmetic-v0'"),
        ("CartPole-v1", "unknown environment"),  # gymnasium's, and no text
        ("bakeoff/Arithmetic-v0:levle=2", "did you mean 'level'"),
        ("bakeoff/Arithmetic-v0:level=two", "level must be one of 1, 2, 3, 4, not 'two'"),
        ("bakeoff/Arithmetic-v0:level=true", r"must be int \| str, not True"),
        ("bakeoff/Arithmetic-v0:level=2.0", r"must be int \| str, not 2.0"),
        ("bakeoff/Arithmetic-v0:split=evla", "did you mean 'eval'"),
        ("nowhere.py:me/Add-v0", "no such file: nowhere.py"),
        ("no_such_module:me/Add-v0", "no module named 'no_such_module'"),
    ],
)
def test_what_is_wrong_with_a_name_is_said_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        make(spec)

    assert "\n" not in str(error.value)


@pytest.mark.parametrize("id", ["Add-v0", "me/Add", "me/Add-v", "me/a/Add-v0", "me/Add-v1.2", ""])
def test_an_id_has_a_namespace_and_a_version(id: str) -> None:
    with pytest.raises(UsageError, match="write it as me/Name-v0"):
        register(id, make_item=echo, sizes=SIZES, rewards={"same": (1.0, same)})


@pytest.mark.parametrize("id", ENVIRONMENTS)
def test_an_id_is_given_once(id: str) -> None:
    with pytest.raises(UsageError, match="exists already"):
        register(id, make_item=echo, sizes=SIZES, rewards={"same": (1.0, same)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"make_item": None}, "either entry_point= or make_item="),
        ({"sizes": None}, "either sizes= .* or rows="),
        ({"sizes": {"train": 1}}, "sizes must be like"),
        ({"sizes": {"train": 1, "eval": 0}}, "sizes must be like"),
        ({"rewards": {}}, "rewards must be like"),
        ({"rewards": {"same": same}}, "must be .weight, function."),
        ({"rewards": {"same": (float("nan"), same)}}, "must be a number"),
        ({"reply_tokens": 0}, "at least 1"),
        ({"make_item": lambda rng, split: None}, "cannot take 'split'"),
    ],
)
def test_an_incomplete_definition_is_refused(changes: dict, message: str) -> None:
    whole = {"make_item": echo, "sizes": SIZES, "rewards": {"same": (1.0, same)}}

    with pytest.raises(UsageError, match=message):
        register("test/Refused-v0", **{**whole, **changes})


def test_a_class_of_another_id_is_refused() -> None:
    with pytest.raises(UsageError, match="has the id 'test/Fixed-v0'"):
        register("test/Other-v0", Fixed)


def test_a_reward_that_fails_leaves_no_value_and_names_itself() -> None:
    env = Fixed()
    env.rewards = {"same": (1.0, same), "broken": (1.0, broken), "nan": (0.0, lambda r, i: "nan")}
    score = env.score(env.item(0), "yes")

    assert score.value is None
    assert dict(score.parts) == {"same": 1.0}
    assert score.reason == "broken: ZeroDivisionError: division by zero; nan: returned 'nan'"


def test_step_pays_nothing_and_says_so_if_a_reply_is_not_scored() -> None:
    env = Fixed()
    env.rewards = {"broken": (1.0, broken)}
    env.reset()
    _, reward, terminated, truncated, info = env.step("yes")

    assert (reward, terminated, truncated, info["scored"]) == (0.0, True, False, False)
    assert "ZeroDivisionError" in info["reason"]


def test_reset_asks_the_item_it_is_told_to() -> None:
    env = make("bakeoff/Arithmetic-v0")
    prompt, info = env.reset(options={"index": 5, "split": "eval"})

    assert prompt == env.item(5, "eval").prompt
    assert info == {"index": 5, "split": "eval"}


def test_a_question_is_answered_once() -> None:
    env = make("bakeoff/Arithmetic-v0")
    with pytest.raises(ResetNeeded):
        env.step("1")
    env.reset(seed=0)
    env.step("1")
    with pytest.raises(ResetNeeded):
        env.step("1")


def test_reset_refuses_options_it_does_not_know() -> None:
    with pytest.raises(UsageError, match="did you mean 'index'"):
        make("bakeoff/Arithmetic-v0").reset(options={"idx": 5})


def test_any_text_holds_what_python_calls_text() -> None:
    space = AnyText(10, seed=0)

    assert all(text in space for text in ("", "\n", "\x00", "\ud800", "¿🙂?"))
    assert all(other not in space for other in ("x" * 11, b"x", 1, None))
    assert all(space.sample() in space for _ in range(100))


def test_the_example_in_the_repository_runs() -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "own_environment.py"
    env = make(f"{example}:me/Reverse-v0:letters=4")
    item = env.item(0)

    # one letter of four out of place: 0.8 * 0 + 0.2 * 3/4
    assert env.score(item, item.gold).value == pytest.approx(1.0)
    assert env.score(item, item.gold[:3] + "!").value == pytest.approx(0.15)
