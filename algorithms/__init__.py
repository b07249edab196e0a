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
    "reinforce": Preset(
        "bakeoff.algorithms.reinforce:reinforce",
        "policy gradient with a baseline",
    ),
    "reinforce++": Preset(
        "bakeoff.algorithms.reinforce_pp:reinforce_pp",
        "whitened returns, clipped surrogate, no critic",
    ),
    "reinforce++-baseline": Preset(
        "bakeoff.algorithms.reinforce_pp:reinforce_pp_baseline",
        "group mean as baseline, then whitened",
    ),
    "rloo": Preset(
        "bakeoff.algorithms.rloo:rloo",
        "leave-one-out baseline, the completion as one action",
    ),
    "remax": Preset("bakeoff.algorithms.remax:remax", "the greedy reply's reward as baseline"),
    "grpo": Preset("bakeoff.algorithms.grpo:grpo", "group-relative advantage, clipped surrogate"),
    "dr_grpo": Preset(
        "bakeoff.algorithms.dr_grpo:dr_grpo",
        "GRPO without deviation and length normalisation",
    ),
    "dapo": Preset(
        "bakeoff.algorithms.dapo:dapo",
        "GRPO with clip-higher, token mean, dynamic sampling, overlong penalty",
    ),
    "gspo": Preset("bakeoff.algorithms.gspo:gspo", "GRPO with one ratio for a completion"),
    "cispo": Preset(
        "bakeoff.algorithms.cispo:cispo",
        "GRPO with clipped weights in the place of clipped gradients",
    ),
    "sapo": Preset(
        "bakeoff.algorithms.sapo:sapo",
        "GRPO with a soft gate in the place of the clip",
    ),
    "opo": Preset(
        "bakeoff.algorithms.opo:opo",
        "group mean weighted by length as baseline, no ratio",
    ),
    "gpg": Preset(
        "bakeoff.algorithms.gpg:gpg",
        "group mean as baseline, scaled for groups without spread, no ratio",
    ),
    "maxrl": Preset(
        "bakeoff.algorithms.maxrl:maxrl",
        "advantage divided by the solve rate, no ratio",
    ),
    "ppo": Preset(
        "bakeoff.algorithms.ppo:ppo",
        "critic and GAE, clipped surrogate, clipped values",
    ),
    "vapo": Preset(
        "bakeoff.algorithms.vapo:vapo",
        "PPO with decoupled lambdas, a critic trained first, and imitation",
    ),
    "rft": Preset("bakeoff.algorithms.rft:rft", "supervised learning of one's own right replies"),
    "sft": Preset("bakeoff.algorithms.sft:sft", "supervised learning of gold replies"),
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
    as that default, or of the algorithm's: ``reinforce:baseline=leave_one_out``. Besides its own
    arguments each algorithm takes those of ``bakeoff.algorithms.options.with_options``.

    Raises:
        UsageError: unknown algorithm, unknown argument, or a value out of its range.

    Example:
        >>> make("reinforce:baseline=leave_one_out").semantics["advantage"]
        'reward - mean of the other completions of the item'
    """
    from bakeoff.algorithms.options import with_options

    spec = parse_spec(spec) if isinstance(spec, str) else spec
    function = _function(spec.target)
    own = inspect.signature(function).parameters
    general = list(inspect.signature(with_options).parameters)[1:]
    arguments: dict[str, object] = {}
    options: dict[str, object] = {}
    for name, value in spec.arguments.items():
        if name in own:
            arguments[name] = _argument(function, name, value)
        elif name in general:
            options[name] = _argument(with_options, name, value)
        else:
            raise unknown(f"argument of {spec.target}", name, [*own, *general])
    try:
        algorithm = function(**arguments)
        if not isinstance(algorithm, Algorithm):
            raise UsageError(f"{spec.target} returns {type(algorithm).__name__}, not an Algorithm")
        return with_options(algorithm, **options)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spec}: {error}") from error


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


def _argument(function: Callable[..., Algorithm], name: str, value: object) -> object:
    """Return the value to pass; a name is looked up where a function is expected."""
    default = inspect.signature(function).parameters[name].default
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
