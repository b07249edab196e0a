"""The check of one algorithm: what the training loop and its users rely on."""

from __future__ import annotations

from bakeoff.algorithms import ALGORITHMS, make
from bakeoff.algorithms.checking.bandit import ENOUGH, SEEDS, earned_by
from bakeoff.algorithms.checking.claims import CLAIMS, manifest_is_whole
from bakeoff.checkup import FAILED, HINT, NOT_TRIED, PASSED, Checkup, Claim
from bakeoff.plugins import parse_spec
from bakeoff.types import Algorithm

FIRST = 3  # claims without which the others cannot be tried
LEARNS, MANIFEST = "it learns a bandit from three seeds", "it says what it computes"


def check(algorithm: Algorithm | str) -> Checkup:
    """Check an algorithm: it must keep what the loop and its users rely on. No model is needed.

    Its credit must be finite, 0 where nothing counts, and without gradient; its loss a weighted sum
    that reads nothing masked, changes nothing in place, and does not depend on padding, on the
    order of rows or on micro-batches; both must stay finite on extreme ratios and on batches of
    little or nothing. A step must make better replies likelier and worse ones not, and a few
    updates must solve a small bandit from three seeds, which is tried if nothing else is wrong.

    Args:
        algorithm: an algorithm, or a spec of one.

    Raises:
        UsageError: there is no such algorithm, or it cannot be made.

    Example:
        >>> checkup = check("grpo:clip=0.1")
        >>> checkup.passed, checkup.claims[0].state
        (True, 'passed')
    """
    spec = algorithm if isinstance(algorithm, str) else "the algorithm"
    own = not isinstance(algorithm, str) or parse_spec(algorithm).target not in ALGORITHMS
    subject = make(algorithm) if isinstance(algorithm, str) else algorithm
    claims: list[Claim] = []
    for name in CLAIMS:
        stopped = any(claim.state == FAILED for claim in claims[:FIRST])
        claims.append(Claim(name, NOT_TRIED) if stopped else judged(name, subject))
    claims.append(about_learning(subject, claims))
    said = manifest_is_whole(subject)
    hint = own and said.startswith("semantics does not say")
    state = HINT if hint else FAILED if said else PASSED
    said = said and (f"{said}; wrap it in manifest.described" if hint else said)
    return Checkup("algorithm", spec, (*claims, Claim(MANIFEST, state, said)))


def judged(name: str, algorithm: Algorithm) -> Claim:
    """Return one claim of ``CLAIMS``; an error on the way is a failure of it."""
    try:
        trouble = CLAIMS[name](algorithm)
    except (Exception, SystemExit) as error:  # code of the user's may raise anything
        trouble = _said(error)
    return Claim(name, FAILED if trouble else PASSED, trouble)


def about_learning(algorithm: Algorithm, others: list[Claim]) -> Claim:
    """Return the claim that it learns; it is tried if nothing else is wrong."""
    if any(claim.state == FAILED for claim in others):
        return Claim(LEARNS, NOT_TRIED, "the others come first")
    try:
        ends = [earned_by(algorithm, seed) for seed in SEEDS]
    except (Exception, SystemExit) as error:  # code of the user's may raise anything
        return Claim(LEARNS, FAILED, _said(error))
    low = min(after for _, after in ends)
    seen = f"from {ends[0][0]:.2f} to {', '.join(f'{after:.2f}' for _, after in ends)}"
    if low >= ENOUGH:
        return Claim(LEARNS, PASSED, seen)
    return Claim(LEARNS, FAILED, f"the reward goes {seen}; it should reach {ENOUGH:g}")


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
