"""Code rewards: programs that a model wrote, run and tested in a sandbox."""

from bakeoff.rewards.code.kinds import (
    AssertTests,
    Call,
    CallTests,
    CheckTests,
    Close,
    Limits,
    StdioTests,
    Tests,
)
from bakeoff.rewards.code.levels import SandboxUnavailable
from bakeoff.rewards.code.literals import literal
from bakeoff.rewards.code.sandbox import Sandbox
from bakeoff.rewards.code.scoring import ascore, score, score_many
from bakeoff.rewards.code.verdicts import Failure, Score

__all__ = [
    "AssertTests",
    "Call",
    "CallTests",
    "CheckTests",
    "Close",
    "Failure",
    "Limits",
    "Sandbox",
    "SandboxUnavailable",
    "Score",
    "StdioTests",
    "Tests",
    "ascore",
    "literal",
    "score",
    "score_many",
]
