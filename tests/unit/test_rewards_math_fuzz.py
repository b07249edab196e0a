r"""No reply raises, hangs, runs as code, or is taken for a gold that it cannot be.

Every check runs in a child process that is killed if it does not answer, so that a hang fails a
test and does not hang it. A check that took more than ``BOUND`` is tried again in a fresh child:
only what is slow every time is slow, and not the machine.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_replies import FORMS, HUGE, LEAVES, NESTS, PAYLOADS, REPEATED, TOKENS

from bakeoff.streams import stream

BOUND = 2.0  # seconds of processor time, for any reply; five times that on the wall
JUDGE = r"""
import json, sys, time
from bakeoff.rewards.math import check
for pair in (("5", "6"), (r"3\sqrt{7}", r"\sqrt{63}"), (r"\sqrt{7}", r"\sqrt{8}")):
    check(*pair)  # the imports are not what is timed
print("ready", flush=True)
for line in sys.stdin:
    start = time.process_time()
    try:
        verdict = repr(check(*json.loads(line)).correct)
    except BaseException as error:
        verdict = f"{type(error).__name__}: {error}"[:200]
    print(json.dumps([verdict, time.process_time() - start]), flush=True)
"""


class Judge:
    """A child process that checks one pair after another, replaced when it hangs or dies."""

    def __init__(self, folder: Path, code: str = JUDGE, bound: float = BOUND) -> None:
        self.folder, self.code, self.bound = folder, code, bound
        self.start()

    def start(self) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", self.code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self.folder,
            start_new_session=True,  # so that its workers die with it
        )
        assert self.answer(60) == b"ready\n"

    def stop(self) -> None:
        os.killpg(self.child.pid, signal.SIGKILL)
        self.child.communicate()

    def answer(self, seconds: float) -> bytes:
        assert self.child.stdout
        ready, _, _ = select.select([self.child.stdout], [], [], seconds)
        return self.child.stdout.readline() if ready else b""

    def ask(self, gold: str, reply: str) -> tuple[str, float]:
        assert self.child.stdin
        self.child.stdin.write(json.dumps([gold, reply]).encode() + b"\n")
        self.child.stdin.flush()
        line = self.answer(5 * self.bound)
        if not line:
            self.stop()
            self.start()
            return "no answer", 5 * self.bound
        verdict, seconds = json.loads(line)
        return verdict, seconds

    def bounded(self, gold: str, reply: str) -> str:
        """Return what a check gives or raises; fail if it took too long three times."""
        for attempt in range(3):
            if attempt:
                self.stop()
                self.start()
            verdict, seconds = self.ask(gold, reply)
            if seconds < self.bound:
                return verdict
        shown = f"gold {gold!r}, reply {reply[:80]!a} ({len(reply)} characters)"
        pytest.fail(f"{shown}: {verdict} after {seconds:.1f} s")

    def verdict(self, gold: str, reply: str) -> str:
        """Return the verdict; fail if it is none, or took too long."""
        verdict = self.bounded(gold, reply)
        assert verdict in ("True", "False", "None"), f"{gold!r}, {reply[:200]!a}: {verdict}"
        return verdict

    def never_true(self, gold: str, reply: str) -> None:
        verdict = self.verdict(gold, reply)
        assert verdict != "True", f"{reply[:200]!a} is taken for {gold!r}"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    child = Judge(tmp_path_factory.mktemp("judge"))
    yield child
    child.stop()


@pytest.mark.parametrize("bug", ["time.sleep(60)", "os._exit(1)"])
def test_a_check_that_hangs_or_dies_would_be_found_out(tmp_path: Path, bug: str) -> None:
    planted = JUDGE.replace("    try:", f"    import os\n    {bug}\n    try:")
    child = Judge(tmp_path, planted, bound=0.1)
    with pytest.raises(pytest.fail.Exception, match="no answer"):
        child.bounded("5", "5")
    child.stop()


# what random text does not come to by chance
RARE = ["85731", r"\frac{85731}{2}", r"\sqrt{85731}", "85731x+1", "(85731,2)", r"\text{northeast}"]
SIMPLE = ["5", r"\frac{1}{2}", r"\sqrt{2}", "x+1", r"\{1,2\}", "[0,1)"]


def test_random_bytes_are_wrong(judge: Judge) -> None:
    rng = stream("fuzz", "bytes")
    for index in range(400):
        noise = rng.randbytes(rng.randrange(300))
        utf16 = noise[: len(noise) // 2 * 2].decode("utf-16-le", "surrogatepass" if index % 2 else
                                                    "replace")  # fmt: skip
        for text in (noise.decode("utf-8", "surrogateescape"), utf16, noise.decode("latin-1")):
            judge.never_true(RARE[index % len(RARE)], rf"\boxed{{{text}}}" if index % 3 else text)


def test_random_tokens_are_wrong(judge: Judge) -> None:
    rng = stream("fuzz", "tokens")
    for index in range(800):
        soup = rng.choice(("", " ")).join(rng.choices(TOKENS, k=rng.randint(1, 60)))
        judge.never_true(RARE[index % len(RARE)], soup if index % 2 else rf"\boxed{{{soup}}}")


def grown(rng: random.Random, depth: int) -> str:
    if not depth:
        return rng.choice(LEAVES)
    form = rng.choice(FORMS)
    for hole in ("A", "B"):
        while hole in form:
            form = form.replace(hole, " " + grown(rng, rng.randrange(depth)), 1)
    return form


def test_random_expressions_are_wrong(judge: Judge) -> None:
    rng = stream("fuzz", "expressions")
    for index in range(500):
        judge.never_true(RARE[index % len(RARE)], rf"\boxed{{{grown(rng, rng.randint(1, 5))}}}")


def test_a_random_gold_equals_itself_or_cannot_be_read(judge: Judge) -> None:
    rng = stream("fuzz", "golds")
    for index in range(400):
        soup = "".join(rng.choices(TOKENS, k=rng.randint(1, 12)))
        gold = grown(rng, rng.randint(1, 4)) if index % 2 else soup
        verdict = judge.bounded(gold, gold)
        assert verdict == "True" or verdict.startswith("ValueError"), f"{gold!r}: {verdict}"


@pytest.mark.parametrize("nest", NESTS, ids="".join)
def test_deep_nesting_is_bounded(judge: Judge, nest: tuple[str, str]) -> None:
    # 85731 inside: at no depth is it 5, nor any of the others
    opening, closing = nest
    for depth in (12, 70, 500, 30_000):
        text = opening * depth + "85731" + closing * depth
        for gold in (SIMPLE[depth % len(SIMPLE)], SIMPLE[depth % 5 + 1]):
            judge.never_true(gold, rf"\boxed{{{text}}}")
        judge.never_true("5", text)
        judge.never_true("x+1", opening * depth)


@pytest.mark.parametrize("token", REPEATED, ids=ascii)
def test_a_reply_of_a_million_characters_is_bounded(judge: Judge, token: str) -> None:
    reply = token * (1_000_000 // len(token))

    judge.never_true("7", reply)
    judge.never_true("7", rf"\boxed{{{reply}}}")
    assert judge.verdict("7", reply + "\n" + r"\boxed{7}") == "True"  # the last box decides


@pytest.mark.parametrize("gold", ["5", r"\sqrt{2}", "x+1", r"\tan x"])
def test_huge_values_are_bounded(judge: Judge, gold: str) -> None:
    # none of them is one of the golds: too large, too small, or of another kind
    for text in HUGE:
        judge.never_true(gold, rf"\boxed{{{text}}}")


@pytest.mark.parametrize("gold", ["5", "1/2", "x+1", r"\begin{pmatrix}1\\2\end{pmatrix}"])
def test_no_answer_runs_as_code(tmp_path: Path, judge: Judge, gold: str) -> None:
    canary = tmp_path / "canary"
    for payload in PAYLOADS:
        text = payload.replace("PATH", str(canary))
        for reply in (
            text,
            rf"\boxed{{{text}}}",
            f"The answer is {text}",
            f"<answer>{text}</answer>",
        ):
            judge.never_true(gold, reply)

    assert list(tmp_path.iterdir()) == list(judge.folder.iterdir()) == []


@pytest.mark.parametrize("payload", PAYLOADS[:6])
def test_a_checker_that_runs_answers_would_be_found_out(tmp_path: Path, payload: str) -> None:
    # the bug that the test above is for, planted: the payloads do what they are to do
    canary = tmp_path / "canary"
    careless = [sys.executable, "-c", "import sys; eval(sys.argv[1])"]

    subprocess.run([*careless, payload.replace("PATH", str(canary))], check=True)

    assert canary.exists()
