"""Ways around the sandbox that a review found: each was open once, and stays closed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from code_hosts import changed

from bakeoff.rewards.code import AssertTests, Call, CallTests, Limits, Sandbox, Score, calls, score
from bakeoff.rewards.code.cage import Cage, Refused, Report
from bakeoff.rewards.code.comparing import Equal
from bakeoff.rewards.code.jail.scratch import empty
from bakeoff.rewards.code.judging import ended
from bakeoff.rewards.code.levels import CONTAINED, SandboxUnavailable
from bakeoff.rewards.code.splitting import Question, used_modules

TRUE = CallTests("f", [Call((), True)], limits=Limits(seconds=20))
DONE = ("passed",)

TRIED = """
def tried(act, *arguments):
    try: act(*arguments)
    except OSError: return False
    return True
"""


@pytest.fixture(scope="module", params=CONTAINED)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(workers=1, level=request.param) as opened:
        try:
            assert opened.level == request.param
        except SandboxUnavailable as error:
            pytest.skip(f"{request.param} cannot be had here: {error}")
        yield opened


NAMESPACES = pytest.mark.parametrize("sandbox", ["namespaces"], indirect=True)


def run(program: str, sandbox: Sandbox) -> Score:
    return score(TRIED + program, TRUE, sandbox=sandbox)


def test_no_signal_by_way_of_the_owner_of_a_socket(sandbox: Sandbox) -> None:
    # SIGIO ended the nest where that is no process 1: no verdict, and no penalty.
    verdict = run(
        """
import fcntl, os, socket, struct, time
def f():
    near, far = socket.socketpair()
    asked = [tried(fcntl.ioctl, near, command, struct.pack("i", os.getppid()))
             for command in (0x8901, 0x8902)]
    fcntl.fcntl(near, fcntl.F_SETFL, os.O_ASYNC)
    far.send(b"x")
    time.sleep(0.1)
    return not any(asked)
""",
        sandbox,
    )

    assert (verdict.reason, verdict.statuses) == ("", DONE)


def test_no_datagram_reaches_a_socket_outside(sandbox: Sandbox) -> None:
    (folder := Path("/tmp") / f"bakeoff-{os.getpid()}").mkdir()  # where other users may enter
    for address in (f"{folder}/s", f"\0{folder.name}"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as outside:
            outside.bind(address)
            if address[0] == "/":
                os.chmod(address, 0o777)
            run(
                f"""
import socket
def f():
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
        tried(lambda: socket.socketpair(socket.AF_UNIX, kind)[0].sendto(b"x", {address!r}))
""",
                sandbox,
            )
            outside.setblocking(False)
            with pytest.raises(BlockingIOError):
                outside.recv(1)
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "act",
    [
        "near.send(b'x', socket.MSG_OOB)",  # a part of the kernel that only attacks have used
        "near.sendmsg([b'x'])",  # so that no descriptor is passed
        "fcntl.ioctl(open('/usr', opener=lambda p, _: os.open(p, 0)), 0x80086601, bytes(8))",
    ],
)
def test_rare_interfaces_are_closed(act: str, sandbox: Sandbox) -> None:
    program = f"""
import fcntl, os, socket
def f():
    near, far = socket.socketpair()
    return not tried(lambda: {act})
"""

    assert run(program, sandbox).statuses == DONE


def test_what_honest_programs_ask_of_a_descriptor_works(sandbox: Sandbox) -> None:
    program = """
import asyncio, os, shutil, socket, sys
def f():
    near, far = socket.socketpair()
    near.setblocking(False)
    os.set_inheritable(far.fileno(), True)
    shutil.get_terminal_size()
    sys.stdout.isatty()
    return asyncio.run(asyncio.sleep(0.001, True))
"""

    assert run(program, sandbox).statuses == DONE


def test_a_lock_does_not_outlive_its_program(sandbox: Sandbox) -> None:
    lock = "import fcntl\ndef f(): return tried(fcntl.flock, {0}, fcntl.LOCK_EX | fcntl.LOCK_NB)"
    run(lock.format(2), sandbox)

    assert run(lock.format("open('/dev/null')"), sandbox).statuses == DONE


def test_the_mode_of_the_scratch_folder_does_not_outlive_its_program(tmp_path: Path) -> None:
    # Where bakeoff is not started as root, the folder belongs to the programs.
    make = changed(tmp_path, "nest.credentials.change_user = lambda *_, **__: None")
    try:
        cage = make("namespaces")
    except Refused as error:
        pytest.skip(str(error))
    programs = ["import os\ndef f(): os.chmod('.', 0o500)", "def f(): open('x', 'w').close()"]
    questions = [Question("f", (), {}, Equal(None))]
    runs = [calls.run(cage, one, questions, TRUE.limits, stop_early=False) for one in programs]
    cage.end()

    assert [run.outcomes[0].status for run in runs] == ["passed", "passed"]


@NAMESPACES
def test_the_devices_keep_their_times(sandbox: Sandbox) -> None:
    before = os.stat("/dev/null").st_mtime_ns
    run("import os\ndef f(): return not tried(os.utime, '/dev/null')", sandbox)

    assert os.stat("/dev/null").st_mtime_ns == before


@NAMESPACES
def test_installed_packages_cannot_be_read(sandbox: Sandbox) -> None:
    # One may hold a data set, with its tests and its solutions.
    program = """
