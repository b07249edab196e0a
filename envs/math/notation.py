"""How polynomials and sums are written in questions and gold replies: ``3x^2 - x + 4``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def joined(terms: Iterable[str]) -> str:
    """Return terms as a sum; one that starts with a minus is subtracted, and zeros are left out.

    Example:
        >>> joined(["x^2", "-3x", "0", "4"])
        'x^2 - 3x + 4'
        >>> joined([])
        '0'
    """
    kept = [term for term in terms if term != "0"]
    if not kept:
        return "0"
    rest = (f" - {term[1:]}" if term.startswith("-") else f" + {term}" for term in kept[1:])
    return kept[0] + "".join(rest)


def monomial(coefficient: int, factor: str) -> str:
    """Return a coefficient times a factor such as ``x^2``; the empty factor is 1.

    Example:
        >>> monomial(-1, "x^2"), monomial(3, "y"), monomial(1, ""), monomial(0, "x")
        ('-x^2', '3y', '1', '0')
    """
    if coefficient == 0 or not factor:
        return str(coefficient)
    return {1: "", -1: "-"}.get(coefficient, str(coefficient)) + factor


def power(degree: int) -> str:
    """Return ``x`` to a degree: ``""``, ``x``, ``x^2``.

    Example:
        >>> power(0), power(1), power(3)
        ('', 'x', 'x^3')
    """
    return "" if degree == 0 else "x" if degree == 1 else f"x^{degree}"


def polynomial(coefficients: Sequence[int]) -> str:
    """Return a polynomial in x; ``coefficients[n]`` belongs to ``x^n``.

    Example:
        >>> polynomial([4, -1, 3])
        '3x^2 - x + 4'
    """
    return joined(monomial(c, power(n)) for n, c in reversed(list(enumerate(coefficients))))


def nonzero(choices: Iterable[int]) -> list[int]:
    """Return the numbers that are not 0, to choose a coefficient from.

    Example:
        >>> nonzero(range(-2, 3))
        [-2, -1, 1, 2]
    """
    return [n for n in choices if n]
