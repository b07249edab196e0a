"""A server's keeper: runs a command, and ends it and its children when its own parent is gone.

``python server_guard.py PARENT COMMAND...``. vLLM's engine outlives a server that is killed, and
the server a run that is: this process has a session of its own with all of them in it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress

POLL_S = 0.5
GRACE_S = 10.0


def main(parent: int, command: list[str]) -> int:
    """Run a command until it ends, or the process ``parent`` has."""
    server = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is for the server: this waits for its end
    while True:
        try:
            return server.wait(POLL_S)
        except subprocess.TimeoutExpired:
            if os.getppid() != parent:
                break
    os.killpg(0, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        server.wait(GRACE_S)
    os.killpg(0, signal.SIGKILL)
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
