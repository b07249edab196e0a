r"""Episodes per second: one environment, and vectors of it, beside gymnasium's own vectors.

    python benchmarks/envs.py --rounds 5

One-turn episodes of a procedural environment, with a reward that takes no time and with one that
waits 5 ms, as for a service; in the vector of this project it waits as an ``async def``, elsewhere
it sleeps. The runners alternate, each in a fresh process; rates are medians over the rounds, with
the least and the most. An episode counts if its reply was scored: with gymnasium's default
automatic reset every second one is not, so its vectors run in SAME_STEP mode, the asynchronous one
without shared memory, which would hand out filler.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import time

import gymnasium
from gymnasium.vector import AutoresetMode

from bakeoff.envs import register
from bakeoff.types import Item

WAIT_S = 0.005
SIZES = (8, 64, 512)
RUNNERS = ("single", "bakeoff", "gymnasium sync", "gymnasium async")
REWARDS = ("none", "5 ms")
MAX_ASYNC = 64  # one process each: 512 of them are no use on any machine that this was run on


def ask(rng: random.Random) -> Item:
    """Ask a sum."""
    a, b = rng.randrange(1000), rng.randrange(1000)
    return Item("", f"{a} + {b} = ?", str(a + b), str(a + b))


def exact(reply: str, item: Item) -> float:
    """Compare."""
    return float(reply == item.answer)


def sleeps(reply: str, item: Item) -> float:
    """Compare, after a while."""
    time.sleep(WAIT_S)
    return float(reply == item.answer)


async def waits(reply: str, item: Item) -> float:
    """Compare, after a while in which others may be judged."""
    await asyncio.sleep(WAIT_S)
    return float(reply == item.answer)


KINDS = {"Trivial": exact, "Sleeps": sleeps, "Waits": waits}
for _name, _reward in KINDS.items():
    register(
        f"bench/{_name}-v0",
        make_item=ask,
        sizes={"train": 10**6, "eval": 10},
        rewards={"exact": (1.0, _reward)},
    )


def measured(runner: str, size: int, reward: str, seconds: float) -> float:
    """Return the scored episodes per second of one runner."""
    slow = "Waits" if runner == "bakeoff" else "Sleeps"
    id = f"bench/{'Trivial' if reward == 'none' else slow}-v0"
    if runner == "single":
        return _single(id, seconds)
    if runner == "bakeoff":
        vector = gymnasium.make_vec(id, size)
    else:
        kwargs: dict[str, object] = {"autoreset_mode": AutoresetMode.SAME_STEP}
        if runner.endswith("async"):
            kwargs["shared_memory"] = False
        mode = runner.rpartition(" ")[2]
        vector = gymnasium.make_vec(id, size, vectorization_mode=mode, vector_kwargs=kwargs)
    vector.reset(seed=0)
    actions = ["7"] * size
    vector.step(actions)
    steps, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        vector.step(actions)
        steps += 1
    vector.close()
    return steps * size / taken


def _single(id: str, seconds: float) -> float:
    env = gymnasium.make(id, disable_env_checker=True)
    episodes, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        env.reset()
        env.step("7")
        episodes += 1
    return episodes / taken


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="fresh processes of each (5)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement (1)")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        runner, size, reward = args.one
        print(measured(runner, int(size), reward, args.seconds))
        return
    jobs = [(runner, size, reward) for reward in REWARDS for runner in RUNNERS
            for size in ((1,) if runner == "single" else SIZES)
            if not (runner.endswith("async") and size > MAX_ASYNC)]  # fmt: skip
    rates: dict[tuple[str, int, str], list[float]] = {job: [] for job in jobs}
    for n in range(args.rounds):
        for runner, size, reward in jobs:
            command = [sys.executable, __file__, "--seconds", str(args.seconds),
                       "--one", runner, str(size), reward]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rates[runner, size, reward].append(float(done.stdout))
        print(f"round {n + 1} of {args.rounds}", file=sys.stderr)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| reward | runner | episodes at once | episodes/s |\n| --- | --- | ---: | --- |")
    for (runner, size, reward), found in rates.items():
        middle, least, most = statistics.median(found), min(found), max(found)
        print(f"| {reward} | {runner} | {size} | {middle:,.0f} ({least:,.0f} to {most:,.0f}) |")


if __name__ == "__main__":
    main()
