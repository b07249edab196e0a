"""Reward environments for language models, and the algorithms that learn from them, compared."""

__version__ = "0.1.0"
