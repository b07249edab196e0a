"""An order of items that follows what the policy can do: those it sometimes solves come often.

An item that is always or never solved gives all completions one reward, and nothing to learn from;
most is learned where half of them are right. Items come in the order that they would have without
a curriculum, and each is taken with the probability

    w = max(FLOOR, 4 p (1 - p)),    p: the estimated solve rate of the item

else passed over. A score counts as a solve rate, within [0, 1]. The estimate starts from the level
that the item names (``item.data["level"]``; items that name none are of one level), and takes the
item's own last completions into account where items come again. What is known of a level fades by
``MEMORY`` an update, towards a half: a level that was not asked for long is tried again.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bakeoff.streams import stream
from bakeoff.training.order import SHUFFLED, Order, item_indices
from bakeoff.training.reports import Sample
from bakeoff.types import Environment, Item

FLOOR = 0.1
"""The least probability of an item: solve rates change, and only asking shows it."""

MEMORY = 0.9
"""How much of a level's history is left after an update."""

PRIOR = 4.0
"""How many completions the guess counts that an estimate starts from."""

TRIES = 8
"""Candidates for each place in an update; then the likeliest of those passed over fill up."""


class AdaptiveOrder(Order):
    """Items of middling solve rate first: a function of the seed and of the scores so far.

    Attributes:
        position: how many candidates there were.
        levels: of each level, the completions that solved it and how many there were, both faded.
        solved: the same of each item's last completions, by index.
    """

    def __init__(self, environment: Environment, seed: int) -> None:
        super().__init__(environment, seed)
        self.position = 0
        self.levels: dict[str, tuple[float, float]] = {}
        self.solved: dict[int, tuple[float, float]] = {}

    def items(self, update: int, n: int) -> list[Item]:
        """Return the ``n`` items of an update."""
        rng = stream("curriculum", self.seed, update)
        self.asked = self._chosen(self._candidates(), n, rng)
        return [item for _, item in self.asked]

    def further(self, update: int, number: int, n: int) -> list[Item]:
        """Return ``n`` more items of the same update, chosen in the same way."""
        rng = stream("curriculum", self.seed, update, number)
        others = self.size - len({index for index, _ in self.asked})
        candidates = self._further_indices(update, number, min(TRIES * n, max(n, others)))
        more = self._chosen(candidates, n, rng)
        self.asked += more
        return [item for _, item in more]

    def _candidates(self) -> Iterator[int]:
        """Go on in the order that there is without a curriculum."""
        while True:
            (index,) = item_indices(self.seed, self.position, 1, self.size)
            self.position += 1
            yield index

    def _chosen(
        self, candidates: Iterable[int], n: int, rng: random.Random
    ) -> list[tuple[int, Item]]:
        chosen: list[tuple[int, Item]] = []
        passed: list[tuple[float, int, Item]] = []
        for index in itertools.islice(candidates, TRIES * n):
            item = self.environment.item(index, "train")
            weight = self.weight(index, item)
            if rng.random() < weight:
                chosen.append((index, item))
            else:
                passed.append((weight, index, item))
            if len(chosen) == n:
                break
        passed.sort(key=lambda one: -one[0])
        return chosen + [(index, item) for _, index, item in passed[: n - len(chosen)]]

    def weight(self, index: int, item: Item) -> float:
        """Return the probability with which an item is taken."""
        solved, count = self.levels.get(_level(item), (0.0, 0.0))
        rate = (solved + PRIOR / 2) / (count + PRIOR)
        solved, count = self.solved.get(index, (0.0, 0.0))
        rate = (solved + PRIOR * rate) / (count + PRIOR)
        return max(FLOOR, 4 * rate * (1 - rate))

    def learn(self, samples: Sequence[Sample]) -> None:
        """Take in how the items of the update were solved, in all its rounds."""
        self.levels = {
            level: (MEMORY * solved, MEMORY * count)
            for level, (solved, count) in self.levels.items()
        }
        solved_by: dict[int, list[float]] = {}
        for sample in samples:
            if (value := sample.score.value) is not None:
                solved_by.setdefault(sample.group, []).append(min(1.0, max(0.0, value)))
        for place, rates in solved_by.items():
            index, item = self.asked[place]
            solved, count = self.levels.get(_level(item), (0.0, 0.0))
            self.levels[_level(item)] = (solved + sum(rates), count + len(rates))
            if self.size <= SHUFFLED:
                self.solved[index] = (sum(rates), float(len(rates)))

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as JSON has it."""
        return {
            "position": self.position,
            "levels": {level: list(pair) for level, pair in self.levels.items()},
            "solved": {str(index): list(pair) for index, pair in self.solved.items()},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's state."""
        self.position = state["position"]
        self.levels = {level: (pair[0], pair[1]) for level, pair in state["levels"].items()}
        self.solved = {int(index): (pair[0], pair[1]) for index, pair in state["solved"].items()}


def _level(item: Item) -> str:
    return str(item.data.get("level", ""))


ORDERS: dict[str, type[Order]] = {"none": Order, "adaptive": AdaptiveOrder}
