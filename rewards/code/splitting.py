"""Assertions as questions: a call with literal arguments, and what must hold of its result.

Most assertions have the form ``assert f(literals) == literal``. Their expected values can then stay
in the process that asks, and one contained process is enough. Anything else is run as a script.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from bakeoff.rewards.code.comparing import (
    FUNCTIONS,
    Equal,
    Expectation,
    Is,
    Near,
    Truth,
)
from bakeoff.rewards.code.literals import value_of
from bakeoff.rewards.code.showing import short_repr

_HARMLESS_IMPORTS = {"math", "typing", "collections", "re", "itertools", "functools", "random"}


class Question(NamedTuple):
    """One call, and what must hold of its result.

    Attributes:
        entry: the function's name.
        args: positional arguments.
        kwargs: keyword arguments.
        expectation: what must hold.
    """

    entry: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    expectation: Expectation

    def __str__(self) -> str:
        named = [f"{name}={short_repr(value)}" for name, value in self.kwargs.items()]
        shown = [*map(short_repr, self.args), *named]
        return f"{self.entry}({', '.join(shown)})"


def of_asserts(asserts: Sequence[str], setup: str, entries: set[str]) -> list[Question] | None:
    """Return one question per assertion, or ``None`` if one of them is of another form.

    Args:
        asserts: statements.
        setup: statements before them; only imports can be left out.
        entries: the functions that are tested.
    """
    if not all(_can_be_left_out(statement) for statement in ast.parse(setup).body):
        return None
    questions: list[Question] = []
    for text in asserts:
        statements = ast.parse(text).body
        if len(statements) != 1 or not isinstance(statements[0], ast.Assert):
            return None
        question = _question(statements[0].test, entries)
        if question is None:
            return None
        questions.append(question)
    return questions


def of_check(script: str, entry: str) -> list[Question] | None:
    """Return the questions of a ``check(candidate)`` that consists of such assertions alone."""
    check, questions = None, []
    for statement in ast.parse(script).body:
        if isinstance(statement, ast.FunctionDef) and statement.name == "check" and not check:
            check = statement
        elif not _can_be_left_out(statement):
            return None
    if check is None or len(check.args.args) != 1 or check.decorator_list:
        return None
    candidate = check.args.args[0].arg
    for statement in check.body:
        if isinstance(statement, ast.Assert):
            if isinstance(statement.test, ast.Constant) and statement.test.value:
                continue
            question = _question(statement.test, {candidate})
            if question is None:
                return None
            questions.append(question._replace(entry=entry))
        elif not _can_be_left_out(statement):
            return None
    return questions or None


def tested_names(asserts: Sequence[str]) -> set[str]:
    """Return the functions that all assertions call.

    A program may define a function with the name of a builtin; it is meant only where the
    assertions call nothing else. Otherwise a program's own ``abs`` could make them all hold.
    """
    common: set[str] | None = None
    others = False
    for text in asserts:
        calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        called = {function.id for function in calls if isinstance(function, ast.Name)}
        common = called if common is None else common & called
        others = others or not all(hasattr(builtins, _root(function)) for function in calls)
    return {name for name in common or () if not (others and hasattr(builtins, name))}


def _root(function: ast.expr) -> str:
    while isinstance(function, ast.Attribute):
        function = function.value
    return function.id if isinstance(function, ast.Name) else "str"


def used_names(texts: Sequence[str]) -> set[str]:
    """Return the names that stand in some Python texts."""
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    return {node.id for node in nodes if isinstance(node, ast.Name)}


def used_modules(texts: Sequence[str]) -> dict[str, list[str]]:
    """Return the standard modules that some Python texts use, with what they use of them."""
    nodes = [node for text in texts for node in ast.walk(ast.parse(text))]
    times = Counter(node.id for node in nodes if isinstance(node, ast.Name))
    found: dict[str, list[str]] = {}
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, []).append(node.attr)
    return {name: used for name, used in found.items()
            if name in sys.stdlib_module_names and times[name] == len(used)}  # fmt: skip


def imported_modules(texts: Sequence[str]) -> list[str]:
    """Return the modules that some Python texts import before anything else can happen."""
    found = []
    for statement in (statement for text in texts for statement in ast.parse(text).body):
        if isinstance(statement, ast.Import):
            found += [name.name for name in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module:
            found.append(statement.module)
    return found


def _can_be_left_out(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import():
            return all(name.name in _HARMLESS_IMPORTS for name in statement.names)
        case ast.ImportFrom():
            return statement.module in _HARMLESS_IMPORTS
        case ast.Expr(value=ast.Constant()) | ast.Pass():
            return True
        case ast.Assign(targets=[ast.Name(id="METADATA")]):
            return True
    return False


def _question(test: ast.expr, entries: set[str]) -> Question | None:
    try:
        match test:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                return _equality(left, right, entries) or _equality(right, left, entries)
            case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant(value=value)]):
                if value is None or isinstance(value, bool):
                    return _asked(left, Is(value), entries)
            case ast.Compare(left=left, ops=[ast.Lt() | ast.LtE() as sign], comparators=[right]):
                return _distance(left, value_of(right), isinstance(sign, ast.LtE), entries)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return _asked(operand, Truth(False), entries)
            case ast.Call():
                return _asked(test, Truth(True), entries)
    except (ValueError, TypeError, ArithmeticError, LookupError, RecursionError):
        pass
    return None


def _equality(left: ast.expr, right: ast.expr, entries: set[str]) -> Question | None:
    """Return the question of ``f(...) == value``, where functions may be applied to ``f(...)``."""
    functions: list[tuple[str, tuple[Any, ...]]] = []
    while (
        isinstance(left, ast.Call)
        and isinstance(left.func, ast.Name)
        and left.func.id in FUNCTIONS
        and left.func.id not in entries
    ):
        if left.keywords or not left.args:
            return None
        functions.append((left.func.id, tuple(map(value_of, left.args[1:]))))
        left = left.args[0]
    try:
        expected = value_of(right)
    except (ValueError, TypeError, LookupError):
        return None
    return _asked(left, Equal(expected, None, tuple(reversed(functions))), entries)


def _distance(left: ast.expr, radius: Any, closed: bool, entries: set[str]) -> Question | None:
    match left:
        case ast.Call(
            func=ast.Name(id="abs"),
            args=[ast.BinOp(left=call, op=ast.Sub(), right=centre)],
            keywords=[],
        ):
            if "abs" in entries or not isinstance(radius, (int, float)):
                return None
            return _asked(call, Near(value_of(centre), radius, closed), entries)
    return None


def _asked(call: ast.expr, expectation: Expectation, entries: set[str]) -> Question | None:
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        return None
    if call.func.id not in entries or any(key.arg is None for key in call.keywords):
        return None
    args = tuple(map(value_of, call.args))
    kwargs = {str(key.arg): value_of(key.value) for key in call.keywords}
    return Question(call.func.id, args, kwargs, expectation)
