"""reasoning-gym's data sets: found, generated, kept apart, and scored without running a reply."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from bakeoff.envs import TextEnv, make, register
from bakeoff.envs.reasoning_gym import environment
from bakeoff.envs.reasoning_gym.environment import tagged
from bakeoff.envs.reasoning_gym.names import NAMES, PLACES
from bakeoff.errors import UsageError
from bakeoff.rewards.workers import WorkerPool

WITHOUT_GOLD = {"boxnet", "rush_hour"}  # reasoning-gym gives no right answer to these

for _id, _place in PLACES.items():
    if _id not in gymnasium.registry:
        register(_id, _place)


@pytest.fixture
def installed() -> None:
    if importlib.util.find_spec("reasoning_gym") is None:  # importing it here would take seconds
        pytest.skip("reasoning-gym is not installed: pip install 'bakeoff[reasoning-gym]'")


def rg(name: str) -> TextEnv:
    return make(f"bakeoff/rg-{name}-v0")


def said(answer: str) -> str:
    return f"<answer>{answer}</answer>"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("<answer>5</answer>", "5"),
        ("first <answer>5</answer>, no: <answer>\n 6 \n</answer>.", "6"),
        ("<answer>5</answer> <answer>6", "5"),
        ("<answer></answer>", ""),
        ("</answer><answer>", None),
        ("5", None),
        ("<answer>" * 50_000, None),
    ],
)
def test_the_answer_is_what_stands_in_the_last_complete_tags(
    reply: str, answer: str | None
) -> None:
    assert tagged(reply) == answer


def test_without_reasoning_gym_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = [name for name in sys.modules if name.partition(".")[0] == "reasoning_gym"]
    for name in {"reasoning_gym", *loaded}:
        monkeypatch.setitem(sys.modules, name, None)  # as if it were not there

    with pytest.raises(UsageError, match=r"needs reasoning-gym: pip install 'bakeoff\[reasoning-"):
        rg("lcm")


@pytest.mark.slow
def test_every_data_set_of_the_package_has_an_id(installed: None) -> None:
    code = "import json, reasoning_gym.factory as f; print(json.dumps(sorted(f.DATASETS)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    # `composite` is a mixture of the others
    assert set(json.loads(run.stdout)) - {"composite"} == set(NAMES)


def test_its_ids_are_gymnasium_s(installed: None) -> None:
    env = gymnasium.make("bakeoff/rg-letter_counting-v0")

    check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize(
    "name",
    ["chain_sum", "acre", "graph_color", "n_queens", "simple_integration", "spell_backward"],
)
def test_the_gold_of_both_splits_earns_one(name: str, installed: None) -> None:
    env = rg(name)
    for split in ("train", "eval"):
        item = env.item(1, split)

        assert env.score(item, item.gold).value == 1.0


def test_neighbouring_items_are_not_shifted_copies(installed: None) -> None:
    env = rg("chain_sum")

    prompts = {env.item(index).prompt for index in range(40)}

    # of 100 to 9,999,999 or so sums, 40 draws repeat one with a chance of less than 1 in 1000
    assert len(prompts) == 40


def test_what_is_asked_in_eval_is_not_asked_in_train(installed: None) -> None:
    env = make("bakeoff/rg-lcm-v0:max_value=12")  # so few questions that splits would overlap

    train, held_out = (
        {env.item(i, split).prompt for i in range(60)} for split in ("train", "eval")
    )

    assert not train & held_out


def test_another_process_makes_the_same_items(installed: None) -> None:
    item = rg("list_functions").item(3, "eval")  # drawn from the shared stream of `random`
    request = {"do": "item", "id": "bakeoff/rg-list_functions-v0", "name": "list_functions",
               "arguments": "{}", "split": "eval", "index": 3}  # fmt: skip

    with WorkerPool("bakeoff.envs.reasoning_gym.worker:respond", workers=1) as pool:
        found = pool.call(request, deadline_s=30)

    assert isinstance(found, dict)
    assert item.prompt == f"{found['question']}\n\n{environment.INSTRUCTION}"


def test_arguments_of_the_data_set_are_arguments_of_the_id(installed: None) -> None:
    env = make("bakeoff/rg-chain_sum-v0:min_terms=9:max_terms=9")

    assert sum(env.item(0).prompt.count(sign) for sign in (" + ", " - ")) == 8


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("min_trms=3", "unknown argument .* did you mean 'min_terms'"),
        ("seed=3", "unknown argument"),
        ("min_terms=9", "cannot generate: AssertionError: max_terms must be >= min_terms"),
    ],
)
def test_other_arguments_are_refused(argument: str, message: str, installed: None) -> None:
    with pytest.raises(UsageError, match=message):
        make(f"bakeoff/rg-chain_sum-v0:{argument}")


def test_a_partial_score_can_be_left_out(installed: None) -> None:
    part, all_or_nothing = rg("lcm"), make("bakeoff/rg-lcm-v0:partial=false")
    item = part.item(0)
    reply = said(f"it is {item.answer}")

    # reasoning-gym pays for an answer that contains the right one by its share of the length
    share = len(item.answer) / len(f"it is {item.answer}")
    assert part.score(item, reply).value == pytest.approx(share)
    assert all_or_nothing.score(item, reply).value == 0.0
    assert all_or_nothing.score(item, item.gold).value == 1.0


def test_a_reply_without_tags_is_malformed(installed: None) -> None:
    env = rg("lcm")
    item = env.item(0)

    score = env.score(item, item.answer)

    assert (score.value, score.malformed) == (0.0, "score: no <answer>...</answer>")


def test_an_answer_that_the_scorer_fails_on_is_malformed(installed: None) -> None:
    env = rg("prime_factorization")

    score = env.score(env.item(0), said("two"))

    assert score.value == 0.0
    assert "invalid literal for int" in score.malformed


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_generates_and_pays_its_gold(name: str, installed: None) -> None:
    env = rg(name)
    train, held_out = ([env.item(i, split) for i in range(4)] for split in ("train", "eval"))

    scores = env.score_many([*train, *held_out], [item.gold for item in (*train, *held_out)])

    expected = 0.0 if name in WITHOUT_GOLD else 1.0
    assert [score.value for score in scores] == [expected] * 8
    assert not {item.prompt for item in train} & {item.prompt for item in held_out}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_empty_answer_is_scored_and_earns_next_to_nothing(name: str, installed: None) -> None:
    env = rg(name)
    items = [env.item(i) for i in range(4)]

    for score in env.score_many(items, [said("")] * 4):
        assert score.value is not None and score.value <= 0.05
