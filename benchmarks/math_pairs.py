"""Pairs of a right answer and a reply, for `math_check.py`: generated, or read from a file."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bakeoff.errors import UsageError
from bakeoff.streams import stream

ROOTS = (2, 3, 5, 6, 7, 10, 11, 13, 14, 15, 17, 19)


class Pair(NamedTuple):
    """A right answer, a reply, and whether they are equal (``None``: a matter of policy)."""

    gold: str
    reply: str
    equal: bool | None


def integers(rng: random.Random) -> Iterator[Pair]:
    """Yield bare integers of 1 to 12 digits; the wrong ones are near misses."""
    while True:
        gold = rng.randrange(10 ** rng.randint(1, 12)) * rng.choice((1, 1, -1))
        yield Pair(str(gold), str(gold), True)
        yield Pair(str(gold), str(_other(gold, rng)), False)


def boxed(rng: random.Random) -> Iterator[Pair]:
    """Yield boxed integers at the end of a sentence."""
    for pair in integers(rng):
        start = rng.choice(("So the total is", "Therefore we get", "Adding up,"))
        yield pair._replace(reply=rf"{start} $\boxed{{{pair.reply}}}$.")


def long_replies(rng: random.Random) -> Iterator[Pair]:
    """Yield boxed integers after 8 kB of reasoning."""
    for pair in boxed(rng):
        steps: list[str] = []
        while sum(map(len, steps)) < 8_000:
            a, b = rng.randrange(1_000), rng.randrange(1_000)
            steps.append(
                rf"Step {len(steps)}: as ${a} + {b} = {a + b}$, $x_{{{a}}} \le {b}$." + "\n"
            )
        yield pair._replace(reply="".join(steps) + pair.reply)


def fractions(rng: random.Random) -> Iterator[Pair]:
    """Yield fractions: in lowest terms, not reduced, or with a slash."""
    while True:
        above, below = rng.randint(-999, 999) or 1, rng.randint(2, 999)
        common = math.gcd(above, below)
        above, below = above // common, below // common
        gold = rf"\frac{{{above}}}{{{below}}}"
        for equal in (True, False):
            a, times = above if equal else _other(above, rng), rng.randint(2, 9)
            forms = (
                rf"\dfrac{{{a}}}{{{below}}}",
                rf"\frac{{{a * times}}}{{{below * times}}}",
                f"{a}/{below}",
            )
            yield Pair(gold, rf"\boxed{{{rng.choice(forms)}}}", equal)


def surds(rng: random.Random) -> Iterator[Pair]:
    r"""Yield ``(a + b sqrt d)/c``: reordered, split, folded into the root, or turned over."""
    while True:
        a, b, c, d = rng.randint(1, 40), rng.randint(2, 12), rng.randint(2, 30), rng.choice(ROOTS)
        gold = rf"\frac{{{a}+{b}\sqrt{{{d}}}}}{{{c}}}"
        if a * a == b * b * d:
            continue
        for equal in (True, False):
            e = a if equal else a + rng.choice((1, 2, 3))
            if e * e == b * b * d:
                e += 1
            forms = (
                rf"\frac{{{b}\sqrt{{{d}}}+{e}}}{{{c}}}",
                rf"\frac{{{e}}}{{{c}}}+\frac{{{b}\sqrt{{{d}}}}}{{{c}}}",
                rf"\frac{{\sqrt{{{b * b * d}}}+{e}}}{{{c}}}",
                # (e + b r)/c = (e e - b b d)/(c (e - b r))
                rf"\frac{{{e * e - b * b * d}}}{{{c}({e}-{b}\sqrt{{{d}}})}}",
            )
            yield Pair(gold, rf"\boxed{{{rng.choice(forms)}}}", equal)


def polynomials(rng: random.Random) -> Iterator[Pair]:
    """Yield polynomials built from roots: expanded, factored, or with the terms reordered."""
    while True:
        roots = [rng.randint(-9, 9) for _ in range(rng.choice((2, 3)))]
        lead = rng.randint(1, 5)
        right = _coefficients(lead, roots)
        factored = f"{lead}" + "".join(f"(x-{r})" if r >= 0 else f"(x+{-r})" for r in roots)
        gold = _polynomial(right, range(len(right))[::-1])
        for equal in (True, False):
            wrong = list(right)
            wrong[rng.randrange(len(wrong))] += rng.choice((1, -1, 2))
            order = rng.sample(range(len(right)), len(right))
            reply = _polynomial(right if equal else wrong, order)
            if equal and rng.random() < 0.5:
                reply = factored
            yield Pair(gold, rf"\boxed{{{reply}}}", equal)


def _coefficients(lead: int, roots: Sequence[int]) -> list[int]:
    """Return the coefficients of ``lead (x - r1) (x - r2) ...``, that of ``x^0`` first."""
    found = [lead]
    for root in roots:
        found = [up - root * here for up, here in zip([0, *found], [*found, 0], strict=True)]
    return found


def _polynomial(coefficients: Sequence[int], order: Sequence[int]) -> str:
    powers = ["", "x", *(f"x^{degree}" for degree in range(2, len(coefficients)))]
    terms = [f"{coefficients[k]:+d}{powers[k]}" for k in order if coefficients[k]]
    return "".join(terms).removeprefix("+") or "0"


def _other(number: int, rng: random.Random) -> int:
    wrong = number + rng.choice((1, -1, 10, -10))
    return wrong or number + 2


SETS: dict[str, tuple[Callable[[random.Random], Iterator[Pair]], int]] = {
    "integers": (integers, 2_000),
    "boxed integers": (boxed, 1_000),
    "fractions": (fractions, 400),
    "surds": (surds, 120),
    "polynomials": (polynomials, 120),
    "8 kB replies": (long_replies, 200),
}


def generated(name: str, seed: int) -> list[Pair]:
    """Return one of ``SETS``: half of it right, no pair twice, the order shuffled."""
    source, size = SETS[name]
    rng = stream("math_check", name, seed)
    kept: dict[tuple[str, str], Pair] = {}
    left = {True: size // 2, False: size - size // 2}
    for pair in source(rng):
        if pair.equal is not None and left[pair.equal] and pair[:2] not in kept:
            kept[pair[:2]] = pair
            left[pair.equal] -= 1
        if not any(left.values()):
            break
    pairs = list(kept.values())
    rng.shuffle(pairs)
    return pairs


def examples(path: Path, *, hostile: bool, scratch: str) -> list[Pair]:
    """Return the pairs of a file, each once; those with a time limit only if ``hostile``."""
    pairs: dict[tuple[str, str], Pair] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line.replace("@CANARY@", f"{scratch}/canary"))
            pair = Pair(row["gold"], row["prediction"], row["equivalent"])
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}, line {number}: not an example ({error!r})") from None
        if row.get("ambiguous"):
            pair = pair._replace(equal=None)
        if hostile or not row.get("must_finish_s"):
            pairs[pair[:2]] = pair
    return list(pairs.values())
