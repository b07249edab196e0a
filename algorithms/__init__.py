"""Interchangeable policy-gradient algorithms. The dict below is the whole list of what ships.

Importing this package imports no torch: an algorithm's own module is imported by ``make``. One's
own algorithm is any function that returns a ``bakeoff.types.Algorithm``: name it as
``my_file.py:function`` or ``package.module:function``, pass it to ``register``, or install it under
the entry-point group ``bakeoff.algorithms``.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from typing import NamedTuple, cast

from bakeoff.errors import UsageError, unknown
from bakeoff.plugins import Spec, entry_point_targets, import_object, parse_spec
from bakeoff.types import Algorithm, CriticPlan

ENTRY_POINTS = "bakeoff.algorithms"

FUNCTIONS = ("advantages", "aggregate", "policy_loss")
"""The fields of an algorithm that have to be there."""


class Preset(NamedTuple):
    """Where an algorithm's function is, what it is in one line, and what can be refused early.

    ``warmup`` (updates in which only its critic learns) and ``on_gold`` are the algorithm's own;
    they are here too so that a run that cannot be is refused before torch is imported.
    """

    target: str
    summary: str
    warmup: int = 0
    on_gold: bool = False


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
        warmup=5,
    ),
    "rft": Preset("bakeoff.algorithms.rft:rft", "supervised learning of one's own right replies"),
    "sft": Preset(
        "bakeoff.algorithms.sft:sft", "supervised learning of gold replies", on_gold=True
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


def make(spec: Spec | str, *, corrected: bool = False) -> Algorithm:
    """Return the algorithm that a spec such as ``grpo:clip=0.1`` describes.

    An argument whose default is a function takes the name of another function of the same module
    as that default, or of the algorithm's: ``reinforce:baseline=leave_one_out``. It must take the
    same arguments, and say what it does if the default does. Besides its own arguments each
    algorithm takes those of ``bakeoff.algorithms.options.with_options``.

    Args:
        spec: the algorithm and its arguments.
        corrected: for a sampler that is not the training model: where the spec does not say what
            ``mismatch`` is, it is ``token_truncated`` and not ``no_correction``.

    Raises:
        UsageError: unknown algorithm, unknown argument, or a value out of its range.

    Example:
        >>> make("reinforce:baseline=leave_one_out").semantics["advantage"]
        'reward - mean of the other completions of the item'
    """
    spec = parse_spec(spec) if isinstance(spec, str) else spec
    function = maker(spec.target)  # before torch: a name that is misspelled is an error at once
    from bakeoff.algorithms.mismatch import token_truncated
    from bakeoff.algorithms.options import with_options

    own = inspect.signature(function).parameters
    general = list(inspect.signature(with_options).parameters)[1:]
    arguments: dict[str, object] = {}
    options: dict[str, object] = {}
    for name, value in spec.arguments.items():
        if name in own:
            arguments[name] = _argument(spec.target, function, name, value)
        elif name in general:
            if value is None:  # which would be the option's default, and no "none"
                raise UsageError(f"{spec}: {name} has no value; leave it out for its default")
            options[name] = _argument(spec.target, with_options, name, value)
        else:
            raise unknown(f"argument of {spec.target}", name, [*own, *general])
    try:
        algorithm = function(**arguments)
        if not isinstance(algorithm, Algorithm):
            raise TypeError(f"it returns {type(algorithm).__name__}, not an Algorithm")
        _require_fields(algorithm)
        if corrected and algorithm.mismatch is None and not algorithm.on_gold:
            options.setdefault("mismatch", token_truncated)
        return with_options(algorithm, **options)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spec}: {error}") from error


def _require_fields(algorithm: Algorithm) -> None:
    """Refuse fields that are not what the training loop takes them for."""
    for name in ("advantages", "aggregate", "policy_loss", "keep", "imitation", "mismatch"):
        part = getattr(algorithm, name)
        if not callable(part) and (part is not None or name in FUNCTIONS):
            raise TypeError(f"{name} must be a function, not {part!r}")
    for name, low in (("epochs", 1), ("min_group_size", 1), ("refill", 0)):
        number = getattr(algorithm, name)
        if type(number) is not int or number < low:
            raise TypeError(f"{name} must be a whole number of at least {low}, not {number!r}")
    for name in ("needs_reference", "needs_greedy", "on_gold"):
        if not isinstance(flag := getattr(algorithm, name), bool):
            raise TypeError(f"{name} must be True or False, not {flag!r}")
    if not isinstance(algorithm.critic, CriticPlan | None):
        raise TypeError(f"critic must be a CriticPlan or None, not {algorithm.critic!r}")
    try:
        json.dumps(dict(algorithm.semantics))
    except (TypeError, ValueError) as error:
        raise TypeError(f"semantics must be a dict that JSON can hold: {error}") from error


def maker(target: str) -> Callable[..., Algorithm]:
    """Return the function that makes an algorithm, from the name of one.

    Raises:
        UsageError: there is no such algorithm.
    """
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


def _argument(target: str, function: Callable[..., Algorithm], name: str, value: object) -> object:
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
        and hasattr(found, "says") >= hasattr(default, "says")
    }
    if not isinstance(value, str) or value not in choices:
        raise unknown(f"{name} of {target}", str(value), choices)
    return choices[value]
