"""AdamW with averages of 8 bits, by bitsandbytes: what it holds, and that it is AdamW."""

import sys
from pathlib import Path

import pytest
import torch
from small_world import EvenReplies, small_training, stopped_and_resumed
from torch import nn

from bakeoff.comparisons.cli import main
from bakeoff.errors import UsageError
from bakeoff.training.config import OptimizerConfig, train_config
from bakeoff.training.ledger import optimizer_bytes
from bakeoff.training.loop import Training
from bakeoff.training.masters import Master
from bakeoff.training.memory.holdings import average_bytes
from bakeoff.training.optimizer import adamw, trained

EIGHT = OptimizerConfig(optimizer_bits=8)
TABLES = 2 * 4 * 256
"""Bytes of the values that codes stand for, of the two averages; all weights share them."""


@pytest.fixture
def bitsandbytes() -> None:
    pytest.importorskip("bitsandbytes", reason="not installed: pip install 'bakeoff[8bit]'")


@pytest.fixture
def without_bitsandbytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)  # imports find a missing package


@pytest.mark.usefixtures("without_bitsandbytes")
def test_without_bitsandbytes_it_ends_before_any_run_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", "--optimizer-bits=8", "--out", str(tmp_path / "out")]) == 2

    said = "bakeoff: error: optimizer_bits 8 needs bitsandbytes: pip install 'bakeoff[8bit]'\n"
    assert capsys.readouterr().err == said
    assert not (tmp_path / "out").exists()


def test_there_are_no_other_numbers_of_bits() -> None:
    with pytest.raises(UsageError, match="unknown optimizer_bits '16'"):
        train_config({"optimizer_bits": 16})


def test_averages_of_8_bits_take_a_byte_a_weight_and_a_scale_a_block() -> None:
    # two averages: 10,000 codes and 40 fp32 scales of 256 each; fewer than 4,096 stay in fp32
    assert average_bytes([10_000], 8) == 2 * (10_000 + 4 * 40)
    assert average_bytes([4_095], 8) == 2 * 4 * 4_095


@pytest.mark.usefixtures("bitsandbytes")
def test_what_they_hold_is_what_is_predicted() -> None:
    weights = [nn.Parameter(torch.ones(n)) for n in (5_000, 10_000, 100)]
    optimizer = adamw(weights, 0.1, EIGHT)
    sum(weight.sum() for weight in weights).backward()  # type: ignore[union-attr]
    optimizer.step()

    counts = [weight.numel() for weight in weights]
    assert optimizer_bytes(optimizer) == average_bytes(counts, 8) + TABLES


@pytest.mark.usefixtures("bitsandbytes")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_their_first_step_is_adamws(dtype: torch.dtype) -> None:
    # the averages are rounded after the step that they make, so the first is that of 32 bits
    gradient = torch.linspace(-1, 1, 5_000).to(dtype)
    after = []
    for bits in (8, 32):
        weight = nn.Parameter(torch.ones(5_000, dtype=dtype))
        optimizer = adamw([weight], 0.1, OptimizerConfig(optimizer_bits=bits))
        (weight * gradient).sum().backward()
        optimizer.step()
        after.append(trained(optimizer)[0])

    torch.testing.assert_close(after[0], after[1], rtol=1e-5, atol=0)


@pytest.mark.usefixtures("bitsandbytes")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_resumed_run_is_the_same_to_the_bit(precision: str, tmp_path: Path) -> None:
    knobs = {"updates": 3, "checkpoint_every": 1, "precision": precision, "optimizer_bits": 8}

    def run() -> Training:
        training = small_training("grpo", environment=EvenReplies(), **knobs)
        # some of the small model's weights are to have 8 bits
        training.learner.optimizer.args.min_8bit_size = 1024  # type: ignore[attr-defined]
        return training

    whole, resumed, expected, metrics = stopped_and_resumed(run, tmp_path, 2)

    assert metrics == {update: expected[update] for update in (2, 3)}
    pairs = zip(trained(whole.learner.optimizer), trained(resumed.learner.optimizer), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    states = resumed.learner.optimizer.state.values()
    assert any(state["state1"].dtype == torch.uint8 for state in states)


@pytest.mark.usefixtures("bitsandbytes")
def test_in_bf16_they_move_masters() -> None:
    weight = nn.Parameter(torch.ones(5_000, dtype=torch.bfloat16))
    optimizer = adamw([weight], 2**-11, EIGHT)
    for _ in range(4):
        weight.sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    (master,) = trained(optimizer)

    # four steps of 2^-11 from 1: half way to the next number of bf16 below
    assert isinstance(master, Master)
    torch.testing.assert_close(master.detach(), torch.full((5_000,), 1 - 2**-9), rtol=1e-5, atol=0)
