"""The program's side of script tests: its functions and objects, called from the tests' process.

A request names an object (a global name, or the number of one that was handed out) and what to do
with it; the answer is plain data, the number of an object, or an error. While it is at work, the
program may call back a function that the tests passed to it.
"""

from __future__ import annotations

import builtins
import collections
import operator
import types
from collections.abc import Callable
from typing import Any

from bakeoff.rewards.code.jail.descriptors import CHANNEL, RPC
from bakeoff.rewards.code.jail.plain import decode, encode
from bakeoff.rewards.code.jail.programs import describe, load
from bakeoff.rewards.code.jail.wire import get, payload, put

_MUTABLE = (list, dict, set, bytearray)

OPERATORS: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in
       ("eq", "lt", "le", "gt", "ge", "add", "sub", "mul", "truediv", "floordiv", "mod", "pow",
        "and_", "or_", "xor", "contains", "getitem", "setitem", "delitem", "neg", "truth")},
    "len": len, "iter": iter, "str": str, "repr": repr, "isinstance": isinstance,
    "getattr": getattr, "setattr": setattr,
}  # fmt: skip


def serve_program() -> None:
    """Load the program of the channel and answer requests until the tests' process is gone."""
    names = load(payload(CHANNEL), "solution", RPC)
    if names is not None:
        server = _Server(names)
        while True:
            put(RPC, server.answer(get(RPC)))


# Containers with methods of their own that tests use; other subclasses become their base.
KEPT = {collections.Counter, collections.OrderedDict, collections.deque}


class _Callback:
    """A function of the tests, called from the program."""

    def __init__(self, server: _Server, number: int) -> None:
        self._server, self._number = server, number

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._server.call_back(self._number, arguments, keywords)


class _Server:
    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.handed_out: list[Any] = []

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request."""
        try:
            return self._done(request)
        except BaseException as error:
            return {"error": describe(error)}

    def _done(self, request: dict[str, Any]) -> dict[str, Any]:
        do = request["do"]
        if do == "names":
            return {"names": {name: self._kind(self.names[name]) for name in request["names"]
                              if name in self.names}}  # fmt: skip
        arguments = self.decoded(request["arguments"])
        if do == "call":
            keywords = self.decoded(request["keywords"])
            answer = {"value": self.encoded(arguments[0](*arguments[1:], **keywords))}
            if any(type(argument) in _MUTABLE for argument in arguments):
                answer["after"] = self.encoded(arguments)
            return answer
        if do == "next":
            try:
                return {"value": self.encoded(next(arguments[0]))}
            except StopIteration:
                return {"end": True}
        return {"value": self.encoded(OPERATORS[do](*arguments))}

    def _kind(self, value: Any) -> dict[str, Any]:
        if isinstance(value, type) and issubclass(value, Exception):
            return {"exception": value.__name__}
        if isinstance(value, types.ModuleType):
            return {"module": value.__name__}
        if callable(value):
            return {"callable": True}
        return {"value": self.encoded(value)}

    def encoded(self, value: Any) -> Any:
        if type(value) in KEPT:
            plain = dict(value) if isinstance(value, dict) else list(value)
            return {"kept": [type(value).__name__, encode(plain, self._reference)]}
        return encode(value, self._reference)

    def _reference(self, value: Any) -> Any:
        if type(value) is _Callback:
            return {"k": value._number}
        for number, known in enumerate(self.handed_out):
            if known is value:
                return {"h": number}
        self.handed_out.append(value)
        return {"h": len(self.handed_out) - 1}

    def decoded(self, data: Any) -> Any:
        return decode(data, self._referred)

    def _referred(self, data: dict[str, Any]) -> Any:
        if "n" in data:
            return self.names[data["n"]]
        if "h" in data:
            return self.handed_out[data["h"]]
        if "builtin" in data:
            return getattr(builtins, data["builtin"])
        if "kept" in data:
            return collections.deque(self.decoded(data["kept"][1]))
        if "slice" in data:
            return slice(*self.decoded(data["slice"]))
        return _Callback(self, data["k"])

    def call_back(self, number: int, arguments: Any, keywords: Any) -> Any:
        """Have the tests' process call one of its functions; answer its requests meanwhile."""
        message = {"callback": number, "arguments": self.encoded(list(arguments)),
                   "keywords": self.encoded(keywords)}  # fmt: skip
        put(RPC, message)
        while True:
            reply = get(RPC)
            if "returned" in reply:
                return self.decoded(reply["returned"])
            if "raised" in reply:
                raise RuntimeError(": ".join(reply["raised"]))
            put(RPC, self.answer(reply))
