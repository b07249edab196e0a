"""Programs that cheat, and honest ones, scored by `bakeoff.rewards.code`, and what else they did.

A row of `tests/cases/code_hacks.jsonl` or `code_honest.jsonl` holds a program, its tests and the
reward it should get. The placeholders of a row are filled with things to attack: a folder, ports,
a process, an environment variable. After the row has been scored they are looked at.

    python tests/code_cases.py FILE...    prints the rows that fail, and how many
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from code_surroundings import Surroundings

from bakeoff.rewards.code import (
    AssertTests,
    Call,
    CallTests,
    CheckTests,
    Close,
    Limits,
    Sandbox,
    Score,
    StdioTests,
    literal,
    score,
)

Tests = CallTests | StdioTests | AssertTests | CheckTests
Row = dict[str, Any]
CHECKED = {  # what a row may forbid; files, contacts, processes and the victim are always checked
    *["file", "tcp", "udp", "unix", "leftover_processes", "victim"],
    *["scorer_alive", "scorer_rss_growth_mb", "max_seconds"],
}
GRACE = 1.5  # seconds that processes and files of a program may take to go away
ONE = CallTests(entry="f", calls=[Call(args=(1,), expected=2)])
ONE_PROGRAM = "def f(x): return x + 1"


@dataclass(frozen=True)
class Record:
    """What came of a row: its reward, if it was scored, and all that should not have happened."""

    id: str
    reward: float | None
    problems: tuple[str, ...]
    seconds: float


def rows(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line.strip()]


def value(text: str) -> object:
    """Read an expression of a row: a literal, or texts and lists repeated and joined."""
    try:
        return literal(text)
    except ValueError:
        folded = ast.fix_missing_locations(_Folded().visit(ast.parse(text, mode="eval")))
        return literal(ast.unparse(folded))


class _Folded(ast.NodeTransformer):
    """Works out `"a" * 36 + "b"`."""

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            left, right = node.left.value, node.right.value
            if isinstance(node.op, ast.Mult) and isinstance(left, str | bytes):
                return ast.Constant(left * right)  # type: ignore[operator]
            if isinstance(node.op, ast.Add) and isinstance(left, str | bytes):
                return ast.Constant(left + right)  # type: ignore[operator]
        return node


def tests_of(tests: Row, limits: Row) -> Tests:
    """Make the tests of a row."""
    bounds = Limits(seconds=limits["timeout_s"], memory_mib=limits["memory_mb"])
    compare = tests.get("compare") or {}
    close = None
    if compare.get("mode") in ("approx", "float"):
        close = Close(**{key: compare[key] for key in ("rtol", "atol") if key in compare})
    match tests["type"]:
        case "call":
            calls = [_call(case) for case in tests["cases"]]
            return CallTests(entry=tests["entry"], calls=calls, close=close, limits=bounds)
        case "stdio":
            cases = [(case["stdin"], case["stdout"]) for case in tests["cases"]]
            return StdioTests(cases=cases, close=close, limits=bounds)
        case "asserts":
            return AssertTests(asserts=tests["asserts"], setup=tests["setup"], limits=bounds)
        case "check":
            return CheckTests(script=tests["script"], entry=tests["entry"], limits=bounds)
    raise ValueError(f"no such tests: {tests['type']}")


def _call(case: Row) -> Call:
    args = value(case["args"])
    assert isinstance(args, tuple)
    return Call(args=args, expected=value(case["expected"]))


class Exam:
    """Scores rows in surroundings that are watched; a context manager."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Exam:
        with contextlib.ExitStack() as stack:
            self.around = stack.enter_context(Surroundings())
            self._own_temporary_folder(stack)
            self.sandbox = stack.enter_context(Sandbox(workers=1))
            script = CheckTests(script="def check(f):\n    assert f(1) + 1 == 3", entry="f")
            for tests in (ONE, script):  # all processes of the sandbox have started after these
                first = score(ONE_PROGRAM, tests, sandbox=self.sandbox)
                assert first.parts.get("all") == 1.0, first
            self.around.accept_what_is_there()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _own_temporary_folder(self, stack: contextlib.ExitStack) -> None:
        """Let the sandbox put its files where all of them can be seen."""
        old, folder = (tempfile.tempdir, os.environ.get("TMPDIR")), self.around.temporary

        def restore() -> None:
            tempfile.tempdir = old[0]
            os.environ.pop("TMPDIR")
            if old[1] is not None:
                os.environ["TMPDIR"] = old[1]

        stack.callback(restore)
        tempfile.tempdir = os.environ["TMPDIR"] = str(folder)

    def examined(self, row: Row) -> Record:
        """Score a row and look around."""
        around = self.around
        around.reset()
        for earlier in row.get("prelude", []):
            program = around.filled(earlier["candidate"], with_token=True)
            tests = _filled_tests(around, earlier["tests"])
            score(program, tests_of(tests, row["limits"]), sandbox=self.sandbox)
        program = around.filled(row["candidate"], with_token=False)
        tests = _filled_tests(around, row["tests"])
        reset_peak()
        before, start = peak_mib(), time.monotonic()
        reward, problems = self._scored(row, program, tests)
        seconds = time.monotonic() - start
        grown = peak_mib() - before
        if reward is not None and abs(reward - row["expected_reward"]) > 1e-9:
            problems.append(f"reward {reward:.3f}, not {row['expected_reward']:.3f}")
        problems += self._forbidden(row, seconds, grown)
        problems += around.harm()
        problems += self._left()
        if score(ONE_PROGRAM, ONE, sandbox=self.sandbox).parts.get("all") != 1.0:
            problems.append("the scorer no longer scores a right program")
        return Record(row["id"], reward, tuple(problems), seconds)

    def _scored(self, row: Row, program: str, tests: Row) -> tuple[float | None, list[str]]:
        try:
            result = score(program, tests_of(tests, row["limits"]), sandbox=self.sandbox)
        except Exception as error:
            if row.get("accept_exception"):
                return 0.0, []
            return None, [f"the scorer raised {type(error).__name__}: {str(error)[:200]}"]
        return _reward(result, row)

    def _left(self) -> list[str]:
        """Name what stays after the grace, and remove it."""
        end = time.monotonic() + GRACE
        while (found := self.around.leftovers()) and time.monotonic() < end:
            time.sleep(0.05)
        if found:
            self.around.tidy()
        return found

    def _forbidden(self, row: Row, seconds: float, grown: float) -> list[str]:
        problems = []
        for forbidden in row["forbidden_side_effect"]:
            match forbidden["type"]:
                case "max_seconds" if seconds > forbidden["max"]:
                    problems.append(f"took {seconds:.1f} s, more than {forbidden['max']}")
                case "scorer_rss_growth_mb" if grown > forbidden["max"]:
                    problems.append(f"the scorer grew by {grown:.0f} MB")
                case "file" if self.around.take_away(forbidden["path"]):
                    problems.append(f"wrote {forbidden['path']}")
                case kind if kind not in CHECKED:
                    problems.append(f"nobody checks {kind!r}")
        return problems


