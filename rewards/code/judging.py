"""What the messages of a contained process mean for its tests."""

from __future__ import annotations

import json
import marshal
import math
import signal
from collections.abc import Iterator
from typing import Any

from bakeoff.rewards.code.cage import Report
from bakeoff.rewards.code.conversation import Stream
from bakeoff.rewards.code.jail.plain import NODES
from bakeoff.rewards.code.kinds import Limits
from bakeoff.rewards.code.showing import shortened
from bakeoff.rewards.code.verdicts import ERROR, OUT_OF_MEMORY, OUTPUT_LIMIT, TIMED_OUT, Outcome
from bakeoff.rewards.frames import LENGTH

SLACK_BYTES = 2**16


def messages(stream: Stream) -> Iterator[dict[str, Any]]:
    """Take the complete frames that a stream has received; what is no frame is an empty message."""
    while len(stream.received) >= LENGTH.size:
        (size,) = LENGTH.unpack_from(stream.received)
        if len(stream.received) < LENGTH.size + size:
            return
        body = bytes(stream.received[LENGTH.size : LENGTH.size + size])
        del stream.received[: LENGTH.size + size]
        if size > NODES and body.count(b"[") + body.count(b"{") > NODES:
            yield {}  # many times its size in memory, and nothing that `encode` makes
            continue
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            message = {}
        yield message if type(message) is dict else {}


def raised(error: Any) -> Outcome:
    """Return the outcome of a test in which the program raised an exception."""
    if not (type(error) is list and len(error) == 2 and all(type(x) is str for x in error)):
        return Outcome(ERROR, "an answer that makes no sense")
    name, text = error
    if name == "MemoryError":
        return Outcome(OUT_OF_MEMORY, shortened(f"{name}: {text}".rstrip(": ")))
    return Outcome(ERROR, shortened(f"{name}: {text}".rstrip(": ")))


def ended(report: Report, limits: Limits) -> Outcome:
    """Return the outcome of a test in which the program's process ended."""
    if report.cause == "time" or report.status == -signal.SIGXCPU:
        return Outcome(TIMED_OUT, f"no answer within {limits.seconds:g} s")
    if report.cause == "output":
        return Outcome(OUTPUT_LIMIT, f"more than {limits.output_mib} MiB of output")
    if report.status < 0:
        number = -report.status  # those for real time have no names
        name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return Outcome(ERROR, f"the program was ended by {name}")
    return Outcome(ERROR, f"the program ended with exit code {report.status}")


def trusted(data: Any) -> bytes:
    """Return data of this process's for a contained one, which reads it before it runs anything.

    Raises:
        ValueError: it is not of the types that ``marshal`` knows.
    """
    body = marshal.dumps(data)
    return LENGTH.pack(len(body)) + body


def order(kind: str, limits: Limits, tests: int) -> dict[str, Any]:
    """Return what the nest has to know of a program."""
    seconds = min(limits.seconds * tests, limits.total_seconds)
    return {
        "kind": kind,
        "memory_mib": math.ceil(limits.memory_mib),
        "cpu_s": math.ceil(seconds) + 2,
    }
