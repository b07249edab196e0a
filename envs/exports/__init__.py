"""Environments for other trainers: rows of questions, and the same rewards in their own form."""

from bakeoff.envs.exports.jsonl import export_jsonl
from bakeoff.envs.exports.trl import export_trl
from bakeoff.envs.exports.verl import export_verl

__all__ = ["export_jsonl", "export_trl", "export_verl"]
