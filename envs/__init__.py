"""Environments: what is asked, and which rewards judge the replies. The dict below is what ships.

Importing this package registers them with gymnasium by name only; their modules are imported when
one is made. One's own environment comes in by ``register``, by naming the file or module that
registers it (``my_envs.py:me/Add-v0``), or under the entry-point group ``bakeoff.envs``.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

import gymnasium

from bakeoff.envs.checking import check, contamination
from bakeoff.envs.own import checked_definition
from bakeoff.envs.reasoning_gym.names import PLACES as REASONING_GYM
from bakeoff.envs.rows import Rows
from bakeoff.envs.text_env import SPLITS, AnyText, TextEnv, split_of
from bakeoff.errors import UsageError, unknown
from bakeoff.plugins import Spec, entry_point_targets, import_code, import_object, parse_spec
from bakeoff.rewards import RewardFunction
from bakeoff.types import Item

__all__ = [
    "ENVIRONMENTS",
    "SPLITS",
    "AnyText",
    "TextEnv",
    "check",
    "contamination",
    "describe",
    "known",
    "make",
    "register",
    "split_of",
]

ENTRY_POINTS = "bakeoff.envs"

ENVIRONMENTS: dict[str, str] = {
    "bakeoff/Arithmetic-v0": "bakeoff.envs.math.arithmetic:Arithmetic",
    "bakeoff/CodeTests-v0": "bakeoff.envs.code.code_tests:CodeTests",
    "bakeoff/Countdown-v0": "bakeoff.envs.math.countdown:Countdown",
    "bakeoff/Derivatives-v0": "bakeoff.envs.math.derivatives:Derivatives",
    "bakeoff/FixTheBug-v0": "bakeoff.envs.code.fix_the_bug:FixTheBug",
    "bakeoff/Fractions-v0": "bakeoff.envs.math.fractions:Fractions",
    "bakeoff/GSM8K-v0": "bakeoff.envs.math.gsm8k:GSM8K",
    "bakeoff/GuessNumber-v0": "bakeoff.envs.games.guess_number:GuessNumber",
    "bakeoff/HumanEval-v0": "bakeoff.envs.code.humaneval:HumanEval",
    "bakeoff/Instructions-v0": "bakeoff.envs.games.instructions:Instructions",
    "bakeoff/LinearEquations-v0": "bakeoff.envs.math.linear_equations:LinearEquations",
    "bakeoff/ListsAndStrings-v0": "bakeoff.envs.code.lists_and_strings:ListsAndStrings",
    "bakeoff/MATH-v0": "bakeoff.envs.math.competition:MATH",
    "bakeoff/MATH500-v0": "bakeoff.envs.math.competition:MATH500",
    "bakeoff/MBPP-v0": "bakeoff.envs.code.mbpp:MBPP",
    "bakeoff/ModularArithmetic-v0": "bakeoff.envs.math.modular_arithmetic:ModularArithmetic",
    "bakeoff/Needle-v0": "bakeoff.envs.games.needle:Needle",
    "bakeoff/OneExpression-v0": "bakeoff.envs.code.one_expression:OneExpression",
    "bakeoff/Polynomials-v0": "bakeoff.envs.math.polynomials:Polynomials",
    "bakeoff/Sequences-v0": "bakeoff.envs.math.sequences:Sequences",
    "bakeoff/TwentyQuestions-v0": "bakeoff.envs.games.twenty_questions:TwentyQuestions",
}

_ID = re.compile(r"[\w-]+/[\w.-]+-v[0-9]+", re.ASCII)
_SHIPPED = {**ENVIRONMENTS, **REASONING_GYM}
_registered: dict[str, str | type[TextEnv] | Callable[..., Item]] = {}

for _id, _place in _SHIPPED.items():
    if _id not in gymnasium.registry:
        gymnasium.register(_id, _place, vector_entry_point=f"bakeoff.envs.vector:{_id}")


class Settings(TypedDict, total=False):
    """What else ``register`` takes with ``make_item``.

    Attributes:
        sizes: how many items "train" and "eval" have. ``make_item`` is called again until the
            prompt belongs to the split asked for (``split_of``).
        rows: in the place of ``sizes``: a list of dicts, a JSON Lines file, or a `Dataset`, which
            is divided by ``split_of``; or one of these for each split. ``make_item`` gets a row.
        ranges: the least and the largest value of a reward, where they are not 0 and 1.
        deadline_s: seconds after which a reply is not scored: replies are then scored in processes
            that can be killed, which find the environment by its file, module or entry point.
    """

    sizes: Mapping[str, int]
    rows: Rows | Mapping[str, Rows]
    ranges: Mapping[str, tuple[float, float]]
    deadline_s: float


def register(
    id: str,
    entry_point: str | type[TextEnv] | None = None,
    *,
    make_item: Callable[..., Item] | None = None,
    rewards: Mapping[str, tuple[float, RewardFunction]] | None = None,
    reply_tokens: int = 128,
    **settings: Unpack[Settings],
) -> None:
    """Add an environment for this process, here and in gymnasium: a class, or functions.

    Args:
        id: its name, as ``namespace/Name-v0``.
        entry_point: a ``TextEnv`` of that id, or ``"module:Class"``.
        make_item: in place of a class: makes one item of a ``random.Random`` of its own, or of a
            row; further arguments of it are the environment's. The id of the item is filled in.
        rewards: ``{name: (weight, function of (reply, item))}``; with ``make_item``. A function may
            be async or ``batched``, and may raise ``Malformed``; see `bakeoff.rewards`.
        reply_tokens: how many new tokens a reply needs; with ``make_item``.
        settings: with ``make_item``: ``sizes`` or ``rows``, and if wanted ``ranges`` and
            ``deadline_s``; see ``Settings``.

    Raises:
        UsageError: the id is taken or malformed, or the definition is incomplete.

    Example:
        >>> def add(rng, digits=2):
        ...     a, b = rng.randrange(10**digits), rng.randrange(10**digits)
        ...     return Item("", f"{a} + {b} =", answer=str(a + b), gold=str(a + b))
        >>> def correct(reply, item):
        ...     return reply.strip() == item.answer
        >>> sizes = {"train": 1000, "eval": 100}
        >>> register("doc/Add-v0", make_item=add, sizes=sizes, rewards={"correct": (1.0, correct)})
        >>> env = make("doc/Add-v0:digits=1")
        >>> env.score(env.item(0), env.item(0).gold)
        Score(value=1.0, parts={'correct': 1.0}, reason='', malformed='')
    """
    if not _ID.fullmatch(id):
        raise UsageError(f"'{id}' is not an environment's id: write it as me/Name-v0")
    if id in gymnasium.registry:
        raise UsageError(f"an environment '{id}' exists already; choose another name or version")
    if (entry_point is None) == (make_item is None):
        raise UsageError(f"register '{id}' with either entry_point= or make_item=")
    if entry_point is not None:
        if not isinstance(entry_point, str):
            _checked_class(id, entry_point)
        _add(id, entry_point, {})
        _registered[id] = entry_point
    elif make_item is not None:
        definition = checked_definition(id, make_item, rewards, reply_tokens, settings)
        kind = "RowsEnv" if definition.rows else "FunctionEnv"
        _add(id, f"bakeoff.envs.own:{kind}", {"definition": definition})
        _registered[id] = make_item


def _add(id: str, entry_point: Any, kwargs: dict[str, Any]) -> None:
    vector = f"bakeoff.envs.vector:{id}"
    gymnasium.register(id, entry_point, vector_entry_point=vector, kwargs=kwargs)


def known(target: str) -> None:
    """Check that a target names an environment, without importing anyone's code.

    Raises:
        UsageError: it names none; the nearest name is in the message.
    """
    names = {*_SHIPPED, *_registered, *entry_point_targets(ENTRY_POINTS)}
    if target.endswith(".py"):
        raise UsageError(f"'{target}' names a file and no environment; write {target}:me/Name-v0")
    if ":" not in target and target not in names:
        shown = names if "rg-" in target else names - set(REASONING_GYM)  # over a hundred
        raise unknown("environment", target, shown)
    place, colon, rest = target.partition(":")
    if colon and place in names:
        raise UsageError(f"'{target}': '{rest}' is no argument; write {place}:key=value")


def make(spec: Spec | str, **arguments: Any) -> TextEnv:
    """Return the environment that a spec such as ``bakeoff/Arithmetic-v0:level=3`` describes.

    Args:
        spec: an id that ships, is registered or is installed; or ``place:id``, where ``place`` is a
            file or a module that registers the id when it is imported.
        arguments: arguments of the environment, in place of those in the spec.

    Raises:
        UsageError: unknown environment, unknown argument, or an argument of the wrong type.

    Example:
        >>> make("bakeoff/Arithmetic-v0:level=1").item(0).prompt
        'What is 5 + 1?'
    """
    spec = parse_spec(spec) if isinstance(spec, str) else spec
    id = _resolved(spec.target)
    arguments = {**spec.arguments, **arguments}
    _check_arguments(id, arguments)
    env = gymnasium.make(id, disable_env_checker=True, **arguments).unwrapped
    _checked_class(id, type(env), env)
    made = typing.cast(TextEnv, env)
    made.spec_text = str(Spec(spec.target, arguments))
    return made


def takes(target: str, name: str) -> bool:
    """Tell whether the environment a target names has an argument of this name.

    Raises:
        UsageError: unknown environment.

    Example:
        >>> takes("bakeoff/GSM8K-v0", "data"), takes("bakeoff/Arithmetic-v0", "data")
        (True, False)
    """
    id = _resolved(target)
    place = _registered.get(id, _SHIPPED.get(id, ""))
    return name in _argument_names(import_object(place) if isinstance(place, str) else place)


def describe() -> list[tuple[str, str]]:
    """Return the id and a one-line summary of every environment there is.

    Example:
        >>> dict(describe())["bakeoff/Arithmetic-v0"]
        'What is 47 + 38? Sums, differences, products and fractions, generated without end.'
    """
    installed = entry_point_targets(ENTRY_POINTS)
    found = {id: place for id, place in installed.items() if id not in _registered}
    for id, place in {**_SHIPPED, **_registered}.items():
        target = import_object(place) if isinstance(place, str) else place
        found[id] = (inspect.getdoc(target) or "").partition("\n")[0]
    return sorted(found.items())


def _resolved(target: str) -> str:
    """Return the id a target means, registered: imports the code that registers it if need be."""
    known(target)
    place, _, id = target.rpartition(":")
    if place:
        import_code(place)
        if id not in _registered and id not in _SHIPPED:
            if not _registered:
                raise UsageError(f"{place} registers no environment, so there is no '{id}' in it")
            raise unknown(f"environment in {place}", id, _registered)
        return id
    installed = entry_point_targets(ENTRY_POINTS).get(id)
    if installed is not None and _registered.get(id) != installed:
        register(id, entry_point=installed)  # refuses if the id is taken
    return id


def _checked_class(id: str, kind: type, env: object = None) -> None:
    if not (isinstance(kind, type) and issubclass(kind, TextEnv)):
        raise UsageError(f"{id}: {getattr(kind, '__name__', kind)} is not a TextEnv")
    own = (env or kind).id  # type: ignore[attr-defined]
    if own != id:
        raise UsageError(f"{kind.__name__} has the id '{own}', and is registered as '{id}'")


def _check_arguments(id: str, arguments: Mapping[str, Any]) -> None:
    """Compare the arguments with the signature of the class, or of the function for items."""
    place = _registered.get(id, _SHIPPED.get(id, ""))
    target = import_object(place) if isinstance(place, str) else place
    hints: dict[str, Any] = {}
    for function in (TextEnv.__init__, getattr(target, "__init__", None), target):
        if inspect.isfunction(function):
            try:
                hints |= typing.get_type_hints(function)
            except NameError:  # a type known to checkers only
                hints |= {name: Any for name in function.__annotations__}
    names = _argument_names(target)
    for name, value in arguments.items():
        if name not in names:
            raise unknown(f"argument of {id}", name, names)
        if not _fits(value, hints.get(name, Any)):
            kind = getattr(hints[name], "__name__", str(hints[name]))
            raise UsageError(f"{name} of {id} must be {kind}, not {value!r}")


def _argument_names(target: object) -> list[str]:
    parameters = list(inspect.signature(typing.cast(Any, target)).parameters.values())
    if not isinstance(target, type):
        parameters = [*parameters[1:], *inspect.signature(TextEnv).parameters.values()]
    return [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]


def _fits(value: object, hint: Any) -> bool:
    """Tell whether a value is of a simple type; what is not simple is left to the environment."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return any(_fits(value, part) for part in typing.get_args(hint))
    if hint is None or hint is types.NoneType:
        return value is None
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint) if hint in (str, bool) else True
