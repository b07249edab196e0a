"""Adapters as models, without peft, and the settings of a LoRA."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_adapters import logits, train

from bakeoff.comparisons.cell import specs
from bakeoff.comparisons.cli import main
from bakeoff.errors import UsageError
from bakeoff.models import ModelError, check, default_learning_rate
from bakeoff.models.loading import LanguageModel, load
from bakeoff.training import adapters


def adapted() -> LanguageModel:
    """The shipped model with a trained adapter, the same each time."""
    language_model = load("tiny")
    adapters.add(language_model.model, "policy", rank=2, alpha=4)
    train(language_model.model, "policy")
    return language_model


@pytest.fixture
def tiny_adapter(tmp_path: Path) -> Path:
    """The folder of an adapter on the shipped model."""
    adapters.save(adapted().model, "policy", tmp_path / "kept", base="tiny")
    return tmp_path / "kept"


def test_an_adapter_folder_is_a_model_with_the_adapter_in_its_weights(tiny_adapter: Path) -> None:
    whole = load(str(tiny_adapter))
    base = adapted()

    torch.testing.assert_close(logits(whole.model), logits(base.model), rtol=0, atol=1e-4)
    assert type(whole.model) is type(base.model)
    assert not any("lora" in name for name, _ in whole.model.named_parameters())
    assert whole.prompt_ids("What?") == base.prompt_ids("What?")
    assert default_learning_rate(str(tiny_adapter)) == default_learning_rate("tiny")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "cannot be read"),
        ("{}", "cannot be read: 'base_model_name_or_path'"),
        ('{"base_model_name_or_path": null}', "names no base"),
        ('{"base_model_name_or_path": "tny"}', "did you mean 'tiny'"),
    ],
)
def test_an_adapter_without_a_base_is_a_usage_error_of_one_line(
    config: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "adapter_config.json").write_text(config)

    with pytest.raises(UsageError) as caught:
        check(str(tmp_path))

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_broken_adapter_is_a_model_error_that_names_its_folder(tiny_adapter: Path) -> None:
    tensors = load_file(tiny_adapter / "adapter_model.safetensors")
    assert len(tensors) == 4 * 7 * 2
    (tiny_adapter / "adapter_model.safetensors").write_bytes(b"nothing")

    with pytest.raises(ModelError, match=f"cannot load model folder '{tiny_adapter}'"):
        load(str(tiny_adapter))


@pytest.fixture
def without_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)  # what imports find then is a missing package


@pytest.mark.usefixtures("without_peft")
def test_without_peft_a_lora_policy_ends_before_any_run_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--lora-rank=4", "--out", str(tmp_path / "out")]) == 2

    said = "bakeoff: error: lora_rank needs peft: pip install 'bakeoff[lora]'\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_peft")
def test_without_peft_a_lora_critic_fails_the_check_of_its_algorithm(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert specs.check(["ppo:critic=lora"], group_size=2, updates=40) == 2

    said = "ppo:critic=lora needs peft: pip install 'bakeoff[lora]'\n"
    assert capsys.readouterr().err == said


@pytest.mark.usefixtures("without_peft")
def test_without_peft_an_adapter_folder_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "tiny"}')

    with pytest.raises(UsageError, match="is an adapter: it needs peft"):
        check(str(tmp_path))


def test_alpha_without_a_rank_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--lora-alpha=4", "--print-config"]) == 2

    assert capsys.readouterr().err.count("\n") == 1
