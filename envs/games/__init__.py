"""Environments of other kinds: instructions, a fact to find, and games of several turns."""
