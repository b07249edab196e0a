"""Algorithms: how rewards become a loss, as pure functions of tensors."""
