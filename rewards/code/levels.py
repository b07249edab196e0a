"""Levels of isolation: which can be had on this machine, and whether they hold."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import NamedTuple

from bakeoff.errors import UsageError, unknown
from bakeoff.rewards.code import calls
from bakeoff.rewards.code.cage import ENVIRONMENT, Cage, CageBroken, Refused
from bakeoff.rewards.code.comparing import Equal
from bakeoff.rewards.code.kinds import Limits
from bakeoff.rewards.code.splitting import Question
from bakeoff.rewards.code.verdicts import PASSED

LEVELS = ("namespaces", "landlock", "none")
CONTAINED = LEVELS[:2]  # the best one first
VARIABLE = "BAKEOFF_SANDBOX"

# What a contained program must not be able to do. It returns the names of what it could do.
_BREAKOUT = """
import os, socket

def tried(act):
    try:
        act()
    except OSError:
        return False
    return True

def breakout(outside, names):
    acts = {
        "read /etc/passwd": lambda: open("/etc/passwd").close(),
        "write outside": lambda: open(outside + "/bakeoff-breakout", "x").close(),
        "list processes": lambda: os.listdir("/proc"),
        "read its parent's memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb").close(),
        "open a socket": socket.socket,
        "signal its parent": lambda: os.kill(os.getppid(), 0),
        "start a process": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    }
    found = [name for name, act in acts.items() if tried(act)]
    found += ["see the environment"] * bool(set(os.environ) - set(names))
    found += ["use descriptors"] * any(tried(lambda: os.fstat(n)) for n in range(4, 256))
    return found
"""


class SandboxUnavailable(UsageError):
    """Programs cannot be contained on this machine, and nobody has said that they need not be."""


class Layer(NamedTuple):
    """Something that containment is made of, for people to read.

    Attributes:
        name: what it is.
        available: whether it can be had here.
        detail: more about it, or why not.
    """

    name: str
    available: bool
    detail: str


def chosen_level() -> str | None:
    """Return the level that the environment variable ``BAKEOFF_SANDBOX`` asks for, if any.

    Raises:
        UsageError: it names none.
    """
    name = os.environ.get(VARIABLE, "auto")
    if name in ("auto", ""):
        return None
    if name not in LEVELS:
        raise unknown(f"level of isolation in {VARIABLE}", name, ("auto", *LEVELS))
    return name


def opened(level: str | None) -> Cage:
    """Return a cage at a level, or at the best one that can be had.

    Raises:
        SandboxUnavailable: it cannot be had, with what is missing.
        CageBroken: a server does not start, for another reason.
    """
    _check_platform()
    missing = []
    for name in CONTAINED if level is None else (level,):
        try:
            cage = Cage(name)
        except Refused as error:
            missing.append(f"{name}: {error}")
            continue
        possible = "" if name == "none" else breakouts(cage)
        if not possible:
            return cage
        cage.end()
        missing.append(f"{name}: a program could do {possible}")
    raise SandboxUnavailable(
        f"model-written programs cannot be contained here ({'; '.join(missing)}); allow user "
        "namespaces or Landlock, or accept no isolation at all with --sandbox none"
    )


def _check_platform() -> None:
    if sys.platform != "linux":
        raise SandboxUnavailable(
            f"model-written programs are run on Linux only, not on {sys.platform}: "
            "use a Linux machine, virtual machine or container"
        )


def breakouts(cage: Cage) -> str:
    """Return what a program could do in a cage that it must not, by having one try.

    Raises:
        CageBroken: no program can be run.
    """
    names = [*ENVIRONMENT, "HOME", "TMPDIR", "LC_CTYPE"]
    with tempfile.TemporaryDirectory() as outside:
        os.chmod(outside, 0o777)
        question = Question("breakout", (outside, names), {}, Equal([]))
        run = calls.run(cage, _BREAKOUT, [question], Limits(seconds=20), stop_early=False)
    (outcome,) = run.outcomes
    return "" if outcome.status == PASSED else outcome.got or outcome.message


def best_level() -> str:
    """Return the level that ``BAKEOFF_SANDBOX`` asks for, or the best that can be had.

    Raises:
        SandboxUnavailable: it cannot be had, with what is missing.
    """
    try:
        cage = opened(chosen_level())
    except CageBroken as error:
        raise SandboxUnavailable(str(error)) from None
    cage.end()
    return cage.level


def probe() -> list[Layer]:
    """Return what can be had of the sandbox on this machine, by trying it."""
    found = []
    for name in CONTAINED:
        try:
            _check_platform()
            cage = Cage(name)
            possible = breakouts(cage)
            cage.end()
        except (Refused, CageBroken, SandboxUnavailable) as error:
            found.append(Layer(name, False, str(error)))
            continue
        if possible:
            found.append(Layer(name, False, f"a program could do {possible}"))
        else:
            counted = "refused acts are counted" if cage.counts else "refused acts are not counted"
            found.append(Layer(name, True, f"a test program was contained; {counted}"))
    root = sys.platform == "linux" and os.getuid() == 0
    detail = "started as root" if root else "only root can give programs a user of their own"
    return [*found, Layer("another user id", root, detail)]
