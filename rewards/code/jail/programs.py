"""What a program's process does once it is contained: run the program, and answer for it.

Nothing here is trusted from the moment that the program's first line runs: it can change every
object of this process. It can therefore only harm itself; what it sends is plain data or ignored.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any, NoReturn

from bakeoff.rewards.code.jail.descriptors import CHANNEL
from bakeoff.rewards.code.jail.plain import decode, encode
from bakeoff.rewards.code.jail.wire import payload, put

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


def load(program: str, name: str, descriptor: int) -> dict[str, Any] | None:
    """Run a program as a module, and say how that went.

    Returns:
        Its names, or ``None`` if it raised.
    """
    try:
        code = compile(program, "program.py", "exec", dont_inherit=True)
    except BaseException as error:
        put(descriptor, {"uncompiled": describe(error)})
        return None
    put(descriptor, {"compiled": True})
    made = module(name)
    try:
        exec(code, made.__dict__)  # noqa: S102 - this is the sandbox
    except BaseException as error:
        put(descriptor, {"failed": describe(error)})
        return None
    put(descriptor, {"loaded": True})
    return made.__dict__


def answer_calls() -> None:
    """Read a program and calls from the channel; answer each call with its result."""
    program, calls, encoded = payload(CHANNEL)
    names = load(program, "solution", CHANNEL)
    if names is None:
        return
    for entry, arguments, keywords in calls:
        try:
            if encoded:
                arguments, keywords = decode(arguments), decode(keywords)
            value = encode(lookup(names, entry)(*arguments, **keywords))
        except BaseException as error:
            put(CHANNEL, {"error": describe(error)})
            continue
        try:
            put(CHANNEL, {"value": value})
        except ValueError as error:
            put(CHANNEL, {"too large": str(error)})
        except MemoryError as error:
            put(CHANNEL, {"error": describe(error)})


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
    program = payload(CHANNEL)
    sys.argv = ["program.py"]
    system: Any = sys  # new streams: the nest's have found that their files can be sought in
    system.stdin = system.__stdin__ = open(0, errors="surrogateescape", closefd=False)  # noqa: SIM115
    system.stdout = system.__stdout__ = open(1, "w", closefd=False)  # noqa: SIM115
    status = 0
    try:
        code = compile(program, "program.py", "exec", dont_inherit=True)
    except BaseException as error:
        put(CHANNEL, {"uncompiled": describe(error)})
        _exit(1)
    put(CHANNEL, {"compiled": True})
    try:
        exec(code, module("__main__").__dict__)  # noqa: S102 - this is the sandbox
    except SystemExit as error:
        status = 0 if error.code in (None, 0) else 1
        if status:
            put(CHANNEL, {"error": describe(error)})
    except BaseException as error:
        status = 1
        put(CHANNEL, {"error": describe(error)})
    _exit(_finish() or status)


def _finish() -> int:
    """Do what an interpreter does at its end: wait for threads, run handlers, flush."""
    import atexit

    threading: Any = sys.modules.get("threading")
    try:
        if threading is not None:
            threading._shutdown()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.__stdout__):
            if stream is not None:
                stream.flush()
    except BaseException:
        return 1
    return 0
