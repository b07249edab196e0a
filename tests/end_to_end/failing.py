"""Algorithms that end their process in every bad way there is."""

import os
import signal

import torch

from bakeoff.algorithms.reinforce import reinforce
from bakeoff.types import Algorithm, Batch, Credit


def nan_loss() -> Algorithm:
    """A loss that is not a number."""
    return reinforce()._replace(policy_loss=lambda batch, logp_BT: (logp_BT.sum() * torch.nan, {}))


def killed() -> Algorithm:
    """Kills its process, as the kernel does when memory runs out."""

    def advantages(batch: Batch) -> Credit:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    return reinforce()._replace(advantages=advantages)


def hungry() -> Algorithm:
    """Holds 1.5 GiB for a moment."""

    def advantages(batch: Batch) -> Credit:
        torch.ones(3 * 2**27)
        return reinforce().advantages(batch)

    return reinforce()._replace(advantages=advantages)


def broken() -> Algorithm:
    """Has a mistake in it."""

    def advantages(batch: Batch) -> Credit:
        raise KeyError("no such reward")

    return reinforce()._replace(advantages=advantages)
