r"""The replies that an environment is tried with, besides the gold ones.

Of an item's gold reply and a wrong one, the gold of another item, more replies are made. Which of
them may be paid depends on the environment's convention, and only what no convention allows is
held against it:

- ``RIGHT then WRONG`` may be paid where the first answer counts, ``WRONG then RIGHT`` where the
  last does. Paid for **both**, an environment pays any of many guesses.
- The right answer twice is one answer, and may be paid.
- Half of a gold reply may be paid if the answer stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

HUGE = 200_000  # characters


class Form(NamedTuple):
    """A way to write a reply: around its answer, or around all of the gold reply."""

    name: str
    of_answer: bool
    text: str


FORMS = (
    Form("gold replies", False, "%s"),
    Form("fences", False, "```python\n%s\n```"),
    Form("boxes", True, "\\boxed{%s}"),
    Form("tags", True, "<answer>%s</answer>"),
    Form("sentences", True, "The answer is %s."),
    Form("lines of ####", True, "#### %s"),
    Form("answers", True, "%s"),
)
JOINS = {"one a line": "\n", "with 'or'": " or ", "with a comma": ", "}
NUMBERS = " ".join(map(str, range(1000)))

_DEFINED = re.compile(r"^(?:async )?def (\w+)", re.MULTILINE)

NOTHING = {"an empty reply": "", "blanks": " \n\t "}
JUNK = {
    "a question mark": "?",
    "words": "I do not know the answer.",
    "None": "None",
    "unicode": "¿٤٢? 🙂\u200b\u202e½ é e\u0301",
    "lone surrogates": "\ud800 \udfff",
    "NUL characters": "\x00\x00",
    "an unclosed box": "\\boxed{",
    "unclosed tags": "<answer><answer>",
}
BIG: dict[str, Callable[[str], str]] = {
    "200,000 digits": lambda prompt: "9" * HUGE,
    "200,000 open brackets": lambda prompt: "(" * HUGE,
    "the prompt, over and over": lambda prompt: (prompt + "\n") * (HUGE // (len(prompt) + 1)),
}


def tricks(gold: str) -> dict[str, str]:
    """Return programs that try to pass tests without doing what is asked, if code is.

    Example:
        >>> list(tricks("def f(x):\\n    return x")), list(tricks("42"))
        (['a program that exits', 'a result equal to everything'], [])
    """
    names = _DEFINED.findall(gold)
    if not names:
        return {}
    equal = "class Any:\n    def __eq__(self, other): return True\n    __hash__ = None\n"
    functions = [f"def {name}(*args, **kwargs): return Any()\n" for name in names]
    return {
        "a program that exits": "import sys\nsys.exit(0)\n",
        "a result equal to everything": equal + "".join(functions),
    }


def competing(wrong: str, right: str) -> str | None:
    """Return a wrong program under the right one's name: else both may stand in one reply.

    Returns:
        The wrong reply; ``None`` if only one of them defines functions, for a program that reads
        and writes is not wrong for a function that stands in it.

    Example:
        >>> competing("def g(x): return 2 * g(0)", "def f(x): return x")
        'def f(x): return 2 * f(0)'
        >>> competing("8", "7"), competing("print(8)", "def f(x): return x")
        ('8', None)
    """
    theirs, ours = _DEFINED.findall(wrong), _DEFINED.findall(right)
    if bool(theirs) != bool(ours):
        return None
    if not theirs or ours[-1] in theirs:
        return wrong
    return re.sub(rf"\b{re.escape(theirs[-1])}\b", ours[-1], wrong)


def pairs(form: Form, right: str, wrong: str) -> Iterator[tuple[str, str, str]]:
    """Yield a description and the two orders of a right and a wrong answer, in one form.

    Example:
        >>> next(pairs(FORMS[2], "1", "2"))
        ('two boxes, one a line', '\\\\boxed{1}\\n\\\\boxed{2}', '\\\\boxed{2}\\n\\\\boxed{1}')
    """
    first, second = form.text % right, form.text % wrong
    for name, join in JOINS.items():
        yield f"two {form.name}, {name}", join.join((first, second)), join.join((second, first))
    if form.of_answer and form.text != "%s":
        for name, join in list(JOINS.items())[1:]:
            inside = [join.join(order) for order in ((right, wrong), (wrong, right))]
            said = f"{form.name} with two answers, {name}"
            yield said, form.text % inside[0], form.text % inside[1]


def half(gold: str, answer: str) -> str | None:
    """Return the first half of a gold reply, or ``None`` if it may be right by itself.

    Example:
        >>> half("1 + 2 = 3\\n\\\\boxed{3}", "3"), half("3 + 1 is \\\\boxed{4}", "4")
        (None, '3 + 1 is ')
    """
    cut = gold[: len(gold) // 2]
    return None if not cut.strip() or not answer or answer in cut else cut
