"""The models of a run at work: what they say of a batch, and one optimiser step after the other."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.optim import Optimizer

from bakeoff.algorithms.stages import corrected, weighted
from bakeoff.training import adapters
from bakeoff.training.batch import minibatches
from bakeoff.training.config import TrainConfig
from bakeoff.training.devices.sharding import empty_twin, met, sharded
from bakeoff.training.devices.world import world
from bakeoff.training.flops import Passes, passes
from bakeoff.training.ledger import Ledger, counts, optimizer_bytes, tensor_bytes
from bakeoff.training.matching import copy_bytes, mean_kl, moved
from bakeoff.training.memory.holdings import model_bytes
from bakeoff.training.meter import Meter
from bakeoff.training.models import ADAPTER, CRITIC_RANK, learning_rates, models
from bakeoff.training.optimizer import adamw, schedule, trained
from bakeoff.training.packing.products import reordered_weights
from bakeoff.training.passing import Passing
from bakeoff.training.precision import cast, many_passes_in
from bakeoff.training.scoring import States
from bakeoff.training.statistics import correction_metrics, largest_gap, step_metrics
from bakeoff.training.steps import Diverged as Diverged
from bakeoff.training.steps import Losses, apply
from bakeoff.types import Algorithm, Batch, Metrics

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


class Learner:
    """Policy, critic and reference model of one run.

    Attributes:
        policy: the model that is trained.
        critic: a value model, if the algorithm has a value loss.
        reference: a frozen copy of the policy at the start, if the algorithm needs one and the
            policy is no LoRA, whose base is that already.
        player: the model that samples: the policy, or a whole twin of it if that is in shards.
        ledger: the bytes that all of them hold.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        algorithm: Algorithm,
        config: TrainConfig,
        ledger: Ledger,
        *,
        seed: int = 0,
    ) -> None:
        """Set up the models and their optimisers.

        Args:
            language_model: the policy, which is trained in place.
            algorithm: says which other models there are.
            config: with ``learning_rate`` filled in.
            ledger: is told what the models hold.
            seed: the experiment's; an adapter's first weights come from it.
        """
        self.config, self.algorithm, self.ledger = config, algorithm, ledger
        self.lora = config.lora.lora_rank > 0
        self.world = world(config.device)
        policy = language_model.model.eval()  # eval: no dropout, so that ratios start at 1
        cast(policy, config.precision)
        copied = copy.deepcopy if config.sharding == "none" else empty_twin
        self.models = models(policy, algorithm, config.lora, seed, copied)
        self.policy, self.critic, self.reference = self.models
        self.player = sharded(self.models, self.world, config)
        self.models.check_alike(self.world)
        self.passing = Passing(config, policy, self.world)
        self.rates = learning_rates(config.optimizer, config.lora, algorithm)
        moving = adapters.parameters(policy, ADAPTER) if self.lora else policy.parameters()
        self.optimizer = adamw(moving, self.rates[0], config.optimizer)
        self.critic_optimizer = None
        if self.critic is not None:
            weights = self.critic.parameters()
            self.critic_optimizer = adamw(weights, self.rates[1], config.optimizer)
        self._sampler_gap: float | None = None
        for name, held in self.models.held().items():
            model = getattr(self.models, name)
            buffers = model.buffers() if model is not None else ()
            ledger.set(f"{name}_weights", tensor_bytes([*held, *buffers]))
        for name, optimizer in self.optimizers().items():
            ledger.set(f"{name}_optimizer", optimizer_bytes(optimizer))  # masters, so far
        if config.optimizer.match != "none":
            ledger.set("other_tensors", copy_bytes(self.optimizer))

    def predicted_bytes(self) -> dict[str, int]:
        """Bytes by formula: weights, gradients of what trains, AdamW's averages and masters."""
        moved = {name: counts(trained(optimizer)) for name, optimizer in self.optimizers().items()}
        held = {name: counts(weights) for name, weights in self.models.held().items()}
        return model_bytes(held, moved, self.config.optimizer.optimizer_bits)

    def optimizers(self) -> dict[str, Optimizer]:
        """Return what moves the policy and, if there is one, the critic."""
        both = {"policy": self.optimizer, "critic": self.critic_optimizer}
        return {name: optimizer for name, optimizer in both.items() if optimizer is not None}

    def passes(self, update: int, *, silent: bool = False) -> dict[str, Passes]:
        """Return what the phases of an update (the first: 0) cost each completion."""
        rank = self.config.lora.lora_rank
        critic_rank = rank or CRITIC_RANK
        return passes(self.algorithm, update, rank=rank, critic_rank=critic_rank, silent=silent)

    @contextmanager
    def sampling(self, *, here: bool = True) -> Iterator[None]:
        """Make the policy ready to sample: a LoRA is merged into its base meanwhile.

        If it samples itself (``here``), its weights are whole, and copied in the order of fast
        products; if not, they are to be handed over.
        """
        with ExitStack() as stack:
            copied = stack.enter_context(self.whole()) if here else 0
            if self.lora:
                extra_bytes = stack.enter_context(adapters.merged(self.policy, ADAPTER))
                self.ledger.set("merged_weights", extra_bytes)
            stack.enter_context(
                many_passes_in(self.config.precision, self.player if here else self.policy)
            )
            if here:
                copied += stack.enter_context(reordered_weights(self.player))
                self.ledger.set("sampler_weights", copied)
            yield

    def whole(self) -> AbstractContextManager[int]:
        """Have all weights in ``player`` on every rank meanwhile; gives the bytes of a copy."""
        return nullcontext(0) if self.player is self.policy else met(self.policy, self.player)

    @torch.no_grad()
    def annotate(self, batch: Batch, meter: Meter) -> Batch:
        """Return the batch with what the models say of it before the update.

        The critic's values; the reference's log-probabilities; and if the algorithm corrects the
        mismatch of sampler and training model, the policy's own log-probabilities in the place of
        the sampler's, and ``correction_BT``.
        """
        tokens, asks = int(batch.mask_BT.sum()), self.algorithm.mismatch is not None
        logp_BT = None
        if (critic := self.critic) is not None:
            with meter.phase("values") as phase:
                phase.tokens += tokens
                say = self._values_and_logps if self._shared and asks else critic.values
                value_BT, value_end_B, *logp = self.passing.in_pieces(batch, say)
                batch = batch._replace(value_BT=value_BT, value_end_B=value_end_B)
                logp_BT = logp[0] if logp else None
        if self.algorithm.needs_reference:
            with meter.phase("ref_logprob") as phase:
                phase.tokens += tokens
                batch = batch._replace(logp_ref_BT=self.reference_logps(batch))
        if asks:
            with meter.phase("old_logprob") as phase:
                if logp_BT is None:
                    phase.tokens += tokens
                    (logp_BT,) = self.passing.in_pieces(batch, self.passing.policy_logps)
                self._sampler_gap = largest_gap(logp_BT, batch)
                batch = corrected(self.algorithm, batch, logp_BT)
        return batch

    def reference_logps(self, batch: Batch) -> Tensor:
        """Return ``logp_ref_BT``: log-probabilities under the initial policy.

        That is the base of a LoRA policy with its adapters off, or the frozen copy.
        """
        model = self.policy if self.reference is None else self.reference
        with adapters.using(model, None):
            (logp_BT,) = self.passing.in_pieces(
                batch, lambda piece: self.passing.logps(model, piece)[:1]
            )
        return logp_BT

    def _values_and_logps(self, batch: Batch) -> tuple[Tensor, ...]:
        """Return what a critic that is a head on the policy says, and the policy, in one pass."""
        assert self.critic is not None
        logp_BT, _, states = self.passing.logps(self.policy, batch, after=True)
        return *self.critic.read(states, batch), logp_BT

    def learn(
        self, batch: Batch, seed: int, update: int, meter: Meter, spent_frac: float = 0.0
    ) -> Metrics:
        """Make all optimiser steps of one update; return metrics averaged over them.

        Raises:
            Diverged: a loss or a gradient is not finite.
        """
        algorithm, alone = self.algorithm, self._critic_alone(update)
        factor = schedule(update, self.config.updates, self.config.optimizer, spent_frac)
        metrics = correction_metrics(batch)
        self.passing.bound(batch)
        if self._sampler_gap is not None:
            metrics["logp_mismatch/max"] = self._sampler_gap
        steps: list[Metrics] = []
        for epoch in range(algorithm.epochs):
            for mini in minibatches(batch, self.config.minibatches, seed, update, epoch):
                mini = weighted(algorithm, mini)
                tokens = int(mini.mask_BT.sum())
                step: Metrics = {}
                if not alone:
                    with meter.phase("update_policy") as phase:
                        phase.tokens += tokens
                        step |= self._policy_step(mini, factor)
                if self.critic is not None and (alone or not self._shared):
                    with meter.phase("update_critic") as phase:
                        phase.tokens += tokens
                        step |= self._critic_step(mini, factor)
                steps.append(step)
        # the sampler's gap can only be seen before the first step: after it the policy has moved
        gaps = [step.pop("logp_mismatch/max") for step in steps if "logp_mismatch/max" in step]
        if gaps and algorithm.mismatch is None and not algorithm.on_gold:
            metrics["logp_mismatch/max"] = gaps[0]
        metrics |= step_metrics(steps)
        if not alone:
            metrics["lr"] = self.rates[0] * factor
        if self.critic is not None:
            metrics["lr/critic"] = self.rates[1] * factor
        return metrics

    @property
    def _shared(self) -> bool:
        return self.algorithm.critic is not None and self.algorithm.critic.kind == "shared"

    def _critic_alone(self, update: int) -> bool:
        """Tell whether only the critic learns in an update."""
        return self.algorithm.critic is not None and update < self.algorithm.critic.warmup

    def _policy_step(self, mini: Batch, factor: float) -> Metrics:
        """Make one step of the policy, and of the critic if it is a head on the policy."""
        plan = self.algorithm.critic
        before: list[tuple[Batch, Tensor]] = []
        gaps = [0.0]

        def losses(micro: Batch) -> tuple[Losses, Metrics]:
            with self.passing.learning(self.policy.base_model):
                logp_BT, entropy_BT, states = self.passing.logps(self.policy, micro)
            gaps.append(largest_gap(logp_BT, micro))
            if self.config.optimizer.match == "kl":
                before.append((micro, logp_BT.detach()))
            loss, sums = self.algorithm.policy_loss(micro, logp_BT)
            found = {"policy": loss}
            if self._shared:
                value_loss, value_sums = self._value_loss(micro, states)
                found["value"], sums = value_loss, {**sums, **value_sums}
            return found, {**sums, "entropy": float(entropy_BT.sum())}

        metrics = self.passing.backward(mini, losses, value_coef=plan.coef if plan else 1.0)
        norm = self.passing.clipped(self.optimizer, "policy")
        metrics |= {"grad_norm": norm, "logp_mismatch/max": max(self.world.everyone(max(gaps)))}
        rate = self.rates[0] * factor
        step = functools.partial(apply, self.optimizer, rate, self.ledger, "policy")
        measured = functools.partial(self._kl_since, before)
        metrics |= moved(self.optimizer, self.config.optimizer, factor, norm, step, measured)
        if self._shared:
            metrics |= self._move_critic(factor)
        return metrics

    def _critic_step(self, mini: Batch, factor: float) -> Metrics:
        critic = self.critic
        assert critic is not None

        def losses(micro: Batch) -> tuple[Losses, Metrics]:
            with self.passing.learning(critic.transformer()):
                states = critic.states(micro)
            loss, sums = self._value_loss(micro, states)
            return {"value": loss}, sums

        metrics = self.passing.backward(mini._replace(silent_B=None), losses)
        return {**metrics, **self._move_critic(factor)}

    def _value_loss(self, micro: Batch, states: States) -> tuple[Tensor, Metrics]:
        critic, plan = self.critic, self.algorithm.critic
        assert critic is not None and plan is not None
        return plan.loss(micro, critic.read(states, micro)[0])

    def _move_critic(self, factor: float) -> Metrics:
        optimizer = self.critic_optimizer
        assert optimizer is not None
        norm = self.passing.clipped(optimizer, "critic")
        apply(optimizer, self.rates[1] * factor, self.ledger, "critic")
        return {"grad_norm/critic": norm}

    @torch.no_grad()
    def _kl_since(self, before: list[tuple[Batch, Tensor]]) -> float:
        logps = self.passing.policy_logps
        with self.passing.in_numbers():
            pieces = [(old_BT, logps(micro)[0], micro.mask_BT) for micro, old_BT in before]
        kl = mean_kl(pieces, self.world)
        if not math.isfinite(kl):
            raise Diverged(f"the KL of a step is {kl}")
        return kl
