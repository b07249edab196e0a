"""What each of two processes holds of policy, critic and reference in shards, counted.

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
    """Split the models of a run, make a pass of each, and return what this rank holds."""

    from bakeoff.algorithms import make
    from bakeoff.training.accounting.accountant import Accountant
    from bakeoff.training.config import LoraConfig, train_config
    from bakeoff.training.devices.sharding import empty_twin, loaded_by_first, sharded
    from bakeoff.training.devices.world import world
    from bakeoff.training.ledger import tensor_bytes
    from bakeoff.training.models import models
    from bakeoff.training.packing.support import packs

    ranks, made = world("cpu"), []
    if ranks.rank == 0:
        made.append(_made(config, precision))
        packs(made[0].model)  # passes of it, on its host, are none of a device's
    with Accountant() as accountant:
        policy = loaded_by_first(ranks, made.pop).model
        both = models(policy, make("ppo:kl_coef=0.1"), LoraConfig(), 0, empty_twin)
        knobs = {"processes": 2, "sharding": "full", "precision": precision}
        twin = sharded(both, ranks, train_config(knobs))
    critic, reference = both.critic, both.reference
    assert critic is not None and critic.backbone is not None and reference is not None
    buffers = [one for model in (twin, policy, critic, reference) for one in model.buffers()]
    found = {"start": accountant.peak_bytes, "buffers": tensor_bytes(buffers)}
    for name, model in (("policy", policy), ("critic", critic), ("reference", reference)):
        backbone = model.base_model if model is not critic else critic.backbone
        found[f"{name}_gathered"] = _most_whole(model, backbone, through_head=model is not critic)
        found |= {f"{name}_{part}": n for part, n in _held(list(model.parameters())).items()}
    return found


def _made(config: Mapping[str, Any], precision: str) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from bakeoff.models.loading import LanguageModel
    from bakeoff.training.precision import cast

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    cast(model, precision)
    return LanguageModel(model, None, "made")


def _most_whole(model: Any, backbone: Any, *, through_head: bool) -> int:
    """Make a pass, backward too if that moves anything; return the bytes of whole weights in it."""
    import torch
    from torch.distributed.tensor import DTensor

    from bakeoff.training.devices.sharding import through

    most = 0
    root = model if through_head else backbone

    def seen(*_: object) -> None:
        nonlocal most
        whole = [weight for weight in root.parameters() if not isinstance(weight, DTensor)]
        most = max(most, sum(weight.nbytes for weight in whole))

    handles = [layer.register_forward_pre_hook(seen) for layer in backbone.layers]
    tokens_BT = torch.arange(6)[None]
    out = through(root, lambda: root(tokens_BT, use_cache=False))
    said = out.logits if through_head else model.head(out.last_hidden_state.float())
    if said.requires_grad:
        said.square().mean().backward()
    for handle in handles:
        handle.remove()
    return most


def _held(weights: list[Any]) -> dict[str, int]:
    """Return the bytes of shards here; of those that move, after a step of AdamW."""
    import torch

    storages = {weight.to_local().untyped_storage() for weight in weights}
    found = {
        "weights": sum(weight.to_local().nbytes for weight in weights),
        "stored": sum(storage.nbytes() for storage in storages),
    }
    if not weights[0].requires_grad:
        return found
    optimizer = torch.optim.AdamW(weights, lr=1e-3)
    optimizer.step()
    moments = [
        state[key] for state in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")
    ]
    return found | {
        "grads": sum(weight.grad.to_local().nbytes for weight in weights),
        "optimizer": sum(moment.to_local().nbytes for moment in moments),
    }


def _main(folder: Path) -> None:
    configs = json.loads((folder / "configs.json").read_text())
    found = {name: _counted(config, name.partition(" ")[0]) for name, config in configs.items()}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
