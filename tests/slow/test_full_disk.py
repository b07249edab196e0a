"""Real runs on a real file system that is full, then has room, then may not be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = """
set -e
mkdir disk
mount -t tmpfs -o size=2m tmpfs disk
compare() {{
    set +e
    {python} -m bakeoff compare --algorithms grpo --seeds 1 --updates 2 --prompts-per-update 2 \
        --group-size 2 --eval-items 2 --checkpoint-every 1 --no-audit --quiet --out disk/grid >&2
    echo "$1 $?"
    set -e
}}
compare full
grep '"status"' disk/grid/cells/*/status.json
mount -o remount,size=200m disk
compare room
tail -n +2 disk/grid/summary.csv | wc -l
grep '"attempt"' disk/grid/cells/*/spec.json
mount -o remount,ro disk
compare readonly
"""


def namespaces() -> bool:
    """Return whether this user may mount a file system for one process."""
    try:
        command = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "x"]
        done = subprocess.run([*command, "/mnt"], capture_output=True, check=False)
    except FileNotFoundError:
        return False
    return done.returncode == 0


@pytest.mark.skipif(not namespaces(), reason="no file system can be mounted here")
def test_a_full_disk_ends_the_grid_with_one_line_and_with_room_it_goes_on(tmp_path: Path) -> None:
    script = SCRIPT.format(python=sys.executable)
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]

    done = subprocess.run(
        [*unshare, "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    full, status, room, rows, attempt, readonly = done.stdout.split("\n")[:-1]
    errors = [line for line in done.stderr.splitlines() if line.startswith("bakeoff: error:")]
    assert (full, room, readonly) == ("full 1", "room 0", "readonly 2"), done.stderr
    assert status.strip() == '"status": "interrupted",'
    assert int(rows) > 0
    assert attempt.strip().rstrip(",") == '"attempt": 2'
    assert len(errors) == 2, done.stderr
    assert errors[0].startswith("bakeoff: error: cannot write into disk/grid/cells/grpo-")
    assert errors[0].endswith("the same command goes on once there is room")
    assert errors[1] == "bakeoff: error: cannot write into disk/grid: Read-only file system"
