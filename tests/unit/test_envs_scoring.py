"""Scores of plain, async and batched reward functions, of rows, and in processes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bakeoff.envs import make, register
from bakeoff.envs.scoring import judged
from bakeoff.errors import UsageError
from bakeoff.rewards import Malformed, batched
from bakeoff.types import Item, Score

ITEMS = [Item(f"a/b/{n}", f"{n}?", str(n)) for n in range(3)]


def exact(reply: str, item: Item) -> bool:
    return reply == item.answer


def tidy(reply: str, item: Item) -> float:
    if not reply.isdigit():
        raise Malformed("no digits")
    return 1.0


def test_what_is_badly_formatted_counts_nothing_and_is_told_from_what_is_wrong() -> None:
    scores = judged({"exact": (1.0, exact), "tidy": (0.5, tidy)}, ITEMS[:2], ["7", "seven"])

    # wrong but tidy: 0 + 0.5 * 1; untidy: 0 + 0.5 * 0
    assert [score.value for score in scores] == [0.5, 0.0]
    assert [score.malformed for score in scores] == ["", "tidy: no digits"]
    assert [score.reason for score in scores] == ["", ""]


def test_async_functions_run_together() -> None:
    """Each waits until all three have started: one after the other they would wait for ever."""
    started: list[str] = []
    all_started = asyncio.Event()

    async def meets(reply: str, item: Item) -> float:
        started.append(reply)
        if len(started) == 3:
            all_started.set()
        await asyncio.wait_for(all_started.wait(), 60)
        return float(reply)

    scores = judged({"meets": (1.0, meets)}, ITEMS, ["0", "1", "2"])

    assert [score.value for score in scores] == [0.0, 1.0, 2.0]


def test_async_functions_can_be_scored_where_an_event_loop_runs() -> None:
    async def later(reply: str, item: Item) -> float:
        await asyncio.sleep(0)
        return 1.0

    async def main() -> list[Score]:
        return judged({"later": (1.0, later)}, ITEMS[:1], ["x"])

    assert asyncio.run(main())[0].value == 1.0


def test_an_async_function_that_raises_leaves_the_others_their_scores() -> None:
    async def picky(reply: str, item: Item) -> float:
        if reply == "1":
            raise KeyError("one")
        return 1.0

    scores = judged({"picky": (1.0, picky)}, ITEMS, ["0", "1", "2"])

    assert [score.value for score in scores] == [1.0, None, 1.0]
    assert scores[1].reason == "picky: KeyError: 'one'"


def test_a_batched_function_is_called_once() -> None:
    calls: list[int] = []

    @batched
    def lengths(replies: list[str], items: list[Item]) -> list[int]:
        calls.append(len(replies))
        return [len(reply) for reply in replies]

    scores = judged({"lengths": (0.5, lengths)}, ITEMS, ["", "a", "ab"])

    assert calls == [3]
    assert [score.value for score in scores] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize("found", [[1.0], [1.0] * 4, 3.0, None])
def test_a_batch_of_another_length_is_not_scored(found: Any) -> None:
    """Three replies: any other number of values, or no list, has nothing to say of any of them."""

    @batched
    def wrong(replies: list[str], items: list[Item]) -> Any:
        return found

    scores = judged({"wrong": (1.0, wrong)}, ITEMS, ["a", "b", "c"])

    assert [score.value for score in scores] == [None] * 3
    assert all("wrong: " in score.reason for score in scores)


def test_a_batched_function_may_be_async_and_name_what_it_cannot_score() -> None:
    @batched
    async def some(replies: list[str], items: list[Item]) -> list[object]:
        return [1.0, Malformed("odd"), ValueError("lost")]

    scores = judged({"some": (1.0, some)}, ITEMS, ["a", "b", "c"])

    assert [score.value for score in scores] == [1.0, 0.0, None]
    assert (scores[1].malformed, scores[2].reason) == ("some: odd", "some: ValueError: lost")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "1", [1], 10**400])
def test_what_is_no_finite_number_is_not_scored(value: object) -> None:
    (score,) = judged({"odd": (1.0, lambda reply, item: value)}, ITEMS[:1], ["x"])

    assert score.value is None
    assert score.reason.startswith("odd: returned")


def test_the_time_of_every_part_is_kept_beside_the_score() -> None:
    (score,) = judged({"exact": (1.0, exact), "tidy": (0.0, tidy)}, ITEMS[:1], ["0"])

    assert set(score.seconds) == {"exact", "tidy"}
    assert score == Score(1.0, {"exact": 1.0, "tidy": 1.0})  # of no account in a comparison


def rows(n: int) -> list[dict[str, str]]:
    return [{"question": f"What is {i}?", "answer": str(i)} for i in range(n)]


def of_row(row: dict[str, str], style: str = "plain") -> Item:
    return Item("", f"{row['question']} ({style})", row["answer"], row["answer"])


def test_rows_are_divided_by_what_they_ask() -> None:
    register("test/Rows-v0", make_item=of_row, rows=rows(400), rewards={"exact": (1.0, exact)})
    env = make("test/Rows-v0:style=short")

    prompts = {split: {env.item(n, split).prompt for n in range(env.size(split))}
               for split in ("train", "eval")}  # fmt: skip

    # one in eight is for eval: 50 of 400, give or take four standard deviations of 6.6
    assert len(prompts["train"]) + len(prompts["eval"]) == 400
    assert 23 < len(prompts["eval"]) < 77
    assert all(prompt.endswith("(short)") for prompt in prompts["eval"])


def test_rows_may_come_from_a_file_for_each_split(tmp_path: Path) -> None:
    for name, n in (("train", 5), ("eval", 2)):
        text = "".join(json.dumps(row) + "\n" for row in rows(n))
        (tmp_path / f"{name}.jsonl").write_text(text)
    sources = {name: tmp_path / f"{name}.jsonl" for name in ("train", "eval")}
    register("test/Files-v0", make_item=of_row, rows=sources, rewards={"exact": (1.0, exact)})

    env = make("test/Files-v0")

    assert (env.size("train"), env.size("eval")) == (5, 2)
    assert env.item(1, "eval").id == "test/Files-v0/eval/1"


def test_a_row_that_makes_no_item_is_named() -> None:
    broken = [*rows(2), {"question": "?"}]
    register("test/Broken-v0", make_item=of_row, rows=broken, rewards={"exact": (1.0, exact)})

    with pytest.raises(UsageError, match="row 3: KeyError: 'answer'"):
        make("test/Broken-v0")


SLOW = """
import time
from bakeoff.envs import register
from bakeoff.types import Item

def ask(rng):
    return Item("", f"{rng.randrange(100)}?", "1", "1")

def judge(reply, item):
    while reply == "hang":
        time.sleep(1)
    return reply == "1"

register("test/Slow-v0", make_item=ask, sizes={"train": 9, "eval": 9},
         rewards={"judge": (1.0, judge)}, deadline_s=2)
"""


def test_a_reward_that_hangs_is_killed_and_the_others_are_scored(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(SLOW)
    env = make(f"{tmp_path / 'slow.py'}:test/Slow-v0")
    item = env.item(0)

    scores = env.score_many([item] * 3, ["1", "hang", "0"])

    assert [score.value for score in scores] == [1.0, None, 0.0]
    assert scores[1].reason == "no score within 2 s"
