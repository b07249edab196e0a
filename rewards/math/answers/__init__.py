"""What an answer's text is: a value with a unit, several, a region, a matrix, a relation, words."""

from bakeoff.rewards.math.answers.reading import read

__all__ = ["read"]
