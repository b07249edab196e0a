"""The bytes of a run by component, in each of its phases, and at its peak.

The formula is of a run in which no completion ends early: what has to fit. What is no tensor is
measured, not derived; see ``bakeoff.training.memory.process``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from bakeoff.training.memory import activations, cuda, sampling
from bakeoff.training.memory.holdings import model_bytes
from bakeoff.training.memory.process import beside_tensors
from bakeoff.training.memory.sampling import Asked
from bakeoff.training.memory.sizes import Weight
from bakeoff.training.memory.spread import (
    Moments,
    added_up,
    gathered,
    gathered_gradients,
    own_gradients,
)
from bakeoff.training.memory.workload import (
    Piece,
    Run,
    backward_piece,
    forward_piece,
)

Components = dict[str, int]

BESIDE = ("process_baseline", "unattributed")
"""Components that are no tensors."""

CRITIC_RANK = 16
"""The rank of a LoRA critic beside a policy whose weights all train: as in the training."""


@dataclass(frozen=True)
class Prediction:
    """What a run will hold.

    Attributes:
        phases: bytes by component in the widest moment of each phase.
        models: of weights, gradients and optimisers, all there is of them.

    Example:
        >>> found = Prediction({"rollout": {"kv_cache": 2}, "update_policy": {"activations": 7}})
        >>> found.peak_phase, found.peak_bytes, found.most()
        ('update_policy', 7, {'kv_cache': 2, 'activations': 7})
    """

    phases: Mapping[str, Components]
    models: Mapping[str, int] = field(default_factory=dict)

    @property
    def peak_phase(self) -> str:
        """The phase that holds the most."""
        return max(self.phases, key=lambda name: sum(self.phases[name].values()))

    @property
    def live_bytes(self) -> int:
        """The bytes of the peak that are tensors."""
        return max(
            sum(n_bytes for name, n_bytes in found.items() if name not in BESIDE)
            for found in self.phases.values()
        )

    @property
    def at_peak(self) -> Components:
        """The bytes by component that add up to the peak."""
        return self.phases[self.peak_phase]

    @property
    def peak_bytes(self) -> int:
        """The bytes of the peak."""
        return sum(self.at_peak.values())

    def most(self) -> Components:
        """Return the most that each component holds at any time."""
        found = dict(self.models)
        for components in self.phases.values():
            for name, n_bytes in components.items():
                found[name] = max(found.get(name, 0), n_bytes)
        return found


def predicted(run: Run) -> Prediction:
    """Return what a run will hold if no completion ends early."""
    models = models_of(run)
    lasting = {name: n for name, n in models.items() if not name.endswith("_grads")}
    config, needs, share = run.config, run.needs, run.spread.share
    held_out = Asked(share(config.eval_items), 1, config.sample_batch)
    phases = {"eval": {**lasting, **_sampled(run, held_out, 0.0)}}
    if not needs.on_gold:
        asked = Asked(share(config.prompts_per_update), config.group_size, config.sample_batch)
        phases["rollout"] = {**lasting, **_sampled(run, asked, config.sampling.temperature)}
    lasting["rollout_buffer"] = _buffer(run)
    if needs.critic:
        phases["values"] = {**lasting, **_read(run, logits=False)}
    for name, there in (("ref_logprob", needs.reference), ("old_logprob", needs.corrected)):
        if there:
            phases[name] = {**lasting, **_read(run, logits=True)}
    # matched steps hold a copy of what moves, in fp32
    matched = models["policy_grads"] if config.optimizer.match != "none" else 0
    if matched or _cast(run):
        lasting["other_tensors"] = matched + _cast(run)
    grads = models["policy_grads"] + (needs.critic == "shared") * models.get("critic_grads", 0)
    phases["update_policy"] = {**lasting, **_learned(run, grads, self_head=True)}
    if needs.critic in ("separate", "lora"):
        phases["update_critic"] = {**lasting, **_learned(run, models["critic_grads"])}
    if run.machine.cpu and run.machine.baseline:
        most = max(found.get("activations", 0) for found in phases.values())
        beside = beside_tensors(run.machine.baseline, most)
        phases = {name: {**found, **beside} for name, found in phases.items()}
    return Prediction(phases, models)


def models_of(run: Run) -> Components:
    """Return the bytes of weights, gradients and AdamW's states of the models of a run."""
    held, moved = (
        {name: run.spread.held(weights) for name, weights in models.items()}
        for models in _weights(run)
    )
    return model_bytes(held, moved, run.config.optimizer.optimizer_bits)


