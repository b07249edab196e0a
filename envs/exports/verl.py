"""verl: parquet files of prompts, and the ``compute_score`` that it imports by name.

https://verl.readthedocs.io/en/latest/preparation/reward_function.html
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakeoff.envs import make
from bakeoff.envs.exports.items import first_items
from bakeoff.envs.text_env import SPLITS, TextEnv
from bakeoff.errors import UsageError


def export_verl(
    env: TextEnv, folder: str | Path, *, n: int = 1000, n_eval: int = 200
) -> dict[str, str]:
    """Write ``train.parquet`` and ``eval.parquet``, and return verl's settings that go with them.

    Args:
        env: one whose episodes have one turn, and that ``env.spec_text`` makes again in verl's
            processes.
        folder: where the files go; it is made if need be.
        n: how many train items; all if there are fewer.
        n_eval: the same for eval.

    Raises:
        UsageError: the environment has several turns, or there is nothing to export.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     settings = export_verl(make("bakeoff/Arithmetic-v0"), folder, n=4, n_eval=2)
        >>> settings["reward.custom_reward_function.path"]
        'pkg://bakeoff.envs.exports.verl'
    """
    import pandas as pd

    sizes = {"train": n, "eval": n_eval}
    rows = {split: [_row(place, item.prompt, item.answer)
                    for place, item in first_items(env, split, sizes[split])]
            for split in SPLITS}  # fmt: skip
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for split in SPLITS:
        pd.DataFrame(rows[split]).to_parquet(folder / f"{split}.parquet")
    return {
        "data.train_files": str(folder / "train.parquet"),
        "data.val_files": str(folder / "eval.parquet"),
        "reward.custom_reward_function.path": f"pkg://{__name__}",
        "reward.custom_reward_function.name": compute_score.__name__,
    }


def _row(place: Mapping[str, str | int], prompt: str, answer: str) -> dict[str, Any]:
    return {
        "data_source": place["env"],
        "prompt": [{"role": "user", "content": prompt}],
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"split": place["split"], "index": place["index"]},
    }


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    **_: object,
) -> dict[str, float]:
    """Return the score of a reply and its parts, for verl; safe in any thread.

    verl has no way to leave a reply out: one that could not be scored has the score 0.0 here, and
    ``scored`` 0.0. Every reply to an environment has the same keys, as verl asks.

    Args:
        data_source: the environment's spec.
        solution_str: the reply.
        ground_truth: not used: the item is found again by its place.
        extra_info: the item's split and index.

    Raises:
        UsageError: there is no such environment or item.

    Example:
        >>> place = {"split": "eval", "index": 0}
        >>> reply = make("bakeoff/Arithmetic-v0").item(0, "eval").gold
        >>> found = compute_score("bakeoff/Arithmetic-v0", reply, "", place)
        >>> found["score"], found["scored"]
        (1.0, 1.0)
    """
    if not extra_info or not {"split", "index"} <= set(extra_info):
        raise UsageError(f"a row of {data_source} has no split and index in its extra_info")
    env = _made(data_source)
    score = env.score(env.item(int(extra_info["index"]), extra_info["split"]), solution_str)
    parts = {name: float(score.parts.get(name, 0.0)) for name in env.rewards}
    known = score.value is not None
    return {**parts, "score": float(score.value or 0.0), "scored": float(known)}


@functools.cache
def _made(spec: str) -> TextEnv:
    return make(spec)
