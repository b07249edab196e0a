"""Ten thousand programs of all kinds in a row: right verdicts, and nothing grows."""

from __future__ import annotations

import os
import random
import resource
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path

import pytest

from bakeoff.rewards.code import (
    AssertTests,
    Call,
    CallTests,
    Limits,
    Sandbox,
    SandboxUnavailable,
    Score,
    StdioTests,
    Tests,
    levels,
    score,
)

pytestmark = pytest.mark.slow

PROGRAMS = 10_000
MIB = 2**20
LIMITS = Limits(seconds=10, memory_mib=64)
SHORT = Limits(seconds=0.2)
NINE = CallTests("f", [Call((3,), 9), Call((4,), 16)], limits=LIMITS)
SCRIPT = AssertTests(["x = 3\nassert f(x) == 9", "assert f(4) == f(-4)"], limits=LIMITS)
STDIO = StdioTests([("3\n", "9\n"), ("4\n", "16\n")], limits=LIMITS)
SQUARE = "def f(x): return x * x"

# What is run, with which tests, what must come of it, and how often among a thousand.
JOBS: dict[str, tuple[str, Tests, str, int]] = {
    "right": (SQUARE, NINE, "passed", 300),
    "right script": (SQUARE, SCRIPT, "passed", 60),
    "right output": ("print(int(input()) ** 2)", STDIO, "passed", 100),
    "wrong": ("def f(x): return -x", NINE, "wrong", 150),
    "wrong output": ("print(-int(input()))", STDIO, "wrong", 50),
    "raises": ("def f(x): raise ValueError(x)", NINE, "error", 80),
    "no Python": ("def f(x) return x", NINE, "error", 40),
    "ends": ("import os\ndef f(x): os._exit(1)", NINE, "error", 40),
    "crashes": ("import ctypes\ndef f(x): ctypes.string_at(0)", NINE, "error", 30),
    "recurses": ("def f(x): return f(x)", NINE, "error", 10),
    "much memory": ("def f(x): return len(bytes(10**9))", NINE, "out of memory", 20),
    "much output": ("while True: print('x' * 10**6)", STDIO, "output limit", 4),
    "forks": ("import os\ndef f(x): os.fork()", NINE, "error", 25),
    "executes": ("import subprocess\ndef f(x): subprocess.run(['true'])", NINE, "error", 10),
    "network": ("import socket\ndef f(x): socket.socket()", NINE, "error", 15),
    "threads": ("""
import threading, time
def f(x):
    for _ in range(3): threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    return x * x
""", NINE, "passed", 15),
    "files": ("""
import os
def f(x):
    os.makedirs(f"a{x}/b/c"); os.symlink("/", f"link{x}"); os.mkdir(f"closed{x}", 0)
    for n in range(20): open(f"file{x}{n}", "w").write("x" * 10000)
    return x * x
""", NINE, "passed", 40),
    "open files": ("""
import tempfile
KEPT = [tempfile.NamedTemporaryFile(delete=False) for _ in range(20)]
def f(x): return x * x
""", NINE, "passed", 10),
    "times out": ("def f(x):\n    while True: pass", CallTests("f", [Call((3,), 9)], limits=SHORT),
                  "timed out", 1),
}  # fmt: skip


class State:
    """What must not grow: of this process and of the servers."""

    def __init__(self, sandbox: Sandbox, temporary: Path) -> None:
        pids = [os.getpid(), *sandbox.pids()]
        self.descriptors = [len(os.listdir(f"/proc/{pid}/fd")) for pid in pids]
        self.mounts = [len(Path(f"/proc/{pid}/mounts").read_text().split("\n")) for pid in pids]
        self.processes = sorted(len(children(pid)) for pid in pids)
        self.files = sorted(str(path) for path in temporary.rglob("*"))
        self.pids = pids

    def resident_mib(self) -> list[int]:
        pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.pids]
        return [some * resource.getpagesize() // MIB for some in pages]


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.fixture(params=levels.CONTAINED)
def sandbox(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sandbox]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        with Sandbox(workers=1, level=request.param) as made:
            assert made.level == request.param
            yield made
    except SandboxUnavailable as error:
        pytest.skip(str(error))


def test_ten_thousand_programs_leave_the_sandbox_as_it_was(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    names = [name for name, job in JOBS.items() for _ in range(job[3])]
    assert len(names) == 1000
    order = random.Random("soak")
    wrong: Counter[tuple[str, Score]] = Counter()
    numbers = count()

    def run(chosen: Iterable[str]) -> None:
        for name in chosen:
            program, tests, status, _ = JOBS[name]
            # each is new, or its verdict would be remembered
            verdict = score(f"{program}\n# {next(numbers)}", tests, sandbox=sandbox)
            if verdict.reason or set(verdict.statuses) != {status}:
                wrong[name, verdict] += 1

    run([*JOBS] * 20)
    before = State(sandbox, tmp_path)
    resident = before.resident_mib()
    run(order.choices(names, k=PROGRAMS - 20 * len(JOBS)))
    after = State(sandbox, tmp_path)

    assert not wrong
    assert vars(after) == vars(before)
    assert (sandbox.started, sandbox.broken) == (1, 0)
    # remembered verdicts, up to 4096 of a kilobyte and more; the servers keep nothing
    grown = [now - then for now, then in zip(after.resident_mib(), resident, strict=True)]
    assert grown[0] <= 20
    assert max(grown[1:]) <= 2