def _weights(run: Run) -> tuple[dict[str, list[Weight]], dict[str, list[Weight]]]:
    """Return the weights that each model holds, and those that are moved."""
    sizes, needs, rank = run.sizes, run.needs, run.rank

    def cast(weights: list[Weight]) -> list[Weight]:
        return [weight._replace(itemsize=run.item) for weight in weights]

    policy, backbone = cast(sizes.weights()), cast(sizes.backbone())
    adapter = sizes.adapter(rank) if rank else []
    held = {"policy": policy + adapter}
    moved = {"policy": adapter or policy}
    if needs.reference and not rank:
        held["reference"] = policy
    if needs.critic:
        own = sizes.value_head()
        if needs.critic == "separate":
            own = backbone + own
        if needs.critic == "lora":
            own += sizes.adapter(rank or CRITIC_RANK)
        copied = needs.critic == "lora" and not rank and not needs.reference
        held["critic"], moved["critic"] = own + (backbone if copied else []), own
    return held, moved


def _sampled(run: Run, asked: Asked, temperature: float) -> Components:
    """Return what sampling holds beside the models."""
    sizes, precision, machine = run.sizes, run.config.precision, run.machine
    largest = 4 * sizes.embedding  # shards meet in fp32, one weight at a time
    if run.elsewhere:
        return {"gathered": largest} if run.spread.sharded else {}
    logits = sampling.step_logits(sizes, asked, precision, temperature)
    prefill = sampling.prefill_bytes(sizes, asked, run.lengths, precision)
    copied = sampling.copied_weights(sizes, precision, machine)
    drawn = asked.prompts * asked.group * run.lengths.completion * (8 + 8 + 4)
    if run.spread.sharded:  # a plain copy of the policy, for as long as it samples
        copied += run.item * sum(weight.numbers for weight in sizes.weights())
    if not machine.cpu:
        drawn += cuda.step_scores(sizes, asked.running, run.lengths)
    found = {
        "sampler_weights": copied,
        "kv_cache": sampling.cache_bytes(sizes, asked, run.lengths, precision),
        "other_tensors": drawn + max(0, _cast(run) - copied),
        "merged_weights": run.item * sizes.linear() if run.rank else 0,
        **({"activations": prefill} if prefill > logits else {"logits": logits}),
    }
    if run.spread.sharded and sum(found.values()) < copied + largest:
        found = {"sampler_weights": copied, "gathered": largest}
    return {name: n_bytes for name, n_bytes in found.items() if n_bytes}


def _cast(run: Run) -> int:
    """Return the bytes of what autocast makes of the weights and keeps until the end of a pass."""
    return 2 * run.sizes.linear(head=True) if run.config.precision == "bf16_autocast" else 0


def _read(run: Run, *, logits: bool) -> Components:
    """Return what a pass without gradient over the batch holds beside the models."""
    sizes, precision = run.sizes, run.config.precision
    piece = forward_piece(run.config, run.lengths, run.needs, after=not logits)
    layers = piece.tokens * activations.passing(sizes, precision)
    if not run.machine.cpu:
        layers += cuda.made_by_attention(sizes, piece, run.lengths, run.item)
    ended = (piece.tokens + piece.counted) * activations.state(sizes, precision)
    made = activations.logits_forward(sizes, piece.counted, precision) if logits else 0
    beside = {"other_tensors": _cast(run), "gathered": _gathered(run, head=logits)}
    beside = {name: n_bytes for name, n_bytes in beside.items() if n_bytes}
    if layers > ended + made:
        return {"activations": layers, **beside}
    return {"activations": ended, "logits": made, **beside}


