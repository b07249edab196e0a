r"""The formats of rows with tests.

The plain one has a ``prompt``, and tests of one kind:

    "calls": [{"args": "(2, [3])", "expected": "[2, 3]"}], "entry": "f"    calls of a function
    "stdio": [{"stdin": "3\n1 2 3\n", "stdout": "6\n"}]                    runs of a script
    "asserts": ["assert f(2) == 3"], "setup": "import math"                assertions
    "check": "def check(candidate): ...", "entry": "f"                     a script of assertions

``args`` and ``expected`` are Python literals in a string, so that tuples, sets and numbers of any
size keep their kind. ``rtol`` and ``atol`` compare numbers with a tolerance, for calls and stdio.
``gold`` is a right program.

That of APPS (https://arxiv.org/abs/2105.09938) and its successors has a ``question``, and in
``input_output`` a text of JSON with ``inputs`` and ``outputs``: what standard input and output are,
or with ``fn_name`` the arguments and results of that function or method of ``Solution``. There
``starter_code`` and ``solutions`` are optional.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.envs.rows import Row
from bakeoff.errors import UsageError
from bakeoff.rewards.code import (
    AssertTests,
    Call,
    CallTests,
    CheckTests,
    Close,
    Limits,
    StdioTests,
    Tests,
    literal,
)
from bakeoff.types import Item

KINDS = ("calls", "stdio", "asserts", "check", "input_output")
REPLY = "Reply with the Python code in a code block."
SCRIPT = f"Write a program that reads standard input and writes standard output. {REPLY}"
FUNCTION = "Write the Python function `{entry}`. " + REPLY
METHOD = "Write the method `{entry}` of the Python class `Solution`. " + REPLY


def read(row: Row, place: str, limits: Limits) -> Item:
    """Return the item in a row, without its id.

    Args:
        row: in one of the formats.
        place: where it stands, for errors.
        limits: of each test.

    Raises:
        UsageError: it has no text, no test, tests of two kinds, or some that cannot be read.

    Example:
        >>> calls = [{"args": "(2,)", "expected": "4"}]
        >>> row = {"prompt": "Write f(x), which doubles x.", "entry": "f", "calls": calls}
        >>> read(row, "line 1", Limits()).data["tests"].calls
        (Call(args=(2,), expected=4, kwargs={}),)
    """
    try:
        tests = _tests(row, limits)
        text = row.get("prompt") or row.get("question")
        if not (isinstance(text, str) and text.strip()):
            raise ValueError("it needs a text 'prompt' (or 'question')")
        gold = row.get("gold") or _first_solution(row.get("solutions"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: {error}") from None
    starter = str(row.get("starter_code") or "").rstrip()
    request = REPLY
    if isinstance(tests, StdioTests):
        request = SCRIPT
    elif isinstance(tests, CallTests | CheckTests):
        request = (METHOD if "class Solution" in starter else FUNCTION).format(entry=tests.entry)
    code = [f"```python\n{starter}\n```"] if starter else []
    prompt = "\n".join([text.strip(), *code, request])
    return Item("", prompt, answer=gold, gold=gold, data={"tests": tests})


def _tests(row: Row, limits: Limits) -> Tests:
    kinds = [kind for kind in KINDS if row.get(kind)]
    if len(kinds) != 1:
        found = " and ".join(f"'{kind}'" for kind in kinds) or "none"
        raise ValueError(f"it needs tests in one of {', '.join(KINDS)}, and has {found}")
    kind, tests = kinds[0], row[kinds[0]]
    close = _close(row)
    if close and kind in ("asserts", "check"):
        raise ValueError(f"'rtol' and 'atol' mean nothing for '{kind}'")
    if kind == "input_output":
        return _apps(tests, close, limits)
    if kind == "asserts":
        return AssertTests(_texts(tests, kind), setup=str(row.get("setup") or ""), limits=limits)
    if kind == "check":
        return CheckTests(script=str(tests), entry=_entry(row), limits=limits)
    if kind == "stdio":
        cases = [(_text(case, "stdin"), _text(case, "stdout")) for case in tests]
        return StdioTests(cases, close=close, limits=limits)
    calls = [Call(_args(_text(c, "args")), literal(_text(c, "expected"))) for c in tests]
    return CallTests(_entry(row), calls, close=close, limits=limits)


def _close(row: Row) -> Close | None:
    given = {name: row[name] for name in ("rtol", "atol") if row.get(name) is not None}
    if not all(isinstance(value, int | float) for value in given.values()):
        raise ValueError("'rtol' and 'atol' must be numbers")
    return Close(**given) if given else None


def _entry(row: Row) -> str:
    entry = row.get("entry")
    if not (isinstance(entry, str) and entry.isidentifier()):
        raise ValueError("it needs the name of the function in 'entry'")
    return entry


def _text(case: object, name: str) -> str:
    value = case.get(name) if isinstance(case, Mapping) else None
    if not isinstance(value, str):
        raise ValueError(f"each test needs the text '{name}'")
    return value


def _texts(values: object, name: str) -> list[str]:
    if not (isinstance(values, Sequence) and all(isinstance(value, str) for value in values)):
        raise ValueError(f"'{name}' must be a list of texts")
    return list(values)


def _args(text: str) -> tuple[Any, ...]:
    args = literal(text)
    if not isinstance(args, tuple):
        raise ValueError(f"'args' must be a tuple such as (2,), not {text[:80]}")
    return args


def _apps(text: object, close: Close | None, limits: Limits) -> Tests:
    found = json.loads(text) if isinstance(text, str) else text
    if not isinstance(found, Mapping):
        raise ValueError("'input_output' must be a JSON object")
    inputs, outputs = found.get("inputs"), found.get("outputs")
    if not (isinstance(inputs, list) and isinstance(outputs, list) and len(inputs) == len(outputs)):
        raise ValueError("'input_output' needs lists 'inputs' and 'outputs' of the same length")
    if not inputs:
        raise ValueError("'input_output' has no tests")
    entry = found.get("fn_name")
    if not entry:
        texts = [[_joined(text) for text in column] for column in (inputs, outputs)]
        cases = list(zip(*texts, strict=True))
        return StdioTests(cases, close=close, limits=limits)
    if all(isinstance(given, str) for given in inputs):  # an argument a line, each of them JSON
        inputs = [[json.loads(line) for line in given.splitlines() if line] for given in inputs]
        outputs = [json.loads(wanted) if isinstance(wanted, str) else wanted for wanted in outputs]
    elif all(isinstance(wanted, list) and len(wanted) == 1 for wanted in outputs):
        outputs = [wanted[0] for wanted in outputs]  # APPS wraps each result in a list
    if not all(isinstance(given, list) for given in inputs):
        raise ValueError("with 'fn_name', each of 'inputs' must be a list of arguments")
    calls = [Call(tuple(given), wanted) for given, wanted in zip(inputs, outputs, strict=True)]
    return CallTests(str(entry), calls, close=close, limits=limits)


def _joined(text: object) -> str:
    if isinstance(text, list):  # of lines
        return "\n".join(map(str, text))
    if not isinstance(text, str):
        raise ValueError("without 'fn_name', each of 'inputs' and 'outputs' must be a text")
    return text


def _first_solution(solutions: object) -> str:
    found = json.loads(solutions) if isinstance(solutions, str) and solutions.strip() else solutions
    return str(found[0]) if isinstance(found, list) and found else ""
