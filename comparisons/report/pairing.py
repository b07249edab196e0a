"""Which runs of two algorithms are compared, and what stands against comparing them.

Runs of one ``pair_id`` share environment, model, seed, items and initial weights. The A/A control
pairs an algorithm with itself: its first run of a seed with the run of ``repeat`` 1.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from bakeoff.comparisons.report.axes import Reading
from bakeoff.comparisons.report.measures import MEASURES
from bakeoff.comparisons.results import Row, groups
from bakeoff.comparisons.wording import and_list

SAME_MACHINE = ("device_name", "n_devices", "threads", "dtype", "host_id")
"""What the two runs of a pair must share where seconds or bytes are compared."""

TIMED = ("s", "tokens/s")
"""Units that running several cells at a time falsifies."""


@dataclass(frozen=True)
class Pairing:
    """The runs of two algorithms on one environment with one model, matched by seed.

    Attributes:
        names: of the two algorithms; the same twice for an A/A control.
        a, b: the runs of the pairs in which each side ended ok or diverged, in the same order.
        failures: one text for each run that ended otherwise, "ppo seed 2 oom".
        unmatched: how many runs lack one of the other side.
    """

    names: tuple[str, str]
    a: Sequence[Row]
    b: Sequence[Row]
    failures: Sequence[str]
    unmatched: int

    @property
    def is_control(self) -> bool:
        """Whether it is one algorithm twice."""
        return self.names[0] == self.names[1]


def is_control(run: Row) -> bool:
    """Return whether a run is an A/A control, which is in no mean, curve or ranking."""
    return int(run["repeat"] or 0) > 0


def pairings(runs: Sequence[Row]) -> list[Pairing]:
    """Return every pair of algorithms of one environment and model, then the A/A control.

    Args:
        runs: the rows of ``runs.csv`` for one environment and model.
    """
    first = [run for run in runs if not is_control(run)]
    again = [run for run in runs if is_control(run)]
    of_algorithm = {name: own for (name,), own in groups(first, "algorithm")}
    found = [
        _pairing((a, b), of_algorithm[a], of_algorithm[b]) for a, b in combinations(of_algorithm, 2)
    ]
    for (name,), controls in groups(again, "algorithm"):
        found.append(_pairing((name, name), of_algorithm.get(name, []), controls))
    return found


def pair_values(
    values: Mapping[str, Mapping[str, float]], pairing: Pairing, metric: str
) -> list[tuple[float, float]]:
    """Return the values of the pairs in which both sides have the metric."""
    sides = (
        (values.get(str(x["run_id"]), {}).get(metric), values.get(str(y["run_id"]), {}).get(metric))
        for x, y in zip(pairing.a, pairing.b, strict=True)
    )
    return [(x, y) for x, y in sides if x is not None and y is not None]


def objections(pairing: Pairing, metric: str, reading: Reading) -> list[str]:
    """Return why the two sides may not be compared; nothing if they may.

    Args:
        pairing: the runs.
        metric: what would be compared.
        reading: where it would be read; at equal seconds the machine matters for scores, too.
    """
    measure, found = MEASURES[metric], list(pairing.failures)
    timed = measure.unit in TIMED or reading.at_axis == "train_wall_s"
    columns = ["config_sha256"]
    if timed or measure.needs_same_machine:
        columns += SAME_MACHINE
    pairs = list(zip(pairing.a, pairing.b, strict=True))
    for column in columns:
        differing = [(x[column], y[column]) for x, y in pairs if str(x[column]) != str(y[column])]
        if differing:
            texts = sorted({str(value)[:24] for pair in differing for value in pair})
            found.append(f"{column} differs ({', '.join(texts)})")
    at_a_time = max((int(run["parallel"] or 1) for pair in pairs for run in pair), default=1)
    if timed and at_a_time > 1:
        found.append(f"{at_a_time} runs were at work at a time, so that times mean nothing")
    return found + _misses(pairing, reading.missed)


def remarks(pairing: Pairing, metric: str, n_values: int) -> list[str]:
    """Return what a reader must know of a comparison that may be made.

    Args:
        pairing: the runs.
        metric: what is compared.
        n_values: how many pairs have it.
    """
    found = ["A/A control"] if pairing.is_control else []
    scored = MEASURES[metric].unit == "score"
    diverged = [run for run in (*pairing.a, *pairing.b) if run["status"] == "diverged"]
    if diverged:
        names = ", ".join(f"{run['algorithm']} seed {run['seed']}" for run in diverged)
        found.append(f"{names} diverged: {'a score of 0' if scored else 'left out'}")
    if pairing.unmatched:
        found.append(f"{pairing.unmatched} runs without a partner of the same seed left out")
    lacking = len(pairing.a) - n_values
    if lacking and not (diverged and not scored):
        found.append(f"{lacking} pairs lack this metric")
    runs = [*pairing.a, *pairing.b]
    return found + (own_settings(runs) if len({_own_words(run) for run in runs}) > 1 else [])


def own_settings(runs: Sequence[Row]) -> list[str]:
    """Return the settings that algorithms alone were given, a text for all that have the same.

    Args:
        runs: rows of ``runs.csv``.
    """
    words = {str(run["algorithm"]): _own_words(run) for run in reversed(runs)}
    names: dict[str, list[str]] = {}
    for name in dict.fromkeys(str(run["algorithm"]) for run in runs):
        names.setdefault(words[name], []).append(name)
    having = "each had" if len(names) == 1 and len(words) > 1 else "alone had"
    return [f"{and_list(own)} {having} {said}" for said, own in names.items() if said]


def _own_words(run: Row) -> str:
    own = json.loads(run["own_json"] or "{}")
    if not (own and isinstance(own, dict)):
        return ""
    reason = f" ({run['own_reason']})" if run["own_reason"] else ""
    return ", ".join(f"{key}={value}" for key, value in sorted(own.items())) + reason


def _pairing(names: tuple[str, str], a: Sequence[Row], b: Sequence[Row]) -> Pairing:
    by_seed_a, by_seed_b = ({str(run["seed"]): run for run in side} for side in (a, b))
    pairs = [(run, by_seed_b[seed]) for seed, run in by_seed_a.items() if seed in by_seed_b]
    failures = [
        f"{run['algorithm']} seed {run['seed']} {run['status']}"
        for run in (*a, *b)
        if run["status"] not in ("ok", "diverged")
    ]
    ended = [pair for pair in pairs if all(run["status"] in ("ok", "diverged") for run in pair)]
    unmatched = len(by_seed_a.keys() ^ by_seed_b.keys())
    return Pairing(names, [x for x, _ in ended], [y for _, y in ended], failures, unmatched)


def _misses(pairing: Pairing, missed: frozenset[str]) -> list[str]:
    """Return who never reached a target: those that did are a choice of the better runs."""
    sides = zip(pairing.names, (pairing.a, pairing.b), strict=True)
    counts = [(name, sum(str(run["run_id"]) in missed for run in side)) for name, side in sides]
    said = [f"{name} missed it in {n} of {len(pairing.a)} runs" for name, n in counts if n]
    return [f"only pairs in which both reached the target: {', '.join(said)}"] if said else []
