r"""Time `bakeoff.rewards.math` against math-verify, side by side, and count who is right.

    python benchmarks/math_check.py --out math_check.csv --examples examples.jsonl

How it is measured:
1. The two checkers alternate, each in a fresh process per set and round, on one core, with the same
   pairs in the same order. Imports and three checks of other pairs come before the clock starts.
2. No pair repeats within a set, so no cache can help. A check is all that it takes the first time:
   reading the gold and the reply, and comparing them. With ``--warm`` there are two more rows a
   set, where the golds were read before the clock started.
3. Rates, p50 and p99 are medians over the rounds; ``max_ms`` and ``peak_rss_mib`` are the worst of
   them. Memory is the high-water mark (VmHWM) of the process and of the workers it started, added
   up, although they share pages.
4. math-verify gets its most favourable use: the gold is boxed, a bare reply stands between dollar
   signs; boxes come first; golds A to E are choice letters; the main thread, so that its own time
   limit works.

In every generated set one half of the replies is wrong. ``right`` is the share of verdicts that
agree with the truth, in the worst round; a checker that cannot tell is not right. ``ratio`` is the
rate over that of math-verify on the same set, warm over warm.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from math_pairs import SETS, Pair, examples, generated

from bakeoff.errors import UsageError

CHECKERS = ("bakeoff", "math-verify")
COLUMNS = (
    *("set", "checker", "checks", "checks_per_s", "p50_ms", "p99_ms", "max_ms"),
    *("peak_rss_mib", "right", "ratio"),
)


class Timing(NamedTuple):
    """What one process measured: seconds and verdict of each check, and memory in MiB."""

    seconds: list[float]
    verdicts: list[bool | None]
    peak_mib: float


Row = dict[str, float | int | str]
# A checker is (read the gold, judge a reply by what was read).
Checker = tuple[Callable[[str], object], Callable[[object, str], bool | None]]


def bakeoff_checker() -> Checker:
    """Return this package's checker; a gold that it cannot read counts as "cannot tell"."""
    from bakeoff.rewards.math import Gold, check, compile_gold

    def read(gold: str) -> object:
        try:
            return compile_gold(gold)
        except ValueError:
            return None

    def judge(gold: object, reply: str) -> bool | None:
        return check(gold, reply).correct if isinstance(gold, Gold) else None

    return read, judge


def math_verify_checker() -> Checker:
    """Return math-verify's checker, parse and verify, in its most favourable use."""
    from math_verify import (
        ExprExtractionConfig,
        LatexExtractionConfig,
        StringExtractionConfig,
        parse,
        verify,
    )

    latex = LatexExtractionConfig(boxed_match_priority=0)
    found_by = [latex, ExprExtractionConfig()]
    letters = [StringExtractionConfig(), *found_by]
    said = ("boxed", "fbox", "answer", "####", "$", "\n")  # no bare answer, then

    def read(gold: str) -> object:
        if gold in ("A", "B", "C", "D", "E"):
            return letters, parse(gold, [StringExtractionConfig()])
        return found_by, parse(rf"\boxed{{{gold}}}", [latex])

    def judge(gold: object, reply: str) -> bool | None:
        config, parsed = cast("tuple[list[object], object]", gold)
        if config is found_by and not any(word in reply for word in said):
            reply = f"${reply}$"
        return bool(verify(parsed, parse(reply, config)))

    return read, judge


def time_here(checker: str, pairs: Sequence[Pair], core: int | None) -> Timing:
    """Time every pair in this process."""
    if core is not None:
        os.sched_setaffinity(0, {core})
    read, judge = {"bakeoff": bakeoff_checker, "math-verify": math_verify_checker}[
        checker.removesuffix(", warm")
    ]()
    for gold, reply in ((r"7\sqrt{41}", r"\sqrt{2009}"), ("z^2-1", "(z-1)(z+1)"), ("5", "6")):
        judge(read(gold), reply)
    ready = [read(pair.gold) for pair in pairs] if checker.endswith(", warm") else None
    seconds: list[float] = []
    verdicts: list[bool | None] = []
    for index, pair in enumerate(pairs):
        start = time.perf_counter()
        verdict = judge(ready[index] if ready else read(pair.gold), pair.reply)
        seconds.append(time.perf_counter() - start)
        verdicts.append(verdict)
    return Timing(seconds, verdicts, _peak_mib())


def _peak_mib() -> float:
    """Return the memory high-water marks of this process and all below it, added up."""
    parent: dict[int, int] = {}
    peak: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/status"):
        try:
            pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
            status = dict(pairs)
            parent[int(status["Pid"])] = int(status["PPid"])
            peak[int(status["Pid"])] = int(status.get("VmHWM", "0 kB").split()[0])
        except (OSError, KeyError):  # gone, or not ours to see
            continue
    family = {os.getpid()}
    while more := {child for child, above in parent.items() if above in family} - family:
        family |= more
    return sum(peak.get(pid, 0) for pid in family) / 1024


