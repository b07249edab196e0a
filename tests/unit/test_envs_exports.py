"""Exports: the rewards of other trainers are the environment's."""

from __future__ import annotations

import inspect
import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bakeoff.comparisons.cli import main
from bakeoff.envs import SPLITS, TextEnv, make, register
from bakeoff.envs.exports import export_jsonl, export_trl, export_verl
from bakeoff.envs.exports.verl import compute_score
from bakeoff.errors import UsageError
from bakeoff.types import Item

SPEC = "bakeoff/Fractions-v0:format_weight=0.1:level=2"


def echo(rng: random.Random) -> Item:
    n = rng.randrange(10**6)
    return Item("", f"Say {n}", answer=str(n), gold=str(n))


def exact(reply: str, item: Item) -> bool:
    return reply == item.answer


def fussy(reply: str, item: Item) -> float:
    if reply == "?":
        raise RuntimeError("a question is no answer")
    return 0.5


@pytest.fixture(scope="module")
def fussy_env() -> TextEnv:
    rewards = {"exact": (1.0, exact), "score": (2.0, fussy)}
    register("exports/Fussy-v0", make_item=echo, sizes={"train": 5, "eval": 2}, rewards=rewards)
    return make("exports/Fussy-v0")


class Twice(TextEnv):
    id = "exports/Twice-v0"
    turns = 2
    rewards = {"exact": (1.0, exact)}  # noqa: RUF012

    def size(self, split: str) -> int:
        return 1

    def item(self, index: int, split: str = "train") -> Item:
        return Item(f"{self.id}/{split}/{index}", "Say it twice", "it", "it")


def trl_values(
    rows: list[dict[str, Any]], functions: list[Any], completions: list[Any]
) -> list[list[float | None]]:
    """What each function returns, called as TRL calls it: with every column, and more."""
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "prompt"}
    more = {"trainer_state": None, "log_extra": print, "log_metric": print}
    prompts, ids = [row["prompt"] for row in rows], [[1]] * len(rows)
    return [
        function(prompts=prompts, completions=completions, completion_ids=ids, **columns, **more)
        for function in functions
    ]


def test_trl_gives_each_part_of_the_gold_as_the_environment_does() -> None:
    env = make(SPEC)
    rows, functions, weights = export_trl(env, n=3)
    items = [env.item(index) for index in range(3)]

    values = trl_values(rows, functions, [item.gold for item in items])

    # gold earns the most in both parts: correct (weight 1) and format (weight 0.1)
    assert [function.__name__ for function in functions] == ["correct", "format"]
    assert weights == [1.0, 0.1]
    assert values == [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]


def test_trl_gives_each_part_of_other_replies_as_the_environment_does() -> None:
    env = make(SPEC)
    rows, functions, _ = export_trl(env, n=3)
    replies = ["no idea", "\\boxed{7/3}", env.item(2).answer]
    scores = env.score_many([env.item(index) for index in range(3)], replies)

    values = trl_values(rows, functions, replies)

    assert values == [[score.parts[name] for score in scores] for name in env.rewards]


def test_trl_rows_find_their_items_again() -> None:
    rows, _, _ = export_trl(make(SPEC), split="eval", n=2)

    for row in rows:
        assert make(row["env"]).item(row["index"], row["split"]).prompt == row["prompt"]


def test_trl_chats_are_messages_and_their_last_one_is_the_reply() -> None:
    env = make(SPEC)
    rows, functions, _ = export_trl(env, n=1, chat=True)
    gold = env.item(0).gold

    values = trl_values(rows, functions[:1], [[{"role": "assistant", "content": gold}]])

    assert rows[0]["prompt"] == [{"role": "user", "content": env.item(0).prompt}]
    assert values == [[1.0]]


def test_trl_gets_none_for_every_part_of_what_could_not_be_scored(fussy_env: TextEnv) -> None:
    rows, functions, _ = export_trl(fussy_env, n=2)

    # of "?" the part `exact` is 0, but TRL would take the sum of the parts there are for the score
    assert trl_values(rows, functions, ["?", "?!"]) == [[None, 0.0], [None, 0.5]]


def test_trl_functions_leave_the_rows_of_other_environments_alone(fussy_env: TextEnv) -> None:
    ours, functions, _ = export_trl(fussy_env, n=1)
    others, _, _ = export_trl(make(SPEC), n=1)

    values = trl_values([*others, *ours], functions[:1], ["1", fussy_env.item(0).gold])

    assert values == [[None, 1.0]]


def test_trl_scores_a_batch_once_for_all_parts() -> None:
    calls = []

    def counted(reply: str, item: Item) -> float:
        calls.append(reply)
        return 1.0

    rewards = {"one": (1.0, counted), "two": (0.0, exact)}
    register("exports/Count-v0", make_item=echo, sizes={"train": 5, "eval": 2}, rewards=rewards)
    rows, functions, _ = export_trl(make("exports/Count-v0"), n=2)

    trl_values(rows, functions, ["a", "b"])
    trl_values(rows, functions, ["a", "c"])

    # two replies in each of two batches, for two parts: 4 scores, not 8
    assert calls == ["a", "b", "a", "c"]


