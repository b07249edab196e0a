"""Small data files in the formats of MATH and MATH-500, made up for the tests."""

from __future__ import annotations

import json
from pathlib import Path

SIZE = 80
ANSWERS = [
    "{n}",
    r"\frac{{{n}}}{{1001}}",
    r"{n}\sqrt{{2}}",
    r"\left( {n}, \frac{{\pi}}{{3}} \right)",
    r"[{n}, \infty)",
    "x^2 + {n}",
    r"{n}\text{{ cm}}",
]


def answer(number: int) -> str:
    """Return an answer to problem ``number``; its kind goes round."""
    return ANSWERS[number % len(ANSWERS)].format(n=number)


def problem(number: int) -> str:
    """Return the text of problem ``number``."""
    kind = number % len(ANSWERS)
    return f"After $k$ steps of kind {kind} the state is $S_k$. Find $S_{{{number}}}$."


def write_math(folder: Path) -> Path:
    """Write a JSON list with ``answer``, as the training problems come, and return its folder."""
    rows = [
        {
            "problem": problem(number),
            "answer": answer(number),
            "difficulty": float(number % 5 + 1),
            "type": ["Algebra", "Geometry"][number % 2],
        }
        for number in range(1, SIZE + 1)
    ]
    folder.mkdir()
    (folder / "train_math.json").write_text(json.dumps(rows))
    return folder


def write_math500(folder: Path) -> Path:
    """Write JSON Lines with ``solution``, as the test problems come, and return their folder."""
    folder.mkdir()
    with (folder / "test.jsonl").open("w") as file:
        for number in range(1001, 1011):
            solution = f"By the formula, $S_{{{number}}} = \\boxed{{{answer(number)}}}$."
            row = {"problem": problem(number), "solution": solution, "answer": answer(number)}
            file.write(json.dumps(row | {"level": number % 5 + 1, "subject": "Algebra"}) + "\n")
    return folder
