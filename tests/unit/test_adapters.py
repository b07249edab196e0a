"""LoRA adapters: what they change and leave, merging to the bit, and peft's own format."""

import json
import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from small_world import small_model
from torch import Tensor

from bakeoff.training import adapters

IDS = torch.tensor([[3, 4, 5, 6, 13], [7, 8, 9, 10, 13]])


def adapted(name: str = "policy", *, rank: int = 4, seed: int = 0, trained: bool = True) -> Any:
    """A small model with one adapter, whose B is no longer 0 if it is trained."""
    model = small_model(layers=2).model
    adapters.add(model, name, rank=rank, alpha=2 * rank, seed=seed)
    if trained:
        train(model, name)
    return model


def train(model: Any, name: str) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in adapters.parameters(model, name):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)


def base_of(model: Any) -> dict[str, Tensor]:
    return {n: p.detach().clone() for n, p in model.named_parameters() if "lora_" not in n}


@torch.no_grad()
def logits(model: Any) -> Tensor:
    return model(IDS).logits  # type: ignore[no-any-return]


def equal(ours: Tensor | dict[str, Tensor], theirs: Tensor | dict[str, Tensor]) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_new_adapter_changes_no_logit() -> None:
    equal(logits(adapted(trained=False)), logits(small_model(layers=2).model))


def test_every_linear_layer_but_the_head_gets_matrices_of_the_rank() -> None:
    model = adapted(rank=3)
    shapes = [tuple(p.shape) for p in adapters.parameters(model, "policy")]

    # hidden 32, 2 heads of 16, 1 key-value head, intermediate 64: (A, B) of q, k, v, o, and the MLP
    attention = [(3, 32), (32, 3), (3, 32), (16, 3), (3, 32), (16, 3), (3, 32), (32, 3)]
    mlp = [(3, 32), (64, 3), (3, 32), (64, 3), (3, 64), (32, 3)]
    assert shapes == 2 * (attention + mlp)
    assert type(model.lm_head) is torch.nn.Linear


def test_a_loss_has_gradients_in_the_adapter_alone() -> None:
    model = adapted()

    model(IDS).logits.square().sum().backward()

    with_gradient = {name for name, p in model.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, _ in model.named_parameters() if ".policy." in name}
    assert all(bool(p.grad.any()) for p in adapters.parameters(model, "policy"))  # type: ignore[union-attr]


def test_the_first_matrix_depends_on_seed_and_name_and_touches_no_global_stream() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    model = small_model(layers=2).model
    torch.manual_seed(5)
    adapters.add(model, "policy", rank=4, alpha=8)
    equal(torch.rand(1), expected)

    def first(*arguments: Any) -> Tensor:
        name, seed = arguments
        return adapters.parameters(adapted(name, seed=seed, trained=False), name)[0].detach()

    equal(adapters.parameters(model, "policy")[0].detach(), first("policy", 0))
    assert not torch.equal(first("policy", 0), first("policy", 1))
    assert not torch.equal(first("policy", 0), first("critic", 0))


def test_without_its_adapter_the_model_is_the_base() -> None:
    model = adapted()
    trained = logits(model)

    with adapters.using(model, None):
        equal(logits(model), logits(small_model(layers=2).model))

    equal(logits(model), trained)
    assert (trained - logits(small_model(layers=2).model)).abs().max() > 0.1


def test_merged_weights_give_the_logits_of_base_and_adapter() -> None:
    model = adapted()
    apart = logits(model).log_softmax(-1)

    with adapters.merged(model, "policy"):
        together = logits(model).log_softmax(-1)

    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)


def test_the_base_is_the_same_to_the_bit_after_50_merges() -> None:
    model = adapted()
    before, together = base_of(model), logits(model)

    for _ in range(50):
        with adapters.merged(model, "policy"):
            pass

    equal(base_of(model), before)
    equal(logits(model), together)


def test_what_fails_while_merged_leaves_the_base_as_it_was() -> None:
    model = adapted()
    before, together = base_of(model), logits(model)

    with pytest.raises(ZeroDivisionError), adapters.merged(model, "policy"):
        raise ZeroDivisionError

    equal(base_of(model), before)
    equal(logits(model), together)


def test_merging_holds_the_weights_of_the_adapted_layers_twice() -> None:
    with adapters.merged(adapted(), "policy") as extra_bytes:
        pass

    # 4 bytes of q, o (32 x 32), k, v (16 x 32) and three of 32 x 64, in each of 2 layers
    assert extra_bytes == 4 * 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 32 * 64)


def test_merging_a_bf16_base_adds_in_fp32_and_rounds_once() -> None:
    model = small_model(layers=2).model.to(torch.bfloat16)
    adapters.add(model, "policy", rank=4, alpha=8)
    train(model, "policy")
    layer = model.model.layers[0].self_attn.q_proj
    a, b = layer.lora_A["policy"].weight, layer.lora_B["policy"].weight
    assert a.dtype == b.dtype == torch.float32
    # W + (alpha / rank) B A, with alpha / rank = 2
    expected = (layer.weight.float() + 2 * b @ a).to(torch.bfloat16)

    with adapters.merged(model, "policy"):
        equal(layer.weight.detach(), expected.detach())


def test_two_adapters_on_one_base_do_not_touch_each_other() -> None:
    model = adapted()
    policy = logits(model)
    adapters.add(model, "critic", rank=2, alpha=4)
    equal(logits(model), policy)

    train(model, "critic")
    with adapters.using(model, "critic"):
        critic = logits(model)
    equal(logits(model), policy)
    train(model, "policy")

    with adapters.using(model, "critic"):
        equal(logits(model), critic)
    assert not torch.equal(logits(model), policy)


def test_a_loss_made_under_one_adapter_can_be_differentiated_later() -> None:
    model = adapted()
    adapters.add(model, "critic", rank=2, alpha=4)
    train(model, "critic")

    with adapters.using(model, "critic"):
        loss = model(IDS).logits.square().sum()
    loss.backward()

    assert all(p.grad is not None for p in adapters.parameters(model, "critic"))
    assert all(p.grad is None for p in adapters.parameters(model, "policy"))
    assert all(p.requires_grad for p in adapters.parameters(model, "policy"))


def test_a_transformer_without_a_head_takes_an_adapter_too() -> None:
    backbone = small_model(layers=2).model.base_model

    adapters.add(backbone, "critic", rank=4, alpha=8)

    assert len(adapters.parameters(backbone, "critic")) == 2 * 7 * 2


@pytest.mark.parametrize("act", [adapters.using, adapters.merged])
def test_an_adapter_that_is_not_there_is_a_key_error(act: Any) -> None:
    with pytest.raises(KeyError, match="no adapter 'critic'"), act(adapted(), "critic"):
        pass


def test_peft_reads_what_was_saved(tmp_path: Path) -> None:
    model = adapted()
    adapters.save(model, "policy", tmp_path, base="small")

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning)  # peft asks what v6 will drop
        theirs = peft.PeftModel.from_pretrained(small_model(layers=2).model, tmp_path)

    equal(logits(theirs), logits(model))
    assert theirs.peft_config["default"].base_model_name_or_path == "small"


def test_saving_is_the_same_to_the_byte_each_time(tmp_path: Path) -> None:
    for place in ("once", "again"):
        adapters.save(adapted(), "policy", tmp_path / place)

    for name in ("adapter_config.json", "adapter_model.safetensors"):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    targets = json.loads((tmp_path / "once" / "adapter_config.json").read_text())["target_modules"]
    assert targets == sorted(targets)
