"""Runs of a small model over several processes, each started as a launcher starts it.

``python ranked_world.py FOLDER`` is one of them: it makes the runs of ``FOLDER/runs.json`` one
after the other and writes what came of each.
"""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file, save_file

SHAPE = {
    "updates": 3,
    "prompts_per_update": 5,
    "group_size": 3,
    "micro_batch": 4,
    "minibatches": 2,
    "max_new_tokens": 6,
    "learning_rate": 1e-3,
    "eval_items": 7,
    "eval_every": 2,
    "device": "cpu",
}
"""Five prompts of three completions, uneven in length, over two steps: nothing of it is even."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run to be made.

    Attributes:
        name: of its results.
        algorithm: with its arguments.
        knobs: beside those of ``SHAPE``.
        environment: the name of one in ``small_world``, ``several_turns`` or ``ranked_programs``.
        stop: the update after which it is left; 0: none.
        checkpoints: the folder of its checkpoint, if it has one.
        odd: whether rank 1 begins with another weight.
        elsewhere: the folder that rank 1 has in the place of ``checkpoints``, if it is another.
        server: the name of what stands in for a server, in ``ranked_server``.
    """

    name: str
    algorithm: str = "grpo"
    knobs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environment: str = "EvenReplies"
    stop: int = 0
    checkpoints: str = ""
    odd: bool = False
    elsewhere: str = ""
    server: str = ""


class Result(NamedTuple):
    """What came of a run on one rank.

    Attributes:
        metrics: by update, those of clocks left out.
        evals: by update.
        tensors: the last weights, and the advantages of each update.
        error: what it has raised, if it has.
    """

    metrics: dict[str, dict[str, float]]
    evals: dict[str, dict[str, float]]
    tensors: dict[str, torch.Tensor]
    error: str


def alone(run: Run) -> Result:
    """Make a run in this process."""
    import ranked_failures as unwell
    import ranked_programs
    import ranked_server
    import several_turns
    import small_world

    from bakeoff.algorithms import make
    from bakeoff.training.loop import Training
    from bakeoff.training.meter import Meter
    from bakeoff.training.sampling import engines

    places = (small_world, several_turns, ranked_programs, unwell)
    kind = next(vars(place)[run.environment] for place in places if run.environment in vars(place))
    model = small_world.small_model(layers=2)
    rank = int(os.environ.get("RANK", "0"))
    if run.odd and rank:
        next(model.model.parameters()).data[0, 0] += 1
    knobs = dict(run.knobs)
    if run.server:
        engines.ServerEngine = getattr(ranked_server, run.server)
        knobs |= {"sampler": "vllm_server", "vllm_python": "python"}
    tensors: dict[str, torch.Tensor] = {}
    metrics: dict[str, dict[str, float]] = {}
    evals: dict[str, dict[str, float]] = {}
    error = ""
    try:
        training = Training(
            model,
            kind(),
            make(run.algorithm),
            small_world.small_config(**{**SHAPE, **knobs}),
            seed=0,
            meter=Meter("cpu"),
        )
        learn = training.learner.learn

        def noted(batch: Any, seed: int, update: int, *rest: Any) -> Any:
            tensors[f"advantages {update}"] = batch.adv_BT.clone()
            return learn(batch, seed, update, *rest)

        training.learner.learn = noted  # type: ignore[method-assign]
        place = run.elsewhere if run.elsewhere and rank else run.checkpoints
        for report in training.run(Path(place) if place else None):
            for found, said in ((metrics, report.metrics), (evals, report.eval_metrics)):
                found[str(report.update)] = {
                    name: value
                    for name, value in said.items()
                    if not name.startswith(("reward_seconds", "overlap"))
                }
            if run.stop and report.update == run.stop:
                break
        tensors |= weights(training.learner)
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    return Result(metrics, evals, {k: v.contiguous() for k, v in tensors.items()}, error)


def check_equal(found: Result, one: Result) -> None:
    """Check that a run on one rank is another, to 1e-5."""
    import pytest

    assert found.error == one.error == ""
    for got, expected in ((found.metrics, one.metrics), (found.evals, one.evals)):
        assert got.keys() == expected.keys()
        for update, metrics in expected.items():
            assert got[update] == pytest.approx(metrics, rel=1e-5, abs=1e-5)
    assert found.tensors.keys() == one.tensors.keys()
    gaps = {name: float((t - found.tensors[name]).abs().max()) for name, t in one.tensors.items()}

    assert max(gaps.values()) < 1e-5


def weights(learner: Any) -> dict[str, torch.Tensor]:
    """All that trains, made whole if it is in shards."""
    from bakeoff.training.devices.shards import full

    models = {"policy": learner.policy, "critic": learner.critic}
    return {
        f"{name} {key}": full(weight.detach()).clone()
        for name, model in models.items()
        if model is not None
        for key, weight in model.named_parameters()
    }


def ranked(runs: Sequence[Run], size: int, folder: Path) -> dict[str, list[Result]]:
    """Make runs over ``size`` processes; return what each rank has of each run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "runs.json").write_text(json.dumps([dataclasses.asdict(run) for run in runs]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [_started(folder, rank, size, port) for rank in range(size)]
    try:
        ends = [process.communicate(timeout=600)[1].decode() for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    for process, said in zip(started, ends, strict=True):
        assert process.returncode == 0, said
    return {run.name: [_read(folder, run.name, rank) for rank in range(size)] for run in runs}


def _started(folder: Path, rank: int, size: int, port: int) -> subprocess.Popen[bytes]:
    where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
    own = {key: str(value) for key, value in {**where, **meet, "PYTHONPATH": path}.items()}
    command = [sys.executable, "-W", "error", str(tests / "ranked_world.py"), str(folder)]
    return subprocess.Popen(command, env={**os.environ, **own}, stderr=subprocess.PIPE)


def _read(folder: Path, name: str, rank: int) -> Result:
    said = json.loads((folder / f"{name}-{rank}.json").read_text())
    return Result(
        said["metrics"],
        said["evals"],
        load_file(folder / f"{name}-{rank}.safetensors"),
        said["error"],
    )


def _main(folder: Path) -> None:
    rank = os.environ["RANK"]
    for one in json.loads((folder / "runs.json").read_text()):
        run = Run(**one)
        run = dataclasses.replace(
            run, knobs={"processes": int(os.environ["WORLD_SIZE"]), **run.knobs}
        )
        result = alone(run)
        save_file(result.tensors, folder / f"{run.name}-{rank}.safetensors")
        values = {"metrics": result.metrics, "evals": result.evals, "error": result.error}
        (folder / f"{run.name}-{rank}.json").write_text(json.dumps(values))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
