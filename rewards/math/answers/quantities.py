"""One value, read from tokens: an expression, a decimal's digits, a unit, a percentage."""

from __future__ import annotations

from bakeoff.rewards.math.answers.kinds import Unit, Value
from bakeoff.rewards.math.answers.unit_table import MULTIPLES, NAMES
from bakeoff.rewards.math.answers.units import MAX_WORDS, is_known, unit
from bakeoff.rewards.math.expressions.lexing import Token
from bakeoff.rewards.math.expressions.literals import literal
from bakeoff.rewards.math.expressions.parsing import expression
from bakeoff.rewards.math.expressions.tree import CONSTANTS, Node, ParseError, number, variables

_PERCENT = {"percent", "percentage", "pct", "per cent"}
_CURRENCIES = {"USD", "EUR", "GBP", "JPY", "INR"}
_DEGREE = Unit(number(1), (("degree", 1),))


def value(sequence: list[Token]) -> Value:
    """Return the value that tokens are.

    Raises:
        ParseError: they are not an expression with at most a unit.

    Example:
        >>> from bakeoff.rewards.math.expressions.lexing import tokens
        >>> value(tokens("12.50 dollars")).digits, value(tokens("12.50 dollars")).unit.base
        (4, (('dollar', 1),))
    """
    sequence, sign = _without_sign(sequence)
    found = _unsigned(sequence)
    return found._replace(node=Node("-", (found.node,))) if sign else found


def _without_sign(sequence: list[Token]) -> tuple[list[Token], bool]:
    """Return what follows the sign in -$5."""
    negative = len(sequence) > 1 and sequence[0].text == "-" and sequence[1].kind == "money"
    return (sequence[1:], True) if negative else (sequence, False)


def _unsigned(sequence: list[Token]) -> Value:
    if not sequence:
        raise ParseError("nothing stands where a value should")
    if sequence[0].text in _CURRENCIES and len(sequence) > 1 and sequence[1].kind == "number":
        sequence = [Token("money", sequence[0].text), *sequence[1:]]
    if sequence[0].kind == "money":
        currency = unit(sequence[:1])
        inner = _unsigned(sequence[1:])
        if inner.unit is not None and currency is not None and inner.unit.base != currency.base:
            raise ParseError("two units")
        return inner._replace(unit=currency)
    if _end_of_expression(sequence) < len(sequence):
        try:
            return _with_unit(sequence)
        except ParseError:
            return _plain(sequence)
    try:
        return _plain(sequence)
    except ParseError:
        return _with_unit(sequence)


def _end_of_expression(sequence: list[Token]) -> int:
    """Return where words begin, if any do."""
    for position, token in enumerate(sequence):
        if token.kind in ("text", "money") or _is_unit_letters(sequence, position):
            return position
    return len(sequence)


def _is_unit_letters(sequence: list[Token], position: int) -> bool:
    """Tell whether letters after a number are a unit, as in 5 cm, rather than a product."""
    token = sequence[position]
    if token.kind != "letters" or position == 0 or sequence[position - 1].kind != "number":
        return False
    known = unit([token])
    if known is None or not known.base:
        return known is not None
    if any(part.kind == "letters" or part.text == "^" for part in sequence[:position]):
        return False
    whole = unit(sequence[position:]) is not None
    return len(token.text) > 1 or (token.spaced and whole)


def _with_unit(sequence: list[Token]) -> Value:
    """Return a value with the longest unit that ends it."""
    first = _end_of_expression(sequence)
    for end in range(max(1, first - 2), len(sequence)):
        tail = sequence[end:]
        if tail[0].text == "{" and tail[-1].text == "}":
            tail = tail[1:-1]
        if not 0 < len(tail) <= 4 * MAX_WORDS or not _begins_unit(tail[0], sequence[end - 1]):
            continue
        if " ".join(token.text.lower() for token in tail) in _PERCENT:
            plain = _plain(sequence[:end])
            return plain._replace(node=Node("%", (plain.node,)))
        factor = _multiple(tail)
        rest = tail[1:] if factor else tail
        found = unit(rest) if rest else None
        if found is None and (rest or not factor):
            continue
        plain = _plain(sequence[:end])
        if found is not None and variables(plain.node) and not is_known(found):
            continue  # words after letters are words
        node = Node("*", (plain.node, number(factor))) if factor else plain.node
        return Value(node, plain.digits, found)
    raise ParseError(f"cannot read '{sequence[min(first, len(sequence) - 1)].text[:20]}'")


def _begins_unit(token: Token, before: Token) -> bool:
    """Tell whether a unit may begin here; letters may belong to the expression, as in 5xyz."""
    if token.kind != "letters":
        return token.kind in ("text", "money") or token.text == "degree"
    lone = len(token.text) == 1 and before.kind != "number"
    return not lone and (token.spaced or token.text in NAMES)


def _multiple(tail: list[Token]) -> int | None:
    return MULTIPLES.get(tail[0].text.lower()) if tail[0].kind in ("letters", "text") else None


def _plain(sequence: list[Token]) -> Value:
    """Return a value without words; a degree sign at its end is its unit."""
    node = expression(sequence)
    digits = digits_of(sequence, node)
    degrees = _in_degrees(node)
    return Value(node, digits) if degrees is None else Value(degrees, digits, _DEGREE)


def _in_degrees(node: Node) -> Node | None:
    """Return an expression without its degree signs if all of it is in degrees, else ``None``."""
    if node.head == "°":
        return node.args[0]
    if node.head not in ("+", "-", "*", "/"):
        return None
    parts = [_in_degrees(part) for part in node.args]
    found = [part for part in parts if part is not None]
    if node.head in ("+", "-") and len(found) < len(parts):
        return None
    if node.head in ("*", "/") and (
        len(found) != 1 or (parts[-1] is found[0] and node.head == "/")
    ):
        return None
    kept = (part if part is not None else old for part, old in zip(parts, node.args, strict=True))
    return node._replace(args=tuple(kept))


def digits_of(sequence: list[Token], node: Node) -> int:
    """Return the significant digits of a decimal, whatever its sign; 0 of anything else."""
    while node.head in ("-", "%", "°"):
        node = node.args[0]
    numbers = [token for token in sequence if token.kind == "number"]
    if node.head == "*" and len(numbers) in (2, 3) and numbers[1].text == "10":  # 1.5 * 10^3
        node, numbers = node.args[0], numbers[:1]
    return literal(numbers[0].text).digits if node.head == "number" and len(numbers) == 1 else 0


def is_name(node: Node) -> bool:
    """Tell whether an expression is a lone variable."""
    return node.head == "symbol" and node.value not in CONSTANTS
