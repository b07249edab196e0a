"""Metrics of samples and batches, by the names of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, pstdev

import torch
from torch import Tensor

from bakeoff.algorithms.advantages import group_std
from bakeoff.errors import UsageError
from bakeoff.training.reports import Sample
from bakeoff.types import Algorithm, Batch, Metrics

LEVEL = "level_"
"""What the name of a level's mean score begins with."""

TAKEN = ("mean", "std", "greedy")
"""Names that no reward part may have."""


def length_metrics(samples: Sequence[Sample]) -> Metrics:
    """Return how long some completions are, at least one, and how many were cut off."""
    return {
        "completions/mean_length": fmean(s.completion.sampled for s in samples),
        "completions/truncated_frac": fmean(s.completion.truncated for s in samples),
    }


def sample_metrics(samples: Sequence[Sample], *, score: str) -> Metrics:
    """Return score, parts and lengths of some completions.

    An item may name its level (``item.data["level"]``); each level has a mean of its own.
    Means are over what could be scored; the share of what could not is a metric of its own, and
    there is no mean if nothing could.

    Args:
        samples: judged completions, at least one.
        score: the name under which the score is given, "reward" or "score".
    """
    scored = [s for s in samples if s.score.value is not None]
    values = [float(s.score.value) for s in scored if s.score.value is not None]
    metrics = length_metrics(samples) | {
        "completions/unscored_frac": 1 - len(values) / len(samples),
        "completions/malformed_frac": fmean(bool(s.score.malformed) for s in samples),
    }
    for name in sorted({name for s in samples for name in s.score.seconds}):
        taken = [s.score.seconds[name] for s in samples if name in s.score.seconds]
        metrics[f"reward_seconds/{name}"] = fmean(taken)
    if values:
        metrics |= {f"{score}/mean": fmean(values), f"{score}/std": pstdev(values)}
    for name in sorted({name for s in scored for name in s.score.parts}):
        if name in TAKEN or name.startswith(LEVEL):
            raise UsageError(f"a reward part may not be named '{name}': the score's {name} is")
        metrics[f"{score}/{name}"] = fmean(
            s.score.parts[name] for s in scored if name in s.score.parts
        )
    levels = {str(s.item.data["level"]) for s in scored if "level" in s.item.data}
    for level in sorted(levels):
        metrics[f"{score}/{LEVEL}{level}"] = fmean(
            float(s.score.value)
            for s in scored
            if s.score.value is not None and str(s.item.data.get("level")) == level
        )
    return metrics


def group_metrics(samples: Sequence[Sample], greedy: Sequence[Sample]) -> Metrics:
    """Return what the groups of an update are like, before any filter.

    ``groups/zero_std_frac`` is the share of groups whose completions all have one reward, of those
    in which any could be scored; ``reward/greedy`` is the mean over greedy replies with a score.
    """
    metrics: Metrics = {}
    scored = [(s.group, s.score.value) for s in samples if s.score.value is not None]
    if scored:
        group_B = torch.tensor([group for group, _ in scored])
        spread_B = group_std(torch.tensor([reward for _, reward in scored]), group_B) > 0
        spread = torch.unique(group_B[spread_B])
        metrics["groups/zero_std_frac"] = 1 - len(spread) / len(torch.unique(group_B))
    baselines = [s.score.value for s in greedy if s.score.value is not None]
    if baselines:
        metrics["reward/greedy"] = fmean(baselines)
    return metrics


def filter_metrics(samples: Sequence[Sample], learned: Sequence[Sample]) -> Metrics:
    """Return what an algorithm's filter left of an update's samples.

    ``groups/kept_frac`` is the share of the groups of which anything is learned from;
    ``completions/dropped_frac`` the share of completions that the filter left out, those that
    could not be scored not among them.
    """
    groups, kept = ({s.group for s in some} for some in (samples, learned))
    dropped = sum(s.usable for s in samples) - len(learned)
    return {
        "groups/kept_frac": len(kept) / len(groups),
        "completions/dropped_frac": dropped / len(samples),
    }


def gathered_metrics(
    algorithm: Algorithm,
    samples: Sequence[Sample],
    greedy: Sequence[Sample],
    learned: Sequence[Sample],
) -> Metrics:
    """Return what an update's samples are like, and what the algorithm's filter left of them.

    Of gold replies, which nobody wrote or scored, the lengths are all.
    """
    metrics = length_metrics(samples)
    if not algorithm.on_gold:
        metrics = sample_metrics(samples, score="reward") | group_metrics(samples, greedy)
    if algorithm.keep is not None:
        metrics |= filter_metrics(samples, learned)
    return metrics


def critic_metrics(batch: Batch) -> Metrics:
    """Return the critic's fit, ``explained_variance``, if there is a critic.

    It is ``1 - Var(R - V) / Var(R)`` over tokens, missing if R is constant but for the rounding of
    ``R = A + V`` in fp32.
    """
    if batch.return_BT is None or batch.value_BT is None:
        return {}
    counted_BT = batch.mask_BT > 0
    return_N, value_N = batch.return_BT[counted_BT].double(), batch.value_BT[counted_BT].double()
    error_N = return_N - value_N
    variance = float(return_N.var(correction=0))
    if variance <= 1e-10 * float((return_N**2 + value_N**2).mean()):
        return {}
    return {"explained_variance": 1 - float(error_N.var(correction=0)) / variance}


def silent_metrics(batch: Batch) -> Metrics:
    """Return the share of completions that make no backward pass of the policy, ``silent_frac``.

    It is missing if the algorithm needs one of all of them.
    """
    return {} if batch.silent_B is None else {"silent_frac": float(batch.silent_B.mean())}


def correction_metrics(batch: Batch) -> Metrics:
    """Return mean, least and largest of the weights that correct the mismatch, if there are any."""
    if batch.correction_BT is None:
        return {}
    weight_N = batch.correction_BT[batch.mask_BT > 0]
    return {
        "mismatch/weight_mean": float(weight_N.mean()),
        "mismatch/weight_min": float(weight_N.min()),
        "mismatch/weight_max": float(weight_N.max()),
    }


def step_metrics(steps: Sequence[Metrics]) -> Metrics:
    """Return the means over an update's optimiser steps.

    A sum that a step does not mention is 0, as it is where a micro-batch does not.

    Example:
        >>> step_metrics([{"kl": 1.0, "clip_frac": 0.5}, {"kl": 2.0}])
        {'clip_frac': 0.25, 'kl': 1.5}
    """
    names = sorted(set().union(*steps))
    return {name: sum(step.get(name, 0.0) for step in steps) / len(steps) for name in names}


def largest_gap(logp_BT: Tensor, batch: Batch) -> float:
    """Return the largest difference of log-probabilities to ``logp_old_BT``, in nats."""
    gap_BT = (logp_BT.detach() - batch.logp_old_BT).masked_fill(batch.mask_BT == 0, 0.0)
    return float(gap_BT.abs().max())
