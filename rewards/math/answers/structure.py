"""Where an answer's tokens fall apart: at connectors, signs and brackets outside of all others."""

from __future__ import annotations

from bakeoff.rewards.math.expressions.lexing import MAX_DEPTH, Token
from bakeoff.rewards.math.expressions.tree import ParseError

_OPENING = {"(", "[", "{", "lbrace", "lfloor", "lceil", "langle"}
_CLOSING = {")", "]", "}", "rbrace", "rfloor", "rceil", "rangle"}
_COMPARING = {"=", "<", ">", "le", "ge", "ne", "in", "approx", "equiv"}


def without_dollars(sequence: list[Token]) -> list[Token]:
    """Return the tokens without ``$`` around formulas; a single one is a currency."""
    marks = {k for k, token in enumerate(sequence) if token.text == "$" and token.kind == "op"}
    if len(marks) % 2 == 0:
        return [token for k, token in enumerate(sequence) if k not in marks]
    return [
        token._replace(kind="money") if k in marks else token for k, token in enumerate(sequence)
    ]


def with_differences(sequence: list[Token]) -> list[Token]:
    r"""Return the tokens with the minus sign between two sets, as in R - {3}, as ``\\setminus``."""
    found = list(sequence)
    for k in range(1, len(found) - 1):
        before, after = found[k - 1].text, found[k + 1].text
        if found[k].text == "-" and before in ("reals", "rbrace") and after == "lbrace":
            found[k] = Token("command", "setminus")
    return found


def _depths(sequence: list[Token]) -> list[int]:
    """Return how many brackets each token stands in, its own not counted.

    Raises:
        ParseError: more brackets close than open, or they are too deep.
    """
    depths, depth = [], 0
    for token in sequence:
        closes = token.kind == "end" or (token.text in _CLOSING and token.kind in ("op", "command"))
        depth -= closes
        depths.append(depth)
        depth += token.kind == "begin" or (
            token.text in _OPENING and token.kind in ("op", "command")
        )
        if depth < 0 or depth > MAX_DEPTH:
            raise ParseError("brackets that do not match" if depth < 0 else "nested too deep")
    return depths


def split(sequence: list[Token], signs: set[str]) -> tuple[list[list[Token]], list[str]]:
    """Return the parts between signs that stand outside of all brackets, and those signs.

    Raises:
        ParseError: the brackets do not match.
    """
    if not any(token.text in signs for token in sequence):
        return [sequence], []
    parts: list[list[Token]] = [[]]
    found: list[str] = []
    for token, depth in zip(sequence, _open_ended(sequence), strict=True):
        joins = token.kind in ("op", "command") or token.text in ("and", "or")
        if depth == 0 and token.text in signs and joins:
            parts.append([])
            found.append(token.text)
        else:
            parts[-1].append(token)
    return parts, found


def _open_ended(sequence: list[Token]) -> list[int]:
    r"""Return the depths, where ``]0, 1[`` counts as brackets."""
    if sequence[0].text == "]" and sequence[-1].text == "[":
        return [0, *(depth + 1 for depth in _depths(sequence[1:-1])), 0]
    return _depths(sequence)


def sides_of(sequence: list[Token]) -> tuple[list[list[Token]], list[str]]:
    """Return the sides of a relation, and the signs between them."""
    sides, signs = split(sequence, _COMPARING)
    if signs and not all(sides):
        raise ParseError("nothing stands beside a relation sign")
    return sides, signs


def enclosed(sequence: list[Token]) -> tuple[str, list[Token]]:
    r"""Return the kind of the brackets around all of the tokens, and what is in them.

    The kinds are "()", also of ``]0,1[``, "[]", "(]", "[)" and "set"; "" for a group in TeX's
    braces and without brackets.
    """
    first, last = sequence[0].text, sequence[-1].text
    if len(sequence) < 2 or sequence[0].kind == "text":
        return "", sequence
    if first == "]" and last == "[":
        return "()", sequence[1:-1]
    if first not in _OPENING or last not in _CLOSING:
        return "", sequence
    depths = _depths(sequence)
    if 0 in depths[1:-1]:
        return "", sequence
    inner = sequence[1:-1]
    if first == "lbrace" and last == "rbrace":
        return "set", inner
    if first == "langle" and last == "rangle":
        return "()", inner
    if first == "{" and last == "}":
        return ("set" if split(inner, {",", ";"})[1] or not inner else ""), inner
    if first in "([" and last in ")]":
        return first + last, inner
    return "", sequence


def rows_of(sequence: list[Token]) -> list[list[list[Token]]]:
    r"""Return the cells of ``\begin{pmatrix} ... \end{pmatrix}``, row by row.

    Raises:
        ParseError: it does not end where the tokens end, or has an empty cell.
    """
    if len(sequence) < 3 or sequence[-1].kind != "end" or sequence[-1].text != sequence[0].text:
        raise ParseError("a matrix that does not end")
    rows, _ = split(sequence[1:-1], {"\\\\"})
    while rows and not rows[-1]:
        rows.pop()
    cells: list[list[list[Token]]] = [split(row, {"&"})[0] if row else [[]] for row in rows]
    if not cells or not all(cell for row in cells for cell in row):
        raise ParseError("a matrix with an empty cell")
    return cells
