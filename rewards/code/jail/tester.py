"""The process that runs script tests. It is contained like a program, and holds no program.

It reads the tests from its channel and says there how each ended. The names that the tests use and
do not define are the program's: functions and objects as proxies, modules and builtins as this
process's own. So the tests' ``math.isclose`` is the real one, whatever the program did to its own.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from typing import Any

from bakeoff.rewards.code.jail.descriptors import CHANNEL
from bakeoff.rewards.code.jail.programs import describe
from bakeoff.rewards.code.jail.proxies import Gone, Link, Remote, Unsupported
from bakeoff.rewards.code.jail.wire import payload, put


def run_script() -> None:
    """Read tests from the channel, run them one after the other, and answer for each."""
    tests = payload(CHANNEL)
    link = Link()
    try:
        started = link.receive()
        put(CHANNEL, started)
        if "loaded" in started:
            names = _names(link, tests)
            exec(compile(tests["setup"], "setup.py", "exec"), names)  # noqa: S102 - the sandbox
            for text in tests["tests"]:
                put(CHANNEL, _outcome(text, names, tests["check"]))
    except Gone:
        put(CHANNEL, {"gone": True})
    except BaseException as error:
        put(
            CHANNEL,
            {"unsupported": "the set-up of the tests failed: " + ": ".join(describe(error))},
        )


def _outcome(text: str, names: dict[str, Any], check: str) -> dict[str, Any]:
    try:
        exec(compile(text, "tests.py", "exec"), names)  # noqa: S102 - this is the sandbox
        if check:
            names["check"](names[check])
    except Unsupported as error:
        return {"unsupported": str(error)}
    except AssertionError as error:
        return {"wrong": describe(error)[1]}
    except Gone:
        raise
    except BaseException as error:
        return {"error": describe(error)}
    return {"passed": True}


def _names(link: Link, tests: dict[str, Any]) -> dict[str, Any]:
    """Return the names that the tests find: of the program's, those they use."""
    names: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    found = link.ask("names", names=tests["names"]).get("names")
    for name, kind in found.items() if type(found) is dict else ():
        if "exception" in kind:
            names[name] = link.exceptions[str(kind["exception"])] = type(name, (Exception,), {})
        elif "module" in kind:
            if str(kind["module"]).partition(".")[0] in sys.stdlib_module_names:
                names[name] = importlib.import_module(kind["module"])
        elif "callable" in kind:
            names[name] = Remote(link, {"n": name}, name)
        else:
            names[name] = link.decoded(kind.get("value"))
    return names
