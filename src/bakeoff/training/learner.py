"""The models of a run, their optimisers, and one optimiser step of each."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from bakeoff.training.batch import micro_batches, minibatches
from bakeoff.training.config import TrainConfig
from bakeoff.training.ledger import Ledger, grad_bytes, optimizer_bytes, weight_bytes
from bakeoff.training.meter import Meter
from bakeoff.training.optimizer import adamw, schedule
from bakeoff.training.scoring import Critic, token_logps
from bakeoff.types import Algorithm, Batch, Metrics

if TYPE_CHECKING:
    from bakeoff.models.loading import LanguageModel


class Diverged(ArithmeticError):
    """A loss, a gradient or a model's output is no longer finite."""


class Learner:
    """Policy, critic and reference model of one run.

    Attributes:
        policy: the model that is trained.
        critic: a value model, if the algorithm has a value loss.
        reference: a frozen copy of the policy at the start, if the algorithm needs one.
        ledger: the bytes that all of them hold.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        algorithm: Algorithm,
        config: TrainConfig,
        ledger: Ledger,
    ) -> None:
        rate, critic_rate = config.optimizer.learning_rate, config.optimizer.critic_learning_rate
        assert rate is not None, "the caller resolves the model's default learning rate"
        self.config, self.algorithm, self.ledger = config, algorithm, ledger
        self.temperature = config.sampling.temperature or 1.0
        self.policy = language_model.model.eval()  # eval: no dropout, so that ratios start at 1
        self.policy.requires_grad_(True)
        self.critic = Critic(self.policy).eval() if algorithm.critic else None
        self.reference = (
            copy.deepcopy(self.policy).requires_grad_(False) if algorithm.needs_reference else None
        )
        self.rates = [rate, rate if critic_rate is None else critic_rate]
        self.optimizer = adamw(self.policy.parameters(), rate, config.optimizer)
        self.critic_optimizer = (
            adamw(self.critic.parameters(), self.rates[1], config.optimizer)
            if self.critic
            else None
        )
        ledger.set("policy_weights", weight_bytes(self.policy))
        ledger.set("critic_weights", weight_bytes(self.critic))
        ledger.set("reference_weights", weight_bytes(self.reference))

    def predicted_bytes(self) -> dict[str, int]:
        """Bytes by formula: weights and gradients once, and AdamW's two averages in fp32."""
        predicted = {}
        for name, module in (("policy", self.policy), ("critic", self.critic)):
            if module is not None:
                weights = [p for p in module.parameters() if p.requires_grad]
                predicted[f"{name}_weights"] = sum(p.numel() * p.element_size() for p in weights)
                predicted[f"{name}_grads"] = predicted[f"{name}_weights"]
                predicted[f"{name}_optimizer"] = 2 * 4 * sum(p.numel() for p in weights)
        if self.reference is not None:
            predicted["reference_weights"] = predicted["policy_weights"]
        return predicted

    @torch.no_grad()
    def annotate(self, batch: Batch, meter: Meter) -> Batch:
        """Return the batch with the critic's values and the reference's log-probabilities."""
        if self.critic is not None:
            with meter.phase("values") as phase:
                phase.tokens += int(batch.mask_BT.sum())
                batch = batch._replace(value_BT=self._in_pieces(batch, self.critic))
        if self.reference is not None:
            reference = self.reference
            with meter.phase("ref_logprob") as phase:
                phase.tokens += int(batch.mask_BT.sum())
                logp_ref_BT = self._in_pieces(
                    batch, lambda b: token_logps(reference, b, temperature=self.temperature)[0]
                )
                batch = batch._replace(logp_ref_BT=logp_ref_BT)
        return batch

    def _in_pieces(self, batch: Batch, forward: Callable[[Batch], Tensor]) -> Tensor:
        rows = torch.arange(len(batch.reward_B), device=batch.reward_B.device)
        pieces = [forward(batch.rows(r)) for r in torch.split(rows, self.config.micro_batch)]
        return torch.cat(pieces)

    def learn(self, batch: Batch, seed: int, update: int, meter: Meter) -> Metrics:
        """Make all optimiser steps of one update; return metrics averaged over them.

        Raises:
            Diverged: a loss or a gradient is not finite.
        """
        algorithm = self.algorithm
        factor = schedule(update, self.config.updates, self.config.optimizer)
        steps: list[Metrics] = []
        for epoch in range(algorithm.epochs):
            for mini in minibatches(batch, self.config.minibatches, seed, update, epoch):
                mini = mini._replace(weight_BT=algorithm.aggregate(mini.mask_BT, mini.limit_B))
                tokens = int(mini.mask_BT.sum())
                with meter.phase("update_policy") as phase:
                    phase.tokens += tokens
                    metrics = self._policy_step(mini, factor)
                if self.critic is not None:
                    with meter.phase("update_critic") as phase:
                        phase.tokens += tokens
                        metrics |= self._critic_step(mini, factor)
                steps.append(metrics)
        # the mismatch can only be seen before the first step: after it the policy has moved
        first = {
            key: steps[0].pop(key) for key in list(steps[0]) if key.startswith("logp_mismatch")
        }
        names = steps[-1].keys() - first.keys()
        means = {name: sum(step[name] for step in steps) / len(steps) for name in sorted(names)}
        return {**means, **first, "lr": self.rates[0] * factor}

    def _policy_step(self, mini: Batch, factor: float) -> Metrics:
        gaps = [0.0]

        def loss(micro: Batch) -> tuple[Tensor, Metrics]:
            logp_BT, entropy_BT = token_logps(self.policy, micro, temperature=self.temperature)
            gap_BT = (logp_BT.detach() - micro.logp_old_BT).abs() * micro.mask_BT
            gaps.append(float(gap_BT.max()))
            loss, sums = self.algorithm.policy_loss(micro, logp_BT)
            return loss, {**sums, "entropy": float(entropy_BT.sum())}

        metrics = self._backward(mini, "policy", loss)
        norm = self._step(self.policy, self.optimizer, self.rates[0] * factor, "policy")
        return {**metrics, "grad_norm": norm, "logp_mismatch/max": max(gaps)}

    def _critic_step(self, mini: Batch, factor: float) -> Metrics:
        critic, optimizer = self.critic, self.critic_optimizer
        plan = self.algorithm.critic
        assert critic is not None and optimizer is not None and plan is not None
        metrics = self._backward(mini, "value", lambda micro: plan.loss(micro, critic(micro)))
        norm = self._step(critic, optimizer, self.rates[1] * factor, "critic")
        return {**metrics, "grad_norm/critic": norm}

    def _backward(
        self, mini: Batch, name: str, loss_of: Callable[[Batch], tuple[Tensor, Metrics]]
    ) -> Metrics:
        """Add up the gradients of an optimiser step's micro-batches; return its loss and metrics.

        The loss is ``loss/<name>``; the metrics, sums over tokens, become means over tokens.
        """
        loss_sum, sums = 0.0, dict[str, float]()
        for micro in micro_batches(mini, self.config.micro_batch):
            loss, micro_sums = loss_of(micro)
            if not math.isfinite(loss.item()):
                raise Diverged(f"the {name} loss is {loss.item()}")
            loss.backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.item()
            for key, value in micro_sums.items():
                sums[key] = sums.get(key, 0.0) + value
        tokens = float(mini.mask_BT.sum())
        return {f"loss/{name}": loss_sum, **{key: value / tokens for key, value in sums.items()}}

    def _step(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, rate: float, name: str
    ) -> float:
        """Clip, step and clear the gradients of one model; return their norm before clipping."""
        norm = nn.utils.clip_grad_norm_(model.parameters(), self.config.optimizer.max_grad_norm)
        if not math.isfinite(norm.item()):
            raise Diverged(f"the gradient norm of the {name} is {norm.item()}")
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        self.ledger.set(f"{name}_grads", grad_bytes(model))
        self.ledger.set(f"{name}_optimizer", optimizer_bytes(optimizer))
        optimizer.zero_grad(set_to_none=True)
        return norm.item()
