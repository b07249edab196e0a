"""Each layer of the sandbox holds alone: an attack fails with it, and works when it is taken out.

Layers overlap. So the others that would stop the same attack are taken out in both runs, and what
is left is the layer of the test.
"""

import ctypes
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
from taken_apart import LIMITS, opened, works

from bakeoff.rewards.code import AssertTests, cage, scripts
from bakeoff.rewards.code.cage import Cage

ROOT = sys.platform == "linux" and os.getuid() == 0

NO_FILTER = "seccomp.install_common = lambda **_: None; seccomp.last_filter = lambda: None"
NO_LAST_FILTER = "seccomp.last_filter = lambda: None"
NO_USER = "credentials.change_user = lambda *_, **__: None"
NO_CAPABILITIES_DROPPED = "credentials.drop_capabilities = lambda **_: None"
NO_ROOT = """
namespaces.new_root = lambda: None
namespaces.new_scratch = lambda **_: None
namespaces.NAMES = tuple(name for name in namespaces.NAMES if name != 'mount')
"""


def without(name: str) -> str:
    return f"namespaces.NAMES = tuple(name for name in namespaces.NAMES if name != {name!r})"


class Layer(NamedTuple):
    level: str
    taken_out: str  # the layer itself
    attack: str  # a program whose function `attack` returns whether it worked
    overlapping: Sequence[str] = ()
    needs_root: bool = False


LAYERS = {
    "network namespace": Layer(
        "namespaces",
        without("network"),
        """
import socket
def attack(port, *_):
    socket.create_connection(("127.0.0.1", port), 5).close()
    return True
""",
        [NO_FILTER],
    ),
    "process namespace": Layer(
        "namespaces",
        without("pid"),
        """
import os
def attack(port, pid, *_):
    os.kill(pid, 0)
    return True
""",
        [NO_FILTER, NO_USER, NO_CAPABILITIES_DROPPED],
    ),
    "mount namespace": Layer(
        "namespaces",
        NO_ROOT,
        """
def attack(port, pid, file, *_):
    return open(file).read() == "open to all"
""",
    ),
    "ipc namespace": Layer(
        "namespaces",
        without("ipc"),
        """
import ctypes
def attack(port, pid, file, key, *_):
    return ctypes.CDLL(None).shmget(key, 1, 0) >= 0
""",
        [NO_FILTER, NO_USER, NO_CAPABILITIES_DROPPED],
    ),
    "host name": Layer(
        "namespaces",
        "namespaces.rename_host = lambda: None",
        """
import os
def attack(port, pid, file, key, host, *_):
    return os.uname().nodename == host
""",
    ),
    "read-only root": Layer(
        "namespaces",
        "namespaces._RDONLY = 0",
        """
import os
def attack(*_):
    return os.access(os.path.dirname(os.__file__), os.W_OK)
""",
        [NO_USER, NO_CAPABILITIES_DROPPED],
        needs_root=True,
    ),
    "Landlock": Layer(
        "landlock",
        "landlock.restrict = lambda scratch: None",
        """
def attack(port, pid, file, *_):
    return open(file).read() == "open to all"
""",
        [NO_USER],
    ),
    "another user": Layer(
        "namespaces",
        NO_USER,
        """
import os
def attack(port, pid, file, *_):
    os.utime(file)
    return True
""",
        [NO_ROOT],
        needs_root=True,
    ),
    "no capabilities": Layer(
        "namespaces",
        NO_CAPABILITIES_DROPPED,
        """
import os
def attack(*_):
    os.chroot("/")
    return True
""",
        [NO_FILTER, NO_USER],
    ),
    "no new privileges": Layer(
        "namespaces",
        "seccomp.no_new_privileges = lambda: None",
        """
import ctypes
def attack(*_):
    return ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) == 0
""",
        [NO_FILTER],
    ),
    "common filter": Layer(
        "namespaces",
        "seccomp.install_common = lambda **_: None",
        """
import socket
def attack(*_):
    socket.socket().close()
    return True
""",
    ),
    "last filter": Layer(
        "namespaces",
        NO_LAST_FILTER,
        """
import os
def attack(*_):
    pid = os.fork()
    if not pid:
        os._exit(0)
    os.waitpid(pid, 0)
    return True
""",
    ),
    "memory limit": Layer(
        "namespaces",
        "limits.limit_program = lambda *_: None",
        """
def attack(*_):
    return len(bytes(200 * 2**20)) > 0
""",
    ),
    "descriptor limit": Layer(
        "namespaces",
        "limits.limit_nest = lambda **_: None",
        """
def attack(*_):
    return len([open("/dev/null") for _ in range(100)]) > 0
""",
    ),
    "closed descriptors": Layer(
        "namespaces",
        "descriptors.close_above = lambda last: None",
        """
import os
def attack(*_):
    for number in range(5, 64):
        try:
            return bool(os.fstat(number))
        except OSError:
            pass
""",
    ),
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[object]]:
    """What a program must not reach: a port, a process, a file, shared memory, the host's name."""
    file = tmp_path_factory.mktemp("outside") / "file"
    file.write_text("open to all")
    for folder in (file.parent, *file.parents[1:-1]):
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    key = 0x62616B65 + os.getpid() % 1000
    libc = ctypes.CDLL(None)
    segment = libc.shmget(key, 4096, 0o1666)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        yield [port, os.getpid(), str(file), key, os.uname().nodename]
    libc.shmctl(segment, 0, None)


