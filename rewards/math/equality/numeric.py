"""Values of expressions as floating-point numbers of any precision, complex where need be.

Roots of odd order are real for negative numbers, as ``\\sqrt[3]{-8} = -2``. Everything is bounded
by a budget of operations and by the size of exponents, so that no expression takes long.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import mpmath

from bakeoff.rewards.math.equality.budget import spend
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget

MAX_EXPONENT_BITS = 2**24  # of any value on the way, as a floating-point exponent
MAX_FACTORIAL = 20_000
MAX_TERMS = 2_000  # of a sum or a product

# mpmath keeps its precision in a context, and its constants in caches that are not thread-safe
_context: Any = mpmath.MPContext()
LOCK = threading.RLock()


class Vanishing(ExpressionError):
    """A divisor may be zero: it takes more digits to tell."""


def value_at(node: Node, values: Mapping[str, Fraction], bits: int) -> Any:
    """Return the value of an expression at a point, an mpmath number, to about ``bits`` bits.

    Args:
        node: the expression.
        values: what its variables are.
        bits: the working precision.

    Raises:
        ExpressionError: it has no value there.
        OverBudget: it takes too long.
        Vanishing: it divides by what is zero, as far as this many bits show.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> float(value_at(parse("x + sqrt(2)"), {"x": Fraction(1)}, 64))
        2.414213562373095
    """
    return with_noise(node, values, bits)[0]


def with_noise(node: Node, values: Mapping[str, Fraction], bits: int) -> tuple[Any, int]:
    """Return the value as ``value_at`` does, and the binary exponent of what may be wrong in it.

    What is wrong comes from sums of large terms that cancel.
    """
    with LOCK:
        _context.prec = bits
        evaluation = _Evaluation(values, bits)
        try:
            return evaluation.of(node), evaluation.largest_term - bits + 16
        except ZeroDivisionError:
            raise ExpressionError("divides by zero") from None
        except (ValueError, OverflowError, MemoryError, TypeError) as error:
            if isinstance(error, ExpressionError):
                raise
            raise ExpressionError("has no value") from None


def is_real(value: Any, bits: int) -> bool:
    """Tell whether a number has no imaginary part, as far as the precision shows."""
    with LOCK:
        if not hasattr(value, "imag") or value.imag == 0:
            return True
        return bool(_magnitude(value.imag) < _magnitude(value.real) - bits // 2)


def _magnitude(value: Any) -> int:
    """Return the binary exponent of a number; a very small one for 0."""
    if value == 0:
        return -(1 << 40)
    magnitude = _context.mag(value)
    if magnitude != magnitude or magnitude in (_context.inf, -_context.inf):
        raise ExpressionError("has no finite value")
    return int(magnitude)


magnitude = _magnitude


class _Evaluation:
    """One evaluation: the variables' values, and how many operations are left."""

    def __init__(self, values: Mapping[str, Fraction], bits: int) -> None:
        self.values = {name: _fraction(value) for name, value in values.items()}
        self.bits = bits
        self.digits = bits // 160  # what costs more than a moment grows with its square
        self.largest_term = -MAX_EXPONENT_BITS

    def of(self, node: Node) -> Any:
        spend(1 + self.digits)
        head, args = node.head, node.args
        if head == "number":
            return _fraction(node.value)  # type: ignore[arg-type]
        if head == "symbol":
            return self.symbol(str(node.value))
        if head in ("sum", "prod"):
            return self.iterated(node)
        if head == "+":
            terms = [self.of(part) for part in args]
            self.largest_term = max(self.largest_term, *map(_magnitude, terms))
            return self.within(sum(terms[1:], terms[0]))
        if head == "*":
            product = self.of(args[0])
            for part in args[1:]:
                product *= self.of(part)
            return self.within(product)
        if head == "^":
            return self.within(self.power(args[0], args[1]))
        if head == "root":
            return self.root(args[0], args[1])
        values = [self.of(part) for part in args]
        if head == "/":
            return self.within(values[0] / self.divisor(values[1]))
        if head not in _FUNCTIONS:
            raise ExpressionError(f"cannot evaluate '{head}'")
        if head in ("!", "binom"):  # the gamma function: 0.5 ms at 160 bits, 1 s at 2,560
            spend(int(100 * (self.bits / 160) ** 2.8))
        else:
            spend(10 * (1 + self.digits**2 // 4))
        return self.within(_FUNCTIONS[head](self, *values))

    def within(self, value: Any) -> Any:
        if abs(_magnitude(value)) > MAX_EXPONENT_BITS and value != 0:
            raise OverBudget("a number too large to work out")
        return value

    def divisor(self, value: Any) -> Any:
        if _magnitude(value) < -(self.bits // 2):
            raise Vanishing("divides by zero")
        return value

    def symbol(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name == "pi":
            return +_context.pi
        if name == "e":
            return +_context.e
        if name == "i":
            return _context.mpc(0, 1)
        raise ExpressionError("infinity has no value" if name == "infinity" else f"no {name[:20]}")

    def power(self, base_node: Node, exponent_node: Node) -> Any:
        spend(5 * (1 + self.digits**2 // 4))
        base = self.of(base_node)
        exact = rational(exponent_node)
        if exact is not None and exact.denominator > 1 and exact.denominator % 2:
            root = self.real_root(base, exact.denominator)
            return self.raised(root, _context.mpf(exact.numerator))
        return self.raised(base, self.of(exponent_node) if exact is None else _fraction(exact))

    def raised(self, base: Any, exponent: Any) -> Any:
        if base == 0:
            if not (is_real(exponent, self.bits) and exponent.real > 0):
                raise Vanishing("0 to a power that is not positive")
            return base
        size = max(abs(_magnitude(base)), 1)
        if _magnitude(exponent) > 60 or abs(exponent) * size > MAX_EXPONENT_BITS:
            raise OverBudget("a power too large to work out")
        return base**exponent

    def root(self, radicand: Node, order_node: Node) -> Any:
        order = rational(order_node)
        value = self.of(radicand)
        if order is None or order <= 0 or order.denominator != 1:
            return self.raised(value, 1 / self.divisor(self.of(order_node)))
        if order == 2:
            return _context.sqrt(value)
        return self.real_root(value, int(order)) if order % 2 else value ** (1 / _fraction(order))

    def real_root(self, value: Any, order: int) -> Any:
        if value == 0:
            return value
        power = 1 / _context.mpf(order)
        if is_real(value, self.bits) and value.real < 0:
            return -((-value.real) ** power)
        return value**power

    def iterated(self, node: Node) -> Any:
        body, index, start, stop = node.args
        first, last = self.of(start), self.of(stop)
        if not (_context.isint(first) and _context.isint(last)):
            raise ExpressionError("a sum whose limits are not whole numbers")
        if last - first > MAX_TERMS:
            raise OverBudget("a sum of too many terms")
        name = str(index.value)
        outer = self.values.get(name)
        total = _context.mpf(0 if node.head == "sum" else 1)
        for k in range(int(first), int(last) + 1):
            self.values[name] = _context.mpf(k)
            term = self.of(body)
            total = self.within(total + term if node.head == "sum" else total * term)
        self.values.pop(name, None)
        if outer is not None:
            self.values[name] = outer
        return total

    def periodic(self, function: Callable[[Any], Any], value: Any) -> Any:
        if _magnitude(value) > 256:
            raise OverBudget("an angle too large to work out")
        return function(value)

    def logarithm(self, value: Any) -> Any:
        return _context.log(self.divisor(value))

    def growing(self, function: Callable[[Any], Any], value: Any) -> Any:
        if _magnitude(value) > 24:
            raise OverBudget("a power too large to work out")
        return function(value)

    def rounded(self, function: Callable[[Any], Any], value: Any) -> Any:
        if not is_real(value, self.bits):
            raise ExpressionError("rounds a complex number")
        if _magnitude(value) > self.bits // 2:
            raise OverBudget("a number too large to round")
        return function(value.real)

    def factorial(self, value: Any) -> Any:
        if abs(value) > MAX_FACTORIAL:
            raise OverBudget("a factorial too large to work out")
        return _context.gamma(value + 1)

    def binomial(self, n: Any, k: Any) -> Any:
        if max(abs(n), abs(k)) > MAX_FACTORIAL:
            raise OverBudget("a binomial too large to work out")
        return _context.binomial(n, k)


def _fraction(value: Fraction) -> Any:
    return _context.mpf(value.numerator) / value.denominator


def _functions() -> dict[str, Callable[..., Any]]:
    """Return the functions of one or two values, by head."""
    table: dict[str, Callable[..., Any]] = {
        "-": lambda self, x: -x,
        "%": lambda self, x: x / 100,
        "°": lambda self, x: x * _context.pi / 180,
        "abs": lambda self, x: abs(x),
        "conj": lambda self, x: _context.conj(x),
        "!": lambda self, x: self.factorial(x),
        "floor": lambda self, x: self.rounded(_context.floor, x),
        "ceil": lambda self, x: self.rounded(_context.ceil, x),
        "binom": lambda self, n, k: self.binomial(n, k),
        "ln": lambda self, x: self.logarithm(x),
        "log": lambda self, x, base: self.logarithm(x) / self.divisor(self.logarithm(base)),
        "exp": lambda self, x: self.growing(_context.exp, x),
        "max": lambda self, *x: max(x),
        "min": lambda self, *x: min(x),
    }
    circular = ("sin", "cos", "tan", "cot", "sec", "csc")
    for name in ("sin", "cos"):
        table[name] = _caller("periodic", getattr(_context, name))
    table["tan"] = lambda self, x: table["sin"](self, x) / self.divisor(table["cos"](self, x))
    table["cot"] = lambda self, x: table["cos"](self, x) / self.divisor(table["sin"](self, x))
    table["sec"] = lambda self, x: 1 / self.divisor(table["cos"](self, x))
    table["csc"] = lambda self, x: 1 / self.divisor(table["sin"](self, x))
    for name in circular:
        table[f"{name}h"] = _caller("growing", getattr(_context, f"{name}h"))
        for inverse in (f"a{name}", f"a{name}h"):
            table[f"arc{inverse[1:]}"] = _caller("growing", getattr(_context, inverse))
    table["arccot"] = lambda self, x: _context.pi / 2 - _context.atan(x)
    for name in ("arctan", "arcsin", "arccos", "arcsec", "arccsc"):
        table[name] = _plain(getattr(_context, name.replace("arc", "a")))
    return table


def _caller(method: str, function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda self, x: getattr(self, method)(function, x)


def _plain(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda self, x: function(x)


_FUNCTIONS = _functions()
