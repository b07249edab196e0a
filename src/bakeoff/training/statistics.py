"""Metrics of samples and batches, by the names of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, pstdev

import torch

from bakeoff.algorithms.advantages import group_std
from bakeoff.errors import UsageError
from bakeoff.training.reports import Sample
from bakeoff.types import Batch, Metrics

LEVEL = "level_"
"""What the name of a level's mean score begins with."""


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
    metrics: Metrics = {
        "completions/mean_length": fmean(s.completion.sampled for s in samples),
        "completions/truncated_frac": fmean(s.completion.truncated for s in samples),
        "completions/unscored_frac": 1 - len(values) / len(samples),
        "completions/malformed_frac": fmean(bool(s.score.malformed) for s in samples),
    }
    for name in sorted({name for s in samples for name in s.score.seconds}):
        taken = [s.score.seconds[name] for s in samples if name in s.score.seconds]
        metrics[f"reward_seconds/{name}"] = fmean(taken)
    if values:
        metrics |= {f"{score}/mean": fmean(values), f"{score}/std": pstdev(values)}
    for name in sorted({name for s in scored for name in s.score.parts}):
        if name in ("mean", "std") or name.startswith(LEVEL):
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


def batch_metrics(batch: Batch) -> Metrics:
    """Return what the advantages were made of: groups without spread, and the critic's fit.

    ``groups/zero_std_frac`` is the share of groups whose completions all have one reward;
    ``explained_variance`` is ``1 - Var(R - V) / Var(R)`` over tokens, missing if R is constant.
    """
    groups = torch.unique(batch.group_B)
    spread_B = group_std(batch.reward_B, batch.group_B) > 0
    spread = torch.unique(batch.group_B[spread_B])
    metrics: Metrics = {"groups/zero_std_frac": 1 - len(spread) / len(groups)}
    if batch.return_BT is not None and batch.value_BT is not None:
        counted_BT = batch.mask_BT > 0
        return_N = batch.return_BT[counted_BT].double()
        error_N = return_N - batch.value_BT[counted_BT].double()
        variance = float(return_N.var(correction=0))
        if variance > 0:
            metrics["explained_variance"] = 1 - float(error_N.var(correction=0)) / variance
    return metrics
