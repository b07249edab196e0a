"""Environments whose replies are programs."""
