"""What a check of an environment or an algorithm found: claims, and which of them hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

PASSED, FAILED, HINT = "passed", "failed", "hint"
NOT_TRIED, NOT_APPLICABLE = "not tried", "not applicable"
MARKS = {PASSED: "ok", FAILED: "FAILED", HINT: "hint", NOT_TRIED: "-", NOT_APPLICABLE: "-"}


class Claim(NamedTuple):
    """One thing that should be so, whether it is, and what was seen."""

    name: str
    state: str
    detail: str = ""


@dataclass(frozen=True)
class Checkup:
    """What a check found.

    Attributes:
        kind: what was checked: ``environment`` or ``algorithm``.
        spec: which one.
        claims: what should be so, and whether it is.

    Example:
        >>> print(Checkup("algorithm", "mine.py:mine", (Claim("it runs", PASSED),)))
        ok      it runs
        <BLANKLINE>
        mine.py:mine: nothing failed
    """

    kind: str
    spec: str
    claims: tuple[Claim, ...]

    @property
    def passed(self) -> bool:
        """Whether no claim failed."""
        return not self.failures

    @property
    def failures(self) -> tuple[Claim, ...]:
        """The claims that failed."""
        return tuple(claim for claim in self.claims if claim.state == FAILED)

    def __str__(self) -> str:
        width = max(len(claim.name) for claim in self.claims)
        lines = [
            f"{MARKS[claim.state]:<6}  {claim.name:<{width}}  {claim.detail}".rstrip()
            for claim in self.claims
        ]
        failed, count = len(self.failures), len(self.claims)
        said = f"{failed} of {count} checks failed" if failed else "nothing failed"
        return "\n".join([*lines, "", f"{self.spec}: {said}"])

    def as_dict(self) -> dict[str, Any]:
        """Return the same as plain data, for JSON."""
        claims = [claim._asdict() for claim in self.claims]
        return {self.kind: self.spec, "passed": self.passed, "claims": claims}
