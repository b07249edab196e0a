"""Interchangeable policy-gradient algorithms. The dict below is the whole list of what ships.

Importing this package imports no torch: an algorithm's own module is imported by ``make``. One's
own algorithm is any function that returns a ``bakeoff.types.Algorithm``: name it as
``my_file.py:function`` or ``package.module:function``, pass it to ``register``, or install it under
the entry-point group ``bakeoff.algorithms``.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import NamedTuple, cast

from bakeoff.errors import UsageError, unknown
from bakeoff.plugins import Spec, entry_point_targets, import_object, parse_spec
from bakeoff.types import Algorithm

ENTRY_POINTS = "bakeoff.algorithms"


class Preset(NamedTuple):
    """Where an algorithm's function is, and what it is in one line."""

    target: str
    summary: str


ALGORITHMS: dict[str, Preset] = {
    "grpo": Preset("bakeoff.algorithms.grpo:grpo", "group-relative advantage, clipped surrogate"),
    "ppo": Preset(
        "bakeoff.algorithms.ppo:ppo", "critic and GAE, clipped surrogate, clipped values"
    ),
    "reinforce": Preset(
        "bakeoff.algorithms.reinforce:reinforce", "policy gradient with a baseline"
    ),
}

_registered: dict[str, Callable[..., Algorithm]] = {}


def register(name: str, function: Callable[..., Algorithm]) -> None:
    """Add an algorithm under a name of its own, for this process.

    Raises:
        UsageError: the name is taken.
    """
    if name in ALGORITHMS or name in _registered:
        raise UsageError(f"an algorithm named '{name}' exists already; choose another name")
    _registered[name] = function


def known(target: str) -> None:
    """Check that a target names an algorithm, without importing torch or the user's code.

    Raises:
        UsageError: it names none; the nearest name is in the message.
    """
    names = {**ALGORITHMS, **_registered, **entry_point_targets(ENTRY_POINTS)}
    name, colon, rest = target.partition(":")
    if colon and name in names:
        raise UsageError(f"'{rest}' is no argument; write {name}:key=value")
    if not colon and target not in names:
        if target.endswith(".py"):
            raise UsageError(f"name a function of {target}: {target}:function")
        raise unknown("algorithm", target, names)


def make(spec: Spec | str) -> Algorithm:
    """Return the algorithm that a spec such as ``grpo:clip=0.1`` describes.

    An argument whose default is a function takes the name of another function of the same module
    as that default, or of the algorithm's: ``reinforce:baseline=leave_one_out``.

    Raises:
        UsageError: unknown algorithm, unknown argument, or a value out of its range.

    Example:
        >>> make("reinforce:baseline=leave_one_out").semantics["advantage"]
        'reward - mean of the other completions of the item'
    """
    spec = parse_spec(spec) if isinstance(spec, str) else spec
    function = _function(spec.target)
    parameters = inspect.signature(function).parameters
    arguments = {}
    for name, value in spec.arguments.items():
        if name not in parameters:
            raise unknown(f"argument of {spec.target}", name, parameters)
        arguments[name] = _argument(function, name, parameters[name].default, value)
    try:
        algorithm = function(**arguments)
    except TypeError as error:
        raise UsageError(f"{spec}: {error}") from error
    except ValueError as error:
        raise UsageError(f"{spec}: {error}") from error
    if not isinstance(algorithm, Algorithm):
        raise UsageError(f"{spec.target} returns {type(algorithm).__name__}, not an Algorithm")
    return algorithm


def _function(target: str) -> Callable[..., Algorithm]:
    known(target)
    if target in _registered:
        return _registered[target]
    if target in ALGORITHMS:
        place = ALGORITHMS[target].target
    else:
        place = entry_point_targets(ENTRY_POINTS).get(target, target)
    found = import_object(place)
    if not callable(found):
        raise UsageError(f"{target} is not a function that returns an Algorithm")
    return cast(Callable[..., Algorithm], found)


def _argument(
    function: Callable[..., Algorithm], name: str, default: object, value: object
) -> object:
    """Return the value to pass; a name is looked up where a function is expected."""
    if default is inspect.Parameter.empty or not callable(default):
        return value
    if callable(value):
        return value
    places = dict.fromkeys([default.__module__, function.__module__])
    choices = {
        key: found
        for place in places
        for key, found in vars(importlib.import_module(place)).items()
        if inspect.isfunction(found)
        and not key.startswith("_")
        and inspect.signature(found).parameters.keys()
        == inspect.signature(default).parameters.keys()
    }
    if not isinstance(value, str) or value not in choices:
        raise unknown(f"{name} of {function.__name__}", str(value), choices)
    return choices[value]
