r"""What measuring costs: a run with everything that a cell measures and writes, and one without.

    python benchmarks/overhead.py --rounds 10 --csv overhead.csv

How it is measured:
1. An arm trains one algorithm from one seed: `measured` as a cell does, with a meter (phases, marks
   of memory that are set back), metrics and a recorder that writes the raw tables; `silent` with a
   meter that does nothing, no metrics and no files; `silent again` is the control, whose ratio to
   `silent` is what chance and the machine make.
2. A round is a fresh process in which the arms make their updates in turns, in another order each
   time: what the machine does besides befalls all of them. An update is the same work in each.
3. An arm's figure is the time of its updates without the first, writing included and evaluation
   left out. A ratio is the geometric mean over rounds, with a t interval of its logarithm.
4. `audit` (only with --audit) counts every tensor and operation, as an audit does, and would count
   those of the others: it has a process of its own.

On a machine that does other things too, the seconds of processor time are the steadier ones.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from bakeoff.comparisons.statistics.differences import (
    geometric_mean,
    paired_log_ratios,
    ratio_interval,
)
from bakeoff.errors import UsageError

MEASURES = {"wall_s": "wall time", "cpu_s": "processor time"}

METRICS = (
    "gathering.gathered_metrics",
    *(f"loop.{name}_metrics" for name in ("critic", "silent", "sample")),
    "learner.correction_metrics",
)
"""What makes metrics of samples and batches; losses and norms come with the learning."""


def child(task: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Train as the arms do, in turns; return the seconds of each one's updates after the first."""
    import torch

    torch.set_num_threads(task["threads"])
    with ExitStack() as stack:
        arms = [Arm(name, task, stack) for name in task["arms"]]
        for _ in range(2):  # the evaluation before training, and the update that does not count
            for arm in arms:
                arm.step()
        for arm in arms:
            arm.spent = dict.fromkeys(MEASURES, 0.0)
        for update in range(task["updates"]):  # one more would end with an evaluation
            first = (update + task["round"]) % len(arms)
            for arm in arms[first:] + arms[:first]:
                arm.step()
    return {arm.name: arm.spent for arm in arms}


class Arm:
    """A training that makes one update after the other.

    Attributes:
        name: of the arm.
        spent: the seconds of its updates.
    """

    def __init__(self, name: str, task: Mapping[str, Any], stack: ExitStack) -> None:
        """Set up what a task asks for; what has to be closed goes onto ``stack``."""
        from bakeoff import algorithms, envs
        from bakeoff.models import default_learning_rate
        from bakeoff.models.loading import load
        from bakeoff.training.accounting.audit_meter import AuditMeter
        from bakeoff.training.config import train_config
        from bakeoff.training.loop import Training
        from bakeoff.training.meter import Meter

        self.name, self.spent = name, dict.fromkeys(MEASURES, 0.0)
        kind = name.removesuffix(" again")
        self._silent = kind == "silent"
        environment = envs.make(task["environment"])
        knobs = {"max_new_tokens": environment.reply_tokens, "eval_items": 1, "eval_every": 10**6}
        knobs |= {"learning_rate": default_learning_rate(task["model"]), **task["knobs"]}
        config = train_config(knobs | {"updates": task["updates"] + 2})
        meter = {"measured": Meter, "silent": silent_meter(), "audit": AuditMeter}[kind]("cpu")
        model, algorithm = load(task["model"]), algorithms.make(task["algorithm"])
        training = Training(model, environment, algorithm, config, seed=task["seed"], meter=meter)
        if isinstance(meter, AuditMeter):
            stack.enter_context(meter.counting(training))
        self._record = None if self._silent else stack.enter_context(recorded(config.updates))
        self._reports = training.run()

    def step(self) -> None:
        """Make an update, write it down if that is this arm's way, and add up what it took."""
        with ExitStack() as stack:
            for name in METRICS if self._silent else ():
                stack.enter_context(mock.patch(f"bakeoff.training.{name}", lambda *_, **__: {}))
            wall, cpu = time.perf_counter(), time.process_time()
            report = next(self._reports)
            if self._record is not None:
                self._record.write(report, 1)
            self.spent["wall_s"] += time.perf_counter() - wall
            self.spent["cpu_s"] += time.process_time() - cpu


