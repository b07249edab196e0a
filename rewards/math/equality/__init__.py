"""Have two expressions the same value? Exactly, modulo a prime, to many digits, or by sympy."""

from bakeoff.rewards.math.equality.exact import rational
from bakeoff.rewards.math.equality.values import Equality, same_value

__all__ = ["Equality", "rational", "same_value"]
