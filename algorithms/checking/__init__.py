"""Checks of algorithms, without a model: is the credit clean, is the loss a sum, does it learn."""

from bakeoff.algorithms.checking.checkup import check
from bakeoff.checkup import Checkup, Claim

__all__ = ["Checkup", "Claim", "check"]
