"""What torch's FSDP2 holds of a model on each of two processes, counted.

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
        meet = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        own = {key: str(value) for key, value in {**meet, "OMP_NUM_THREADS": 1}.items()}
        command = [sys.executable, __file__, str(folder)]
        started.append(subprocess.Popen(command, env={**os.environ, **own}))
    assert [process.wait(timeout=300) for process in started] == [0, 0]
    ranks = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
    return {name: [rank[name] for rank in ranks] for name in configs}


def _counted(config: Mapping[str, Any], precision: str) -> dict[str, int]:
    """Shard a model as the training does, make a step, and return what this rank holds."""
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
    from torch.distributed.tensor import DTensor
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))
    numbers = {"param_dtype": torch.bfloat16, "reduce_dtype": torch.float32}
    policy = MixedPrecisionPolicy(**(numbers if precision == "bf16" else {}))
    layers = model.model.layers
    for layer in layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    most = 0

    def seen(*_: object) -> None:
        nonlocal most
        whole = [weight for weight in model.parameters() if not isinstance(weight, DTensor)]
        most = max(most, sum(weight.nbytes for weight in whole))

    for layer in layers:
        layer.register_forward_pre_hook(seen)
    tokens_BT = torch.arange(6)[None]
    model(input_ids=tokens_BT, use_cache=False).logits.square().mean().backward()
    optimizer.step()
    weights = list(model.parameters())
    moments = [
        state[key] for state in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")
    ]
    grads = [weight.grad for weight in weights if weight.grad is not None]
    assert len(grads) == len(weights)
    storages = {w.to_local().untyped_storage() for w in weights}
    return {
        "policy_weights": sum(weight.to_local().nbytes for weight in weights),
        "policy_grads": sum(grad.to_local().nbytes for grad in grads),
        "policy_optimizer": sum(moment.to_local().nbytes for moment in moments),
        "stored": sum(storage.nbytes() for storage in storages),
        "gathered": most,
    }


def _main(folder: Path) -> None:
    import torch

    torch.distributed.init_process_group("gloo")
    configs = json.loads((folder / "configs.json").read_text())
    found = {name: _counted(config, name.partition(" ")[0]) for name, config in configs.items()}
    (folder / f"{os.environ['RANK']}.json").write_text(json.dumps(found))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
