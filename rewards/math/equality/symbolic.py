"""The last tier: sympy, in worker processes that are killed at a deadline.

Expressions are built by sympy's constructors from a tree; sympy reads no text.
"""

from __future__ import annotations

import functools
import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from bakeoff.rewards.math.equality.budget import UNITS, spend
from bakeoff.rewards.math.expressions.tree import Node

if TYPE_CHECKING:
    from bakeoff.rewards.workers import WorkerPool

DEADLINE_S = 1.0
MEMORY_MIB = 1024

_CONSTRUCTORS = {
    "+": "Add",
    "*": "Mul",
    "^": "Pow",
    "abs": "Abs",
    "!": "factorial",
    "!!": "factorial2",
    "floor": "floor",
    "ceil": "ceiling",
    "binom": "binomial",
    "ln": "log",
    "log": "log",
    "conj": "conjugate",
    "mod": "Mod",
    "gcd": "gcd",
    "lcm": "lcm",
    "max": "Max",
    "min": "Min",
}


_making = threading.Lock()


def pool() -> WorkerPool:
    """Return the worker processes of this process; they start when they are first needed."""
    with _making:
        return _pool()


@functools.cache
def _pool() -> WorkerPool:
    from bakeoff.rewards.workers import WorkerPool

    place = "bakeoff.rewards.math.equality.symbolic:serve"
    return WorkerPool(place, workers=1, memory_mib=MEMORY_MIB, preload=("sympy",))


def decided_by_sympy(left: Node, right: Node) -> bool | None:
    """Tell whether two values are equal, or ``None`` if sympy cannot tell before its deadline."""
    from bakeoff.rewards.workers import WorkerFailed, WorkerTimeout

    spend(UNITS * 6 // 10)  # once in a check
    try:
        answer = pool().call([encoded(left), encoded(right)], deadline_s=DEADLINE_S)
    except (WorkerTimeout, WorkerFailed):
        return None
    return answer if isinstance(answer, bool) else None


def encoded(node: Node) -> list[Any]:
    """Return a tree as plain data: head, value, operands; numbers in base 16, of any length.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> encoded(parse("x/2"))
        ['/', None, ['symbol', 'x'], ['number', ['0x2', '0x1']]]
    """
    if node.head == "symbol":
        return ["symbol", node.value]
    if node.head == "number":
        value = Fraction(node.value or 0)
        return ["number", [hex(value.numerator), hex(value.denominator)]]
    return [node.head, None, *(encoded(part) for part in node.args)]


def serve(request: list[Any]) -> bool | None:
    """Tell, in a worker, whether two encoded expressions are equal."""
    import sympy

    gap = _built(request[0]) - _built(request[1])
    if gap.is_zero:
        return True
    simple = sympy.simplify(gap)
    if simple.is_zero or simple.equals(0):
        return True
    return False if simple.is_zero is False else None


def _built(data: list[Any]) -> Any:
    """Return the sympy expression of encoded data, made by constructors."""
    import sympy

    head = data[0]
    if head == "number":
        return sympy.Rational(*(int(digits, 16) for digits in data[1]))
    if head == "symbol":
        constants = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "infinity": sympy.oo}
        return constants.get(data[1]) or sympy.Symbol(str(data[1]), real=True)
    parts = [_built(part) for part in data[2:]]
    match head:
        case "-":
            return -parts[0]
        case "/":
            return sympy.Mul(parts[0], sympy.Pow(parts[1], -1))
        case "%":
            return parts[0] / 100
        case "°":
            return parts[0] * sympy.pi / 180
        case "root":
            if parts[1].is_odd:
                return sympy.real_root(parts[0], parts[1])
            return sympy.root(parts[0], parts[1])
        case "sum" | "prod":
            kind = sympy.Sum if head == "sum" else sympy.Product
            return kind(parts[0], (parts[1], parts[2], parts[3])).doit()
        case "apply":
            return sympy.Function(str(data[2][1]))(*parts[1:])
    inverse = f"a{head.removeprefix('arc')}" if head.startswith("arc") else head
    return getattr(sympy, _CONSTRUCTORS.get(head, inverse))(*parts)
