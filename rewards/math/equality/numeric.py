r"""Values of expressions as floating-point numbers of any precision, complex where need be.

Roots of odd order are real for negative numbers, as ``\sqrt[3]{-8} = -2``. Everything is bounded by
the budget of the check and by the size of exponents, so that no expression takes long.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple, cast

from bakeoff.rewards.math.equality.arbitrary import (
    CONTEXT,
    LOCK,
    NOTHING,
    from_fraction,
    is_real,
    magnitude,
)
from bakeoff.rewards.math.equality.budget import spend
from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.functions import FUNCTIONS, Vanishing, divisor
from bakeoff.rewards.math.expressions.tree import ExpressionError, Node, OverBudget, bits

MAX_EXPONENT_BITS = 2**24  # of any value on the way, as a floating-point exponent
MAX_TERMS = 2_000  # of a sum or a product


class Measured(NamedTuple):
    """A value, and what is known about how it came about.

    Attributes:
        value: an mpmath number.
        noise: the binary exponent of what may be wrong in it, where large terms cancelled.
        span: the largest size of a binary exponent on the way, of large or small values.
    """

    value: Any
    noise: int
    span: int


def value_at(node: Node, values: Mapping[str, Fraction], precision: int) -> Any:
    """Return the value of an expression at a point, an mpmath number, to about ``precision`` bits.

    Args:
        node: the expression.
        values: what its variables are.
        precision: in bits.

    Raises:
        ExpressionError: it has no value there.
        OverBudget: it takes too long.
        Vanishing: it divides by what is zero, as far as this many bits show.

    Example:
        >>> from bakeoff.rewards.math.expressions.parsing import parse
        >>> float(value_at(parse("x + sqrt(2)"), {"x": Fraction(1)}, 64))
        2.414213562373095
    """
    return measured(node, values, precision).value


def measured(node: Node, values: Mapping[str, Fraction], precision: int) -> Measured:
    """Return the value as ``value_at`` does, with what may be wrong in it."""
    with LOCK:
        CONTEXT.prec = precision
        evaluation = _Evaluation(values, precision)
        try:
            value = evaluation.of(node)
        except ZeroDivisionError:
            raise ExpressionError("divides by zero") from None
        except (ValueError, OverflowError, MemoryError, TypeError) as error:
            if isinstance(error, ExpressionError):
                raise
            raise ExpressionError("has no value") from None
        return Measured(value, evaluation.largest_term - precision + 16, evaluation.span)


class _Evaluation:
    """One evaluation at a point: the values of the variables there."""

    def __init__(self, values: Mapping[str, Fraction], precision: int) -> None:
        self.values = {name: from_fraction(value) for name, value in values.items()}
        self.bits = precision
        self.cost = precision // 160  # what is slow grows with its square
        self.largest_term = NOTHING
        self.span = 0

    def of(self, node: Node) -> Any:
        value = self.unchecked(node)
        size = magnitude(value)
        if size != NOTHING:
            if abs(size) > MAX_EXPONENT_BITS:
                raise OverBudget("a number too large to work out")
            if size > -3 * self.bits // 4:  # else it may be 0, but for what is cut off
                self.span = max(self.span, abs(size))
        return value

    def unchecked(self, node: Node) -> Any:
        spend(1 + self.cost)
        head, args = node.head, node.args
        if head == "number":
            return from_fraction(cast(Fraction, node.value))
        if head == "symbol":
            return self.symbol(str(node.value))
        if head in ("sum", "prod"):
            return self.iterated(node)
        if head == "+":
            terms = [self.of(part) for part in args]
            self.largest_term = max(self.largest_term, *map(magnitude, terms))
            return sum(terms[1:], terms[0])
        if head == "*":
            product = self.of(args[0])
            for part in args[1:]:
                product *= self.of(part)
            return product
        if head == "/":
            above, below = map(self.of, args)
            return above / divisor(self.bits, below)
        if head in ("^", "root"):
            return self.power(args[0], args[1]) if head == "^" else self.root(args[0], args[1])
        if head not in FUNCTIONS:
            raise ExpressionError(f"cannot evaluate '{head}'")
        values = [self.of(part) for part in args]
        function = FUNCTIONS[head]
        spend(int(function.cost * (1 + self.cost**2.8 / 4)))
        if function.grows:  # e^x is as far from 1 as x is long
            self.span = max(self.span, 2 * int(min(abs(values[0]), MAX_EXPONENT_BITS)))
        return function.apply(self.bits, *values)

    def symbol(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name == "pi":
            return +CONTEXT.pi
        if name == "e":
            return +CONTEXT.e
        if name == "i":
            return CONTEXT.mpc(0, 1)
        raise ExpressionError("infinity has no value" if name == "infinity" else f"no {name[:20]}")

    def power(self, base_node: Node, exponent_node: Node) -> Any:
        spend(5 * (1 + self.cost**2 // 4))
        base = self.of(base_node)
        exact = rational(exponent_node)
        if exact is None:
            return self.raised(base, self.of(exponent_node))
        self.span = max(self.span, bits(exact))  # an exponent near another one
        if exact.denominator > 1 and exact.denominator % 2:
            root = self.real_root(base, exact.denominator)
            return self.raised(root, CONTEXT.mpf(exact.numerator))
        return self.raised(base, from_fraction(exact))

    def raised(self, base: Any, exponent: Any) -> Any:
        if base == 0:
            if not (is_real(exponent, self.bits) and exponent.real > 0):
                raise Vanishing("0 to a power that is not positive")
            return base
        if magnitude(exponent) > 60:
            raise OverBudget("a power too large to work out")
        size = abs(exponent * CONTEXT.log(abs(base), 2))
        if size > MAX_EXPONENT_BITS:
            raise OverBudget("a power too large to work out")
        self.span = max(self.span, int(size))
        return base**exponent

    def root(self, radicand: Node, order_node: Node) -> Any:
        spend(2 * (1 + self.cost))
        order, value = rational(order_node), self.of(radicand)
        self.span = max(self.span, 0 if order is None else bits(order))
        if order is None or order.denominator != 1 or order == 0:
            return self.raised(value, 1 / divisor(self.bits, self.of(order_node)))
        if order == 2:
            return CONTEXT.sqrt(value)
        if order % 2 and order > 0:
            return self.real_root(value, int(order))
        return self.raised(value, 1 / from_fraction(order))

    def real_root(self, value: Any, order: int) -> Any:
        if value == 0:
            return value
        power = 1 / CONTEXT.mpf(order)
        if is_real(value, self.bits) and value.real < 0:
            return -((-value.real) ** power)
        return value**power

    def iterated(self, node: Node) -> Any:
        body, index, start, stop = node.args
        first, last = self.of(start), self.of(stop)
        if not (CONTEXT.isint(first) and CONTEXT.isint(last)):
            raise ExpressionError("a sum whose limits are not whole numbers")
        if last - first > MAX_TERMS:
            raise OverBudget("a sum of too many terms")
        name = str(index.value)
        outer = self.values.get(name)
        total = CONTEXT.mpf(0 if node.head == "sum" else 1)
        for k in range(int(first), int(last) + 1):
            self.values[name] = CONTEXT.mpf(k)
            term = self.of(body)
            if node.head == "sum":
                self.largest_term = max(self.largest_term, magnitude(term))
            total = total + term if node.head == "sum" else total * term
        self.values.pop(name, None)
        if outer is not None:
            self.values[name] = outer
        return total
