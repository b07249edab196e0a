"""Which settings are tried: a Latin design over the space, drawn before the first trial.

Trial 0 is the defaults. For each of the ``n - 1`` others every dimension is cut into ``n - 1``
equal parts, each trial gets a random place in one of them, and in which is a random order of its
own for each dimension (a Latin hypercube: McKay, Beckman and Conover, Technometrics 21, 1979).
Random search would do as well for many trials; with eight, which is what people can pay for, it
leaves wide gaps in the one dimension that matters most (the learning rate), and a grid spends its
trials on those that do not matter (Bergstra and Bengio, JMLR 13, 2012). A Sobol sequence fills
several dimensions evenly together, for which eight points are too few to show; and what a dimension
gets would depend on its place among the others, which differ between algorithms. Here it depends on
the dimension's name and the number of trials alone: algorithms get the same values of what they
share, and the same quantiles of arguments of the same name (common random numbers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.comparisons.running.grid import normal_form
from bakeoff.comparisons.tuning.space import Space
from bakeoff.errors import UsageError
from bakeoff.plugins import Spec, parse_spec
from bakeoff.streams import stream
from bakeoff.training.config import knobs

MAX_TRIALS = 1_000


@dataclass(frozen=True)
class Trial:
    """One try of every algorithm.

    Attributes:
        number: 0 is the one with the defaults.
        shared: settings of all algorithms.
        own: by algorithm, as it is named on the command line: its arguments and settings.
    """

    number: int
    shared: Mapping[str, Any]
    own: Mapping[str, Mapping[str, Any]]

    def settings(self, algorithm: str) -> dict[str, Any]:
        """Return everything that an algorithm is tried with."""
        return {**self.shared, **self.own.get(algorithm, {})}

    def knobs(self, algorithm: str) -> dict[str, Any]:
        """Return the settings among it that are knobs of a run."""
        known = knobs()
        return {name: value for name, value in self.settings(algorithm).items() if name in known}

    def spec(self, algorithm: str) -> str:
        """Return the algorithm with the arguments that it is tried with.

        Example:
            >>> Trial(1, {"learning_rate": 1e-3}, {"ppo": {"lam": 0.9}}).spec("ppo")
            'ppo:lam=0.9'
        """
        known, base = knobs(), parse_spec(algorithm)
        drawn = {name: v for name, v in self.own.get(algorithm, {}).items() if name not in known}
        return normal_form(str(Spec(base.target, {**base.arguments, **drawn})))


def trials(space: Space, algorithms: Sequence[str], n: int) -> list[Trial]:
    """Return the ``n`` trials of a space; the same arguments give the same trials.

    Raises:
        UsageError: there would be no trial besides the defaults, or more than ``MAX_TRIALS``.

    Example:
        >>> from bakeoff.comparisons.tuning.space import Choices
        >>> rates = Space({"learning_rate": Choices((1e-4, 1e-3))})
        >>> sorted(trial.shared["learning_rate"] for trial in trials(rates, ["grpo"], 3)[1:])
        [0.0001, 0.001]
    """
    if not 2 <= n <= MAX_TRIALS:
        raise UsageError(
            f"trials must be from 2 (the first is the defaults) to {MAX_TRIALS}, not {n}"
        )
    names = {*space.shared, *(name for own in space.own.values() for name in own)}
    places = {name: quantiles(name, n - 1) for name in names}
    drawn = [
        Trial(
            place + 1,
            {name: kind.at(places[name][place]) for name, kind in space.shared.items()},
            {
                algorithm: {name: kind.at(places[name][place]) for name, kind in own.items()}
                for algorithm, own in space.own.items()
                if algorithm in algorithms
            },
        )
        for place in range(n - 1)
    ]
    return [Trial(0, {}, {}), *drawn]


def quantiles(name: str, n: int) -> list[float]:
    """Return a dimension's ``n`` numbers in [0, 1), one in each ``n``-th of it, in random order.

    Example:
        >>> sorted(int(4 * quantile) for quantile in quantiles("learning_rate", 4))
        [0, 1, 2, 3]
    """
    rng = stream("tuning", name, n)
    return [(place + rng.random()) / n for place in rng.sample(range(n), n)]
