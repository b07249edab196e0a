"""``explain.md``: the explanation as a page to read, beside its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bakeoff.algorithms.manifest import KEYS
from bakeoff.comparisons.explain import repeated, side_by_side
from bakeoff.comparisons.explain.curves import SHOWN, stops
from bakeoff.comparisons.explain.explanation import Explanation
from bakeoff.comparisons.explain.movement import ReplyMove
from bakeoff.comparisons.explain.repeated import Repeated
from bakeoff.comparisons.explain.scene import GROUP_SIZE
from bakeoff.comparisons.explain.sentences import percent, quoted, signed
from bakeoff.comparisons.explain.side_by_side import SideBySide
from bakeoff.comparisons.explain.updates import CRITIC_STEPS
from bakeoff.comparisons.wording import MISSING, markdown_table

TOKENS = 40
"""The most tokens of one reply in the table."""


def page(seen: Explanation) -> str:
    """Return the whole page as Markdown."""
    parts = [
        *_question(seen),
        *_tokens(seen),
        *_clipping(),
        *_steps(seen.repeated, seen.name),
        *_sides(seen.sides),
    ]
    return "\n\n".join(parts) + "\n"


def _question(seen: Explanation) -> Iterator[str]:
    scene, group = seen.scene, seen.scene.groups[0]
    yield f"# What one update of {seen.name} did"
    yield (
        f"`bakeoff explain --env {seen.environment} --algorithm {seen.name} --seed {seen.seed}`"
        f". The model '{scene.language_model.name}' was asked items in the order of seed "
        f"{seen.seed}; `{group.item.id}` is the first that it answered both better and worse in "
        f"{GROUP_SIZE} samples (temperature 1)."
    )
    yield "\n".join(f"> {line}" for line in group.item.prompt.splitlines())
    yield markdown_table(
        ["reply", "times", "score", "advantage", "before", "after", "change of log-probability"],
        [reply_cells(reply) for reply in seen.replies],
    )
    yield (
        f"Between *before* and *after* lies one AdamW step of {seen.rate:g} on these replies, as "
        "training makes it. What the step was asked to do:"
    )
    said = [(key, str(seen.algorithm.semantics.get(key, "none"))) for key in KEYS]
    yield "\n".join(f"- {key}: {text}" for key, text in said if text != "none")
    if seen.algorithm.critic is not None:
        yield (
            f"The critic was fitted to the scores of these very replies in {CRITIC_STEPS} steps; "
            "that of a run has learned from earlier ones."
        )


def reply_cells(reply: ReplyMove) -> list[str]:
    """Return a reply's row of the table of replies."""
    advs = [token.adv for token in reply.tokens if token.adv is not None]
    low, high = (min(advs), max(advs)) if advs else (0.0, 0.0)
    spread = f"{low:+.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:+.2f} to {high:+.2f}"
    return [
        quoted(reply),
        str(reply.copies),
        f"{reply.reward:g}",
        spread if advs else MISSING,
        percent(reply.before),
        percent(reply.after),
        signed(reply.change),
    ]


def _tokens(seen: Explanation) -> Iterator[str]:
    yield "## Token by token"
    yield "![The replies, token by token](update.png)"
    rows = [
        [
            quoted(reply) if number == 0 else "",
            f"`{seen.shown(token.token_id)}`",
            MISSING if token.adv is None else f"{token.adv:+.2f}",
            percent(token.before),
            percent(token.after),
            signed(token.change),
        ]
        for reply in seen.replies
        for number, token in enumerate(reply.tokens[:TOKENS])
    ]
    header = ["reply", "token", "advantage", "before", "after", "change of log-probability"]
    yield markdown_table(header, rows)
    if any(len(reply.tokens) > TOKENS for reply in seen.replies):
        yield f"Of each reply the first {TOKENS} tokens are shown."
    yield "What was seen:"
    yield _bullets(seen.seen)


def _clipping() -> Iterator[str]:
    yield "## What clipping stops"
    yield (
        "The ratio is a token's probability now over that when it was sampled. Each panel shows "
        "what an algorithm's surrogate makes of it, and below it how hard the token is pulled: "
        "`-d loss / d log pi`, by autograd, from the functions that train. In the shaded ratios "
        "there is no gradient. All agree at a ratio of 1: in the first step after sampling they "
        "are the same."
    )
    yield "![Surrogates and their gradients against the ratio](surrogate.png)"
    yield markdown_table(
        ["surrogate", "no gradient, advantage above 0", "no gradient, advantage below 0"],
        [[title, stops(one, 1.0), stops(one, -1.0)] for title, one in SHOWN.items()],
    )


def _steps(seen: Repeated, name: str) -> Iterator[str]:
    yield "## The same batch, several times"
    yield (
        f"{len(seen.stopped_N) - 1} AdamW steps of {seen.rate:g} with {name} on the batch above. "
        "Of each reply the token is shown whose ratio goes the farthest; `x` means that its loss "
        "has no gradient any more."
    )
    yield "![Ratios against optimiser steps](steps.png)"
    yield markdown_table(*step_table(seen))
    yield _bullets(list(repeated.sentences(seen)))


def step_table(seen: Repeated) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of steps."""
    shown = seen.watched[:4]
    header = ["steps", *(one.name for one in shown), "ratios beyond a bound", "without gradient"]
    rows = []
    for n in repeated.table_steps(seen):
        clipped = seen.clipped_N[n]
        rows.append(
            [
                str(n),
                *(f"{one.ratio_N[n]:.2f}{' x' if one.stopped_N[n] else ''}" for one in shown),
                MISSING if clipped is None else f"{clipped * 100:.0f} % of tokens",
                f"{seen.stopped_N[n] * 100:.0f} % of tokens",
            ]
        )
    return header, rows


def _sides(seen: SideBySide) -> Iterator[str]:
    yield "## Supervised, rejection-sampling and policy gradients"
    yield (
        f"{len(seen.names)} algorithms on the same samples, those above and some of other items: "
        f"a step of length {side_by_side.NORM:g} against the gradient of each, without an "
        "optimiser, so that nothing but the direction differs. `sft` learns from the gold replies "
        "alone, `rft` from the samples that are right, the others from all samples."
    )
    yield "![What each gradient does to each reply](three_gradients.png)"
    yield markdown_table(*side_table(seen))
    yield "Cosines between the gradients, and their lengths:"
    yield markdown_table(
        ["", *seen.names, "length"],
        [
            [name, *(f"{c:.2f}" for c in cosines), f"{norm:.3g}"]
            for name, cosines, norm in zip(seen.names, seen.cosine_AA, seen.norm_A, strict=True)
        ],
    )
    yield _bullets(list(side_by_side.sentences(seen)))


def side_table(seen: SideBySide) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of the table of changes."""
    header = ["question", "reply", "before", *seen.names]
    rows = []
    for r, row in enumerate(seen.rows):
        new = r == 0 or row.question != seen.rows[r - 1].question
        verdict = "right" if row.right else "wrong"
        about = f"{row.copies} x {verdict}" if row.copies else "gold, not sampled"
        text = " ".join(row.reply.split())
        rows.append(
            [
                " ".join(row.question.split())[:40] if new else "",
                f"'{text[:20]}', {about}",
                percent(seen.before_R[r]),
                *map(signed, seen.change_RA[r]),
            ]
        )
    return header, rows


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
