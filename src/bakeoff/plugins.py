"""Names on the command line: ``target:key=value:key=value``, and code of the user's own.

A target is a name that ships (``grpo``, ``bakeoff/Arithmetic-v0``), or code that is imported when
it is asked for: ``my_file.py:name`` or ``my_package.module:name``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import math
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import yaml

from bakeoff.errors import UsageError

_EXPONENT = re.compile(r"[+-]?(\d{1,400}\.?\d{0,400}|\.\d{1,400})[eE][+-]?\d{1,4}")


@dataclass(frozen=True)
class Spec:
    """A target and the arguments to call it with.

    ``str(spec)`` gives the text form back, arguments sorted by name: it is what stands in the
    tables as an algorithm's or an environment's name.
    """

    target: str
    arguments: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        pairs = (f":{key}={_scalar(value)}" for key, value in sorted(self.arguments.items()))
        return self.target + "".join(pairs)


def parse_spec(text: str) -> Spec:
    """Read ``target:key=value:...``; values are YAML scalars, other segments make the target.

    Raises:
        UsageError: there is no target, or a key stands twice.

    Example:
        >>> parse_spec("grpo:clip=0.1")
        Spec(target='grpo', arguments={'clip': 0.1})
        >>> parse_spec("mine.py:me/Add-v0:digits=3").target
        'mine.py:me/Add-v0'
    """
    target: list[str] = []
    arguments: dict[str, object] = {}
    for segment in text.strip().split(":"):
        key, equals, value = segment.partition("=")
        if not equals:
            if arguments:  # a value that holds a colon itself, such as a path on another system
                raise UsageError(f"'{text}': '{segment}' stands after an argument; use key=value")
            target.append(segment)
        elif key in arguments:
            raise UsageError(f"'{text}' gives '{key}' twice")
        else:
            arguments[key] = _value(value)
    if not any(target):
        raise UsageError(f"'{text}' names nothing; write NAME or NAME:key=value")
    return Spec(":".join(target), arguments)


def import_code(place: str) -> ModuleType:
    """Import ``my_file.py`` (a path) or ``my_package.module`` once and return the module.

    Raises:
        UsageError: there is no such file or module.
    """
    if not place:
        raise UsageError("name a file or a module before the colon: my_file.py:name")
    if place.endswith(".py"):
        path = Path(place).resolve()
        name = "bakeoff_user_" + str(path).replace("/", "_").removesuffix(".py").replace(".", "_")
        if name in sys.modules:
            return sys.modules[name]
        if not path.is_file():
            raise UsageError(f"no such file: {place}")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            why = " ".join(str(error).split())
            raise UsageError(
                f"{place} cannot be imported: {type(error).__name__}: {why}"
            ) from error
        return module
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise UsageError(f"no module named '{place}'") from None
        raise


@contextmanager
def making(what: str) -> Iterator[None]:
    """Make a ``UsageError`` of whatever goes wrong in code of the user's.

    Args:
        what: is made by that code, for the message.

    Raises:
        UsageError: it cannot be made, and why.

    Example:
        >>> with making("mine"):
        ...     1 / 0
        Traceback (most recent call last):
        bakeoff.errors.UsageError: mine cannot be made: ZeroDivisionError: division by zero
    """
    try:
        yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:  # code of the user's may raise anything
        raise UsageError(f"{what} cannot be made: {type(error).__name__}: {error}") from error


def see_current_folder() -> None:
    """Make modules of the current folder importable, as ``python -m`` does."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def import_object(target: str) -> object:
    """Return what ``place:name`` names, where ``place`` is a file or a module.

    Raises:
        UsageError: the place or the name does not exist.
    """
    place, _, name = target.rpartition(":")
    module = import_code(place)
    if not hasattr(module, name):
        public = ", ".join(sorted(key for key in vars(module) if not key.startswith("_")))
        raise UsageError(f"{place} has no '{name}' (it has: {public})")
    return getattr(module, name)


def entry_point_targets(group: str) -> dict[str, str]:
    """Return ``{name: "module:object"}`` of the installed entry points of a group, unloaded."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=group)}


def _value(text: str) -> object:
    """Read a YAML scalar, and also the numbers that YAML takes for words, such as ``1e-3``."""
    try:
        value = yaml.safe_load(text) if text else ""
    except (yaml.YAMLError, ValueError, RecursionError):  # 2024-13-45 is no date, and no error
        return text
    return float(value) if isinstance(value, str) and _EXPONENT.fullmatch(value) else value


def _scalar(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not math.isfinite(value):
        return {math.inf: ".inf", -math.inf: "-.inf"}.get(value, ".nan")
    return str(value)
