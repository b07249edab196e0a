"""What arguments an algorithm takes, what they may be, and what they do: read from its own code.

A range is what the algorithm itself says when it is given a value that cannot be one, so that what
is shown is what is checked.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import NamedTuple

from bakeoff.algorithms import make, maker
from bakeoff.algorithms.options import with_options
from bakeoff.plugins import Spec
from bakeoff.types import Algorithm

PROBE = "?"  # no number, no flag, no name of a function
REFUSALS = (r" must be (.+), not '\?'", r"\(known: (.+)\)$", r" is of no use: it is (.+)$")
ABSENT = " is of no use: this algorithm has no "


class Argument(NamedTuple):
    """One argument of an algorithm.

    Attributes:
        name: what stands before the equals sign.
        default: its default.
        value: what it is here.
        choices: what it may be, in words; empty if the algorithm does not say.
        says: what it does; empty if the docstring does not say.
    """

    name: str
    default: object
    value: object
    choices: str
    says: str


def own_arguments(spec: Spec) -> list[Argument]:
    """Return the arguments of an algorithm's own function, as they are in a spec.

    Raises:
        UsageError: there is no such algorithm.

    Example:
        >>> own_arguments(Spec("grpo", {"clip": 0.1}))[0]
        Argument(name='clip', default=0.2, value=0.1, choices='a number from 0 to 1', \
says='half-width of the interval around 1 in which the ratio counts.')
    """
    return _arguments(spec, maker(spec.target), {})


def general_arguments(spec: Spec, algorithm: Algorithm) -> list[Argument]:
    """Return the options that every algorithm has, without those that are of no use for this one.

    Args:
        spec: the algorithm and its arguments.
        algorithm: what the spec makes: it tells what an option that is not given amounts to.
    """
    amounts: dict[str, object] = {"epochs": algorithm.epochs}
    if (plan := algorithm.critic) is not None:
        amounts |= {"critic": plan.kind, "critic_warmup": plan.warmup, "value_coef": plan.coef}
    options = _arguments(spec, with_options, amounts)
    return [one for one in options if not (algorithm.on_gold and "mismatch" in one.name)]


def documented(function: Callable[..., object]) -> dict[str, str]:
    """Return what a docstring's section ``Args:`` says of each argument.

    Example:
        >>> documented(maker)
        {}
        >>> documented(documented)["function"]
        'whose docstring is read.'

    Args:
        function: whose docstring is read.
    """
    text = inspect.getdoc(function) or ""
    section = re.search(r"^Args:\n((?:[ ]{4}.*\n?|\n)+)", text, re.MULTILINE)
    if section is None:
        return {}
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?=[ ]{4}\S)", section[1].rstrip()):
        names, _, says = entry.strip().partition(": ")
        found |= {name: " ".join(says.split()) for name in names.split(", ")}
    return found


def _arguments(
    spec: Spec, function: Callable[..., object], amounts: dict[str, object]
) -> list[Argument]:
    says, found = documented(function), []
    for name, parameter in inspect.signature(function).parameters.items():
        if name == "algorithm" and function is with_options:
            continue
        choices = _choices(spec.target, name)
        if choices is None:
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        default = amounts.get(name) if default is None else _named(default)
        value = spec.arguments.get(name, default)
        found.append(Argument(name, default, value, choices, says.get(name, "")))
    return found


def _choices(target: str, name: str) -> str | None:
    """Return what an argument may be, or ``None`` if it is of no use for this algorithm."""
    try:
        make(Spec(target, {name: PROBE}))
    except Exception as error:  # code of the user's may raise anything
        said = str(error)
        if ABSENT in said:
            return None
        matches = (re.search(pattern, said) for pattern in REFUSALS)
        return next((match[1] for match in matches if match), "")
    return ""


def _named(value: object) -> object:
    """Return a function's name, or a value as it is."""
    return getattr(value, "__name__", value) if callable(value) else value
