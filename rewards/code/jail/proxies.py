"""The tests' side of script tests: objects that stand for those of the program.

What comes back from the program is plain data wherever it can be, and then compared here, as any
value. Only what is not plain stands for itself as a ``Remote``. A ``Remote`` is equal to no plain
value and refuses to be mixed with numbers: otherwise a result could claim ``result == anything``
and ``abs(result - anything) < 1e-6``. For ``anything in result`` it has to show its elements.
"""

from __future__ import annotations

import builtins
from collections import deque
from collections.abc import Callable, Iterator, MappingView
from types import ModuleType
from typing import Any

from bakeoff.rewards.code.jail.descriptors import RPC
from bakeoff.rewards.code.jail.plain import Malformed, Opaque, decode, encode
from bakeoff.rewards.code.jail.programs import describe
from bakeoff.rewards.code.jail.serving import KEPT
from bakeoff.rewards.code.jail.wire import get, put

# Raised by the program they would end a loop of the tests early, as if all had been well.
_MISLEADING = (StopIteration, StopAsyncIteration)
_BUILTIN = {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, Exception) and value not in _MISLEADING
}

# What the tests can have of the program's doing, beside plain data: its failure, not theirs.
_OF_PROGRAM = (Opaque, ModuleType, MappingView)


class Unsupported(Exception):
    """The tests do what cannot be done across two processes."""


class Gone(BaseException):
    """The program's process has ended, or does not keep to the protocol.

    Attributes:
        happened: whether it has; a bare ``except`` of the tests must not hide it.
    """

    happened = False

    def __init__(self) -> None:
        super().__init__()
        Gone.happened = True


