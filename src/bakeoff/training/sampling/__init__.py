"""Engines that write completions, and how a token is chosen."""
