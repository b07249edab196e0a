"""Environments: what is asked, and which rewards judge the replies."""
