"""The warden: a process that prepares the isolation, starts the nest in it, and cleans up after it.

It keeps the rights that programs must not have, so it runs none, and neither it nor the nest ever
holds a program, a test or an output. Its one task while the nest lives is to empty the scratch
folder when asked.
"""

from __future__ import annotations

import _socket
import json
import os
import sys
from contextlib import suppress

from bakeoff.rewards.code.jail import descriptors, limits, namespaces, nest
from bakeoff.rewards.code.jail.credentials import interpreter_is_private, own_uid
from bakeoff.rewards.code.jail.scratch import empty

REFUSED = 3  # exit status: the isolation that was asked for cannot be had


def main() -> None:
    """Run a fork server: its control socket and its settings are on the command line."""
    control = descriptors.reserve(int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    level, scratch = settings["level"], settings["scratch"] or namespaces.SCRATCH
    limits.die_first()
    nest.preload()
    base_bytes, private = _address_space(), interpreter_is_private()
    uid = own_uid() if os.getuid() == 0 and level != "none" else None
    try:
        if level == "namespaces":
            namespaces.unshare(namespaces.NAMES)
            namespaces.new_root()
            namespaces.rename_host()
        elif uid is not None:
            os.chown(scratch, uid, uid)
    except OSError as error:
        os.write(control, json.dumps({"refused": str(error)}).encode())
        sys.exit(REFUSED)
    plan = nest.Plan(level, scratch, uid, private, base_bytes)
    near, far = _socket.socketpair()
    pid = os.fork()
    if not pid:
        near.close()
        nest.main(control, far.detach(), plan)
    far.close()
    os.write(control, json.dumps({"nest": pid}).encode())
    os.close(control)
    while near.recv(1):
        if level == "namespaces":
            namespaces.new_scratch()
        else:
            empty(scratch)
        near.send(b"e")
    os.waitpid(pid, 0)
    if level != "namespaces":  # the host may have been killed
        with suppress(OSError):
            empty(scratch)
            os.rmdir(scratch)


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
