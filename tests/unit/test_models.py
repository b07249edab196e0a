import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bakeoff.errors import UsageError
from bakeoff.models import MODELS, ModelError, check, default_learning_rate
from bakeoff.models.loading import LanguageModel, load


@pytest.fixture(scope="module")
def tiny() -> LanguageModel:
    return load("tiny")


def test_names_can_be_checked_without_torch() -> None:
    code = (
        "import sys; from bakeoff.models import check; check('tiny'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.mark.parametrize("name", [*MODELS, "Qwen/Qwen3-0.6B"])
def test_shipped_names_and_hub_ids_are_accepted(name: str) -> None:
    check(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("smolm2", "did you mean 'smollm2'?"),
        ("./no/such", "no such model folder: './no/such'"),
        ("~/no-such-model", "no such model folder"),
        ("a/b/c", "no such model folder"),
        ("", "unknown model ''"),
    ],
)
def test_other_names_are_usage_errors_of_one_line(name: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(name)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_is_accepted_only_with_a_config(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no config\.json"):
        check(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")

    check(str(tmp_path))


def test_learning_rates_follow_the_model() -> None:
    # a pretrained model of unknown size takes the smallest of the steps
    rates = [default_learning_rate(name) for name in ("some/model", "smollm2", "tiny")]

    assert rates == sorted(rates)
    assert rates[0] == 1e-6


def test_a_broken_folder_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-architecture"}')

    with pytest.raises(ModelError) as caught:
        load(str(tmp_path))
    assert str(caught.value).startswith(f"cannot load model folder '{tmp_path}'")
    assert "\n" not in str(caught.value)


def test_an_unreachable_hub_is_one_line_that_says_what_works(tmp_path: Path) -> None:
    code = (
        "from bakeoff.models.loading import load\n"
        "try: load('no-such-org/no-such-model')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("ModelError cannot load 'no-such-org/no-such-model'")
    assert "a local folder or one of smollm2, tiny works" in done.stdout
    assert done.stdout.count("\n") == 1


def test_tiny_is_a_million_parameters_in_at_most_five_megabytes(tiny: LanguageModel) -> None:
    weights = Path(tiny.model.name_or_path) / "model.safetensors"
    parameters = sum(p.numel() for p in tiny.model.parameters())

    assert 0.8e6 < parameters < 1.2e6
    assert weights.stat().st_size <= 5_000_000


def test_a_prompt_is_one_token_per_character_in_the_chat_template(tiny: LanguageModel) -> None:
    tokens = tiny.tokenizer.convert_ids_to_tokens(tiny.prompt_ids("1 + 2?\n"))

    assert tokens == ["<user>", "1", " ", "+", " ", "2", "?", "\n", "<reply>"]


def test_text_gives_back_every_character_of_the_vocabulary(tiny: LanguageModel) -> None:
    every = "\n" + "".join(map(chr, range(32, 127))) + "  two  spaces ,'s"
    ids = tiny.tokenizer(every)["input_ids"]

    assert tiny.text((*ids, *tiny.eos_ids)) == every
    assert tiny.tokenizer.unk_token_id not in ids


def test_unknown_characters_become_one_token_each(tiny: LanguageModel) -> None:
    # e-acute, a Han character and an emoji: three code points, none in the vocabulary
    ids = tiny.tokenizer("é中\N{GRINNING FACE}")["input_ids"]

    assert ids == [tiny.tokenizer.unk_token_id] * 3


def test_tiny_ends_replies_with_its_end_token_and_pads_with_another(tiny: LanguageModel) -> None:
    assert tiny.tokenizer.convert_ids_to_tokens(list(tiny.eos_ids)) == ["<end>"]
    assert tiny.tokenizer.convert_ids_to_tokens(tiny.pad_id) == "<pad>"


def test_every_end_token_counts_and_one_stands_in_for_padding(tmp_path: Path) -> None:
    tiny = load("tiny")
    tiny.model.generation_config.eos_token_id = [7, 9]
    tiny.model.config.eos_token_id = 9
    tiny.tokenizer.eos_token = "<reply>"
    tiny.tokenizer.pad_token = None

    # 7 and 9 from the configurations, 3 is <reply>; there is no padding token: the first of them
    assert tiny.eos_ids == (3, 7, 9)
    assert tiny.pad_id == 3


def test_without_a_chat_template_the_prompt_is_plain_text() -> None:
    tiny = load("tiny")
    tiny.tokenizer.chat_template = None

    assert tiny.text(tiny.prompt_ids("ab")) == "ab"
    assert len(tiny.prompt_ids("ab")) == 2
    with pytest.raises(ModelError, match="makes no tokens"):
        tiny.prompt_ids("")


def test_a_local_folder_gives_the_same_model_in_the_asked_precision(
    tiny: LanguageModel, tmp_path: Path
) -> None:
    tiny.model.save_pretrained(tmp_path)
    tiny.tokenizer.save_pretrained(tmp_path)
    again = load(str(tmp_path), dtype=torch.bfloat16)

    for ours, theirs in zip(tiny.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(ours.to(torch.bfloat16), theirs)
    assert not again.model.training
    assert again.prompt_ids("What?") == tiny.prompt_ids("What?")
