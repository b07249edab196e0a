"""What a program's process does once it is contained: run the program, and answer for it.

Nothing here is trusted from the moment that the program's first line runs: it can change every
object of this process. It can therefore only harm itself; what it sends is plain data or ignored.
"""

from __future__ import annotations

import os
import socket
import sys
import types
from typing import Any, NoReturn

from bakeoff.rewards.code.jail.descriptors import CHANNEL
from bakeoff.rewards.code.jail.plain import decode, encode
from bakeoff.rewards.frames import encode as frame
from bakeoff.rewards.frames import read_frame

_exit = os._exit


def describe(error: BaseException) -> list[str]:
    """Return the type's name and the message of an exception, be it a hostile one."""
    try:
        text = str(error)
    except BaseException:
        text = "(its message cannot be read)"
    return [str(type(error).__name__)[:100], text[:500]]


def module(name: str) -> types.ModuleType:
    """Return a new module that can be imported by its name."""
    made = types.ModuleType(name)
    made.__dict__["__builtins__"] = __builtins__
    made.__dict__["__file__"] = "program.py"
    sys.modules[name] = made
    return made


def load(program: str, name: str, channel: socket.socket) -> dict[str, Any] | None:
    """Run a program as a module, and say on the channel how that went.

    Returns:
        Its names, or ``None`` if it raised.
    """
    try:
        code = compile(program, "program.py", "exec", dont_inherit=True)
    except BaseException as error:
        channel.sendall(frame({"uncompiled": describe(error)}))
        return None
    made = module(name)
    try:
        exec(code, made.__dict__)  # noqa: S102 - this is the sandbox
    except BaseException as error:
        channel.sendall(frame({"failed": describe(error)}))
        return None
    channel.sendall(frame({"loaded": True}))
    return made.__dict__


def answer_calls() -> NoReturn:
    """Read a program and calls from the channel; answer each call with its result."""
    channel = socket.socket(fileno=CHANNEL)
    message = read_frame(channel)
    names = load(message["program"], "solution", channel)
    if names is None:
        _exit(0)
    for entry, arguments, keywords in message["calls"]:
        try:
            function = lookup(names, entry)
            value = encode(function(*decode(arguments), **decode(keywords)))
        except BaseException as error:
            channel.sendall(frame({"error": describe(error)}))
            continue
        try:
            answer = frame({"value": value})
        except ValueError as error:
            answer = frame({"too large": str(error)})
        except MemoryError as error:
            answer = frame({"error": describe(error)})
        channel.sendall(answer)
    _exit(0)


def lookup(names: dict[str, Any], entry: str) -> Any:
    """Return a function of the program, or a method of its class ``Solution``.

    Raises:
        NameError: it has neither.
    """
    if entry in names:
        return names[entry]
    if "Solution" in names:
        return getattr(names["Solution"](), entry)
    raise NameError(f"the program defines no '{entry}'")


def run_main() -> NoReturn:
    """Read a program from the channel and run it as a script on the standard streams."""
    channel = socket.socket(fileno=CHANNEL)
    program = read_frame(channel)["program"]
    sys.argv = ["program.py"]
    status = 0
    try:
        code = compile(program, "program.py", "exec", dont_inherit=True)
    except BaseException as error:
        channel.sendall(frame({"uncompiled": describe(error)}))
        _exit(1)
    channel.sendall(frame({"compiled": True}))
    try:
        exec(code, module("__main__").__dict__)  # noqa: S102 - this is the sandbox
    except SystemExit as error:
        status = 0 if error.code in (None, 0) else 1
        if status:
            channel.sendall(frame({"error": describe(error)}))
    except BaseException as error:
        status = 1
        channel.sendall(frame({"error": describe(error)}))
    _exit(_finish() or status)


def _finish() -> int:
    """Do what an interpreter does at its end: wait for threads, run handlers, flush."""
    import atexit
    import threading

    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.__stdout__):
            if stream is not None:
                stream.flush()
    except BaseException:
        return 1
    return 0