class Link:
    """The connection to the program's process."""

    def __init__(self) -> None:
        self.functions: list[Callable[..., Any]] = []
        self.exceptions: dict[str, type[Exception]] = {}

    def receive(self) -> dict[str, Any]:
        """Return what the program's process says next.

        Raises:
            Gone: it says nothing more, or no message.
        """
        try:
            return get(RPC)
        except (EOFError, ValueError, OSError):
            raise Gone from None

    def ask(self, do: str, *arguments: Any, **extra: Any) -> dict[str, Any]:
        """Return the answer to a request; meanwhile the program may call the tests' functions."""
        try:
            others = {name: self.encoded(value) for name, value in extra.items()}
            self._send({"do": do, "arguments": self.encoded(list(arguments)), **others})
        except Unsupported as error:
            if arguments and type(arguments[0]) is Remote and "h" in arguments[0]._reference:
                # It may have come where a list was due: that must be no reason not to count.
                raise TypeError(str(error)) from None
            raise
        while "callback" in (answer := self.receive()):
            self._send(self._called_back(answer))
        if "error" in answer:
            raise self._exception(answer["error"])
        return answer

    def value(self, do: str, *arguments: Any) -> Any:
        """Return the value that a request has."""
        return self.decoded(self.ask(do, *arguments).get("value"))

    def call(self, target: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """Call something of the program; what it did to lists, dicts and sets is done here too."""
        answer = self.ask("call", target, *arguments, keywords=keywords)
        if "after" in answer:
            after = self.decoded(answer["after"])
            if type(after) is list:
                for mine, theirs in zip(arguments, after[1:], strict=False):
                    _take_over(mine, theirs)
        return self.decoded(answer.get("value"))

    def _send(self, message: dict[str, Any]) -> None:
        try:
            put(RPC, message)
        except OSError:
            raise Gone from None

    def _called_back(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            function = self.functions[request["callback"]]
            value = function(*self.decoded(request["arguments"]),
                             **self.decoded(request["keywords"]))  # fmt: skip
            return {"returned": self.encoded(value)}
        except Exception as error:
            return {"raised": describe(error)}

    def _exception(self, data: Any) -> Exception:
        """Return an exception of the tests' own for one of the program's."""
        try:
            name, text = data
            return self.exceptions.get(name, _BUILTIN.get(name, RuntimeError))(f"{text}")
        except Exception:  # one that takes no message, or is no pair of texts
            return RuntimeError("the program raised an exception")

    def encoded(self, value: Any) -> Any:
        """Return a value for the program; what is not plain, as a reference."""
        return encode(value, self._reference)

    def _reference(self, value: Any) -> Any:
        if type(value) is Remote:
            return value._reference
        name = getattr(value, "__name__", None)
        if type(name) is str and vars(builtins).get(name) is value:
            return {"builtin": name}
        if type(value) is deque:
            return {"kept": ["deque", self.encoded(list(value))]}
        if type(value) is slice:
            return {"slice": self.encoded([value.start, value.stop, value.step])}
        exceptions = self.exceptions.values()
        if isinstance(value, _OF_PROGRAM) or {id(value), id(type(value))} & {*map(id, exceptions)}:
            raise TypeError(f"the program's {type(value).__name__} cannot be sent back to it")
        if callable(value) and not isinstance(value, type):
            self.functions.append(value)
            return {"k": len(self.functions) - 1}
        raise Unsupported(f"a {type(value).__name__} of the tests cannot be sent to the program")

    def decoded(self, data: Any) -> Any:
        """Return a value of the program."""
        try:
            return decode(data, self._referred)
        except (Malformed, KeyError):
            raise Gone from None

    def _referred(self, data: dict[str, Any]) -> Any:
        if type(data.get("h")) is int:
            return Remote(self, data)
        if "kept" in data:
            name, content = data["kept"]
            kinds = {kind.__name__: kind for kind in KEPT}
            return kinds[name](self.decoded(content))
        if type(number := data.get("k")) is int and 0 <= number < len(self.functions):
            return self.functions[number]
        raise Malformed("no such object")


def _take_over(mine: Any, theirs: Any) -> None:
    if type(mine) is not type(theirs) or mine == theirs:
        return
    if type(mine) in (list, bytearray):
        mine[:] = theirs
    elif type(mine) in (dict, set):
        mine.clear()
        mine.update(theirs)


class Remote:
    """An object or function of the program."""

    def __init__(self, link: Link, reference: dict[str, Any], name: str = "") -> None:
        for attribute, value in (("_link", link), ("_reference", reference), ("__name__", name)):
            object.__setattr__(self, attribute, value)

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Call it."""
        return self._link.call(self, arguments, keywords)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link.value("getattr", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._link.value("setattr", self, name, value)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._link.value("iter", self)
        if type(iterator) is not Remote:
            raise TypeError("the program's object cannot be iterated")
        while "end" not in (answer := self._link.ask("next", iterator)):
            yield self._link.decoded(answer.get("value"))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(other) is Remote and self._link.value("eq", self, other) is True

    def __hash__(self) -> int:
        return hash(str(self._reference))

    def __bool__(self) -> bool:
        return self._link.value("truth", self) is True

    def __len__(self) -> int:
        length = self._link.value("len", self)
        if type(length) is not int:
            raise TypeError("a length is an int")
        return length

    def __str__(self) -> str:
        return _text(self._link.value("str", self))

    def __repr__(self) -> str:
        return _text(self._link.value("repr", self))

    def __getitem__(self, key: object) -> Any:
        return self._link.value("getitem", self, key)

    def __setitem__(self, key: object, value: object) -> None:
        self._link.value("setitem", self, key, value)

    def __delitem__(self, key: object) -> None:
        self._link.value("delitem", self, key)

    def __instancecheck__(self, one: object) -> bool:
        return type(one) is Remote and self._link.value("isinstance", one, self) is True

    def __next__(self) -> Any:
        answer = self._link.ask("next", self)
        if "end" in answer:
            raise StopIteration
        return self._link.decoded(answer.get("value"))


def _text(value: Any) -> str:
    return value if type(value) is str else "?"


def _between_remotes(name: str) -> Callable[[Any, Any], Any]:
    def operation(self: Any, other: Any) -> Any:
        if type(other) is not Remote:
            return NotImplemented
        return self._link.value(name, self, other)

    return operation


for _name in ("lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(Remote, f"__{_name}__", _between_remotes(_name))
