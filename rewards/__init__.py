"""Rewards: how one reply is scored. Plain functions from (reply, item) to a number in [0, 1]."""
