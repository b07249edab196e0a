"""JSON Lines: questions with their answers, for whatever else reads them."""

from __future__ import annotations

import json
from pathlib import Path

from bakeoff.envs.exports.items import first_items
from bakeoff.envs.text_env import TextEnv


def export_jsonl(
    env: TextEnv, path: str | Path, *, split: str = "train", n: int = 1000
) -> list[dict[str, str | int]]:
    """Write one JSON object a line: where the item is found again, its prompt, answer and gold.

    What else the rewards need (``item.data``) is left out: ``make(env).item(index, split)`` has it.

    Args:
        env: one whose episodes have one turn.
        path: the file; its folder is made if need be.
        split: "train" or "eval".
        n: how many items; all if the split has fewer.

    Returns:
        What was written.

    Raises:
        UsageError: the environment has several turns, or there is nothing to export.

    Example:
        >>> import tempfile
        >>> from bakeoff.envs import make
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = export_jsonl(make("bakeoff/Arithmetic-v0"), f"{folder}/sums.jsonl", n=2)
        >>> rows[1]["index"], sorted(rows[1])
        (1, ['answer', 'env', 'gold', 'index', 'prompt', 'split'])
    """
    rows = [
        {**place, "prompt": item.prompt, "answer": item.answer, "gold": item.gold}
        for place, item in first_items(env, split, n)
    ]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return rows
