"""What is claimed of an algorithm: each claim is a function that says what is wrong, or nothing."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import torch
from torch import Tensor

from bakeoff.algorithms.checking.differences import (
    changed_field,
    close,
    difference,
    not_finite,
    shape_of,
)
from bakeoff.algorithms.checking.silence import silent_as_it_says
from bakeoff.algorithms.checking.trials import (
    Trial,
    credited,
    loss_of,
    outcome,
    trial_of,
)
from bakeoff.algorithms.manifest import KEYS
from bakeoff.algorithms.stages import kept_rows, weighted
from bakeoff.types import Algorithm

GARBAGE = (3.0, -2.0)  # what stands where nothing counts, old and new, to see whether it is read
SHIFTS = (120.0, 1e4)  # log-ratios that no bound of a float can bear


def credit_is_clean(algorithm: Algorithm) -> str:
    """Return what is wrong with the credit: shape, finiteness, masked tokens, a missing target."""
    trial = _kept(algorithm, trial_of(algorithm))
    credit, mask_BT = algorithm.advantages(trial.batch), trial.batch.mask_BT
    named = {"adv_BT": credit.adv_BT}
    if algorithm.critic is not None:
        if credit.return_BT is None:
            return "there is a critic, and credit has no return_BT for it to learn"
        named["return_BT"] = credit.return_BT
    for name, field_BT in named.items():
        if field_BT.shape != mask_BT.shape:
            return f"{name} has the shape {shape_of(field_BT)}, the mask {shape_of(mask_BT)}"
        if not torch.isfinite(field_BT).all():
            return f"{name} is not finite"
        if field_BT[mask_BT == 0].any():
            return f"{name} is not 0 where the mask is; multiply it by mask_BT"
    return ""


def credit_has_no_gradient(algorithm: Algorithm) -> str:
    """Return which part of the credit carries a gradient."""
    credit = algorithm.advantages(_kept(algorithm, trial_of(algorithm)).batch)
    for name, field in zip(credit._fields, credit, strict=True):
        if field is not None and field.requires_grad:
            return f"{name} carries a gradient; detach what it is made of"
    return ""


def it_runs(algorithm: Algorithm) -> str:
    """Return what is wrong with the results of one update."""
    trial = trial_of(algorithm)
    if algorithm.keep is not None:
        keep_B = algorithm.keep(trial.batch)
        if keep_B.dtype != torch.bool or keep_B.shape != trial.batch.reward_B.shape:
            return f"keep must return one bool for each completion, not {shape_of(keep_B)}"
    found = outcome(algorithm, trial)
    if found is None:
        return "keep drops every completion of a batch with rewards of 0 and 1"
    kept = credited(algorithm, trial).batch
    if found.weight_BT.shape != kept.mask_BT.shape:
        return f"aggregate returns the shape {shape_of(found.weight_BT)}, not the mask's"
    if (found.weight_BT < 0).any() or found.weight_BT[kept.mask_BT == 0].any():
        return "aggregate must return weights of at least 0, and 0 where the mask is"
    return not_finite(found)


def nothing_changes_in_place(algorithm: Algorithm) -> str:
    """Return which field of the batch a function of the algorithm wrote to."""
    trial = _kept(algorithm, trial_of(algorithm))
    before = trial.copy().batch
    algorithm.advantages(trial.batch)
    if name := changed_field(before, trial.batch):
        return f"advantages changes {name} in place"
    trial = credited(algorithm, trial)
    trial = trial._replace(batch=weighted(algorithm, trial.batch))
    before = trial.copy().batch
    logp_BT = trial.logp_BT.clone()
    with torch.no_grad():
        loss_of(algorithm, trial._replace(logp_BT=logp_BT))
    if name := changed_field(before, trial.batch):
        return f"the loss changes {name} in place"
    return "" if logp_BT.equal(trial.logp_BT) else "the loss changes logp_BT in place"


def twice_the_same(algorithm: Algorithm) -> str:
    """Return what comes out differently the second time."""
    trial = trial_of(algorithm)
    return difference(outcome(algorithm, trial), outcome(algorithm, trial), exact=True)


def masked_is_not_read(algorithm: Algorithm) -> str:
    """Return what depends on tokens that the mask leaves out."""
    trial = trial_of(algorithm)
    off_BT = trial.batch.mask_BT == 0

    old, new = GARBAGE
    pairs = zip(trial.batch._fields, trial.batch, strict=True)
    fields = {
        name: field.masked_fill(off_BT, old)
        for name, field in pairs
        if field is not None and name.endswith("_BT") and name != "mask_BT"
    }
    now = (field.masked_fill(off_BT, new) for field in trial[1:])
    full = Trial(trial.batch._replace(**fields), *now)
    return difference(outcome(algorithm, trial), outcome(algorithm, full))


def padding_changes_nothing(algorithm: Algorithm) -> str:
    """Return what depends on how wide the batch is."""
    trial = trial_of(algorithm)
    width = trial.batch.mask_BT.shape[1]
    wide = outcome(algorithm, trial.columns(width + 4))
    if wide is not None:
        wide = wide._replace(
            adv_BT=wide.adv_BT[:, :width],
            return_BT=None if wide.return_BT is None else wide.return_BT[:, :width],
            weight_BT=wide.weight_BT[:, :width],
            grad_BT=wide.grad_BT[:, :width],
            value_grad_BT=wide.value_grad_BT[:, :width],
        )
    return difference(outcome(algorithm, trial), wide)


def row_order_changes_nothing(algorithm: Algorithm) -> str:
    """Return what depends on the order of the completions."""
    trial = trial_of(algorithm)
    order_B = torch.randperm(len(trial.batch.reward_B), generator=torch.Generator().manual_seed(1))
    mixed = outcome(algorithm, trial.rows(order_B))
    if mixed is not None:
        back_B = order_B.argsort()
        grads = (mixed.grad_BT[back_B], mixed.value_grad_BT[back_B])
        mixed = mixed._replace(grad_BT=grads[0], value_grad_BT=grads[1])
    return difference(outcome(algorithm, trial), mixed, credit=False)


def micro_batches_change_nothing(algorithm: Algorithm) -> str:
    """Return what depends on how an optimiser step is split."""
    trial = trial_of(algorithm)
    whole = outcome(algorithm, trial)
    for size in (1, 5):
        split = outcome(algorithm, trial, size=size)
        if trouble := difference(whole, split, credit=False, metrics=False):
            return f"in micro-batches of {size}, {trouble}"
    return ""


def metrics_are_sums(algorithm: Algorithm) -> str:
    """Return which metric of two micro-batches does not add up to that of both."""
    trial = trial_of(algorithm)
    whole, split = outcome(algorithm, trial), outcome(algorithm, trial, size=5)
    if whole is None or split is None:
        return ""
    for name, value in whole.sums.items():
        if not math.isclose(split.sums.get(name, math.nan), value, rel_tol=1e-3, abs_tol=1e-4):
            return (
                f"'{name}' is {value:g} of a batch, and {split.sums[name]:g} of its parts together"
            )
    return ""


def loss_is_a_weighted_sum(algorithm: Algorithm) -> str:
    """Return what does not double with the weights."""
    trial = trial_of(algorithm)
    once, twice = outcome(algorithm, trial), outcome(algorithm, trial, scale=2.0)
    if once is None or twice is None:
        return ""
    for name, one, two in (
        ("the loss", once.loss, twice.loss),
        ("its gradient", once.grad_BT, twice.grad_BT),
        ("the critic's gradient", once.value_grad_BT, twice.value_grad_BT),
    ):
        if not close(2 * one, two):
            return f"{name} does not double where weight_BT does; sum weight_BT times each token's"
    return ""


def extremes_stay_finite(algorithm: Algorithm) -> str:
    """Return what is not finite where policy, sampler and reference disagree beyond all bounds."""
    trial = trial_of(algorithm)
    batch, sign_B = trial.batch, 1 - 2 * (torch.arange(len(trial.batch.reward_B)) % 2)
    for size in SHIFTS:
        for shift_B in (size * sign_B, -size * sign_B):
            shift_BT = shift_B[:, None] * batch.mask_BT
            far = trial._replace(logp_BT=trial.logp_train_BT + shift_BT)
            if batch.logp_ref_BT is not None:
                ref_BT = batch.logp_ref_BT - shift_BT
                far = far._replace(batch=batch._replace(logp_ref_BT=ref_BT))
            if algorithm.mismatch is not None:
                far = far._replace(logp_train_BT=trial.logp_train_BT + shift_BT)
            found = outcome(algorithm, far)
            if found is not None and (trouble := not_finite(found)):
                return f"at log-ratios of +-{size:g} {trouble}; bound the log-ratio before exp"
    return ""


def small_batches_stay_finite(algorithm: Algorithm) -> str:
    """Return which batch of little or nothing gives something that is not finite."""
    trial = trial_of(algorithm)
    mask_BT, reward_B = trial.batch.mask_BT, trial.batch.reward_B
    empty_BT = mask_BT.clone()
    empty_BT[0] = 0
    nearly_B = reward_B.new_full(reward_B.shape, 0.5)
    nearly_B[1] += 1e-5
    alone_B = torch.where(torch.arange(len(reward_B)) == 0, 99, trial.batch.group_B)

    def changed(**fields: Tensor) -> Trial:
        return trial._replace(batch=trial.batch._replace(**fields))

    for name, small in {
        "a completion without a counted token": changed(mask_BT=empty_BT),
        "no counted token at all": changed(mask_BT=torch.zeros_like(mask_BT)),
        "a completion alone in its group": changed(group_B=alone_B),
        "a batch of one completion": trial.rows(torch.tensor([0])),
        "rewards that are all 0": changed(reward_B=torch.zeros_like(reward_B)),
        "rewards that are all 1": changed(reward_B=torch.ones_like(reward_B)),
        "rewards that are nearly equal": changed(reward_B=nearly_B),
    }.items():
        try:
            found = outcome(algorithm, small)
        except Exception as error:
            return f"with {name}: {type(error).__name__}: {' '.join(str(error).split())}"
        if found is not None and (trouble := not_finite(found)):
            return f"with {name}, {trouble}"
    return ""


def better_gain_and_worse_do_not(algorithm: Algorithm) -> str:
    """Return whether a gradient step lowers a reply of reward 1, or raises one of reward 0."""
    trial = trial_of(algorithm, on_policy=True)
    found = outcome(algorithm, trial)
    if found is None:
        return ""
    gain_B = -found.grad_BT.sum(1)
    if algorithm.on_gold:
        return "" if (gain_B > 0).all() else "a step does not make every gold reply likelier"
    tolerance = 1e-5 * float(gain_B.abs().max())
    if not (gain_B[trial.batch.reward_B == 1] > tolerance).all():
        return "a step does not make every reply of reward 1 likelier, beside others of reward 0"
    if (gain_B[trial.batch.reward_B == 0] > tolerance).any():
        return "a step makes a reply of reward 0 likelier, beside others of reward 1"
    return ""


def manifest_is_whole(algorithm: Algorithm) -> str:
    """Return what is wrong with the semantics manifest."""
    try:
        json.dumps(dict(algorithm.semantics))
    except (TypeError, ValueError) as error:
        return f"semantics cannot be written as JSON: {error}"
    missing = [key for key in KEYS if key not in algorithm.semantics]
    return f"semantics does not say: {', '.join(missing)}" if missing else ""


CLAIMS: dict[str, Callable[[Algorithm], str]] = {
    "credit is finite, and 0 where nothing counts": credit_is_clean,
    "an update runs on the fields it asks for": it_runs,
    "the same batch gives the same result": twice_the_same,
    "credit carries no gradient": credit_has_no_gradient,
    "nothing is changed in place": nothing_changes_in_place,
    "what is masked is not read": masked_is_not_read,
    "padding changes nothing": padding_changes_nothing,
    "the order of rows changes nothing": row_order_changes_nothing,
    "micro-batches change nothing": micro_batches_change_nothing,
    "metrics are sums over tokens": metrics_are_sums,
    "the loss is a weighted sum": loss_is_a_weighted_sum,
    "no advantage, no gradient, where it says so": silent_as_it_says,
    "extreme log-ratios stay finite": extremes_stay_finite,
    "batches of little or nothing stay finite": small_batches_stay_finite,
    "better replies gain, worse ones do not": better_gain_and_worse_do_not,
}
"""Each claim and what judges it; without the first three, the others cannot be tried."""


def _kept(algorithm: Algorithm, trial: Trial) -> Trial:
    """Return the completions that are kept, or all of them if none is."""
    rows_B = kept_rows(algorithm, trial.batch)
    return trial.rows(rows_B) if len(rows_B) else trial
