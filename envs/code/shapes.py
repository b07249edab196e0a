"""What can be asked of lists and strings: in words, as code, and as what it computes."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any, NamedTuple

LETTERS = "abcde"
WORDS = ["a", "an", "and", "apple", "big", "but", "has", "not", "old", "one", "our", "root", "tree"]


class Shape(NamedTuple):
    """A function with a number ``n`` in it, perhaps a second one, and where its inputs come from.

    Attributes:
        words: what it returns, with ``{n}`` and ``{m}``.
        code: the same as an expression of the argument.
        function: what it computes from ``n``, ``m`` and the argument.
        inputs: draws the argument, and so says whether it is a list or a string.
        fills: the values of ``n``.
    """

    words: str
    code: str
    function: Callable[[int, int, Any], object]
    inputs: Callable[[random.Random], Any]
    fills: range = range(2, 10)

    def name(self) -> str:
        """Return what the argument is called: ``a`` is a list and ``s`` a string."""
        return "a" if self.inputs is numbers else "s"


def numbers(rng: random.Random) -> list[int]:
    """Return a list of two to five numbers from 0 to 9."""
    return [rng.randrange(10) for _ in range(rng.randrange(2, 6))]


def letters(rng: random.Random) -> str:
    """Return a string of two to five letters, some of them twice."""
    return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(2, 6)))


def sentence(rng: random.Random) -> str:
    """Return a string of three to five words."""
    return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(3, 6)))


FEW = range(1, 4)
ONCE = range(1)  # for what has no number in it
ONE_STEP = (
    Shape("the list a in reverse", "a[::-1]", lambda n, m, a: a[::-1], numbers, ONCE),
    Shape("a in rising order", "sorted(a)", lambda n, m, a: sorted(a), numbers, ONCE),
    Shape(
        "a in falling order",
        "sorted(a, reverse=True)",
        lambda n, m, a: sorted(a, reverse=True),
        numbers,
        ONCE,
    ),
    Shape("number {n} of a, counted from 0", "a[{n}]", lambda n, m, a: a[n], numbers, range(3)),
    Shape("the length of a, plus {n}", "len(a) + {n}", lambda n, m, a: len(a) + n, numbers),
    Shape("the first {n} numbers of a", "a[:{n}]", lambda n, m, a: a[:n], numbers, FEW),
    Shape("the last {n} numbers of a", "a[-{n}:]", lambda n, m, a: a[-n:], numbers, FEW),
    Shape("the list a without its first {n}", "a[{n}:]", lambda n, m, a: a[n:], numbers, FEW),
    Shape("the list a without its last {n}", "a[:-{n}]", lambda n, m, a: a[:-n], numbers, FEW),
    Shape("the sum of a, times {n}", "sum(a) * {n}", lambda n, m, a: sum(a) * n, numbers),
    Shape("the largest of a, plus {n}", "max(a) + {n}", lambda n, m, a: max(a) + n, numbers),
    Shape("the smallest of a, plus {n}", "min(a) + {n}", lambda n, m, a: min(a) + n, numbers),
    Shape(
        "each of a plus {n}", "[v + {n} for v in a]", lambda n, m, a: [v + n for v in a], numbers
    ),
    Shape(
        "each of a times {n}", "[v * {n} for v in a]", lambda n, m, a: [v * n for v in a], numbers
    ),
    Shape("letter {n} of s, counted from 0", "s[{n}]", lambda n, m, s: s[n], letters, range(3)),
    Shape("the length of s, plus {n}", "len(s) + {n}", lambda n, m, s: len(s) + n, letters),
    Shape("the string s in reverse", "s[::-1]", lambda n, m, s: s[::-1], letters, ONCE),
    Shape("s in capital letters", "s.upper()", lambda n, m, s: s.upper(), letters, ONCE),
    Shape("s written {n} times", "s * {n}", lambda n, m, s: s * n, letters, range(2, 6)),
    Shape("the first {n} letters of s", "s[:{n}]", lambda n, m, s: s[:n], letters, FEW),
    Shape("s without its last {n}", "s[:-{n}]", lambda n, m, s: s[:-n], letters, FEW),
    Shape("the list of the words in s", "s.split()", lambda n, m, s: s.split(), sentence, ONCE),
)

# where a number is to be guessed; s * 88888888 would only cost time
OPEN = [shape for shape in ONE_STEP if "{n}" in shape.code and shape.code != "s * {n}"]
CHOSEN = (
    Shape(
        "the numbers of a above {n}, each times {m}",
        "[v * {m} for v in a if v > {n}]",
        lambda n, m, a: [v * m for v in a if v > n],
        numbers,
    ),
    Shape(
        "the numbers of a below {n}, each plus {m}",
        "[v + {m} for v in a if v < {n}]",
        lambda n, m, a: [v + m for v in a if v < n],
        numbers,
    ),
    Shape(
        "the sum of the even numbers of a, plus {n}",
        "sum(v for v in a if v % 2 == 0) + {n}",
        lambda n, m, a: sum(v for v in a if v % 2 == 0) + n,
        numbers,
    ),
    Shape(
        "how many numbers of a are above {n}, times {m}",
        "sum(v > {n} for v in a) * {m}",
        lambda n, m, a: sum(v > n for v in a) * m,
        numbers,
    ),
    Shape(
        "a without every {n}",
        "[v for v in a if v != {n}]",
        lambda n, m, a: [v for v in a if v != n],
        numbers,
    ),
    Shape(
        "each letter of s {n} times, the order kept",
        "''.join(c * {n} for c in s)",
        lambda n, m, s: "".join(c * n for c in s),
        letters,
        range(2, 5),
    ),
    Shape(
        "s without the letter a, then written {n} times",
        "s.replace('a', '') * {n}",
        lambda n, m, s: s.replace("a", "") * n,
        letters,
        range(2, 5),
    ),
    Shape(
        "the words of s with more than {n} letters, joined by '-'",
        "'-'.join(w for w in s.split() if len(w) > {n})",
        lambda n, m, s: "-".join(w for w in s.split() if len(w) > n),
        sentence,
        FEW,
    ),
)

COMBINED = (
    Shape(
        "the different numbers of a in rising order, each times {n}",
        "[v * {n} for v in sorted(set(a))]",
        lambda n, m, a: [v * n for v in sorted(set(a))],
        numbers,
    ),
    Shape(
        "the sum of each two neighbours in a, plus {n}",
        "[p + q + {n} for p, q in zip(a, a[1:])]",
        lambda n, m, a: [p + q + n for p, q in itertools.pairwise(a)],
        numbers,
    ),
    Shape(
        "the running sums of a, each plus {n}",
        "[sum(a[:i + 1]) + {n} for i in range(len(a))]",
        lambda n, m, a: [sum(a[: i + 1]) + n for i in range(len(a))],
        numbers,
    ),
    Shape(
        "the largest number of a below {n}, or {m} if there is none",
        "max([v for v in a if v < {n}], default={m})",
        lambda n, m, a: max([v for v in a if v < n], default=m),
        numbers,
    ),
    Shape(
        "the positions in a, from 0, of numbers above {n}",
        "[i for i, v in enumerate(a) if v > {n}]",
        lambda n, m, a: [i for i, v in enumerate(a) if v > n],
        numbers,
    ),
    Shape(
        "each number of a times its position from 0, plus {n}",
        "[i * v + {n} for i, v in enumerate(a)]",
        lambda n, m, a: [i * v + n for i, v in enumerate(a)],
        numbers,
    ),
    Shape(
        "the different letters of s in alphabetical order, written {n} times",
        "''.join(sorted(set(s))) * {n}",
        lambda n, m, s: "".join(sorted(set(s))) * n,
        letters,
        range(2, 6),
    ),
    Shape(
        "the words of s, each cut to {n} letters and turned round, joined by '-'",
        "'-'.join(w[:{n}][::-1] for w in s.split())",
        lambda n, m, s: "-".join(w[:n][::-1] for w in s.split()),
        sentence,
        FEW,
    ),
    Shape(
        "the lengths of the words of s, each plus {n}",
        "[len(w) + {n} for w in s.split()]",
        lambda n, m, s: [len(w) + n for w in s.split()],
        sentence,
    ),
)
