"""What each of two processes holds of a policy and a critic in shards, counted.

``python sharded_world.py FOLDER`` is one of them: it shards the models of ``FOLDER/configs.json``,
makes a step of each, and writes what it held.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def held(configs: Mapping[str, Mapping[str, Any]], folder: Path) -> dict[str, list[dict[str, int]]]:
    """Return for each configuration what each of two ranks held, in bytes."""
    (folder / "configs.json").write_text(json.dumps(configs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(2):
        where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2}
        meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "OMP_NUM_THREADS": 1}
        own = {key: str(value) for key, value in {**where, **meet}.items()}
        command = [sys.executable, __file__, str(folder)]
        started.append(subprocess.Popen(command, env={**os.environ, **own}))
    try:
        assert [process.wait(timeout=600) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
            process.wait()
    ranks = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return {name: [rank[name] for rank in ranks] for name in configs}


def _counted(config: Mapping[str, Any], precision: str) -> dict[str, int]:
    """Shard the models of a run with a critic, make a step, and return what this rank holds."""
    import torch
    from torch.distributed.tensor import DTensor
    from transformers import AutoConfig, AutoModelForCausalLM

    from bakeoff.algorithms import make
    from bakeoff.training.config import LoraConfig, train_config
    from bakeoff.training.devices.sharding import sharded, through
    from bakeoff.training.devices.world import world
    from bakeoff.training.models import models
    from bakeoff.training.precision import cast

    torch.manual_seed(0)
    policy = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    cast(policy, precision)
    both = models(policy, make("ppo"), LoraConfig(), 0)
    knobs = {"processes": 2, "sharding": "full", "precision": precision}
    sharded(both, world("cpu"), train_config(knobs))
    most = 0

    def seen(*_: object) -> None:
        nonlocal most
        whole = [weight for weight in policy.parameters() if not isinstance(weight, DTensor)]
        most = max(most, sum(weight.nbytes for weight in whole))

    for layer in policy.model.layers:
        layer.register_forward_pre_hook(seen)
    tokens_BT = torch.arange(6)[None]
    critic = both.critic
    assert critic is not None and critic.backbone is not None
    backbone, head = critic.backbone, critic.head
    through(policy, lambda: policy(tokens_BT, use_cache=False).logits).square().mean().backward()
    states = through(backbone, lambda: backbone(tokens_BT, use_cache=False).last_hidden_state)
    head(states.float()).square().mean().backward()
    found = {"gathered": most}
    for name, model in (("policy", policy), ("critic", critic)):
        weights: list[Any] = list(model.parameters())
        optimizer = torch.optim.AdamW(weights, lr=1e-3)
        optimizer.step()
        moments = [
            state[key] for state in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")
        ]
        storages = {weight.to_local().untyped_storage() for weight in weights}
        found |= {
            f"{name}_weights": sum(weight.to_local().nbytes for weight in weights),
            f"{name}_grads": sum(weight.grad.to_local().nbytes for weight in weights),
            f"{name}_optimizer": sum(moment.to_local().nbytes for moment in moments),
            f"{name}_stored": sum(storage.nbytes() for storage in storages),
        }
    return found


def _main(folder: Path) -> None:
    configs = json.loads((folder / "configs.json").read_text())
    found = {name: _counted(config, name.partition(" ")[0]) for name, config in configs.items()}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
