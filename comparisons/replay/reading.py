"""What the numbers of a replay say, and what they do not, in sentences made of the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from bakeoff.comparisons.replay.measuring import REFERENCE
from bakeoff.comparisons.replay.recording import SAMPLE, Recording
from bakeoff.comparisons.wording import MISSING, and_list, markdown_table, short, text_table, times

SAME_DIRECTION = 0.99
"""Gradients with a mean cosine from here on are called nearly the same direction."""

PER_TOKENS = 1000

Row = dict[str, Any]

HEADER = [
    "algorithm",
    "kept",
    "gradient norm",
    "cosine to reference",
    "of the means",
    "SNR / 1,000 tokens",
    "SNR / reference",
    "noise scale (tokens)",
    "KL of a step",
]


def document(
    recording: Recording, rows: Sequence[Row], pairs: Sequence[Row], *, learning_rate: float
) -> str:
    """Return ``report.md``.

    Args:
        recording: what was replayed.
        rows: of ``replay.csv``.
        pairs: of ``cosines.csv``.
        learning_rate: of the update.
    """
    notes = [f"- {short(row['algorithm'])}: {row['note']}" for row in rows if row["note"]]
    parts = [
        f"# Replay: {short(recording.settings.environment)}, {short(recording.settings.model)}",
        setting(recording),
        markdown_table(HEADER, _cells(rows)),
        "Intervals are of 95 %: Student's t over replicates for norm and cosine, the jackknife for "
        "the rest. SNR is |E g|^2 / tr Cov(g) of one batch's gradient, for each thousand tokens "
        "that were generated; the noise scale is how many tokens make it 1.",
        "\n".join(notes),
        "## Reading",
        *reading(rows, pairs, learning_rate=learning_rate),
        "![cosines](cosines.png)\n\n![SNR](snr.png)\n\n![advantages](advantages.png)",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def console(recording: Recording, rows: Sequence[Row], out: Path) -> str:
    """Return the summary for the terminal."""
    table = text_table(HEADER, _cells(rows))
    return f"{setting(recording)}\n\n{table}\n\nreport: {out / 'report.md'}"


def setting(recording: Recording) -> str:
    """Return what was recorded, in one paragraph."""
    settings = recording.settings
    samples = [row for r in range(settings.replicates) for row in recording.of(SAMPLE, r)]
    groups: dict[tuple[int, int], set[float | None]] = {}
    for row in samples:
        groups.setdefault((row.replicate, row.group), set()).add(row.reward)
    mixed = fmean(len(found) > 1 for found in groups.values())
    reward = fmean(row.reward or 0.0 for row in samples)
    cut = fmean(row.completion.truncated for row in samples)
    tokens = fmean(row.completion.sampled for row in samples)
    fit = recording.facts.get("explained_variance")
    critic = "" if fit is None else f" Explained variance of the critic: {fit:.2f}."
    times_over = f"{settings.replicates} replicates (the same items, other samples)"
    if settings.replicates == 1:
        times_over = "once, split into two halves of the items"
    return (
        f"{settings.prompts} items x {settings.group_size} completions, {times_over}: mean "
        f"reward {reward:.3f}, {mixed:.0%} of the groups with spread, {tokens:.1f} tokens a "
        f"completion, {cut:.0%} cut.{critic}"
    )


def reading(rows: Sequence[Row], pairs: Sequence[Row], *, learning_rate: float) -> list[str]:
    """Return paragraphs: directions, noise, the step, and what none of it shows."""
    return [
        _directions(rows, pairs),
        _noise(rows),
        _step(rows, learning_rate),
        "Not shown here: a batch is one optimiser step of the policy that sampled it, so ratios "
        "are 1 and nothing is clipped; the noise is that of sampling, for these items, and not "
        "that of which items are asked; and a gradient that is less noisy is not for that a better "
        "one, since its mean may be that of another objective.",
    ]


def clusters(names: Sequence[str], pairs: Sequence[Row]) -> list[list[str]]:
    """Return the algorithms in sets, all pairs of one set being of nearly the same direction."""
    near = {
        frozenset((p["algorithm_a"], p["algorithm_b"]))
        for p in pairs
        if p["cosine"] is not None and p["cosine"] >= SAME_DIRECTION
    }
    found: list[list[str]] = []
    for name in names:
        for own in found:
            if all(frozenset((name, other)) in near for other in own):
                own.append(name)
                break
        else:
            found.append([name])
    return found


def _directions(rows: Sequence[Row], pairs: Sequence[Row]) -> str:
    names = [row["algorithm"] for row in rows]
    sets = [own for own in clusters([REFERENCE, *names], pairs) if len(own) > 1]
    text = "**Directions.** "
    if sets:
        near_ones = "; ".join(and_list([short(name) for name in own]) for own in sets)
        text += (
            "On the same samples nearly the same direction (all pairs of a set have a mean cosine "
            f"of at least {SAME_DIRECTION}), if not the same length: {near_ones}. "
        )
    else:
        text += f"No two have a mean cosine of {SAME_DIRECTION} or more. "
    if lost := [short(row["algorithm"]) for row in rows if not row["signal_positive"]]:
        text += (
            f"Of {and_list(lost)} the unbiased estimate of |E g|^2 is not above 0: so many "
            "replicates do not find a direction in the noise. "
        )
    known = [row for row in rows if row["cosine_to_reference"] is not None]
    if known:
        far = min(known, key=lambda row: float(row["cosine_to_reference"]))
        near = max(known, key=lambda row: float(row["cosine_to_reference"]))
        text += (
            "A batch's cosine to the unbiased gradient of all other replicates is between "
            f"{far['cosine_to_reference']:.2f} ({short(far['algorithm'])}) and "
            f"{near['cosine_to_reference']:.2f} ({short(near['algorithm'])})."
        )
    return text.strip()


def _noise(rows: Sequence[Row]) -> str:
    kinds: dict[str, list[str]] = {"more": [], "less": [], "like": [], "unknown": []}
    for row in rows:
        low, high = row["snr_to_reference_low"], row["snr_to_reference_high"]
        name, value = short(row["algorithm"]), row["snr_to_reference"]
        if low is None or high is None:
            kinds["unknown"].append(name)
        elif low > 1 or high < 1:
            kinds["more" if low > 1 else "less"].append(f"{name} ({times(value)}x)")
        else:
            kinds["like"].append(name)
    sentences = {
        "more": "More signal for its noise than the reference, on the same samples: {}.",
        "less": "Less: {}.",
        "like": "Not told apart from it (the interval of the ratio holds 1): {}.",
        "unknown": "No ratio or no interval: {}.",
    }
    said = [sentences[kind].format(and_list(own)) for kind, own in kinds.items() if own]
    return (
        "**Noise.** "
        + " ".join(said)
        + " Each is compared with the reference by itself; of many comparisons some are wrong."
    )


def _step(rows: Sequence[Row], learning_rate: float) -> str:
    norms = [row["grad_norm"] for row in rows if row["grad_norm"]]
    steps = [row["update_norm"] for row in rows if row["update_norm"]]
    kls = {row["algorithm"]: row["kl_exact"] for row in rows if row["kl_exact"]}
    if not norms or not kls:
        return "**One step.** No gradient, no step."
    far, near = max(kls, key=kls.__getitem__), min(kls, key=kls.__getitem__)
    return (
        f"**One step.** Gradient norms differ by {times(max(norms) / min(norms))}x, the norms of "
        f"the first AdamW step at the learning rate {learning_rate:g} by "
        f"{times(max(steps) / min(steps))}x: from fresh averages it is nearly the sign of the "
        f"gradient, whatever its length. It moves the policy by {kls[near]:.2g} ({short(near)}) to "
        f"{kls[far]:.2g} ({short(far)}) nats a token."
    )


def _cells(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [
            short(row["algorithm"]),
            f"{row['kept_frac']:.0%}",
            _spelled(row, "grad_norm"),
            _spelled(row, "cosine_to_reference"),
            _digits(row["expected_cosine_to_reference"]),
            _spelled(row, "snr_per_token", PER_TOKENS),
            _spelled(row, "snr_to_reference"),
            _digits(row["noise_scale_tokens"]),
            _digits(row["kl_exact"]),
        ]
        for row in rows
    ]


def _spelled(row: Mapping[str, Any], key: str, factor: float = 1.0) -> str:
    value, low, high = (row[f"{key}{end}"] for end in ("", "_low", "_high"))
    if value is None or low is None:
        return _digits(None if value is None else value * factor)
    return f"{_digits(value * factor)} [{_digits(low * factor)}, {_digits(high * factor)}]"


def _digits(value: float | None) -> str:
    if value is None:
        return MISSING
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
