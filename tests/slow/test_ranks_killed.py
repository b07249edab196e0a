"""A rank that is killed at the worst moments costs its run nothing but time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rank_processes import BAKEOFF, TWO, curves, processes_of, run, settings, status

pytestmark = pytest.mark.slow

DYING = '''
"""ppo, of which one rank is killed at the first call of a function after a checkpoint, once."""

import os
import signal
import sys
from pathlib import Path

from bakeoff import algorithms
from {module} import {owner}

whole, mark = {owner}.{name}, Path({mark!r})


def deadly(*args, **kwargs):
    due = os.environ.get("RANK") == "{rank}" and Path(sys.argv[-1], "checkpoint").exists()
    if due and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return whole(*args, **kwargs)


{owner}.{name} = deadly


def mine():
    return algorithms.make("ppo")
'''

WRITER = ("torch.distributed.checkpoint.hf_storage", "HuggingFaceStorageWriter", "write_data")
MOMENTS = {
    "sampling": (1, "bakeoff.training.sampling.packed", "PackedSampler", "sample"),
    "the backward pass": (1, "torch", "Tensor", "backward"),
    "rank 0 writes a checkpoint": (0, *WRITER),
    "rank 1 writes a checkpoint": (1, *WRITER),
}
"""The rank that is killed, and the module, class and method at a call of which it is."""

SHARDS = ["--updates", "3", "--checkpoint-every", "1", "--sharding", "full"]


def compare(algorithm: str, *more: str) -> list[str]:
    what = ["--algorithms", algorithm, "--seeds", "1", "--no-audit", "--no-control"]
    return [*BAKEOFF, "compare", *what, *settings(*more)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, ...], float]:
    """The curves of the run of one process, by everything but the algorithm's name."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(compare("ppo", "--updates", "3", "--out", str(folder / "out")), folder)
    return nameless(folder / "out")


def nameless(out: Path) -> dict[tuple[str, ...], float]:
    return {key[1:]: value for key, value in curves(out).items()}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_rank_killed_in_the_middle_costs_an_attempt_and_no_number(
    moment: str, undisturbed: dict[tuple[str, ...], float], tmp_path: Path
) -> None:
    out, mark = tmp_path / "out", tmp_path / "mark"
    rank, module, owner, name = MOMENTS[moment]
    (tmp_path / "dying.py").write_text(
        DYING.format(rank=rank, module=module, owner=owner, name=name, mark=str(mark))
    )
    command = compare(f"{tmp_path / 'dying.py'}:mine", *TWO, *SHARDS, "--out", str(out))

    run(command, tmp_path, code=1)
    ended = status(out, "dying")
    left = processes_of(out)
    run([*command, "--only", "failed"], tmp_path)

    assert mark.exists() and not left
    assert (ended["status"], ended["exit_code"]) == ("error", -9)
    assert ended["error_message"] == f"rank {rank}: killed by signal 9 (SIGKILL)"
    assert status(out, "dying")["status"] == "ok"
    assert nameless(out) == pytest.approx(undisturbed, rel=1e-5, abs=1e-5, nan_ok=True)
    (spec,) = out.glob("cells/*/spec.json")
    assert json.loads(spec.read_text())["attempt"] == 2
