"""What the tests of the sandbox share: programs, processes that score, and changed servers."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bakeoff.rewards.code import Call, CallTests, Limits, Sandbox, Score, Tests, score
from bakeoff.rewards.code.cage import START, Cage

LONG = Limits(seconds=40)
NINE = CallTests("f", [Call((3,), 9)], limits=LONG)
SQUARE = "def f(x): return x * x"
SLOW = "import time\ntime.sleep(1)\n" + SQUARE
SLEEPER = "import time\ntime.sleep(30)\n" + SQUARE

HOST = """
import os, sys, time
from bakeoff.rewards.code import Call, CallTests, Sandbox, score
nine = CallTests("f", [Call((3,), 9)])
SQUARE = "def f(x): return x * x"
"""

# The beginning of a program that forges what is said on its descriptors, in frames.
SAY = """
import json, os
def say(fd, message):
    body = message if type(message) is bytes else json.dumps(message).encode()
    data = len(body).to_bytes(4, "big") + body
    while data: data = data[os.write(fd, data):]
def answer(value):
    say(3, {"loaded": True})
    say(3, b'{"value":' + value + b'}')
    os._exit(0)
MIB16 = 2**24 - 100
def many(text, more=b"1"):
    return b"[" + text * ((MIB16 - len(more)) // len(text)) + more + b"]"
def digits(n): return b'{"i":"0x%b"}' % os.urandom(n // 2).hex().encode()
same_hashes = [i * (2**61 - 1) for i in range(20000)]
"""


def squares() -> str:
    """Return a right program that was not scored before."""
    return f"{SQUARE}  # {time.monotonic_ns()}"


def host(code: str, *argv: str) -> subprocess.Popen[str]:
    """Start a script that scores programs."""
    command = [sys.executable, "-W", "error", "-c", HOST + code, *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def start_of(tmp_path: Path, statements: str) -> str:
    """Return the script of a server that runs some statements over its parts, and then starts."""
    script = tmp_path / "start.py"
    script.write_text(f"""
import importlib.util
spec = importlib.util.spec_from_file_location("start", {START!r})
start = importlib.util.module_from_spec(spec)
spec.loader.exec_module(start)
start.enlarge_stack()
start.make_importable()
from bakeoff.rewards.code.jail import (
    credentials, descriptors, landlock, limits, namespaces, nest, notices, seccomp, warden)
def refuse(*args, **kwargs):
    raise OSError("not today")
{statements}
warden.main()
""")
    return str(script)


def changed(tmp_path: Path, change: str) -> Callable[[str], Cage]:
    """Return what makes cages whose servers are changed by some statements when they start."""
    start = start_of(tmp_path, change)
    return lambda level: Cage(level, start=start)


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def judged(program: str, tests: Tests, sandbox: Sandbox) -> Score:
    """Score a program, which must cost neither a server nor a reason."""
    broken = sandbox.broken
    verdict = score(program, tests, sandbox=sandbox)
    assert (verdict.reason, len(verdict.statuses)) == ("", tests.count)
    assert sandbox.broken == broken
    return verdict
