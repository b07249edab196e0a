"""Bytes by formula: what a run will hold, by component and phase, before it has started."""
