"""A function run in a process of its own that can compute, and nothing else.

It is what stands behind reasoning-gym's scorers if a reply gets code past their guards. In the
order in which it is put on:

1. no descriptor but the one that the number is written to, and no file larger than nothing;
2. Landlock refuses every change of a file, and connections;
3. as root: another user id; no capabilities;
4. the code sandbox's system-call filters: no network, processes, signals, tracing.

Reading stays possible, because libraries import modules when they first need them. There is no
way out for what was read but the number and a line of text if the function raises.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
from collections.abc import Callable
from contextlib import suppress

from bakeoff.rewards.code.jail import credentials, landlock, seccomp
from bakeoff.rewards.code.jail.libc import LIBC, checked
from bakeoff.rewards.code.jail.syscalls import number
from bakeoff.rewards.code.levels import SandboxUnavailable, chosen_level

_READ = 4 | 8  # Landlock's rights to read files and folders; all others are about changing things
_TEXT_BYTES = 4096
# what a function raises that got a text it cannot make sense of
_ABOUT_THE_TEXT = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    SyntaxError,
)


class ScorerError(RuntimeError):
    """The function failed for a reason that is not the reply's, or its process ended."""


class Unreadable(ValueError):
    """The function failed on the text that it was given."""


def wanted() -> bool:
    """Tell whether to contain: always, unless ``BAKEOFF_SANDBOX`` says none.

    Raises:
        SandboxUnavailable: it cannot be had here.
    """
    if chosen_level() == "none":
        return False
    if not hasattr(os, "fork") or os.uname().sysname != "Linux" or not landlock.version():
        raise SandboxUnavailable(
            "reasoning-gym's scorers evaluate parts of replies, and cannot be contained here: that "
            "needs Linux with Landlock; or accept no isolation at all with --sandbox none"
        )
    return True


def contained(function: Callable[[], float]) -> float:
    """Return what a function returns in a contained copy of this process, which has one thread.

    Raises:
        Unreadable: it raised a `ValueError`, `TypeError` or the like.
        ScorerError: it raised something else, or ended without a finite number.
    """
    ours, theirs = os.pipe()
    pid = os.fork()
    if not pid:
        _answer(function, theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb") as pipe:
        said = pipe.read(_TEXT_BYTES)
    _, status = os.waitpid(pid, 0)
    kind, _, text = said.decode(errors="replace").partition(" ")
    if kind == "value":
        with suppress(ValueError):
            value = float(text)
            if math.isfinite(value):
                return value
    if kind == "unreadable":
        raise Unreadable(text)
    if kind == "failed":
        raise ScorerError(text)
    raise ScorerError(f"the scorer's process ended with {os.waitstatus_to_exitcode(status)}")


def uncontained(function: Callable[[], float]) -> float:
    """Do as ``contained`` in this process."""
    try:
        return float(function())
    except _ABOUT_THE_TEXT as error:
        raise Unreadable(f"{type(error).__name__}: {error}") from None
    except Exception as error:
        raise ScorerError(f"{type(error).__name__}: {error}") from None


def _answer(function: Callable[[], float], descriptor: int) -> None:
    try:
        _close_all_but(descriptor)
        _confine()
        said = f"value {uncontained(function)!r}"
    except Unreadable as error:
        said = f"unreadable {error}"
    except BaseException as error:
        said = f"failed {error or type(error).__name__}"
    finally:
        with suppress(BaseException):
            os.write(descriptor, said.encode(errors="replace")[:_TEXT_BYTES])
        os._exit(0)


def _close_all_but(descriptor: int) -> None:
    os.closerange(3, descriptor)
    os.closerange(descriptor + 1, 2**16)


def _confine() -> None:
    credentials.end_with_parent()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    seccomp.no_new_privileges()
    _refuse_changes()
    if os.getuid() == 0:
        credentials.change_user(credentials.own_uid())
    credentials.drop_capabilities()
    credentials.hide_memory()
    listener = seccomp.install_common(metadata=False, truncate=landlock.version() >= 3)
    if listener is not None:
        os.close(listener)  # nobody counts: what would be reported is refused
    seccomp.last_filter().install()


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


def _refuse_changes() -> None:
    """Have Landlock refuse all it knows of but reading: a ruleset without a single rule."""
    version = landlock.version()
    rights = 13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16
    changes = ((1 << rights) - 1) & ~_READ
    rules = _Ruleset(changes, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = ctypes.c_size_t(8 if version < 4 else 16 if version < 6 else 24)
    create, restrict = number("landlock_create_ruleset"), number("landlock_restrict_self")
    descriptor = checked(LIBC.syscall(create, ctypes.byref(rules), size, 0), "Landlock")
    checked(LIBC.syscall(restrict, descriptor, 0), "Landlock's restriction")
    os.close(descriptor)
