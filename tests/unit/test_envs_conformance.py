"""What every environment that ships must do. Adding a name to ENVIRONMENTS adds these tests."""

from __future__ import annotations

import importlib
import itertools
import pickle
import warnings
from fractions import Fraction
from pathlib import Path

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env
from unit.envs.code_rows import write_code_tests, write_humaneval, write_mbpp
from unit.envs.gsm8k_rows import write_gsm8k
from unit.envs.math_rows import write_math, write_math500

from bakeoff.envs import ENVIRONMENTS, SPLITS, TextEnv, make
from bakeoff.envs.math.family import Family
from bakeoff.types import Item


def levels(env_id: str) -> list[str]:
    """The specs of an environment: one for each of the levels that its module lists, if any."""
    module = importlib.import_module(ENVIRONMENTS[env_id].partition(":")[0])
    return [f"{env_id}:level={level}" for level in getattr(module, "LEVELS", ())] or [env_id]


SPECS = [spec for env_id in ENVIRONMENTS for spec in levels(env_id)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    return {
        "BAKEOFF_CODE_TESTS": write_code_tests(root / "code_tests"),
        "BAKEOFF_GSM8K": write_gsm8k(root),
        "BAKEOFF_HUMANEVAL": write_humaneval(root / "humaneval"),
        "BAKEOFF_MATH": write_math(root / "math"),
        "BAKEOFF_MATH500": write_math500(root / "math500"),
        "BAKEOFF_MBPP": write_mbpp(root / "mbpp"),
    }


@pytest.fixture(autouse=True)
def data(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, folder in folders.items():
        monkeypatch.setenv(variable, str(folder))


@pytest.fixture(params=SPECS)
def env(request: pytest.FixtureRequest, data: None) -> TextEnv:
    return make(request.param)


def items(env: TextEnv, split: str, count: int = 40) -> list:
    if env.needs_sandbox:  # their replies are run, and all items are alike
        count = min(count, 4)
    return [env.item(index, split) for index in range(min(count, env.size(split)))]


def gold_episode(env: TextEnv, item: Item) -> str | tuple[str, ...]:
    """The right reply, or all of them if there are several turns."""
    replies: list[str] = []
    said: str | None = ""
    while said is not None and len(replies) < env.turns:
        replies.append(env.gold_reply(item, replies))
        said = env.turn(item, replies)
    return tuple(replies) if env.turns > 1 else replies[0]


@pytest.mark.parametrize("split", SPLITS)
def test_the_own_gold_reply_earns_the_highest_score(env: TextEnv, split: str) -> None:
    # each part is at most 1, so the sum of the positive weights is the most there is
    highest = sum(max(weight, 0.0) for weight, _ in env.rewards.values())

    for item in items(env, split):
        assert env.score(item, gold_episode(env, item)).value == highest, item


def test_decoys_are_scored_and_earn_less(env: TextEnv) -> None:
    for item in items(env, env.split, 20):
        right, wrong = item.answer, f"({item.answer}) + 1"
        decoys = ["", item.prompt, "?", "\x00", "\ud800", "\\boxed{", "9" * 10_000, "(" * 10_000]
        decoys += [
            f"{right} or {wrong}",
            f"{right}, {wrong}",
            f"not {right}",
            f"not \\boxed{{{right}",
        ]
        decoys += [wrong, f"{right}\n{wrong}", f"{item.gold}\n\\boxed{{{wrong}}}"]
        decoys += [
            f"\\boxed{{{text}}}" for text in (f"{right} or {wrong}", f"{right}, {wrong}", "")
        ]
        decoys += [
            f"\\boxed{{{right}}} or \\boxed{{{wrong}}}",
            f"\\boxed{{{right}, {right}, {wrong}}}",
        ]
        if not _is_zero(right):  # -0 is 0
            decoys += [f"-({right})", f"\\boxed{{-({right})}}"]
        for decoy in decoys:
            score = env.score(item, decoy)

            assert score.value is not None and score.value < 1, (item.prompt, decoy, score)


def _is_zero(answer: str) -> bool:
    try:
        return Fraction(answer) == 0
    except ValueError:
        return False


def test_the_question_given_back_is_not_paid(env: TextEnv) -> None:
    for item in items(env, env.split, 20):
        question = item.prompt.partition("\n")[0]
        for reply in (question, f"\\boxed{{{question}}}", f"{item.prompt}\n\\boxed{{{question}}}"):
            assert env.score(item, reply).value == 0.0, item.prompt


def test_no_part_of_a_generated_question_is_paid(env: TextEnv) -> None:
    if not isinstance(env, Family):
        pytest.skip("4 + 0, or a word problem, may have its answer in it")
    for item in items(env, env.split, 5):
        words = item.prompt.partition("\n")[0].rstrip("?.").split()
        for start, end in itertools.combinations(range(len(words) + 1), 2):
            part = " ".join(words[start:end]).rstrip(".,?")
            assert env.score(item, f"\\boxed{{{part}}}").value == 0.0, (item.prompt, part)


def test_the_format_is_a_metric_until_it_has_a_weight(env: TextEnv) -> None:
    if "format" not in env.rewards:
        pytest.skip("this environment asks for no box")
    assert env.rewards["format"][0] == 0.0

    item = env.item(0, env.split)
    env.rewards = {**env.rewards, "format": (0.25, env.rewards["format"][1])}
    replies = [item.gold, item.answer, r"\boxed{1234567}", "no idea", r"\boxed{no idea}"]

    # correct + 0.25 * format: both, right without a box, wrong in a box, neither, no mathematics
    values = [env.score(item, reply).value for reply in replies]
    assert values == [1.25, 1.0, 0.25, 0.0, 0.0]


def test_items_depend_on_id_split_and_index_alone(env: TextEnv) -> None:
    forwards = items(pickle.loads(pickle.dumps(env)), "eval")  # noqa: S301
    backwards = [env.item(index, "eval") for index in reversed(range(len(forwards)))]

    assert backwards[::-1] == forwards


def test_train_and_eval_share_no_prompt(env: TextEnv) -> None:
    train, evaluation = ({item.prompt for item in items(env, s, 150)} for s in SPLITS)

    assert evaluation and not train & evaluation


def test_neighbouring_items_differ(env: TextEnv) -> None:
    # the smallest level has 48 questions for train: a stream shifted or stuck repeats its neighbour
    prompts = [item.prompt for item in items(env, env.split)]
    repeats = sum(left == right for left, right in itertools.pairwise(prompts))

    assert repeats <= len(prompts) // 10


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
    split = infos["split"][0]
    asked = [make(env_id).item(int(index), split) for index in infos["index"]]
    env = make(env_id)
    golds = [gold_episode(env, item) for item in asked]
    golds = [gold if isinstance(gold, tuple) else (gold,) for gold in golds]

    earned = [0.0] * 3
    for turn in range(env.turns):
        actions = [gold[turn] if turn < len(gold) else "" for gold in golds]
        _, rewards, terminated, truncated, _ = vector.step((actions[0], "no idea", actions[2]))
        for place in {0, 1, 2} if turn == 0 else {place for place in (0, 2) if actions[place]}:
            earned[place] += rewards[place]

    assert list(prompts) == [item.prompt for item in asked]
    assert earned == [1.0, 0.0, 1.0]
    assert env.turns > 1 or (terminated.all() and not truncated.any())
    vector.close()


def test_shared_memory_which_would_garble_text_is_refused() -> None:
    with pytest.raises(ValueError, match="shared_memory=False"):
        gymnasium.make_vec("bakeoff/Arithmetic-v0", num_envs=1, vectorization_mode="async")
