"""What every environment that ships must do. Adding a name to ENVIRONMENTS adds these tests."""

from __future__ import annotations

import pickle
import warnings
from fractions import Fraction
from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from unit.envs.gsm8k_rows import write_gsm8k

from bakeoff.envs import ENVIRONMENTS, SPLITS, TextEnv, make

LEVELS = [f"bakeoff/Arithmetic-v0:level={level}" for level in (1, 3, 4)]


@pytest.fixture(autouse=True)
def gsm8k_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAKEOFF_GSM8K", str(write_gsm8k(tmp_path)))


@pytest.fixture(params=[*ENVIRONMENTS, *LEVELS])
def env(request: pytest.FixtureRequest, gsm8k_data: None) -> TextEnv:
    return make(request.param)


def items(env: TextEnv, split: str, count: int = 200) -> list:
    return [env.item(index, split) for index in range(min(count, env.size(split)))]


@pytest.mark.parametrize("split", SPLITS)
def test_the_own_gold_reply_earns_the_highest_score(env: TextEnv, split: str) -> None:
    # each part is at most 1, so the sum of the positive weights is the most there is
    highest = sum(max(weight, 0.0) for weight, _ in env.rewards.values())

    assert [env.score(item, item.gold).value for item in items(env, split)] == [highest] * len(
        items(env, split)
    )


def test_decoys_are_scored_and_earn_less(env: TextEnv) -> None:
    for item in items(env, "train"):
        after = str(Fraction(item.answer) + 1)
        decoys = ["", item.prompt, "?", "\x00", "\ud800", "\\boxed{", "9" * 10_000, "(" * 10_000]
        decoys += [f"{item.answer} or {after}", f"{item.answer}, {after}", f"not {item.answer}"]
        decoys += [
            f"{item.answer} {item.answer}",
            after,
            f"{item.answer}\n{after}",
            item.prompt[8:-1],
        ]
        if Fraction(item.answer) != 0:  # 00 is 0
            decoys += [item.gold + "0", item.answer * 2, f"-({item.answer})"]
        for decoy in decoys:
            score = env.score(item, decoy)

            assert score.value is not None and score.value < 1, (item.prompt, decoy, score)


def test_items_depend_on_id_split_and_index_alone(env: TextEnv) -> None:
    backwards = [env.item(index, "eval") for index in reversed(range(min(200, env.size("eval"))))]

    assert backwards[::-1] == items(pickle.loads(pickle.dumps(env)), "eval")  # noqa: S301


def test_train_and_eval_share_no_prompt(env: TextEnv) -> None:
    train, evaluation = ({item.prompt for item in items(env, s, 1_000)} for s in SPLITS)

    assert evaluation and not train & evaluation


def test_an_item_is_named_by_environment_split_and_index(env: TextEnv) -> None:
    assert env.item(3, "eval").id == f"{env.id}/eval/3"


def test_items_out_of_range_and_other_splits_are_refused(env: TextEnv) -> None:
    for index in (-1, env.size("eval")):
        with pytest.raises(ValueError, match="has no eval item"):
            env.item(index, "eval")
    with pytest.raises(ValueError, match="did you mean 'eval'"):
        env.item(0, "evla")


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_gymnasium_finds_no_fault(env_id: str) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        check_env(gymnasium.make(env_id).unwrapped)

    assert [str(warning.message) for warning in seen] == []


@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_a_vector_of_environments_asks_and_scores_text(env_id: str) -> None:
    same_step = gymnasium.vector.AutoresetMode.SAME_STEP
    vector = gymnasium.make_vec(
        env_id,
        num_envs=3,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": same_step},
    )
    prompts, infos = vector.reset(seed=[1, 2, 3])
    asked = [make(env_id).item(int(index), "train") for index in infos["index"]]
    _, rewards, terminated, truncated, _ = vector.step((asked[0].gold, "no idea", asked[2].gold))

    assert list(prompts) == [item.prompt for item in asked]
    assert rewards.tolist() == [1.0, 0.0, 1.0]
    assert terminated.all() and not truncated.any()
    vector.close()


def test_shared_memory_which_would_garble_text_is_refused() -> None:
    with pytest.raises(ValueError, match="shared_memory=False"):
        gymnasium.make_vec("bakeoff/Arithmetic-v0", num_envs=1, vectorization_mode="async")
