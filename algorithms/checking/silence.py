"""The claim that a completion without an advantage is silent, where an algorithm says so."""

from __future__ import annotations

import torch
from torch import Tensor

from bakeoff.algorithms.checking.differences import close
from bakeoff.algorithms.checking.trials import Trial, credited, gradients, trial_of
from bakeoff.algorithms.manifest import spares_the_silent
from bakeoff.algorithms.stages import weighted
from bakeoff.types import Algorithm

SHIFTS = (0.0, 0.5, 5.0)
"""Log-ratios, of either sign, at which it is tried."""


def silent_as_it_says(algorithm: Algorithm) -> str:
    """Return what a completion without an advantage adds, of an algorithm that spares it a pass.

    The training loop makes no backward pass of it then: whatever it would add to the gradient is
    lost without a word.
    """
    if not spares_the_silent(algorithm):
        return ""
    trial = credited(algorithm, trial_of(algorithm))
    assert trial.batch.adv_BT is not None
    loud_B = torch.arange(len(trial.batch.reward_B)) % 2 == 1
    adv_BT = trial.batch.adv_BT * loud_B[:, None]
    batch = weighted(algorithm, trial.batch._replace(adv_BT=adv_BT))
    for size in SHIFTS:
        for shift in (size, -size):
            far = trial._replace(batch=batch, logp_BT=trial.logp_train_BT + shift * batch.mask_BT)
            loss, grad_BT = _loss_and_gradient(algorithm, far)
            if grad_BT[~loud_B].any():
                return (
                    "it is marked silent_without_advantage, and a completion without an advantage "
                    f"has a gradient (at a log-ratio of {shift:g})"
                )
            alone, own_BT = _loss_and_gradient(algorithm, far.rows(loud_B.nonzero()[:, 0]))
            if not close(loss, alone) or not close(grad_BT[loud_B], own_BT):
                return (
                    "it is marked silent_without_advantage, and the loss of others is another "
                    "where a completion without an advantage is left out"
                )
    return ""


def _loss_and_gradient(algorithm: Algorithm, trial: Trial) -> tuple[Tensor, Tensor]:
    logp_BT = trial.logp_BT.detach().clone().requires_grad_()
    loss, _ = algorithm.policy_loss(trial.batch, logp_BT)
    (grad_BT,) = gradients(loss, [logp_BT])
    return loss.detach(), grad_BT