def silent_meter() -> type[Any]:
    """Return a meter that looks at no clock and at no memory."""
    from bakeoff.training.meter import Meter, Phase

    class SilentMeter(Meter):
        def start_update(self) -> None:
            return None

        @contextmanager
        def phase(self, name: str) -> Iterator[Phase]:
            yield Phase(name)

        def note_flops(self, spent: Mapping[str, int]) -> None:
            return None

        def finish_update(self) -> list[Phase]:
            return []

    return SilentMeter


@contextmanager
def recorded(updates: int) -> Iterator[Any]:
    """Yield a cell's recorder, into a folder that is gone afterwards."""
    from bakeoff.comparisons.cell.recorder import Recorder

    names = ("run_id", "algorithm", "environment", "seed")
    with tempfile.TemporaryDirectory() as folder:
        spec = dict.fromkeys(names, "overhead")
        yield Recorder(Path(folder), spec, updates, started=time.perf_counter())


def measured(task: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Have a fresh process do a task; return the seconds of its arms.

    Raises:
        UsageError: it failed; the text is its last line.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": str(task["threads"])}
    command = [sys.executable, __file__, "--child", json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise UsageError((done.stderr.strip() or "no message").splitlines()[-1])
    found: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def ratios(rows: Sequence[Mapping[str, Any]], arm: str, measure: str) -> list[float]:
    """Return the logarithms of an arm's seconds over the silent arm's, round by round.

    Example:
        >>> rows = [{"round": 0, "arm": "silent", "s": 2.0}, {"round": 0, "arm": "audit", "s": 2.0}]
        >>> ratios(rows, "audit", "s")
        [0.0]
    """
    by_arm = {
        name: {row["round"]: row[measure] for row in rows if row["arm"] == name}
        for name in ("silent", arm)
    }
    both = sorted(by_arm["silent"].keys() & by_arm[arm].keys())
    silent, other = ([by_arm[name][one] for one in both] for name in ("silent", arm))
    return paired_log_ratios(silent, other) or []


def sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each arm beside the silent one, and each measure."""
    lines = []
    for arm in dict.fromkeys(row["arm"] for row in rows if row["arm"] != "silent"):
        for measure, words in MEASURES.items():
            logs = ratios(rows, arm, measure)
            if not logs:
                continue
            interval = ratio_interval(logs)
            bounds = f" ({interval.low:.3f} to {interval.high:.3f})" if interval else ""
            mean = geometric_mean(logs)
            lines.append(f"{arm}: {mean:.3f}{bounds} x the {words} of silent, {len(logs)} rounds")
    return lines


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Measure what measuring costs.")
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="fresh processes (default 5)")
    add("--updates", type=int, default=10, help="updates of each arm in one (default 10)")
    add("--model", default="tiny")
    add("--algorithm", default="grpo")
    add("--env", dest="environment", default="bakeoff/Arithmetic-v0")
    add("--threads", type=int, default=1)
    add("--knob", action="append", default=[], metavar="NAME=VALUE")
    add("--audit", action="store_true", help="an audit's arm, too")
    add("--csv", type=Path, help="write the rows there")
    add("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    args.knobs = {k: json.loads(v) for k, _, v in (text.partition("=") for text in args.knob)}
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    args = arguments(argv)
    if args.child:
        print(json.dumps(child(json.loads(args.child))))
        return 0
    names = ("updates", "model", "algorithm", "environment", "threads", "knobs")
    together = [["measured", "silent", "silent again"], *([["audit"]] if args.audit else [])]
    rows: list[dict[str, Any]] = []
    for number in range(args.rounds):
        for arms in together:
            load = round(os.getloadavg()[0], 2)
            asked = {name: getattr(args, name) for name in names}
            found = measured(asked | {"arms": arms, "round": number, "seed": 0})
            for arm, seconds in found.items():
                rows.append({"round": number, "arm": arm, **seconds, "load_at_start": load})
                said = ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())
                print(f"[{number + 1}/{args.rounds}] {arm}: {said}", file=sys.stderr, flush=True)
    if args.csv:
        with args.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    print("\n".join(sentences(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
