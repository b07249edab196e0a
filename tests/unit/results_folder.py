"""Small results folders, written file by file as a cell and a driver leave them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bakeoff.comparisons.schema import RAW_TABLES, SCHEMA_VERSION
from bakeoff.comparisons.tables import append_rows

ENVIRONMENT = "bakeoff/Arithmetic-v0"
MODEL = "tiny"
MIB = 2**20

MEMORY = {
    "grpo": {
        "process_baseline": 300,
        "policy_weights": 4,
        "policy_optimizer": 8,
        "unattributed": 28,
    },
    "ppo": {
        "process_baseline": 300,
        "policy_weights": 4,
        "policy_optimizer": 8,
        "critic_weights": 4,
        "critic_optimizer": 8,
        "unattributed": 36,
    },
}
"""MiB at the peak: grpo trains with 40 above the baseline, ppo with 60."""

PHASES = {
    "grpo": {"rollout": 2.0, "reward": 0.5, "update_policy": 1.0, "other": 0.5},
    "ppo": {
        "rollout": 2.0,
        "reward": 0.5,
        "update_policy": 1.0,
        "update_critic": 2.0,
        "other": 0.5,
    },
}
"""Seconds of an update: grpo takes 4, ppo 6."""


def write_cell(
    out: Path,
    algorithm: str = "grpo",
    seed: int = 0,
    *,
    scores: tuple[float, ...] = (0.25, 0.5, 0.75),
    memory: dict[str, float] | None = None,
    phases: dict[str, float] | None = None,
    environment: str = ENVIRONMENT,
    model: str = MODEL,
    **status: Any,
) -> Path:
    """Write a cell of ``len(scores) - 1`` updates, evaluated after each; return its folder.

    ``status=None`` leaves no status.json, as a killed cell does; ``repeat=1`` makes it an A/A
    control, and ``own`` are settings that its algorithm alone was given.
    """
    repeat, own = status.pop("repeat", 0), status.pop("own", {})
    words = [algorithm, f"s{seed}", *([f"r{repeat}"] if repeat else []), Path(environment).name]
    cell_id = "-".join(words).replace(":", "-").replace("=", "-")
    folder = out / "cells" / cell_id
    folder.mkdir(parents=True)
    spec = {
        "schema_version": SCHEMA_VERSION,
        "experiment": "test",
        "cell_id": cell_id,
        "run_id": f"test/{cell_id}",
        "algorithm": algorithm,
        "environment": environment,
        "model": model,
        "seed": seed,
        "pair_id": f"{environment} {model} seed={seed} repeat={repeat}",
        "repeat": repeat,
        "own": own,
        "config": {"updates": len(scores) - 1},
        "config_sha256": "c0ffee",
        "memory_limit_bytes": None,
        "attempt": 1,
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    (folder / "log.txt").write_text("started\n")
    _write_raw(folder, spec, scores, memory or MEMORY[algorithm], phases or PHASES[algorithm])
    if status.get("status", "ok") is not None:
        (folder / "status.json").write_text(json.dumps(_status(spec, len(scores) - 1) | status))
    return folder


def write_grid(out: Path, seeds: int = 3) -> Path:
    """Write a comparison of grpo and ppo in which every run ended ok; return its folder.

    Seed k ends k/100 higher with both, and ppo ends 0.05 above grpo.
    """
    for seed in range(seeds):
        write_cell(out, "grpo", seed, scores=(0.25, 0.5, 0.70 + seed / 100))
        write_cell(out, "ppo", seed, scores=(0.25, 0.5, 0.75 + seed / 100))
    return out


def _status(spec: dict[str, Any], updates: int) -> dict[str, Any]:
    ppo = spec["algorithm"].startswith("ppo")
    rows = ("run_id", "cell_id", "algorithm", "environment", "model", "seed", "pair_id", "repeat")
    return {
        **{key: spec[key] for key in (*rows, "experiment", "schema_version", "config_sha256")},
        "config_json": json.dumps(spec["config"]),
        "semantics_json": json.dumps({"critic": "separate" if ppo else "none"}),
        "status": "ok",
        "exit_code": 0,
        "train_s": 10.0 * updates,
        "cpu_s": 30.0,
        "updates": updates,
        "completions": 128 * updates,
        "completion_tokens": 1000 * updates,
        "peak_rss_bytes": (360 if ppo else 340) * MIB,
        "params_policy": 1_000_000,
        "params_critic": 1_000_000 if ppo else 0,
        "params_reference": 0,
        "dtype": "float32",
        "device_name": "a processor",
        "threads": 2,
        "load_avg_start": 0.5,
    }


def _write_raw(
    folder: Path,
    spec: dict[str, Any],
    scores: tuple[float, ...],
    memory: dict[str, float],
    phases: dict[str, float],
) -> None:
    run = {"run_id": spec["run_id"]}
    curve = {**run, **{key: spec[key] for key in ("algorithm", "environment", "seed")}}
    curves, times, evals = [], [], []
    for update, score in enumerate(scores):
        axes = {"update": update, "train_wall_s": 10.0 * update, "wall_s": 11.0 * update, "n": 4}
        axes |= {"completion_tokens": 1000 * update, "total_tokens": 1500 * update}
        axes |= {"train_flops": 10**9 * update}
        if update:
            point = {"split": "train", "metric": "reward/mean", "value": score / 2}
            curves.append({**curve, **axes, **point})
        curves.append({**curve, **axes, "split": "eval", "metric": "score/mean", "value": score})
        evals.append({**run, "update": update, "item_id": "a/eval/0", "sample": 0, "score": score})
        # the first update takes ten times as long, and is marked as warm-up
        for phase, seconds in {**phases, "eval": 3.0}.items():
            wall_s = (
                0.0 if update == 0 and phase != "eval" else seconds * (10 if update == 1 else 1)
            )
            tokens = 1000 if phase == "rollout" else None
            mark = {"warmup": update < 2, "tokens": tokens}
            times.append({**run, "update": update, "phase": phase, "wall_s": wall_s, **mark})
    held = [
        {**run, "rank": 0, "component": name, "bytes_at_peak": int(mib * MIB), "method": "rss"}
        for name, mib in memory.items()
    ]
    for name, rows in zip(RAW_TABLES, (curves, times, held, evals), strict=True):
        append_rows(folder / name, RAW_TABLES[name], rows)
    sample = {**run, "update": 1, "item_id": "a/train/0", "prompt": "1+1", "completion": "2\u2028"}
    (folder / "samples.jsonl").write_text(json.dumps(sample, ensure_ascii=False) + "\n")
