"""Small data files in the formats of HumanEval, MBPP and of tasks with tests, made up here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

TASKS = 60


def humaneval_row(number: int) -> dict[str, str]:
    """Return a function that adds ``number``, below a helper and an import."""
    name = f"add_{number}"
    return {
        "task_id": f"HumanEval/{number}",
        "prompt": "import math\n\n\ndef helper(x):\n    return x\n\n\n"
        f'def {name}(x):\n    """ Add {number} to x.\n    >>> {name}(1)\n'
        f'    {1 + number}\n    """\n',
        "entry_point": name,
        "canonical_solution": f"    return helper(x) + {number}\n",
        "test": "def check(candidate):\n"
        f"    assert candidate(0) == {number}\n    assert candidate(10) == {10 + number}\n",
    }


def write_humaneval(folder: Path) -> Path:
    """Write HumanEval.jsonl.gz and return its folder."""
    folder.mkdir()
    lines = "".join(json.dumps(humaneval_row(number)) + "\n" for number in range(6))
    (folder / "HumanEval.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return folder


def mbpp_row(number: int) -> dict[str, object]:
    """Return task ``number`` of the verified part: a function that multiplies by it."""
    name = f"times_{number}"
    return {
        "source_file": "made up",
        "task_id": number,
        "prompt": f"Write a function to multiply a number by {number}.",
        "code": f"def {name}(x):\n  return x * {number}",
        "test_imports": ["import math"],
        "test_list": [
            f"assert {name}(1) == {number}",
            f"assert {name}(2) == {2 * number}",
            f"assert math.isclose({name}(0.5), {number / 2})",
        ],
    }


def write_mbpp(folder: Path) -> Path:
    """Write a JSON list with tasks of all four parts and return its folder."""
    folder.mkdir()
    numbers = [5, *range(11, 17), 505, 555, *range(601, 610)]
    (folder / "sanitized-mbpp.json").write_text(json.dumps([mbpp_row(n) for n in numbers]))
    return folder


def stdio_row(number: int) -> dict[str, object]:
    """Return a task in the plain format: read a number and add ``number``."""
    return {
        "prompt": f"Read a number and write it plus {number}.",
        "stdio": [
            {"stdin": f"{given}\n", "stdout": f"{given + number}\n"} for given in (1, 5, 1000)
        ],
        "gold": f"value = int(input())\nprint(value + {number})",
    }


def apps_row(number: int) -> dict[str, object]:
    """Return a task in the format of APPS: a function that adds ``number`` to each of a list."""
    lists = [[1, 2], [3], []]
    outputs = [[[value + number for value in values]] for values in lists]
    return {
        "question": f"Add {number} to each number of a list.",
        "input_output": json.dumps(
            {"fn_name": "added", "inputs": [[values] for values in lists], "outputs": outputs}
        ),
        "starter_code": "def added(values):\n    ",
        "solutions": json.dumps([f"def added(values):\n    return [v + {number} for v in values]"]),
    }


def write_code_tests(folder: Path) -> Path:
    """Write JSON Lines of tasks in two formats and return their folder."""
    folder.mkdir()
    rows = [(stdio_row, apps_row)[number % 2](number) for number in range(TASKS)]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