import glob, sys
def f():
    return not any(glob.glob(f"{place}/lib*/python*/{kind}-packages/*")
                   for place in ("/usr", "/usr/local", sys.base_prefix)
                   for kind in ("site", "dist"))
"""

    assert run(program, sandbox).statuses == DONE


@NAMESPACES
def test_files_can_be_copied_with_what_belongs_to_them(sandbox: Sandbox) -> None:
    program = """
import shutil
def f():
    open("a", "w").close()
    return shutil.copy2("a", "b") == "b"
"""

    assert run(program, sandbox).statuses == DONE


def test_starting_a_process_without_fork_is_counted(sandbox: Sandbox) -> None:
    verdict = run("import os\ndef f(): os.posix_spawn('/bin/true', ['true'], {})", sandbox)

    assert verdict.refused == ("process",)


def test_all_tests_together_end_in_time(sandbox: Sandbox) -> None:
    # 20 calls of 0.3 s, each within its 0.5 s, would take 6 s.
    tests = CallTests("f", [Call((), None)] * 20, limits=Limits(seconds=0.5, total_seconds=1))
    verdict = score("import time\ndef f(): time.sleep(0.3)", tests, sandbox=sandbox)

    assert verdict.seconds < 3
    assert verdict.statuses[-1] == "not run"


def test_saying_over_and_over_that_it_compiled_ends_a_program(sandbox: Sandbox) -> None:
    # The scoring process read that for as long as the test might take.
    program = """
import os
body = b'{"compiled": 1}'
while True: os.write(3, len(body).to_bytes(4, "big") + body)
"""

    assert run(program, sandbox).statuses == ("error",)


@pytest.mark.parametrize("use", ["f(3)[:2] == [0, 1]", "f(3).union(map(int, '12')) == {1, 2}"])
def test_an_object_where_a_list_or_set_is_due_is_a_failure(use: str, sandbox: Sandbox) -> None:
    program = "class A:\n    def union(self, *_): return self\ndef f(n): return A()"
    verdict = score(program, AssertTests([f"assert {use}"]), sandbox=sandbox)

    assert (verdict.reason, verdict.statuses) == ("", ("error",))


def test_an_object_can_be_sliced(sandbox: Sandbox) -> None:
    program = "class A:\n    def __getitem__(self, key): return list(range(9))[key]\nf = A"

    tests = AssertTests(["assert f()[1:6:2] == [1, 3, 5]"])

    assert score(program, tests, sandbox=sandbox).statuses == DONE


def test_what_tests_use_of_a_standard_module_is_that_modules(sandbox: Sandbox) -> None:
    program = "class math:\n    isclose = staticmethod(lambda *_: True)\ndef f(): return 1"

    verdict = score(program, AssertTests(["assert math.isclose(f(), 2.5)"]), sandbox=sandbox)
    assert verdict.statuses == ("wrong",)


def test_a_name_that_is_also_called_is_no_module() -> None:
    # `copy` is called by itself, so it is the program's; of `math` two things are used.
    texts = ["copy(1); copy.copy(2)", "math.pi < math.e", "x.y"]

    assert used_modules(texts) == {"math": ["pi", "e"]}


def test_a_generator_is_as_good_as_a_list_for_what_takes_both(sandbox: Sandbox) -> None:
    tests = AssertTests([f"assert {made}(f(3)) == {made}([0, 1, 2])" for made in ("list", "set")])

    assert score("def f(n): yield from range(n)", tests, sandbox=sandbox).parts["all"] == 1.0


def test_either_greeting_of_a_server_may_come_first(tmp_path: Path) -> None:
    change = """
import json, os, time
dumps = json.dumps
json.dumps = lambda message: [time.sleep(0.3 if "nest" in message else 0), dumps(message)][1]
"""
    try:
        cage = changed(tmp_path, change)("landlock")
    except Refused as error:
        pytest.skip(str(error))
    _, nest = cage.pids()
    cage.end()

    assert nest > 0


def test_a_server_that_hangs_is_ended_with_its_deeply_nested_folder() -> None:
    try:
        cage = Cage("landlock")
    except Refused as error:
        pytest.skip(str(error))
    here = os.getcwd()
    os.chdir(scratch := cage._scratch)
    for _ in range(sys.getrecursionlimit() + 100):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(here)
    os.kill(cage.pids()[0], signal.SIGSTOP)
    cage.end()

    assert not os.path.exists(scratch)


def test_emptying_a_folder_leaves_what_a_link_leads_to(tmp_path: Path) -> None:
    (outside := tmp_path / "outside").mkdir(mode=0o750)
    (scratch := tmp_path / "scratch").mkdir()
    (scratch / "link").symlink_to(outside)
    (scratch / "folder").mkdir(mode=0)
    empty(str(scratch))

    assert not list(scratch.iterdir())
    assert stat.S_IMODE(outside.stat().st_mode) == 0o750


def test_programs_are_the_first_to_go_when_memory_is_short(sandbox: Sandbox) -> None:
    scores = [Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in sandbox.pids()]

    assert scores == ["1000", "1000"]


def test_an_end_by_a_signal_without_a_name_has_words() -> None:
    report = Report({"status": -40, "refused": {}}, "")

    assert ended(report, Limits()).message == "the program was ended by signal 40"
