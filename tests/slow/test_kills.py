"""A grid that is killed again and again ends with the tables of one that was left in peace."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from without_clocks import CLOCKS, rows, words

pytestmark = pytest.mark.slow

KILLS = 20
SEED = 8

COMMAND = words("""
    --algorithms grpo,ppo --seeds 3 --updates 3 --prompts-per-update 2 --group-size 2
    --eval-items 4 --eval-every 1 --threads 1 --checkpoint-every 1 --no-audit
""")


def start(out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "bakeoff", "compare", *COMMAND, "--out", str(out)]
    with (out.parent / "driver.log").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def cells_of(driver: subprocess.Popen[bytes]) -> list[int]:
    """Return the processes that a driver has started, or an orphan of its lives on as."""
    try:
        return [
            int(pid)
            for pid in Path(f"/proc/{driver.pid}/task/{driver.pid}/children").read_text().split()
        ]
    except FileNotFoundError:
        return []


def last_row(out: Path) -> float:
    """Return when a cell last wrote a row."""
    found = [0.0]
    for path in out.glob("cells/*/curves.csv"):
        with suppress(FileNotFoundError):
            found.append(path.stat().st_mtime)
    return max(found)


def moment(out: Path, driver: subprocess.Popen[bytes], chance: random.Random) -> bool:
    """Wait for any moment, or one while a cell trains; return whether the driver still lives."""
    if chance.random() < 0.5:
        delay = chance.uniform(0.3, 12.0)
    else:
        begun, delay = time.time(), chance.uniform(0.0, 1.0)
        while driver.poll() is None and last_row(out) < begun:
            time.sleep(0.02)
    try:
        driver.wait(delay)
    except subprocess.TimeoutExpired:
        return True
    return False


def killed(out: Path, chance: random.Random) -> Iterator[str]:
    """Kill driver or cell or both at random moments, for ever; yield who it was.

    A driver that came to its end finds a cell's folder deleted the next time.
    """
    driver = start(out)
    try:
        while True:
            if moment(out, driver, chance):
                victim = chance.choice(["driver", "cell", "both"])
                cells = cells_of(driver)
                if victim != "driver":
                    for pid in cells:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                if victim != "cell":
                    driver.kill()
                    driver.wait()
                if cells or victim == "driver":
                    yield victim
            else:
                ended = sorted(out.glob("cells/*"))
                if ended and driver.returncode != 2:  # 2: the orphan of a driver is still at work
                    shutil.rmtree(chance.choice(ended))
            if driver.poll() is not None:
                driver = start(out)
    finally:
        driver.wait()


def finished(out: Path) -> None:
    """Let a grid come to its end, with what was killed run once more."""
    deadline = time.monotonic() + 600
    for more in ([], ["--only", "failed"]):
        command = [sys.executable, "-m", "bakeoff", "compare", *COMMAND, "--out", str(out), *more]
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if "is at work in" not in done.stderr:  # neither the last driver nor its orphan
                break
            assert time.monotonic() < deadline
            time.sleep(1)
        assert done.returncode == 0, done.stderr


def test_twenty_kills_change_nothing_but_the_times(tmp_path: Path) -> None:
    out, whole = tmp_path / "killed" / "grid", tmp_path / "whole" / "grid"
    out.parent.mkdir()
    whole.parent.mkdir()
    assert start(whole).wait() == 0
    kills = killed(out, random.Random(SEED))

    victims = [next(kills) for _ in range(KILLS)]

    kills.close()
    finished(out)
    assert set(victims) == {"driver", "cell", "both"}
    for name in CLOCKS:
        assert rows(out, name) == rows(whole, name), name
    assert (out / "samples.jsonl").read_bytes() == (whole / "samples.jsonl").read_bytes()
    attempts = [json.loads(path.read_text())["attempt"] for path in out.glob("cells/*/spec.json")]
    assert len(attempts) == 9 and max(attempts) > 1