@pytest.mark.parametrize("split", SPLITS)
def test_verl_rows_are_what_compute_score_scores(split: str, tmp_path: Path) -> None:
    env = make(SPEC)
    export_verl(env, tmp_path, n=3, n_eval=3)
    rows = pd.read_parquet(tmp_path / f"{split}.parquet").to_dict("records")
    assert len(rows) == 3
    for index, row in enumerate(rows):
        item = env.item(index, split)
        truth = row["reward_model"]["ground_truth"]

        found = compute_score(row["data_source"], item.gold, truth, row["extra_info"])

        # correct (1 x 1.0) and format (0.1 x 1.0)
        assert found == {"correct": 1.0, "format": 1.0, "score": 1.1, "scored": 1.0}
        assert list(row["prompt"]) == [{"role": "user", "content": item.prompt}]
        assert truth == item.answer


def test_verl_can_find_compute_score_where_the_settings_say(tmp_path: Path) -> None:
    settings = export_verl(make(SPEC), tmp_path, n=1, n_eval=1)
    module = settings["reward.custom_reward_function.path"].removeprefix("pkg://")
    name = settings["reward.custom_reward_function.name"]

    function = getattr(__import__(module, fromlist=[name]), name)

    # verl calls it by keywords, with these four and sometimes more
    assert list(inspect.signature(function).parameters) == [
        "data_source", "solution_str", "ground_truth", "extra_info", "_",
    ]  # fmt: skip
    assert Path(settings["data.train_files"]).is_file()
    assert Path(settings["data.val_files"]).is_file()


def test_verl_sees_which_replies_could_not_be_scored(fussy_env: TextEnv) -> None:
    place = {"split": "train", "index": 0}

    unscored = compute_score("exports/Fussy-v0", "?", "", place)
    scored = compute_score("exports/Fussy-v0", "!", "", place)

    # the part that is called `score` gives way to verl's own key: 0 x 1.0 + 0.5 x 2.0
    assert unscored == {"exact": 0.0, "score": 0.0, "scored": 0.0}
    assert scored == {"exact": 0.0, "score": 1.0, "scored": 1.0}


def test_verl_rows_without_a_place_are_an_error() -> None:
    with pytest.raises(UsageError, match="no split and index in its extra_info"):
        compute_score(SPEC, "1", "1", {})


def test_jsonl_lines_hold_the_question_and_its_gold(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    export_jsonl(make(SPEC), path, split="eval", n=4)

    rows = [json.loads(line) for line in path.read_text().splitlines()]

    assert len(rows) == 4
    for row in rows:
        env = make(row["env"])
        item = env.item(row["index"], row["split"])
        assert (row["prompt"], row["answer"]) == (item.prompt, item.answer)
        # correct 1.0 + format 0.1
        assert env.score(item, row["gold"]).value == pytest.approx(1.1)


def test_a_split_with_fewer_items_is_exported_whole(fussy_env: TextEnv, tmp_path: Path) -> None:
    assert len(export_jsonl(fussy_env, tmp_path / "rows.jsonl", split="eval", n=100)) == 2


def test_several_turns_are_refused_in_one_line(tmp_path: Path) -> None:
    env = Twice()
    for export in (
        lambda: export_trl(env),
        lambda: export_verl(env, tmp_path / "verl"),
        lambda: export_jsonl(env, tmp_path / "rows.jsonl"),
    ):
        with pytest.raises(UsageError, match="up to 2 turns; what is exported is one question"):
            export()
    assert not list(tmp_path.iterdir())


def test_no_items_are_an_error(fussy_env: TextEnv) -> None:
    with pytest.raises(UsageError, match="n must be at least 1, not 0"):
        export_trl(fussy_env, n=0)


def test_the_command_writes_both_splits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sums"
    command = ["export", "--env", SPEC, "--to", "jsonl", "--out", str(out), "-n", "3"]

    code = main([*command, "--n-eval", "2"])

    assert code == 0
    assert capsys.readouterr().out == f"{out}.train.jsonl: 3 rows\n{out}.eval.jsonl: 2 rows\n"
    assert json.loads((tmp_path / "sums.eval.jsonl").read_text().splitlines()[0])["split"] == "eval"


def test_the_command_prints_verl_s_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["export", "--env", SPEC, "--to", "verl", "--out", str(tmp_path), "-n", "2"])

    printed = dict(line.split("=", 1) for line in capsys.readouterr().out.splitlines())
    assert code == 0
    assert len(pd.read_parquet(printed["data.train_files"])) == 2
    assert printed["reward.custom_reward_function.name"] == "compute_score"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--to", "trl", "--out", "x", "--env", SPEC], "TRL takes functions"),
        (["--to", "verll", "--out", "x", "--env", SPEC], "did you mean 'verl'"),
        (["--to", "verl", "--out", "x"], "bakeoff export needs --env"),
        (["--to", "verl", "--out", "x", "--env", SPEC, "-n", "few"], "-n must be a whole number"),
    ],
)
def test_mistakes_on_the_command_line_are_explained(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *flags]) == 2
    assert message in capsys.readouterr().err
