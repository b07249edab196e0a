"""What a plan says: a table, and its text for a terminal, each figure with what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bakeoff.comparisons.fitting.planning import HEADROOM, Plan, Question, at_peak
from bakeoff.comparisons.wording import short, text_table
from bakeoff.training.memory.start import at_start, on_host

GROUPS: Mapping[str, tuple[str, ...]] = {
    "weights": ("policy_weights", "merged_weights"),
    "grads": ("policy_grads",),
    "AdamW": ("policy_optimizer",),
    "critic": ("critic_weights", "critic_grads", "critic_optimizer"),
    "reference": ("reference_weights",),
    "sampling": ("sampler_weights", "kv_cache"),
    "activations": ("activations", "logits"),
    "gathered": ("gathered",),
    "batch": ("rollout_buffer", "other_tensors"),
    "outside": ("process_baseline", "unattributed"),
}
"""Columns of the text, and the components that each adds up."""

COUNTED = tuple(
    component
    for name in ("weights", "grads", "AdamW", "critic", "reference", "sampling")
    for component in GROUPS[name]
)
"""Components that are numbers of weights and tokens times their bytes."""

START = "Before it is split, one process has the model whole in the memory of its host"

AUDITED = ("tiny", "smollm2", "smollm2-135m")
"""Models whose components were counted in audits, and met the formula: docs/memory.md."""

NOTES = (
    "weights, gradients, AdamW and caches are counted exactly (basis: formula; measured: an audit "
    "counted the same, docs/memory.md)",
    "activations, logits and what is gathered are by formula for shapes that were never run here "
    "(basis: extrapolated); attention is torch's memory-efficient kernel, with masks, without "
    "scores",
    "outside are the CUDA context and NCCL's buffers, as others report them (docs/fit.md); "
    f"{HEADROOM:.0%} of each device stay free",
    "no run on a GPU has confirmed any of it",
)


def basis(component: str, model: str) -> str:
    """Return what a figure rests on: ``measured``, ``formula`` or ``extrapolated``.

    Example:
        >>> basis("policy_weights", "tiny"), basis("policy_weights", "llama-3.1-70b")
        ('measured', 'formula')
    """
    if component in COUNTED:
        return "measured" if model in AUDITED else "formula"
    return "formula" if component == "rollout_buffer" else "extrapolated"


def rows(found: Sequence[Plan], question: Question) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table: one for each device and component at its peak."""
    for plan in found:
        spread, config = plan.run.spread, plan.run.config
        key = {
            "algorithm": plan.algorithm,
            "model": plan.model,
            "parameters": sum(weight.numbers for weight in plan.run.sizes.weights()),
            "critic": plan.run.needs.critic or "none",
            "precision": config.precision,
            "devices": plan.devices,
            "sharding": "full" if spread.sharded else "none",
            "sampler_devices": plan.server.devices if plan.server else 0,
            "device_bytes": question.memory,
            "usable_bytes": question.usable,
            "fits": plan.fits,
            "reason": plan.reason,
            "start_bytes": at_start(plan.run),
            "host_bytes": on_host(plan.run),
            "micro_batch": config.micro_batch,
            "largest_micro_batch": plan.room.get("micro_batch"),
            "largest_sample_batch": plan.room.get("sample_batch"),
        }
        held = {("training", plan.prediction.peak_phase): at_peak(plan)}
        if plan.server:
            held["sampler", "rollout"] = plan.server.held
        for (device, phase), components in held.items():
            for name, n_bytes in components.items():
                yield {
                    **key,
                    "device": device,
                    "peak_phase": phase,
                    "component": name,
                    "bytes_predicted": n_bytes,
                    "basis": basis(name, plan.model),
                }


def text(found: Sequence[Plan], question: Question) -> str:
    """Return for each model what fits on how many devices, and what one of them holds."""
    blocks = []
    for model in question.sizes:
        own = [plan for plan in found if plan.model == model]
        blocks += [_title(model, question), _answers(own), _components(own)]
        why = [f"- {_name(plan)}: {plan.reason}" for plan in own if not plan.fits]
        if why:
            blocks.append("\n".join(["Does not fit:", *why]))
        if whole := max((on_host(plan.run) for plan in own if plan.fits), default=0):
            blocks.append(f"{START}: {_gib(whole)} GiB.")
    blocks.append("\n".join(f"Note: {note}." for note in NOTES))
    return "\n\n".join(blocks)


def _title(model: str, question: Question) -> str:
    numbers = sum(weight.numbers for weight in question.sizes[model].weights())
    size = f"{numbers / 1e9:.2f} billion" if numbers >= 1e8 else f"{numbers / 1e6:.2f} million"
    lengths = question.lengths
    return (
        f"{short(model)}: {size} weights, {question.knobs.get('precision', 'fp32')}; prompts of "
        f"{lengths.longest_prompt:,} tokens, replies of {lengths.completion:,}; devices of "
        f"{_gib(question.memory)} GiB, {_gib(question.usable)} of them used"
    )


def _answers(own: Sequence[Plan]) -> str:
    header = ["algorithm", "critic", "devices", "sharding", "sampler", "fits"]
    header += ["GiB each", "micro_batch", "sample_batch"]
    lines = []
    for plan in own:
        room = [plan.room.get(name) for name in ("micro_batch", "sample_batch")]
        lines.append(
            [
                short(plan.algorithm),
                plan.run.needs.critic or "none",
                _count(plan),
                "full" if plan.run.spread.sharded else "none",
                f"+ {plan.server.devices}" if plan.server else "here",
                "yes" if plan.fits else "no",
                _gib(plan.prediction.peak_bytes),
                *("-" if most is None else f"<= {most}" for most in room),
            ]
        )
    return text_table(header, lines)


def _components(own: Sequence[Plan]) -> str:
    """Return the table of what one training device holds at its peak, in GiB."""
    sums = [
        {name: sum(at_peak(plan).get(part, 0) for part in parts) for name, parts in GROUPS.items()}
        for plan in own
    ]
    shown = [name for name in GROUPS if any(one[name] for one in sums)]
    lines = [
        [_name(plan), *(_gib(one[name]) for name in shown), plan.prediction.peak_phase]
        for plan, one in zip(own, sums, strict=True)
    ]
    return text_table(["GiB at the peak", *shown, "in"], lines)


def _name(plan: Plan) -> str:
    return f"{short(plan.algorithm)} on {_count(plan)}"


def _count(plan: Plan) -> str:
    return "any" if plan.sought and not plan.fits else str(plan.devices)


def _gib(n_bytes: int) -> str:
    gib = n_bytes / 2**30
    return "-" if not n_bytes else f"{gib:,.0f}" if gib >= 100 else f"{gib:.1f}"
