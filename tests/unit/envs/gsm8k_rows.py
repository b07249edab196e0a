"""A small data folder in GSM8K's format, made up for the tests."""

from __future__ import annotations

import json
from pathlib import Path

SIZES = {"train": 12, "test": 5}


def row(number: int, kind: str) -> dict[str, str]:
    """Return a problem whose answer is 1,000 + ``number``."""
    steps = f"It is 1000 + {number} = <<1000+{number}=1{number:03}>>1{number:03}."
    return {
        "question": f"A {kind} farm has 1000 hens and buys {number}. How many are there?",
        "answer": f"{steps}\n#### 1,{number:03}",
    }


def write_gsm8k(folder: Path) -> Path:
    """Write train.jsonl and test.jsonl and return the folder."""
    for kind, size in SIZES.items():
        lines = (json.dumps(row(number, kind)) for number in range(1, size + 1))
        (folder / f"{kind}.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder
