"""Checks of environments, without a model: do the rewards keep their word, are the splits apart."""

from bakeoff.checkup import Checkup, Claim
from bakeoff.envs.checking.checkup import check
from bakeoff.envs.checking.overlap import Overlap, contamination

__all__ = ["Checkup", "Claim", "Overlap", "check", "contamination"]
