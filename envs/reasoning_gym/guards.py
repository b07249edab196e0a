r"""reasoning-gym's evaluations of reply text, replaced by ones that read data and no code.

Four of its scorers call ``eval`` on a reply to read a list, and five hand it to sympy's parser,
which is ``eval`` as well. In the workers the first is ``ast.literal_eval``, and the second gets
only what looks like a formula. What honest replies earn does not change.
"""

from __future__ import annotations

import ast
import importlib
import re
import string
from collections.abc import Callable
from typing import Any

_EVALUATE = (
    "reasoning_gym.algorithmic.binary_matrix",
    "reasoning_gym.algorithmic.spiral_matrix",
    "reasoning_gym.algorithmic.string_insertion",
    "reasoning_gym.games.n_queens",
)
_PARSE = ("sympy", "reasoning_gym.games.countdown", "reasoning_gym.games.puzzle24")
_FUNCTIONS = """
    pi exp log ln sqrt cbrt Abs sign sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh
    tanh coth sech csch asinh acosh atanh erf erfi Si Ci Ei li gamma
"""
_WORDS = frozenset([*_FUNCTIONS.split(), *string.ascii_letters])
_FORMULA = re.compile(r"[\w\s.+\-*/^(),]{0,2000}", re.ASCII)
_NUMBER = re.compile(r"[0-9.]+(e[+-]?[0-9]+)?", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def is_formula(text: str) -> bool:
    """Tell whether a text is made of numbers, operators and names of mathematics alone.

    Example:
        >>> is_formula("2*x**3 + sin(x)/2 + C"), is_formula("().__class__"), is_formula("open(x)")
        (True, False, False)
    """
    names = _NAME.findall(_NUMBER.sub(" ", text))
    return bool(_FORMULA.fullmatch(text)) and _WORDS.issuperset(names)


def put_on() -> None:
    """Replace the evaluations in this process."""
    for name in _EVALUATE:
        module: Any = importlib.import_module(name)
        module.eval = ast.literal_eval
    for name in _PARSE:
        module = importlib.import_module(name)
        module.parse_expr = _guarded(module.parse_expr)


def _guarded(parse: Callable[..., object]) -> Callable[..., object]:
    def parse_expr(text: str, *arguments: Any, **options: Any) -> object:
        if not is_formula(text):
            raise ValueError(f"not a formula: {text[:80]!r}")
        return parse(text, *arguments, **options)

    return parse_expr
