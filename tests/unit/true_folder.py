"""A results folder in which everything is as a real comparison leaves it, made without training."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bakeoff.comparisons.report import report
from bakeoff.comparisons.report.checking import hashes
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running import folder
from bakeoff.comparisons.running.grid import CellSpec, cells, plan, sha256
from bakeoff.comparisons.schema import RAW_TABLES
from bakeoff.comparisons.tables import append_rows, file_hashes, replace_file

MIB = 2**20
UPDATES = 2
TOKENS = 100  # of an update
PHASES = {"rollout": 1.0, "update_policy": 0.5, "other": 0.25}
TRAIN_S = 1.6  # of an update: between 1.5, what its phases took, and 1.75, with the rest
HELD = {"process_baseline": 300, "policy_weights": 4, "unattributed": 36}  # MiB


def make(out: Path, host_id: str = "a", parallel: int = 1, **settings: Any) -> Path:
    """Write the runs of grpo and ppo, two updates long, without a report; return the folder."""
    asked = {"algorithms": ("grpo", "ppo"), "control": False, "updates": UPDATES, "seeds": 2}
    experiment = plan(out=out, **{**asked, **settings})
    out.mkdir(parents=True)
    folder.record(experiment)
    for cell in cells(experiment):
        write_cell(out, dataclasses.replace(cell, parallel=parallel), host_id)
    return out


def write_cell(out: Path, cell: CellSpec, host_id: str = "a") -> Path:
    """Write what a run that ended ok leaves; its last scores are (seed + 1) / 4, of four items."""
    place = folder.place(out, cell)
    place.mkdir(parents=True)
    content = {"torch": "2.13.0"}
    whole = [cell.algorithm, cell.environment, cell.model, dict(cell.config), content]
    cell = dataclasses.replace(cell, content=content, content_sha256=sha256(whole))
    folder.write_json(place / "spec.json", dataclasses.asdict(cell))
    run = {"run_id": cell.run_id}
    curve = {**run, **{key: getattr(cell, key) for key in ("algorithm", "environment", "seed")}}
    for update in range(UPDATES + 1):
        right = 0 if update == 0 else cell.seed % 4 + 1
        axes = {
            "update": update,
            "completion_tokens": TOKENS * update,
            "total_tokens": 3 * TOKENS * update,
            "train_wall_s": TRAIN_S * update,
            "wall_s": 5.0 + 3.0 * update,
            "train_flops": 10**9 * update,
            "peak_rss_bytes": 340 * MIB,
        }
        train = {"split": "train", "metric": "reward/mean", "value": update / 4, "n": 8}
        means = {"score/mean": right / 4, "completions/mean_length": 3.0}
        points = [train] if update else []
        points += [{"split": "eval", "metric": k, "value": v, "n": 4} for k, v in means.items()]
        phases = {**(PHASES if update else {}), "eval": 0.5}
        times = [
            {
                **{"update": update, "phase": phase, "wall_s": seconds, "warmup": update < 2},
                "tokens": TOKENS if phase == "rollout" else None,
                "peak_bytes": 340 * MIB if phase == "update_policy" else None,
            }
            for phase, seconds in phases.items()
        ]
        items = [
            {"item_id": f"a/eval/{n}", "sample": 0, "score": float(n < right), "tokens": 3}
            for n in range(4)
        ]
        _append(place, "curves.csv", [{**curve, **axes, **point} for point in points])
        _append(place, "phases.csv", [{**run, **row} for row in times])
        _append(place, "evals.csv", [{**run, "update": update, **row} for row in items])
        _write_sample(place, {**run, "update": update, "item_id": "a/eval/0", "score": items[0]})
    _append(
        place,
        "memory.csv",
        [
            {**run, "rank": 0, "component": name, "bytes_at_peak": mib * MIB, "method": "rss"}
            for name, mib in HELD.items()
        ],
    )
    folder.write_json(place / "status.json", _status(place, cell, host_id))
    return place


def edit(path: Path, change: Callable[[str], str]) -> None:
    """Change the text of a file, and see that it is another one."""
    before = path.read_text()
    path.write_text(change(before))
    assert path.read_text() != before


def rehash(out: Path) -> None:
    """Make every recorded hash and the report anew, as whoever hides a change would."""
    for path in out.glob("cells/*/status.json"):
        try:
            status = json.loads(path.read_text())
        except ValueError:  # it was made unreadable
            continue
        folder.write_json(path, status | {"files_sha256": file_hashes(path.parent)})
    write_report(out)


def write_report(out: Path) -> Path:
    """Write what ``report.write`` does, with a figure that takes no time; return the folder."""
    files = {**report.derived(load(out)), "rewards.png": b"a picture"}
    for name, data in files.items():
        replace_file(out / name, data)
    hashes.write(out, files)
    return out


def _append(place: Path, name: str, rows: list[dict[str, Any]]) -> None:
    append_rows(place / name, RAW_TABLES[name], rows)


def _write_sample(place: Path, sample: dict[str, Any]) -> None:
    score = sample["score"]["score"]
    line = json.dumps({**sample, "score": score, "prompt": "1+1", "completion": "2"})
    with (place / "samples.jsonl").open("a") as file:
        file.write(f"{line}\n")


def _status(place: Path, cell: CellSpec, host_id: str) -> dict[str, Any]:
    ppo = cell.algorithm.startswith("ppo")
    return {
        **{
            key: getattr(cell, key)
            for key in ("experiment", "run_id", "cell_id", "algorithm", "environment", "model")
        },
        **{key: getattr(cell, key) for key in ("seed", "pair_id", "repeat", "config_sha256")},
        "parallel": cell.parallel,
        "schema_version": cell.schema_version,
        "config_json": json.dumps(dict(cell.config)),
        "budget_kind": "updates",
        "budget_value": UPDATES,
        "status": "ok",
        "exit_code": 0,
        "wall_s": 12.0,
        "setup_s": 4.0,
        "train_s": TRAIN_S * UPDATES,
        "eval_s": 1.75,  # three times 0.5, and what was around them
        "cpu_s": 9.0,
        "updates": UPDATES,
        "prompt_tokens": 2 * TOKENS * UPDATES,
        "completion_tokens": TOKENS * UPDATES,
        "train_flops": 10**9 * UPDATES,
        "reward_initial": 0.25,
        "reward_final": 0.5,
        "reward_best": 0.5,
        "eval_score": (cell.seed % 4 + 1) / 4,
        "eval_items": 4,
        "peak_rss_bytes": 340 * MIB,
        "params_critic": 1_000_000 if ppo else 0,
        "dtype": "float32",
        "device_name": "a processor",
        "threads": 1,
        "host_id": host_id,
        "attempt": 1,
        "files_sha256": file_hashes(place),
    }
