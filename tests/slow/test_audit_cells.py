"""Audits of real runs, and the formula of operations on a model of thirty million weights."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from bakeoff.comparisons import compare
from bakeoff.training.accounting.flop_counter import FlopCounter
from bakeoff.training.batch import collate
from bakeoff.training.flops import flop_model
from bakeoff.training.packing.products import fast_products
from bakeoff.training.scoring import token_logps
from bakeoff.types import Completion

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = tmp_path_factory.mktemp("audits") / "results"
    compare(["grpo", "ppo"], seeds=1, out=out, quiet=True, updates=3)
    return pd.read_csv(out / "ledger.csv"), pd.read_csv(out / "flops.csv")


def test_a_comparison_has_its_bytes_by_component(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    ledger, _ = tables

    for _, rows in ledger.groupby("algorithm"):
        at_peak = rows.set_index("component")["bytes_at_peak"]
        parts = at_peak.drop(["live_tensors", "process"])
        assert parts.sum() == at_peak["live_tensors"]
        assert (at_peak[["policy_weights", "activations"]] > 0).all()
        assert at_peak["process"] > at_peak["live_tensors"]


def test_a_comparison_has_its_operations_within_five_percent_of_the_formula(
    tables: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    _, flops = tables
    known = flops.dropna(subset=["counted_over_analytic"])

    assert ((known["counted_over_analytic"] - 1).abs() < 0.05).all()
    assert set(known["phase"]) >= {"rollout", "values", "update_policy", "update_critic", "update"}
    assert (flops.loc[flops["phase"] == "update", "utilisation_frac"] > 0).all()


def test_thirty_million_weights_cost_what_the_formula_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=16_384,
        hidden_size=384,
        intermediate_size=1024,
        num_hidden_layers=12,
        num_attention_heads=6,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config).eval()
    tokens = 32
    reply = Completion((3,) * 40, (4,) * tokens, (0.0,) * tokens, False, "")
    batch = collate([reply] * 4, [0.0] * 4, [0] * 4, limit=tokens, pad_id=0)
    token_logps(model, batch)  # whether it can be packed has been tried

    with FlopCounter() as counter, fast_products(model):
        token_logps(model, batch)[0].sum().backward()

    # three forward passes of a prompt that is read once, and the scores of all words once more
    flops = flop_model(model)
    expected = 3 * (4 * flops.forward(40, tokens - 1, tokens) - 3 * flops.forward(40, 0, 0))
    expected += 2 * flops.head_weights * 4 * tokens
    assert 20e6 < sum(weight.numel() for weight in model.parameters()) < 40e6
    assert counter.flops == pytest.approx(expected, rel=0.01)
