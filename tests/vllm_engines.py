"""What every sampler that is a vLLM engine must do, wherever the engine is; servers' processes."""

from __future__ import annotations

import importlib.util
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bakeoff.models.loading import LanguageModel
from bakeoff.training.batch import collate
from bakeoff.training.sampling.padded import PaddedSampler
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.sampling.vllm_sampler import VllmSampler
from bakeoff.training.scoring import token_logps
from bakeoff.types import Batch, Completion

NEEDS_VLLM = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vllm is not installed: see docs/vllm.md"
    ),
    pytest.mark.filterwarnings("ignore"),  # vLLM's imports warn of this and that
]

DECODING = Decoding(max_new_tokens=16)
GREEDY = Decoding(max_new_tokens=16, temperature=0.0)
CLOSE = 1e-3
"""Nats between engine and training model in fp32; the most of 3,804 tokens was 5e-5."""

LONG = "What is " + " + ".join(str(number) for number in range(20)) + "?"


def prompts(model: LanguageModel) -> list[tuple[int, ...]]:
    return [model.prompt_ids(text) for text in ("1 + 2?", "What is 47 + 38?", LONG)]


def gap(model: LanguageModel, completions: list[Completion]) -> float:
    """The largest difference between sampled and recomputed log-probabilities, in nats."""
    rows = [0] * len(completions)
    batch: Batch = collate(completions, [0.0] * len(rows), rows, limit=16, pad_id=model.pad_id)
    with torch.no_grad():
        logp_BT, _ = token_logps(model.model, batch)
    return float(((logp_BT - batch.logp_old_BT) * batch.mask_BT).abs().max())


def servers(of: int) -> set[int]:
    """The processes of the vLLM server that a process has started."""
    found = subprocess.run(["ps", "-ww", "-eo", "pid,sid,args"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in found.stdout.splitlines()[1:]]
    parent = f"server_guard.py {of} "
    (session,) = {sid for pid, sid, args in rows if parent in args and pid == sid}
    return {int(pid) for pid, sid, _ in rows if sid == session}


def gone(pids: set[int]) -> bool:
    until = time.monotonic() + 60
    while (left := {pid for pid in pids if alive(pid)}) and time.monotonic() < until:
        time.sleep(0.2)
    return not left


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


class EngineTests:
    """Tests of a ``sampler`` that has the policy's weights, a fixture of the module."""

    @pytest.fixture
    def moved(self, sampler: VllmSampler) -> Iterator[VllmSampler]:
        """The policy after a change of its weights, which the engine was not told of."""
        model = sampler.language_model.model
        before = {name: weight.clone() for name, weight in model.state_dict().items()}
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.1 * weight.std() * torch.randn(weight.shape, generator=generator)
        yield sampler
        model.load_state_dict(before)
        sampler.synchronise()

    def test_log_probabilities_are_those_of_the_training_model(self, sampler: VllmSampler) -> None:
        completions = sampler.sample(prompts(sampler.language_model), 8, DECODING, 0)

        assert gap(sampler.language_model, completions) < CLOSE

    def test_greedy_replies_are_those_of_the_builtin_sampler(self, sampler: VllmSampler) -> None:
        model = sampler.language_model
        asked = prompts(model)

        completions = sampler.sample(asked, 1, GREEDY, 0)

        builtin = PaddedSampler(model).sample(asked, 1, GREEDY, 0)
        assert [c.token_ids for c in completions] == [c.token_ids for c in builtin]

    def test_the_same_seed_gives_the_same_completions(self, sampler: VllmSampler) -> None:
        asked = prompts(sampler.language_model)

        first, again, other = (sampler.sample(asked, 8, DECODING, seed) for seed in (1, 1, 2))

        assert first == again
        assert first != other

    def test_a_completion_ends_with_the_end_token_or_is_truncated(
        self, sampler: VllmSampler
    ) -> None:
        model, short = sampler.language_model, Decoding(max_new_tokens=2)

        completions = sampler.sample(prompts(model), 16, short, 0)

        for completion in completions:
            ended = completion.token_ids[-1] in model.eos_ids
            assert completion.truncated is not ended
            assert ended or len(completion.token_ids) == 2
            assert not set(completion.token_ids[:-1]) & set(model.eos_ids)
            assert completion.text == model.text(completion.token_ids)
        assert {completion.truncated for completion in completions} == {True, False}

    def test_each_completion_is_told_of_once(self, sampler: VllmSampler) -> None:
        told: list[tuple[int, Completion]] = []

        completions = sampler.sample(
            prompts(sampler.language_model),
            8,
            DECODING,
            0,
            lambda row, done: told.append((row, done)),
        )

        assert sorted(told, key=lambda one: one[0]) == list(enumerate(completions))

    def test_the_engine_follows_the_weights_when_it_is_synchronised(
        self, moved: VllmSampler
    ) -> None:
        model = moved.language_model
        stale = gap(model, moved.sample(prompts(model), 8, DECODING, 0))

        moved.synchronise()

        assert stale > 100 * CLOSE
        assert gap(model, moved.sample(prompts(model), 8, DECODING, 0)) < CLOSE
