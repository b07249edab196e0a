"""What --sampler vllm asks for and changes, where no engine has to run for it."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from small_world import small_model, small_training

from bakeoff.algorithms import make
from bakeoff.comparisons.running.checks import check
from bakeoff.comparisons.running.grid import plan
from bakeoff.errors import UsageError
from bakeoff.training.config import train_config
from bakeoff.training.ledger import Ledger
from bakeoff.training.models import ADAPTER
from bakeoff.training.sampling.vllm_engine import checkpoint_weights

no_vllm = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is not None, reason="says what happens without vllm"
)

TRUNCATED = "advantage * (min(token ratio, 2)); the ratio is to the training model"


@no_vllm
def test_a_comparison_with_vllm_names_the_extra_where_it_is_missing() -> None:
    with pytest.raises(
        UsageError, match=r"--sampler vllm needs vllm: pip install 'bakeoff\[vllm]'"
    ):
        check(plan(sampler="vllm"))


@no_vllm
def test_a_run_with_vllm_names_the_extra_where_it_is_missing() -> None:
    with pytest.raises(UsageError, match=r"sampler vllm needs vllm: pip install 'bakeoff\[vllm]'"):
        small_training(sampler="vllm")


@pytest.mark.parametrize("drawing", [{"top_p": 0.9}, {"top_k": 5}])
def test_no_log_probabilities_of_the_full_distribution_is_an_error_of_the_settings(
    drawing: dict[str, float],
) -> None:
    # vLLM's are at temperature 1, or of what top-p and top-k leave
    with pytest.raises(UsageError, match=r"temperature 0.7 with top_p or top_k"):
        train_config({"sampler": "vllm", "temperature": 0.7} | drawing)


@pytest.mark.parametrize(
    "drawing", [{"temperature": 0.7}, {"top_p": 0.9, "top_k": 5}, {"temperature": 0.0}]
)
def test_other_decodings_are_settings_of_vllm(drawing: dict[str, float]) -> None:
    config = train_config({"sampler": "vllm"} | drawing)

    assert config.sampler == "vllm"


@pytest.mark.parametrize("name", ["grpo", "ppo", "reinforce", "rft"])
def test_an_algorithm_that_says_nothing_of_the_mismatch_is_corrected_for_another_engine(
    name: str,
) -> None:
    assert make(name).mismatch is None
    assert make(name, corrected=True).semantics["mismatch"] == TRUNCATED


def test_what_a_spec_says_of_the_mismatch_is_done_for_another_engine_too() -> None:
    masked = make("grpo:mismatch=token_masked", corrected=True)

    assert masked.semantics == make("grpo:mismatch=token_masked").semantics
    assert make("grpo:mismatch=no_correction", corrected=True).mismatch is None


def test_the_bound_of_the_default_correction_can_be_set_alone() -> None:
    found = make("grpo:mismatch_cap=3", corrected=True)

    assert found.semantics["mismatch"] == TRUNCATED.replace("2)", "3)")


def test_gold_replies_which_nobody_sampled_are_not_corrected() -> None:
    assert make("sft", corrected=True).mismatch is None


def test_the_weights_for_an_engine_are_those_with_the_adapter_merged() -> None:
    training = small_training(lora_rank=2)
    learner, plain = training.learner, small_model().model
    with torch.no_grad():
        for name, weight in learner.policy.named_parameters():
            if "lora_B" in name:
                weight.add_(1.0)  # an adapter that changes something

    with learner.sampling():
        weights = checkpoint_weights(learner.policy)
        plain.load_state_dict(weights)  # the same names, and no others
        merged = learner.policy(torch.tensor([[3, 4, 5]])).logits

    assert ADAPTER in learner.policy.peft_config
    torch.testing.assert_close(plain(torch.tensor([[3, 4, 5]])).logits, merged, rtol=0, atol=0)


def test_a_component_that_lasts_is_counted_in_phases_that_it_is_not_made_for() -> None:
    ledger = Ledger()
    ledger.set("kv_cache", 7)
    ledger.mark_peak("update_policy")
    assert ledger.at_peak == {"kv_cache": 0}

    ledger.set("kv_cache", 7, always=True)
    ledger.mark_peak("update_policy")
    assert ledger.at_peak == {"kv_cache": 7}
