"""Checks of environments, without a model: do the rewards keep their word, are the splits apart."""

from bakeoff.envs.checking.checkup import Checkup, check
from bakeoff.envs.checking.claims import Claim
from bakeoff.envs.checking.overlap import Overlap, contamination

__all__ = ["Checkup", "Claim", "Overlap", "check", "contamination"]
