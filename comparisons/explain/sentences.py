"""What was seen, in sentences that are made of the numbers of one update."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

from bakeoff.comparisons.explain.movement import SMALL, ReplyMove, TokenMove
from bakeoff.comparisons.explain.reasons import NO_PULL, against
from bakeoff.comparisons.wording import and_list, cut

AT_MOST = 4
"""Tokens that are named in one sentence."""

SURE = math.log(0.99)
"""Above this log-probability there is hardly anything else that could have been chosen."""


def percent(logp: float) -> str:
    """Return a probability as people read it.

    Example:
        >>> [percent(math.log(p)) for p in (0.5, 0.99995, 0.0004)]
        ['50.0 %', '>99.9 %', '<0.1 %']
    """
    share = 100 * math.exp(min(logp, 0.0))
    if share > 99.9:
        return ">99.9 %"
    return "<0.1 %" if share < 0.1 else f"{share:.1f} %"


def signed(change: float) -> str:
    """Return a change of log-probability; one that rounds to nothing has no sign.

    Example:
        >>> signed(1.5216), signed(-0.00004)
        ('+1.522', '0.000')
    """
    text = f"{change:+.3f}"
    return text[1:] if float(text) == 0 else text


def summary(
    found: Sequence[ReplyMove], why: Mapping[TokenMove, str], shown: Callable[[int], str]
) -> list[str]:
    """Return what happened to better replies, to worse ones, and to the tokens.

    Args:
        found: the different replies to one item.
        why: the reasons of the tokens that moved against their pull, or without one.
        shown: the text of a token.
    """
    return [
        *_side([reply for reply in found if reply.better], up=True),
        *_side([reply for reply in found if reply.better is False], up=False),
        *_tokens(found),
        *_exceptions(found, why, shown),
    ]


def _side(found: Sequence[ReplyMove], *, up: bool) -> Iterator[str]:
    """Say whether the replies on one side of the mean moved as a policy gradient wants."""
    if not found:
        return
    where, way = ("above", "likelier") if up else ("below", "less likely")
    right = [reply for reply in found if (reply.change > 0) == up and reply.change]
    wrong = [reply for reply in found if reply not in right]
    before = _log_sum([reply.before for reply in found])
    after = _log_sum([reply.after for reply in found])
    together = f"{percent(before)} before, {percent(after)} after"
    if len(found) == 1:
        name, verb = quoted(found[0]), f"became {way}" if right else f"did NOT become {way}"
        yield f"The reply that scored {where} the mean, {name}, {verb}: {together}."
        return
    share = f"{len(right)} of the {len(found)}" if wrong else f"All {len(found)}"
    text = f"{share} different replies that scored {where} the mean became {way}"
    if wrong:
        text += f", {' and '.join(map(quoted, wrong))} did not"
    yield f"{text}. Together they had {together}."


def _log_sum(logps: Sequence[float]) -> float:
    """Return the logarithm of a sum of probabilities, however small they are."""
    largest = max(logps)
    return largest + math.log(math.fsum(math.exp(logp - largest) for logp in logps))


def _tokens(found: Sequence[ReplyMove]) -> Iterator[str]:
    tokens = [token for reply in found for token in reply.tokens]
    moved = [token for token in tokens if abs(token.change) >= SMALL]
    still = [token for token in tokens if abs(token.change) < SMALL]
    sure = [token for token in still if token.before >= SURE]
    others = [token for token in moved if against(token)]
    without = [token for token in others if abs(token.pull) < NO_PULL]
    counts = {
        "the way that their own reply's advantage pulled them": len(moved) - len(others),
        "against that": len(others) - len(without),
        "without a pull of their own": len(without),
    }
    if moved:
        parts = and_list([f"{count} {how}" for how, count in counts.items() if count])
        yield f"{len(moved)} of the {len(tokens)} tokens moved: {parts}."
    if still:
        text = f"{len(still)} hardly moved (less than {SMALL * 100:g} % of their probability)"
        if len(sure) == len(still):
            yield f"{text}: the model was more than 99 % sure of them before."
        else:
            yield f"{text}; at {len(sure)} of those the model was more than 99 % sure before."


def _exceptions(
    found: Sequence[ReplyMove], why: Mapping[TokenMove, str], shown: Callable[[int], str]
) -> Iterator[str]:
    """Say which tokens moved otherwise than they were pulled, and why: a sentence a reason."""
    by_reason: dict[tuple[bool, str], list[str]] = {}
    for reply in found:
        for number, token in enumerate(reply.tokens, start=1):
            if token in why:
                text = f"'{shown(token.token_id)}' (token {number} of {quoted(reply)}, "
                text += f"{percent(token.before)} to {percent(token.after)})"
                pulled = abs(token.pull) >= NO_PULL
                by_reason.setdefault((pulled, why[token]), []).append(text)
    for (pulled, text), names in by_reason.items():
        how = "against its own pull" if pulled else "without a pull of its own"
        more = len(names) - AT_MOST
        listed = and_list([*names[:AT_MOST], *([f"{more} more tokens"] if more > 0 else [])])
        verb = "each moved" if len(names) > 1 else "moved"
        yield f"{listed} {verb} {how}: {text}."


def quoted(reply: ReplyMove) -> str:
    """Return a reply's text in quotes, on one line, cut if it is long."""
    return f"'{cut(reply.text, 35)}'"