def _filled_tests(around: Surroundings, tests: Row) -> Row:
    filled: Row = json.loads(around.filled(json.dumps(tests), with_token=True))
    return filled


def _reward(result: Score, row: Row) -> tuple[float | None, list[str]]:
    if result.reason or not result.parts:
        return None, [f"not scored: {result.reason}"]
    reward = result.parts["all" if row["tests"]["type"] == "check" else "passed"]
    false_alarm = row["expected_reward"] == 1 and result.refused
    problems = [f"an honest program, but {result.refused} refused"] if false_alarm else []
    if result.failure and reward != row["expected_reward"]:
        found = result.failure
        problems.append(f"test {found.test}: {found.status}: {str(found.message)[:200]}")
    return reward, problems


def reset_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """Return this process's largest memory since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def main(paths: list[str]) -> int:
    failed, counted, start = 0, 0, time.monotonic()
    with Exam() as exam:
        print(f"level: {exam.sandbox.level}")
        for path in paths:
            for row in rows(Path(path)):
                record = exam.examined(row)
                counted += 1
                failed += bool(record.problems)
                if record.problems:
                    print(f"{row['id']} ({row['kind']}): {'; '.join(record.problems)}", flush=True)
    left = exam.around.left
    print(f"{counted - failed} of {counted} rows as they should be, in", end=" ")
    print(f"{time.monotonic() - start:.0f} s; left behind: {left or 'nothing'}")
    return int(bool(failed or left))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