def _learned(run: Run, grads: int, *, self_head: bool = False) -> Components:
    """Return what a backward pass holds beside the models, in its widest moment.

    The widest moment is one of these: logits are made; their gradient is; the last layer's turn
    comes, with the gradient of the output layer there; the first layer's does; or the embeddings'
    gradient is made, and added to the output layer's if both are one; or replicas add theirs up. If
    the pieces of an optimiser step are several, the first ones' gradients are there all the time.

    Args:
        run: the run.
        grads: bytes of all gradients of the optimisers that follow.
        self_head: whether there are log-probabilities, and so an output layer with a gradient.
    """
    sizes, precision, config = run.sizes, run.config.precision, run.config
    critic_rank = (run.rank or CRITIC_RANK) if run.needs.critic == "lora" else 0
    rank = run.rank if self_head else critic_rank
    layers = activations.kept_by_layers(sizes, precision, config.recompute, rank)
    piece = _piece(run, layers, after=not self_head)
    last = activations.kept_at_the_end(sizes, precision, rank)
    chosen = piece.counted * activations.state(sizes, precision) if self_head else 0
    kept = piece.tokens * (layers + last) + chosen
    one = piece.tokens * activations.kept_by_layer(sizes, precision, rank)
    if not run.machine.cpu:
        seen = cuda.kept_by_attention(sizes, piece, run.lengths, run.item)
        kept += seen * (sizes.layers if config.recompute == "none" else 1)
        one += seen
    turning = piece.tokens * activations.turning(sizes, precision)
    held = Moments(kept, kept + chosen, kept + turning, one + turning)
    logits = Moments(
        activations.logits_forward(sizes, piece.counted, precision) if self_head else 0,
        activations.logits_backward(sizes, piece.counted, precision) if self_head else 0,
    )
    whole = not (rank or run.spread.sharded)
    own = own_gradients(sizes, grads, 0 if piece.alone else grads, head=self_head, whole=whole)
    name = "policy_grads" if self_head else "critic_grads"
    passing = _gathered(run, head=self_head)
    moments: list[Components] = [
        {"activations": kept, "logits": made, name: grad, "gathered": passing + moving}
        for kept, made, grad, moving in zip(held, logits, own, _moving(run, self_head), strict=True)
    ]
    widest = max(moments, key=lambda moment: sum(moment.values()))
    return {name: n_bytes for name, n_bytes in widest.items() if n_bytes}


def _gathered(run: Run, *, head: bool) -> int:
    """Return the bytes of weights that a pass of a sharded model has whole."""
    return gathered(run.sizes, run.item, head=head) if run.spread.sharded else 0


def _moving(run: Run, head: bool) -> Moments:
    """Return the bytes of gradients on their way between ranks."""
    if run.spread.sharded:
        return gathered_gradients(run.sizes, run.item, head=head)
    return added_up(_weights(run)[1]["policy" if head else "critic"], run.spread.ranks)


def _piece(run: Run, layers: int, *, after: bool) -> Piece:
    gib = run.config.activation_gib
    most = math.inf if gib is None else gib * 2**30 / layers
    return backward_piece(run.config, run.needs, run.lengths, after=after, most=most)


def _buffer(run: Run) -> int:
    """Return the bytes of the batch: tokens, masks, log-probabilities, values and credit."""
    config, needs, lengths = run.config, run.needs, run.lengths
    rows = config.prompts_per_update * (1 if needs.on_gold else config.group_size)
    numbers = 2 + needs.reference + needs.corrected + bool(needs.critic) * 2 + 1
    return rows * (12 * lengths.longest_prompt + (8 + 4 * numbers) * lengths.completion)
