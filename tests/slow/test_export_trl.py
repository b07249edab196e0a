"""One step of TRL's own trainer, on the tiny model, with what is exported for it."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest

from bakeoff.envs import TextEnv, make, register
from bakeoff.envs.exports import export_trl
from bakeoff.types import Item

trl = pytest.importorskip("trl", reason="TRL is not installed: pip install 'bakeoff[trl]'")
datasets = pytest.importorskip("datasets")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # TRL's own are its affair


def one_step(env: TextEnv, folder: Path, chat: bool) -> tuple[list[dict[str, Any]], Any]:
    """Train for a step; return what every reward function was given and gave, and the trainer."""
    rows, functions, weights = export_trl(env, n=4, chat=chat)
    calls: list[dict[str, Any]] = []

    def watched(function: Any) -> Any:
        def reward(**given: Any) -> list[float | None]:
            values: list[float | None] = function(**given)
            calls.append({**given, "name": function.__name__, "values": values})
            return values

        reward.__name__ = function.__name__
        return reward

    settings = trl.GRPOConfig(
        output_dir=str(folder),
        reward_weights=weights,
        per_device_train_batch_size=16,
        num_generations=4,
        max_completion_length=8,
        max_steps=1,
        learning_rate=1e-3,
        logging_steps=1,
        use_cpu=True,
        bf16=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    with as_file(files("bakeoff.models") / "tiny") as place:
        trainer = trl.GRPOTrainer(
            model=str(place),
            reward_funcs=[watched(function) for function in functions],
            args=settings,
            train_dataset=datasets.Dataset.from_list(rows),
        )
        trainer.train()
    return calls, trainer


def test_the_trainer_gets_the_environment_s_scores(tmp_path: Path) -> None:
    env = make("bakeoff/Fractions-v0:format_weight=0.1")

    calls, trainer = one_step(env, tmp_path, chat=True)

    replies = [messages[-1]["content"] for messages in calls[0]["completions"]]
    items = [env.item(index, "train") for index in calls[0]["index"]]
    scores = env.score_many(items, replies)
    assert len(scores) == 16
    assert [call["name"] for call in calls] == list(env.rewards)
    for call in calls:
        assert call["values"] == [score.parts[call["name"]] for score in scores]
    # the logged reward is the weighted sum of the parts, so the mean of the environment's scores
    logged = trainer.state.log_history[0]["reward"]
    expected = sum(score.value or 0.0 for score in scores) / 16
    assert logged == pytest.approx(expected, abs=1e-6)


def test_what_could_not_be_scored_is_left_out_of_the_trainer_s_mean(tmp_path: Path) -> None:
    def plus(rng: Any) -> Item:
        a, b = rng.randrange(100), rng.randrange(100)
        return Item("", f"What is {a} + {b}?", answer=str(a + b), gold=str(a + b))

    def long(reply: str, item: Item) -> float:
        return float(len(reply))

    def only_odd(reply: str, item: Item) -> float:
        if len(reply) % 2 == 0:
            raise RuntimeError("an even length is beyond me")
        return 0.0

    rewards = {"long": (1.0, long), "only_odd": (1.0, only_odd)}
    register(
        "trl/Odd-v0", make_item=plus, sizes={"train": 50, "eval": 5}, rewards=rewards,
        ranges={"long": (0.0, 100.0)},
    )  # fmt: skip

    calls, trainer = one_step(make("trl/Odd-v0"), tmp_path, chat=True)

    lengths = [len(messages[-1]["content"]) for messages in calls[0]["completions"]]
    odd = [length for length in lengths if length % 2]
    assert 0 < len(odd) < 16
    # only replies of odd length have a score, and it is their length
    expected = sum(odd) / len(odd)
    assert trainer.state.log_history[0]["reward"] == pytest.approx(expected, rel=1e-5)