@pytest.mark.parametrize("name", LAYERS)
def test_an_attack_fails_with_the_layer_and_works_without(
    name: str, outside: list[object], tmp_path: Path
) -> None:
    layer = LAYERS[name]
    if layer.needs_root and not ROOT:
        pytest.skip("only a sandbox that is started as root has this layer")

    held = opened(tmp_path, layer.level, layer.overlapping)
    with_it = works(held, layer.attack, outside)
    held.end()
    open_ = opened(tmp_path, layer.level, [*layer.overlapping, layer.taken_out])
    without_it = works(open_, layer.attack, outside)
    open_.end()

    assert (with_it, without_it) == (False, True)


def test_the_memory_of_the_tests_process_is_hidden_from_the_program(tmp_path: Path) -> None:
    """The tests' process is forked before the program's; PTRACE_SEIZE does not stop it."""
    attack = """
import ctypes, os
def attack(_):
    return ctypes.CDLL(None).ptrace(0x4206, os.getpid() - 1, 0, 0) == 0
"""
    tests = AssertTests(["x = 1\nassert attack(x) is True"], limits=LIMITS)
    shown = "credentials.hide_memory = lambda: None"

    statuses = []
    for patches in ([NO_FILTER, NO_USER], [NO_FILTER, NO_USER, shown]):
        box = opened(tmp_path, "namespaces", patches)
        statuses.append(scripts.run(box, attack, tests, stop_early=False).outcomes[0].status)
        box.end()

    assert statuses == ["wrong", "passed"]


def test_the_environment_is_not_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "42")
    attack = "import os\ndef attack(*_): return os.environ.get('A_SECRET') == '42'"

    held = Cage("namespaces")
    with_it = works(held, attack, [])
    held.end()
    monkeypatch.setattr(cage, "ENVIRONMENT", {**cage.ENVIRONMENT, "A_SECRET": "42"})
    open_ = Cage("namespaces")
    without_it = works(open_, attack, [])
    open_.end()

    assert (with_it, without_it) == (False, True)


@pytest.mark.parametrize("level", ["namespaces", "landlock"])
def test_the_scratch_folder_is_emptied_after_every_program(level: str, tmp_path: Path) -> None:
    leave = """
import os
def attack(*_):
    os.makedirs("a/b"); open("a/b/c", "w").write("x"); os.symlink("/", "a/root")
    os.mkdir("closed", 0)
    return True
"""
    look = "import os\ndef attack(*_): return bool(os.listdir('.'))"
    never = """
new_scratch = namespaces.new_scratch
namespaces.new_scratch = lambda old=True: None if old else new_scratch(old=False)
nest._Nest._clean = lambda self: None
"""

    found = []
    for taken_out in ([], [never]):
        box = opened(tmp_path, level, taken_out)
        assert works(box, leave, [])
        found.append(works(box, look, []))
        box.end()

    assert found == [False, True]
