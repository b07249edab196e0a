"""A server's keeper: runs a command, and ends it and its children when its own parent is gone.

``python server_guard.py PARENT FOLDERS COMMAND...``. vLLM's engine outlives a server that is
killed, and a server the run that is: this process has a session of its own with all of them in it.
What a run that is killed leaves in ``FOLDERS``, which may be in memory, is removed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

POLL_S = 0.5
GRACE_S = 10.0


def main(parent: int, folders: list[str], command: list[str]) -> int:
    """Run a command until it ends, or the process ``parent`` has, or until SIGTERM."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    server = subprocess.Popen(command)
    while not asked and os.getppid() == parent:
        with suppress(subprocess.TimeoutExpired):
            return server.wait(POLL_S)
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)  # whatever of it is left, and this
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2].split(os.pathsep), sys.argv[3:]))
