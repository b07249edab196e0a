"""What a check claims of an environment's rewards, from the trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from bakeoff.checkup import FAILED, NOT_APPLICABLE, PASSED, Claim
from bakeoff.envs.checking.trials import ROUNDING, Examiner, Trial, least, ranges

BY_CHANCE = 0.25  # of the replies that may be right by chance, the share that may be paid
SHOWN = 60  # characters of a reply or of a message


def about_rewards(tried: Examiner) -> list[Claim]:
    """Return the claims about replies and what they earned."""
    return [Claim(name, *judge(tried)) for name, judge in CLAIMS.items()]


Finding = tuple[str, str]


def _gold(tried: Examiner) -> Finding:
    env, trials = tried.env, tried.of("gold")
    highest = sum(max(w * end for end in ranges(env)[n]) for n, (w, _) in env.rewards.items())
    trouble = []
    for trial in trials:
        parts, value = trial.verdict.parts, trial.verdict.value
        if value is None:
            trouble.append(f"{trial.question.id} is not scored: {trial.verdict.failure}")
        elif not env.rewards and value <= 0:
            trouble.append(f"{trial.question.id} earns {value:g}")
        low = {
            name: parts[name]
            for name, (weight, _) in env.rewards.items()
            if weight > 0 and name in parts and parts[name] < ranges(env)[name][1] - ROUNDING
        }
        if low and value is not None:
            said = ", ".join(f"{name} {part:g}" for name, part in low.items())
            trouble.append(f"{trial.question.id} earns {value:g} of {highest:g} ({said})")
    return found(trouble, f"{len(trials)} items, each earns {highest:g}", of=len(trials))


def _nothing(tried: Examiner) -> Finding:
    bar, trials = max(0.0, least(tried.env)), tried.of("nothing")
    trouble = [_earned(t) for t in trials if (t.verdict.value or 0.0) > bar + ROUNDING]
    return found(trouble, f"{len(trials)} replies", of=len(trials))


def _non_answers(tried: Examiner) -> Finding:
    trials = tried.of("junk", "big")
    trouble = [_earned(trial) for trial in trials if tried.paid(trial)]
    scored = [trial for trial in trials if trial.verdict.value is not None]
    detail = f"{len(trials)} replies"
    if scored:
        best = max(scored, key=lambda trial: trial.verdict.value or 0.0)
        if (best.verdict.value or 0.0) > 0:
            detail += f"; the most: {_earned(best)}"
    return found(trouble, detail, of=len(trials))


def _others(tried: Examiner) -> Finding:
    return _mostly_unpaid(tried, tried.of("other"), "no two items of the sample differ in answer")


def _half(tried: Examiner) -> Finding:
    return _mostly_unpaid(tried, tried.of("half"), "the answers stand in the first halves, or none")


def _guesses(tried: Examiner) -> Finding:
    trouble = [
        f"{one.name}: paid in both orders, {_quoted(one.said[-1])} to {one.question.id}"
        for one, other in tried.both
        if tried.paid(one) and tried.paid(other)
    ]
    return found(trouble, f"{len(tried.both)} replies, each in two orders", of=len(tried.both))


def _scored(tried: Examiner) -> Finding:
    trouble = [
        f"{trial.name} to {trial.question.id}: {trial.verdict.failure[: SHOWN * 2]}"
        for trial in tried.trials
        if trial.verdict.value is None
    ]
    if tried.gave_up:
        trouble.append("no more was tried, for too many replies took too long")
    return found(trouble, f"{len(tried.trials)} replies", of=len(tried.trials))


def _parts(tried: Examiner) -> Finding:
    declared = ranges(tried.env)
    trouble = []
    scored = [trial for trial in tried.trials if trial.verdict.value is not None]
    for trial in scored:
        if not _is_number(trial.verdict.value):
            trouble.append(f"the score of {trial.name} is {trial.verdict.value!r}")
        for name, part in trial.verdict.parts.items():
            low, high = declared.get(name, (-math.inf, math.inf))
            if not _is_number(part) or not low - ROUNDING <= part <= high + ROUNDING:
                trouble.append(f"{name} is {part!r} for {trial.name}, not in {low:g} to {high:g}")
        missing = [name for name in declared if name not in trial.verdict.parts]
        trouble += [f"{name} is missing for {trial.name}" for name in missing]
    names = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in declared.items())
    return found(trouble, names, of=len(scored))


def _same_score(tried: Examiner) -> Finding:
    trouble = [
        f"{trial.name} to {trial.question.id}: {trial.verdict.value}, then {again.value}"
        for trial, again in tried.again
        if trial.verdict.outcome != again.outcome
    ]
    return found(trouble, f"{len(tried.again)} replies, judged twice", of=len(tried.again))


def _time(tried: Examiner) -> Finding:
    seconds = sorted(t.verdict.seconds for t in tried.trials if not math.isnan(t.verdict.seconds))
    if not seconds:
        return NOT_APPLICABLE, "no reply was judged"
    half, most = (seconds[int(share * (len(seconds) - 1))] for share in (0.5, 0.95))
    detail = f"p50 {half * 1000:.3g} ms, p95 {most * 1000:.3g} ms, max {seconds[-1] * 1000:.3g} ms"
    return (FAILED if tried.gave_up else PASSED), detail


CLAIMS: dict[str, Callable[[Examiner], Finding]] = {
    "the gold reply earns the most": _gold,
    "an empty reply earns nothing": _nothing,
    "no junk is paid": _non_answers,
    "another item's gold reply is not paid": _others,
    "many guesses are not paid": _guesses,
    "half a gold reply is not paid": _half,
    "every reply is scored": _scored,
    "parts are numbers in their range": _parts,
    "the same reply, the same score": _same_score,
    "time per reply": _time,
}


def found(trouble: Iterable[str], detail: str, *, of: int = 1) -> Finding:
    """Return how a claim came out: failed with the first trouble, or passed.

    Example:
        >>> found([], "3 replies"), found(["one", "two"], ""), found([], "0 replies", of=0)
        (('passed', '3 replies'), ('failed', 'one (and 1 more)'), ('not applicable', '0 replies'))
    """
    all_of_it = list(trouble)
    if not all_of_it:
        return (PASSED if of else NOT_APPLICABLE), detail
    more = f" (and {len(all_of_it) - 1} more)" if len(all_of_it) > 1 else ""
    return FAILED, f"{' '.join(all_of_it[0].split())}{more}"


def _mostly_unpaid(tried: Examiner, trials: Sequence[Trial], without: str) -> Finding:
    """Judge replies some of which may be right by chance: two programs may do the same."""
    if not trials:
        return NOT_APPLICABLE, without
    trouble = [_earned(trial) for trial in trials if tried.paid(trial)]
    if len(trouble) <= BY_CHANCE * len(trials):
        return PASSED, f"{len(trials)} replies" + (f", {len(trouble)} paid" if trouble else "")
    return FAILED, f"{len(trouble)} of {len(trials)} are paid: {trouble[0]}"


def _earned(trial: Trial) -> str:
    value = trial.verdict.value
    said = _quoted(trial.said[-1])
    return (
        f"{trial.name} ({said}) earns {value:g}, {trial.question.id}" if value is not None else ""
    )


def _quoted(text: str) -> str:
    return ascii(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")


def _is_number(value: object) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]
