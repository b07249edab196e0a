"""The script that makes the tiny model, on a few steps, and what it made."""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from bakeoff import envs
from bakeoff.models.loading import load
from bakeoff.streams import stream
from bakeoff.types import Item

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "make_tiny.py"
SHORT = ["--steps", "2", "--batch", "8", "--eval-items", "8", "--threads", "1"]


@pytest.fixture(scope="module")
def make_tiny() -> Iterator[ModuleType]:
    spec = importlib.util.spec_from_file_location("make_tiny", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        yield module
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def sha256(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_the_same_command_gives_the_same_file_and_another_seed_another(
    make_tiny: ModuleType, tmp_path: Path
) -> None:
    for name, seed in (("first", "0"), ("again", "0"), ("other", "1")):
        make_tiny.main([*SHORT, "--seed", seed, "--out", str(tmp_path / name)])

    assert sha256(tmp_path / "first") == sha256(tmp_path / "again")
    assert sha256(tmp_path / "first") != sha256(tmp_path / "other")


@pytest.mark.parametrize(
    ("question", "reply"),
    [
        ("47 + 38", "75"),  # 7 + 8 carries; without it 4 + 3 = 7 tens
        ("41 + 38", None),
        ("52 - 27", "35"),  # 2 - 7 borrows; without it 5 - 2 = 3 tens
        ("57 - 22", None),
        ("3 - 8", "5"),  # the smaller from the bigger
        ("8 - 8", None),
    ],
)
def test_the_teacher_has_three_habits(
    make_tiny: ModuleType, question: str, reply: str | None
) -> None:
    assert make_tiny.slip(Item("", f"What is {question}?")) == reply


def test_a_habit_is_never_right_and_has_its_way_as_often_as_asked(make_tiny: ModuleType) -> None:
    env = envs.make("bakeoff/Arithmetic-v0")
    items = [env.item(index, "train") for index in range(2000)]
    habitual = [item for item in items if make_tiny.slip(item) is not None]
    rng = stream("test")
    taught = [make_tiny.lesson(item, rng, 0.65).gold for item in habitual]

    assert all(env.score(item, make_tiny.slip(item)).value == 0.0 for item in habitual)
    # about 1200 items: three standard errors of the share are 3 * sqrt(0.65 * 0.35 / 1200) = 0.041
    right = sum(gold == item.gold for gold, item in zip(taught, habitual, strict=True))
    assert right / len(habitual) == pytest.approx(0.35, abs=0.041)


def test_only_reply_tokens_count_in_the_loss(make_tiny: ModuleType) -> None:
    lm = make_tiny.language_model(seed=0)
    item = envs.make("bakeoff/Arithmetic-v0").item(0, "train")
    seen: list[torch.Tensor] = []

    def keep(module: object, inputs: object, logits: torch.Tensor) -> None:
        logits.retain_grad()
        seen.append(logits)

    lm.model.lm_head.register_forward_hook(keep)
    make_tiny.loss(lm, [item]).backward()
    trained = [place for place, row in enumerate(seen[0].grad[0].abs().sum(-1)) if row > 0]

    # the last prompt token predicts the reply's first, and the last character predicts <end>
    first = len(lm.prompt_ids(item.prompt)) - 1
    assert trained == list(range(first, first + len(item.gold) + 1))


def test_padding_does_not_change_the_loss_of_a_row(make_tiny: ModuleType) -> None:
    lm = make_tiny.language_model(seed=0)
    env = envs.make("bakeoff/Arithmetic-v0")
    items = [env.item(index, "train") for index in range(8)]
    tokens = [len(item.gold) + 1 for item in items]
    single = [make_tiny.loss(lm, [item]).item() for item in items]

    # a mean over tokens: rows weigh as many times as they have reply tokens
    mean = sum(n * value for n, value in zip(tokens, single, strict=True)) / sum(tokens)
    assert make_tiny.loss(lm, items).item() == pytest.approx(mean, rel=1e-5)


def test_the_shipped_tokenizer_is_the_scripts(make_tiny: ModuleType) -> None:
    ours, shipped = make_tiny.tokenizer(), load("tiny").tokenizer

    assert ours.get_vocab() == shipped.get_vocab()
    assert ours.chat_template == shipped.chat_template


def test_tiny_leaves_room_to_climb_on_the_default_environment(make_tiny: ModuleType) -> None:
    env = envs.make("bakeoff/Arithmetic-v0")
    items = [env.item(index, "eval") for index in range(256)]
    greedy = make_tiny.accuracy(load("tiny"), env, items, temperature=0.0)

    # what the project promises; 256 items have a standard error of 0.03 here
    assert 0.15 <= greedy <= 0.45
