"""How many devices a run needs, and what each of them holds: for models that need not be here.

What is looked for is the least that a run can do with: one completion in a backward pass, and one
that is sampled at a time, on each device. Both change memory and not results. Then, how many more
of them there is room for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bakeoff.comparisons.fitting.search import largest
from bakeoff.comparisons.fitting.serving import Server, server
from bakeoff.errors import UsageError
from bakeoff.training.config import train_config
from bakeoff.training.memory import cuda
from bakeoff.training.memory.prediction import Components, Prediction, predicted
from bakeoff.training.memory.sizes import ModelSizes
from bakeoff.training.memory.workload import Lengths, Machine, Needs, Run

HEADROOM = 0.1
"""The share of a device that is left free: for the allocator's holes, kernels' workspaces, and what
the formula does not know. No measurement: `PYTORCH_CUDA_ALLOC_CONF` and the kernels decide."""

MOST_DEVICES = 4096
"""More are not looked for."""

CHOSEN = ("micro_batch", "sample_batch")
"""Settings that a plan chooses, unless they are given."""


@dataclass(frozen=True)
class Question:
    """What is to be planned.

    Attributes:
        needs: of each algorithm.
        sizes: of each model.
        knobs: settings of the runs.
        lengths: of prompts and completions.
        memory: bytes of one device.
        sharding: ``none`` or ``full``; ``None``: full where none does not fit.
        elsewhere: whether completions are written on other devices.
        given: which of ``CHOSEN`` are settled.
    """

    needs: Mapping[str, Needs]
    sizes: Mapping[str, ModelSizes]
    knobs: Mapping[str, Any]
    lengths: Lengths
    memory: int
    sharding: str | None = None
    elsewhere: bool = False
    given: frozenset[str] = frozenset()

    @property
    def usable(self) -> int:
        """The bytes of a device that may be used."""
        return int(self.memory * (1 - HEADROOM))

    def run(self, algorithm: str, model: str, **chosen: int | str) -> Run:
        """Return a run, with micro-batches and sampling as small as can be, or as ``chosen``.

        Raises:
            UsageError: settings that do not go together.
        """
        least = {name: 1 for name in CHOSEN if name not in self.given}
        config = train_config({**self.knobs, **least, **chosen})
        needs = self.needs[algorithm]
        if self.elsewhere and not needs.on_gold:  # the sampler's log-probabilities are its own
            needs = dataclasses.replace(needs, corrected=True)
        machine = Machine(cpu=False, bf16=True)
        return Run(self.sizes[model], needs, config, self.lengths, machine, self.elsewhere)


@dataclass(frozen=True)
class Plan:
    """An algorithm on some devices.

    Attributes:
        algorithm, model: of the run.
        run: the least of it.
        prediction: what one of its devices holds.
        usable: bytes that it may hold.
        server: what samples, if other devices do.
        room: the most that fits of each of ``CHOSEN``; those that were given are not in it.
        reason: why it does not fit; empty if it does.
        sought: whether the number of devices was looked for.
    """

    algorithm: str
    model: str
    run: Run
    prediction: Prediction
    usable: int
    server: Server | None = None
    room: Mapping[str, int] = field(default_factory=dict)
    reason: str = ""
    sought: bool = False

    @property
    def fits(self) -> bool:
        """Whether every device holds what it has to."""
        return not self.reason

    @property
    def devices(self) -> int:
        """Those that train."""
        return self.run.spread.ranks


def plans(question: Question, counts: Sequence[int] | None) -> list[Plan]:
    """Return a plan for each model, algorithm and number of devices.

    Args:
        question: what is to be planned.
        counts: numbers of devices that train; ``None``: the fewest that do.
    """
    found = []
    for model in question.sizes:
        for algorithm in question.needs:
            ask = _asker(question, algorithm, model)
            tried = [_fewest(ask)] if counts is None else [ask(count) for count in counts]
            found += [_with_room(question, plan, sought=counts is None) for plan in tried]
    return found


def fewest(fits: Callable[[int], bool]) -> int:
    """Return the fewest devices that do, or ``MOST_DEVICES``, though they do not.

    Args:
        fits: whether so many do. From two on, more never do worse; one alone needs no buffers to
            talk to others.

    Example:
        >>> fewest(lambda n: n >= 5), fewest(lambda n: n != 2)
        (5, 1)
    """
    if fits(1):
        return 1
    enough = 2
    while enough < MOST_DEVICES and not fits(enough):
        enough *= 2
    low = enough // 2  # does not do
    while enough - low > 1:
        middle = (low + enough) // 2
        low, enough = (low, middle) if fits(middle) else (middle, enough)
    return enough


def _fewest(ask: Callable[[int], Plan]) -> Plan:
    return ask(fewest(lambda count: ask(count).fits))


def _asker(question: Question, algorithm: str, model: str) -> Callable[[int], Plan]:
    def ask(count: int) -> Plan:
        if question.sharding is not None:
            return _plan(question, algorithm, model, count, question.sharding)
        plain = _plan(question, algorithm, model, count, "none")
        if plain.fits or count == 1:
            return plain
        try:
            return _plan(question, algorithm, model, count, "full")
        except UsageError as error:  # settings that do not go with it
            return dataclasses.replace(plain, reason=f"{plain.reason}; {error}")

    return ask


def _plan(question: Question, algorithm: str, model: str, count: int, sharding: str) -> Plan:
    """Return the plan for so many devices, without looking for what there is room for."""
    sharding = sharding if count > 1 else "none"
    run = question.run(algorithm, model, processes=count, sharding=sharding)
    prediction = _on_devices(run)
    serving = server(run, question.usable) if question.elsewhere else None
    plan = Plan(algorithm, model, run, prediction, question.usable, serving)
    return dataclasses.replace(plan, reason=_reason(plan))


def _on_devices(run: Run) -> Prediction:
    """Return what a device holds, with what is there beside torch's tensors."""
    found = predicted(run)
    outside = cuda.outside_tensors(run.spread.ranks)
    phases = {name: {**phase, **outside} for name, phase in found.phases.items()}
    return Prediction(phases, found.models)


