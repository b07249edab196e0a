"""The script that a fork server is started with: ``python -S -s -P -X utf8 start.py FD SETTINGS``.

It runs the interpreter once more with a larger stack, which programs that recurse deeply need and
which is set only when a process starts. Then it makes bakeoff's packages importable by their own
names without running them, and hands over to the warden.
"""

from __future__ import annotations

import os
import resource
import sys
import types

STACK_BYTES = 256 * 2**20


def enlarge_stack() -> None:
    """Start anew with a larger stack, unless it is large enough or may not be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    wanted = STACK_BYTES if hard == resource.RLIM_INFINITY else min(STACK_BYTES, hard)
    if soft != wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
        os.execv(sys.executable, sys.orig_argv)


def make_importable() -> None:
    """Let the packages that this file is in be imported, but for what they import themselves."""
    jail = os.path.dirname(os.path.abspath(__file__))
    places: dict[str, list[str]] = {
        "bakeoff": [],
        "bakeoff.rewards": [],
        "bakeoff.rewards.code": [],
        "bakeoff.rewards.code.jail": [jail],
    }
    for name, place in places.items():
        module = types.ModuleType(name)
        module.__path__ = place
        sys.modules[name] = module


if __name__ == "__main__":
    enlarge_stack()
    make_importable()
    from bakeoff.rewards.code.jail.warden import main

    main()
