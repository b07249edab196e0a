"""The warden: a process that prepares the isolation, starts the nest in it, and cleans up after it.

It keeps the rights that programs must not have, so it runs none, and neither it nor the nest ever
holds a program, a test or an output. Its one task while the nest lives is to empty the scratch
folder when asked.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import sys
import tempfile
from contextlib import suppress

from bakeoff.rewards.code.jail import namespaces, nest
from bakeoff.rewards.code.jail.credentials import own_uid

REFUSED = 3  # exit status: the isolation that was asked for cannot be had


def main() -> None:
    """Run a fork server: its control socket and its settings are on the command line."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    settings = json.loads(sys.argv[2])
    level = settings["level"]
    nest.preload()
    base_bytes = _address_space()
    private = nest.interpreter_is_private()
    scratch = namespaces.SCRATCH
    uid = own_uid() if os.getuid() == 0 and level != "none" else None
    try:
        if level == "namespaces":
            namespaces.unshare(namespaces.NAMES)
            namespaces.new_root()
            namespaces.rename_host()
        else:
            scratch = tempfile.mkdtemp(prefix="bakeoff-", dir=settings["temporary"])
            if uid is not None:
                os.chown(scratch, uid, uid)
    except OSError as error:
        sys.exit(_refusal(control, error))
    plan = nest.Plan(level, scratch, uid, private, base_bytes)
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if not pid:
        ours.close()
        nest.main(control, theirs, plan)
    theirs.close()
    control.send(json.dumps({"nest": pid, "scratch": scratch, "level": level}).encode())
    control.close()
    _clean_when_asked(ours, plan)
    os.waitpid(pid, 0)
    if level != "namespaces":
        shutil.rmtree(scratch, ignore_errors=True)


def _refusal(control: socket.socket, error: OSError) -> int:
    control.send(json.dumps({"refused": error.strerror or str(error)}).encode())
    return REFUSED


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def _clean_when_asked(nest_socket: socket.socket, plan: nest.Plan) -> None:
    while nest_socket.recv(1):
        if plan.level == "namespaces":
            namespaces.new_scratch()
        else:
            empty(plan.scratch)
        nest_socket.send(b"e")


def empty(folder: str) -> None:
    """Delete all that is in a folder, also what may not be read or entered."""

    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with suppress(OSError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                _open_up(path)
                shutil.rmtree(path, ignore_errors=True)
            else:
                os.unlink(path)


def _open_up(folder: str) -> None:
    """Make a tree of folders enterable; symbolic links are not followed."""
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        os.chmod(current, 0o700)
        with os.scandir(current) as entries:
            waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