def _reason(plan: Plan) -> str:
    """Return why a plan does not fit; empty if it does."""
    run, found = plan.run, plan.prediction
    if run.spread.sharded and run.needs.critic == "lora":
        return "sharding full does not go with critic=lora"
    if found.peak_bytes > plan.usable:
        copy = found.at_peak.get("sampler_weights", 0)
        if run.spread.sharded and found.peak_phase in ("rollout", "eval") and copy:
            size = f"{copy / 2**30:,.0f} GiB"
            return (
                f"the built-in sampler needs all weights ({size}) on each device: sample on other "
                "devices, --sampler vllm_server"
            )
        name, held = max(found.at_peak.items(), key=lambda one: one[1])
        return f"{found.peak_phase}: {name} takes {held / 2**30:,.1f} GiB of a device"
    if plan.server is not None and not plan.server.fits:
        return f"the sampler does not fit on {plan.server.devices} devices"
    return ""


def _with_room(question: Question, plan: Plan, *, sought: bool) -> Plan:
    """Return the plan with how much of each there is room for, of what was not given."""
    plan = dataclasses.replace(plan, sought=sought)
    if not plan.fits:
        return plan
    config, spread = plan.run.config, plan.run.spread
    group = 1 if plan.run.needs.on_gold else config.group_size
    asked = math.ceil(config.prompts_per_update * group / config.minibatches)
    most = {
        "micro_batch": spread.share(asked),
        "sample_batch": max(
            spread.share(config.prompts_per_update) * group, spread.share(config.eval_items)
        ),
    }
    room = {}
    for name in CHOSEN:
        if name in question.given:
            continue

        def fits(value: int, name: str = name) -> bool:
            chosen: dict[str, int | str] = {
                "processes": plan.devices,
                "sharding": config.sharding,
                name: value,
            }
            run = question.run(plan.algorithm, plan.model, **chosen)
            return _on_devices(run).peak_bytes <= plan.usable

        room[name] = largest(fits, most=most[name]) or 0
    if plan.server is not None and "sample_batch" in room:
        room["sample_batch"] = plan.server.running
    return dataclasses.replace(plan, room=room)


def at_peak(plan: Plan) -> Components:
    """Return the bytes by component that add up to a device's peak, without those that are none."""
    return {name: held for name, held in plan.prediction.at_peak.items() if held}
