"""The largest group, batch, reply or model that each algorithm can afford in a given memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bakeoff.comparisons.fitting.facts import Facts, unknown_model
from bakeoff.comparisons.fitting.search import even_step, largest
from bakeoff.errors import UsageError
from bakeoff.training.memory.prediction import Prediction, predicted

VARIED = ("group_size", "prompts_per_update", "max_new_tokens", "model")
"""What can be made larger; all but the model are knobs."""

WHOLE = (
    "the whole batch is one backward pass, and sampled at once: with smaller micro-batches, memory "
    "hardly depends on the size of the batch"
)

Value = int | str


@dataclass(frozen=True)
class Tried:
    """One size, and what a run of it will hold.

    Attributes:
        value: the knob's, or a model's name.
        knobs: all settings of the run.
        prediction: its bytes.
    """

    value: Value
    knobs: Mapping[str, Any]
    prediction: Prediction


@dataclass(frozen=True)
class Fit:
    """What one algorithm can afford.

    Attributes:
        algorithm, environment, model: the run's; the model is the one that fits, if it is varied.
        vary: what was made larger, one of ``VARIED``.
        limit: bytes that it may take.
        best: the largest size that fits; ``None``: none does.
        above: the next one, which does not; ``None``: there is none.
    """

    algorithm: str
    environment: str
    model: str
    vary: str
    limit: int
    best: Tried | None
    above: Tried | None

    def key(self, tried: Tried) -> tuple[str, str, str, Value]:
        """Return algorithm, environment and model of one of the sizes, and the size."""
        model = str(tried.value) if self.vary == "model" else self.model
        return self.algorithm, self.environment, model, tried.value

    @property
    def tried(self) -> list[Tried]:
        """The size that fits and the next one, as far as there are."""
        return [one for one in (self.best, self.above) if one is not None]


def whole_batch(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with which a batch is one backward pass, and sampled at once.

    Example:
        >>> whole_batch({"prompts_per_update": 4, "group_size": 8})["micro_batch"]
        32
    """
    rows = knobs["prompts_per_update"] * knobs["group_size"]
    return {**knobs, "micro_batch": rows, "sample_batch": rows}


def fit(
    facts: Facts, place: tuple[str, str, str], knobs: Mapping[str, Any], vary: str, limit: int
) -> Fit:
    """Return the largest group, batch or reply that an algorithm can afford.

    Groups and batches divide evenly into the minibatches. A reply is never longer than the model's
    context allows.

    Args:
        facts: of the comparison.
        place: algorithm, environment and model.
        knobs: settings of its runs.
        vary: the knob that is made larger.
        limit: bytes that a run may take at its peak.

    Raises:
        UsageError: nothing is foretold of the model.
    """
    algorithm, environment, model = place
    if (run := facts.run(*place, knobs)) is None:
        raise unknown_model(model)

    def tried(value: int) -> Tried:
        settings = whole_batch({**knobs, vary: value})
        found = facts.run(*place, settings)
        assert found is not None
        return Tried(value, settings, predicted(found))

    first = step = 1
    ends: dict[str, int] = {}
    if vary == "group_size":
        step = even_step(knobs["prompts_per_update"], knobs["minibatches"])
        first = step * -(-run.needs.min_group_size // step)
    if vary == "prompts_per_update":
        first = step = even_step(knobs["group_size"], knobs["minibatches"])
    if vary == "max_new_tokens" and run.sizes.context:
        turns = facts.replies[environment][1]
        ends["most"] = max(1, (run.sizes.context - run.lengths.longest_prompt) // turns)
    best = largest(
        lambda value: tried(value).prediction.peak_bytes <= limit, first=first, step=step, **ends
    )
    following = first if best is None else best + step
    beyond = following > ends.get("most", following)
    return Fit(
        algorithm,
        environment,
        model,
        vary,
        limit,
        best=None if best is None else tried(best),
        above=None if beyond else tried(following),
    )


def fit_model(
    facts: Facts,
    place: tuple[str, str],
    models: Sequence[str],
    knobs: Mapping[str, Any],
    limit: int,
) -> Fit:
    """Return the largest of some models that an algorithm can afford.

    Args:
        facts: of the comparison.
        place: algorithm and environment.
        models: to choose from.
        knobs: settings of its runs.
        limit: bytes that a run may take at its peak.

    Raises:
        UsageError: nothing is foretold of one of the models.
    """
    settings = whole_batch(knobs)
    found = []
    for model in models:
        if (run := facts.run(*place, model, settings)) is None:
            raise unknown_model(model)
        found.append(Tried(model, settings, predicted(run)))
    found.sort(key=lambda one: one.prediction.peak_bytes)
    fitting = [one for one in found if one.prediction.peak_bytes <= limit]
    larger = found[len(fitting) : len(fitting) + 1]
    best = fitting[-1] if fitting else None
    name = str((best or larger[0]).value)
    return Fit(*place, name, "model", limit, best, larger[0] if larger else None)


def fits(
    facts: Facts,
    places: tuple[Iterable[str], Sequence[str], Sequence[str]],
    knobs_of: Callable[[str], Mapping[str, Any]],
    vary: str,
    limit: int,
) -> list[Fit]:
    """Return what each algorithm can afford in each environment, with each model.

    Args:
        facts: of the comparison.
        places: algorithms, environments and models.
        knobs_of: the settings of an algorithm's runs.
        vary: one of ``VARIED``.
        limit: bytes that a run may take at its peak.

    Raises:
        UsageError: nothing is foretold of a model.
    """
    algorithms, environments, models = places
    found = []
    for algorithm in algorithms:
        knobs = knobs_of(algorithm)
        for environment in environments:
            if vary == "model":
                found.append(fit_model(facts, (algorithm, environment), models, knobs, limit))
                continue
            found += [
                fit(facts, (algorithm, environment, model), knobs, vary, limit) for model in models
            ]
    return found


def affordable(found: Sequence[Fit], limit_text: str) -> dict[str, dict[str, Any]]:
    """Return the settings that each algorithm gets: the smallest group of all its places.

    Raises:
        UsageError: an algorithm cannot afford any group.
    """
    own: dict[str, dict[str, Any]] = {}
    for one in found:
        if one.best is None:
            assert one.above is not None
            needed = one.above.prediction.peak_bytes / 2**20
            raise UsageError(
                f"{one.algorithm} cannot afford a {one.vary} of {one.above.value} in {limit_text}: "
                f"it would need {needed:.0f} MiB; raise the budget, or lower prompts_per_update or "
                "max_new_tokens"
            )
        names = (one.vary, "micro_batch", "sample_batch")
        settings = {name: one.best.knobs[name] for name in names}
        if one.algorithm not in own or settings[one.vary] < own[one.algorithm][one.vary]:
            own[one.algorithm] = settings
    return own
