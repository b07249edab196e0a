"""How sandboxes start and end: killed, interrupted, forked, spawned, and as an ordinary user."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path

import pytest
from code_hosts import HOST, NINE, SLEEPER, SLOW, SQUARE, children, host, squares
from worker_requests import alive, eventually

import bakeoff
from bakeoff.rewards.code import Sandbox, SandboxUnavailable, levels, score

ORDINARY_UID = 64999


@pytest.fixture
def single() -> Iterator[Sandbox]:
    try:
        with Sandbox(workers=1) as sandbox:
            assert sandbox.level in levels.CONTAINED
            yield sandbox
    except SandboxUnavailable as error:
        pytest.skip(f"no sandbox on this machine: {error}")


@pytest.fixture(params=levels.CONTAINED)
def level(request: pytest.FixtureRequest) -> str:
    with Sandbox(workers=1, level=request.param) as sandbox:
        try:
            return sandbox.level
        except SandboxUnavailable as error:
            pytest.skip(str(error))


@pytest.mark.parametrize("which", ["warden", "nest"])
def test_a_server_that_is_killed_is_replaced_and_no_verdict_is_lost(
    which: str, single: Sandbox
) -> None:
    with ThreadPoolExecutor(1) as thread:
        verdict = thread.submit(score, SLOW, NINE, sandbox=single)
        assert eventually(lambda: bool(children(single.pids()[1])))
        os.kill(single.pids()[which == "nest"], signal.SIGKILL)

        assert verdict.result().statuses == ("passed",)
    assert (single.started, single.broken) == (2, 1)


def test_an_idle_server_that_is_killed_is_replaced(single: Sandbox) -> None:
    killed = single.pids()
    os.kill(killed[1], signal.SIGKILL)
    assert eventually(lambda: not alive(killed[1]))

    assert score(SQUARE, NINE, sandbox=single).statuses == ("passed",)
    assert not set(single.pids()) & set(killed)


def test_an_interrupted_score_leaves_no_stale_answer_behind(single: Sandbox) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGINT])
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            score(SLEEPER, NINE, sandbox=single)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)

    assert score(squares(), NINE, sandbox=single).statuses == ("passed",)


def test_a_ctrl_c_is_not_the_servers_business(single: Sandbox) -> None:
    before = single.pids()
    for pid in before:
        assert os.getpgid(pid) != os.getpgid(0)  # the terminal does not even send it there

    assert score(SQUARE, NINE, sandbox=single).statuses == ("passed",)
    assert single.pids() == before


def test_a_sandbox_works_in_a_daemonic_spawned_process(single: Sandbox) -> None:
    with get_context("spawn").Pool(1) as daemons:  # its processes may have no multiprocessing child
        verdict = daemons.apply(score, (SQUARE, NINE), {"sandbox": single})

    assert verdict.statuses == ("passed",)
    assert pickle.loads(pickle.dumps(verdict)) == verdict  # noqa: S301 - made here


def test_a_forked_child_has_servers_of_its_own_and_leaves_its_parents_alone() -> None:
    code = """
import gc
sandbox = Sandbox(workers=1)
score(SQUARE, nine, sandbox=sandbox)
parents = sandbox.pids()
child = os.fork()
if not child:
    right = score(SQUARE, nine, sandbox=sandbox).statuses == ("passed",)
    own = not set(sandbox.pids()) & set(parents)
    sandbox.close()
    gc.collect()
    os._exit(0 if right and own else 1)
_, status = os.waitpid(child, 0)
verdict = score(SQUARE + " ", nine, sandbox=sandbox)
print(status, *verdict.statuses, sandbox.started, sandbox.pids() == parents)
"""

    out, _ = host(code).communicate(timeout=60)

    assert out.split() == ["0", "passed", "1", "True"]


def test_nothing_is_left_of_a_host_that_is_killed(
    level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """
import threading
sandbox = Sandbox(workers=1, level=sys.argv[1])
score(SQUARE, nine, sandbox=sandbox)
busy = "open('file', 'w').write('x')\\nwhile True: pass"
threading.Thread(target=score, args=(busy, nine), kwargs={"sandbox": sandbox}).start()
time.sleep(0.5)
print(*sandbox.pids(), flush=True)
"""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = host(code, level)
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    (program,) = children(pids[1])

    process.kill()
    process.communicate()

    assert eventually(lambda: not any(map(alive, [*pids, program])))
    assert eventually(lambda: not list(tmp_path.iterdir()))


def test_nothing_is_left_of_a_closed_sandbox(
    level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Sandbox(workers=1, level=level) as sandbox:
        score("open('file', 'w').write('x')\n" + SQUARE, NINE, sandbox=sandbox)
        pids = sandbox.pids()

    assert not any(map(alive, pids))
    assert not list(tmp_path.iterdir())


LITTER = {
    "nested more than can recurse": "for _ in range(1100): os.mkdir('a'); os.chdir('a')",
    "a long path": "for _ in range(200): os.mkdir('a' * 100); os.chdir('a' * 100)",
    "closed": "os.makedirs('a/b/c'); os.mkdir('a/b/closed', 0); os.mkdir('closed', 0)",
    "a link to outside": "os.symlink('/usr', 'usr'); os.mkdir('a'); os.symlink('..', 'a/up')",
    "many files": """
with contextlib.suppress(OSError):
    for n in range(3000): os.close(os.open(str(n), os.O_CREAT))
""",
}


@pytest.mark.parametrize("name", LITTER)
def test_whatever_a_program_leaves_behind_its_verdict_comes_and_the_server_stays(
    name: str, level: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"import contextlib, os\n{LITTER[name]}\n{SQUARE}"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Sandbox(workers=1, level=level) as sandbox:
        assert score(program, NINE, sandbox=sandbox).statuses == ("passed",)
        look = f"import os\nassert not os.listdir('.')\n{SQUARE}"
        assert score(look, NINE, sandbox=sandbox).statuses == ("passed",)
        assert (sandbox.started, sandbox.broken) == (1, 0)
    assert not list(tmp_path.iterdir())


def ordinary_python() -> str:
    """Return an interpreter that an ordinary user can run, with this package."""
    for python in (sys.executable, "/usr/bin/python3"):
        command = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
        with suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(command, user=ORDINARY_UID, group=ORDINARY_UID, cwd="/", check=True)
            return python
    pytest.skip("no interpreter here that another user may run")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_has_a_sandbox_too(level: str) -> None:
    code = """
with Sandbox(workers=1, level=sys.argv[1]) as sandbox:
    print(os.getuid(), score(SQUARE, nine, sandbox=sandbox).statuses, sandbox.level)
    deep = "import os\\nfor _ in range(1500): os.mkdir('a', 0o500) or os.chdir('a')"
    print(score(deep, nine, sandbox=sandbox).statuses)
    print(score("import os; os.fork()", nine, sandbox=sandbox).refused, sandbox.broken)
"""
    done = subprocess.run(
        [ordinary_python(), "-c", HOST + code, level],
        env={"PYTHONPATH": str(Path(bakeoff.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        user=ORDINARY_UID, group=ORDINARY_UID, extra_groups=[], cwd="/",
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "SandboxUnavailable" in done.stderr:
        pytest.skip(f"{level} is for root alone here: {done.stderr.splitlines()[-1]}")

    # a folder without the right to write in it cannot get a second one inside
    assert done.stdout.splitlines() == [
        f"{ORDINARY_UID} ('passed',) {level}",
        "('error',)",
        "('process',) 0",
    ], done.stderr