def time_apart(checker: str, pairs: Sequence[Pair], core: int | None) -> Timing:
    """Time every pair in a fresh process."""
    command = [sys.executable, __file__, "--measure"]
    task = json.dumps([checker, pairs, core])
    run = subprocess.run(command, input=task, capture_output=True, text=True)
    if run.returncode:
        last = (run.stderr.strip() or "no message").splitlines()[-1]
        raise UsageError(f"{checker} stopped with exit code {run.returncode}: {last}")
    return Timing(*json.loads(run.stdout.splitlines()[-1]))


def measure() -> None:
    """Read a task from standard input, time it, and print the result: the fresh process."""
    checker, pairs, core = json.load(sys.stdin)
    print("\n" + json.dumps(time_here(checker, [Pair(*pair) for pair in pairs], core)))


def row(name: str, checker: str, pairs: Sequence[Pair], rounds: Sequence[Timing]) -> Row:
    """Return what the rounds of one checker on one set come to."""
    sorted_ms = [sorted(1_000 * s for s in timing.seconds) for timing in rounds]
    counted = [i for i, pair in enumerate(pairs) if pair.equal is not None]
    right = min(sum(t.verdicts[i] is pairs[i].equal for i in counted) for t in rounds)

    def median_at(share: float) -> float:
        return statistics.median(ms[round(share * (len(ms) - 1))] for ms in sorted_ms)

    return {
        "set": name,
        "checker": checker,
        "checks": len(pairs),
        "checks_per_s": statistics.median(len(pairs) / sum(t.seconds) for t in rounds),
        "p50_ms": median_at(0.5),
        "p99_ms": median_at(0.99),
        "max_ms": max(ms[-1] for ms in sorted_ms),
        "peak_rss_mib": max(timing.peak_mib for timing in rounds),
        "right": right / len(counted) if counted else math.nan,
    }


def compare(sets: dict[str, list[Pair]], checkers: Sequence[str], rounds: int) -> list[Row]:
    """Time every checker on every set, taking turns; say on standard error how far it is."""
    core = min(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else None
    if core is None:
        print("this system pins no process to a core: times may vary more", file=sys.stderr)
    timings: dict[tuple[str, str], list[Timing]] = {}
    for turn in range(rounds):
        for name, pairs in sets.items():
            for checker in checkers[:: -1 if turn % 2 else 1]:
                timing = time_apart(checker, pairs, core)
                timings.setdefault((name, checker), []).append(timing)
                speed = f"{len(pairs) / sum(timing.seconds):,.0f} checks/s"
                progress = f"round {turn + 1}/{rounds}: {name}, {checker}: {speed}"
                print(progress, file=sys.stderr, flush=True)
    rows = [row(n, c, pairs, timings[n, c]) for n, pairs in sets.items() for c in checkers]
    rate = {(r["set"], r["checker"]): float(r["checks_per_s"]) for r in rows}
    for r in rows:
        base = str(r["checker"]).replace("bakeoff", "math-verify")
        r["ratio"] = rate[r["set"], r["checker"]] / rate[r["set"], base]
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a text table, rounded for reading."""
    digits = {"checks_per_s": 0, "peak_rss_mib": 0, "ratio": 1, "max_ms": 1}
    lines = [list(COLUMNS)]
    for r in rows:
        cells = (r[c] for c in COLUMNS)
        lines.append(
            [
                f"{cell:,.{digits.get(c, 3)}f}" if isinstance(cell, float) else str(cell)
                for c, cell in zip(COLUMNS, cells, strict=True)
            ]
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments, checked."""
    parser = argparse.ArgumentParser(
        description="Time bakeoff.rewards.math against math-verify, side by side.",
        epilog="example: python benchmarks/math_check.py --out math_check.csv --rounds 5",
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, help="the CSV file to write")
    add("--examples", type=Path, metavar="FILE", help="a further set: JSON lines with gold, "
        "prediction and equivalent; rows marked ambiguous are timed, not counted")  # fmt: skip
    add(
        "--hostile", action="store_true", help="with the examples that have must_finish_s (minutes)"
    )
    add("--warm", action="store_true", help="also time with the golds read before")
    add("--rounds", type=int, default=5, help="5 (default) or more for numbers to report")
    add("--seed", type=int, default=0, help="of the generated sets (default 0)")
    args = parser.parse_args(argv)
    if args.rounds < 1:
        raise UsageError(f"--rounds must be at least 1, not {args.rounds}")
    if args.hostile and not args.examples:
        raise UsageError("--hostile says which rows of --examples to time: give --examples FILE")
    for path in (args.examples, args.out.parent):
        if path and not path.exists():
            raise UsageError(f"{path} does not exist")
    if importlib.util.find_spec("math_verify") is None:
        raise UsageError("math-verify is not installed: pip install 'bakeoff[dev]'")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    try:
        args = arguments(argv)
        sets = {name: generated(name, args.seed) for name in SETS}
        with tempfile.TemporaryDirectory() as scratch:
            if args.examples:
                found = examples(args.examples, hostile=args.hostile, scratch=scratch)
                sets["examples"] = found
            checkers = [*CHECKERS, *(f"{c}, warm" for c in CHECKERS if args.warm)]
            rows = compare(sets, checkers, args.rounds)
    except UsageError as error:
        print(f"math_check: {error}", file=sys.stderr)
        return 2
    with args.out.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(table(rows))
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--measure"]:
        measure()
    else:
        sys.exit(main())
