"""The process that runs script tests. It is contained like a program, and holds no program.

It reads the tests from its channel and says there how each ended. The names that the tests use and
do not define are the program's: functions and objects as proxies, modules and builtins as this
process's own. So the tests' ``math.isclose`` is the real one, whatever the program did to its own.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from bakeoff.rewards.code.jail.descriptors import CHANNEL
from bakeoff.rewards.code.jail.programs import describe
from bakeoff.rewards.code.jail.proxies import Gone, Link, Remote, Unsupported
from bakeoff.rewards.code.jail.wire import payload, put

_LOADING = ("compiled", "loaded", "uncompiled", "failed")


def run_script() -> None:
    """Read tests from the channel, run them one after the other, and answer for each.

    What the program could bring about by what it answers is its own failure, never a reason for the
    tests not to count.
    """
    tests = payload(CHANNEL)
    link = Link()
    try:
        for module in tests["imports"]:
            if not _can_be_imported(module):
                put(CHANNEL, {"unsupported": f"they import {module}, which is not here"})
                return
        said: dict[str, Any] = {}
        while "loaded" not in said:
            said = link.receive()  # be it forged: no more is passed on than how loading went
            put(CHANNEL, {name: said[name] for name in _LOADING if name in said})
            if "compiled" not in said and "loaded" not in said:
                return
        names = _names(link, tests["names"]) | _modules(tests["modules"])
        candidate = names.get(tests["check"])
        problem = _outcome(tests["setup"], names)
        for text in tests["tests"]:
            outcome = problem if "passed" not in problem else _outcome(text, names)
            if tests["check"] and "passed" in outcome:
                outcome = _checked(names, candidate, tests["check"])
            put(CHANNEL, outcome)
    except Gone:
        put(CHANNEL, {"gone": True})


def _can_be_imported(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _outcome(text: str, names: dict[str, Any]) -> dict[str, Any]:
    def run() -> None:
        exec(compile(text, "tests.py", "exec"), names)  # noqa: S102 - this is the sandbox

    return _ending(run)


def _checked(names: dict[str, Any], candidate: Any, entry: str) -> dict[str, Any]:
    def run() -> None:
        if candidate is None:
            raise NameError(f"the program defines no '{entry}'")
        names["check"](candidate)

    return _ending(run)


def _ending(run: Callable[[], None]) -> dict[str, Any]:
    try:
        run()
        if Gone.happened:
            raise Gone
    except Unsupported as error:
        return {"unsupported": str(error)}
    except AssertionError as error:
        return {"wrong": describe(error)[1]}
    except Gone:
        raise
    except BaseException as error:
        return {"error": describe(error)}
    return {"passed": True}


def _modules(wanted: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return standard modules that the tests use; a program may call anything ``math``."""
    found: dict[str, Any] = {}
    for name, used in wanted.items():
        with suppress(ImportError):
            module = importlib.import_module(name)
            if all(hasattr(module, attribute) for attribute in used):
                found[name] = module
    return found


def _names(link: Link, wanted: Sequence[str]) -> dict[str, Any]:
    """Return the names that the tests find: of the program's, those they use and no others."""
    names: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    found = link.ask("names", names=wanted).get("names")
    if type(found) is not dict:
        raise Gone
    for name in wanted:
        kind = found.get(name)
        if type(kind) is not dict:
            continue
        if type(exception := kind.get("exception")) is str:
            names[name] = link.exceptions[exception] = type(name, (Exception,), {})
        elif type(module := kind.get("module")) is str:
            if module.partition(".")[0] in sys.stdlib_module_names:
                with suppress(ImportError):
                    names[name] = importlib.import_module(module)
        elif "callable" in kind:
            names[name] = Remote(link, {"n": name}, name)
        else:
            names[name] = link.decoded(kind.get("value"))
    return names
