"""The figures of a replay: cosines, signal-to-noise ratios, and one item's advantages by token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.replay.reading import PER_TOKENS
from bakeoff.comparisons.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN_COMPLETIONS = 4
"""Completions of the pictured item, at most: the first right ones and the first wrong ones."""

Row = dict[str, Any]


def draw(rows: Sequence[Row], pairs: Sequence[Row], tokens: Sequence[Row]) -> dict[str, Figure]:
    """Return the figures by file name.

    Args:
        rows: of ``replay.csv``.
        pairs: of ``cosines.csv``.
        tokens: of ``advantages.csv``.
    """
    return {
        "cosines.png": cosines(pairs),
        "snr.png": snr_bars(rows),
        "advantages.png": advantages(tokens),
    }


def cosines(pairs: Sequence[Row]) -> Figure:
    """Return a heat map of the cosines of gradients on the same samples."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys([p["algorithm_a"] for p in pairs] + [pairs[-1]["algorithm_b"]]))
    cell = {(p["algorithm_a"], p["algorithm_b"]): p["cosine"] for p in pairs}
    cell |= {(b, a): value for (a, b), value in cell.items()} | {(n, n): 1.0 for n in names}
    values = [[_or_nan(cell[a, b]) for b in names] for a in names]
    side = 2.6 + 0.44 * len(names)
    figure = Figure(figsize=(side + 0.8, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu")
    labels = [short(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(names)), labels, fontsize=8)
    for y, line in enumerate(values):
        for x, value in enumerate(line):
            if value == value:  # not nan: no gradient to compare
                colour = "white" if abs(value) > 0.6 else "black"
                text = (
                    f"{value:.2f}".replace("0.", ".", 1) if abs(value) < 0.995 else f"{value:.0f}"
                )
                axes.text(x, y, text, ha="center", va="center", fontsize=6, color=colour)
    axes.set_title("cosine of gradients on the same samples, mean of replicates", fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.7)
    return figure


def snr_bars(rows: Sequence[Row]) -> Figure:
    """Return the signal-to-noise ratio for each thousand generated tokens, with intervals."""
    from matplotlib.figure import Figure

    found = [row for row in rows if row["snr_per_token"] is not None]
    figure = Figure(figsize=(7.5, 1.4 + 0.32 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for y, row in enumerate(found):
        value = PER_TOKENS * row["snr_per_token"]
        axes.barh(y, value, height=0.62, color="#0072B2")
        if row["snr_per_token_low"] is not None:
            ends = (PER_TOKENS * row["snr_per_token_low"], PER_TOKENS * row["snr_per_token_high"])
            axes.plot(ends, (y, y), color="black", linewidth=1)
    axes.set_yticks(range(len(found)), [short(row["algorithm"]) for row in found], fontsize=9)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("SNR of the gradient for 1,000 generated tokens (95 % interval)")
    without = [short(row["algorithm"]) for row in rows if row["snr_per_token"] is None]
    if without:
        axes.set_title(f"nothing sampled, or no gradient: {', '.join(without)}", fontsize=8)
    _tidy(axes)
    return figure


def advantages(tokens: Sequence[Row]) -> Figure:
    """Return the credit of one item's tokens under each algorithm, one panel a completion.

    Each algorithm is divided by its own largest, since a factor on all of them is a learning rate.
    """
    from matplotlib.figure import Figure

    samples = [row for row in tokens if row["reward"] is not None]
    first = samples[0]["group"] if samples else None
    group = [row for row in samples if row["group"] == first]
    names = list(dict.fromkeys(row["algorithm"] for row in group))
    chosen = _chosen(group)
    figure = Figure(figsize=(1.8 + 3.0 * max(len(chosen), 1), 1.6 + 0.27 * len(names)))
    figure.set_layout_engine("constrained")
    axes_C = figure.subplots(1, max(len(chosen), 1), squeeze=False, sharey=True)[0]
    largest = {
        name: max((abs(_of(r)) for r in group if r["algorithm"] == name), default=0)
        for name in names
    }
    image = None
    for axes, completion in zip(axes_C, chosen, strict=False):
        own = [row for row in group if row["completion"] == completion]
        texts = {row["token_index"]: row["token"] for row in own}
        at = {(row["algorithm"], row["token_index"]): row for row in own}
        values = [
            [
                _of(at[name, t]) / largest[name]
                if largest[name] and at[name, t]["advantage"] is not None
                else float("nan")
                for t in texts
            ]
            for name in names
        ]
        image = axes.imshow(values, vmin=-1, vmax=1, cmap="RdBu", aspect="auto")
        axes.set_xticks(range(len(texts)), [_visible(text) for text in texts.values()], fontsize=7)
        axes.set_yticks(range(len(names)), [short(name) for name in names], fontsize=8)
        axes.set_title(f"reply {completion}, reward {own[0]['reward']:g}", fontsize=9)
        axes.set_facecolor("#DDDDDD")
    if image is not None:
        bar = figure.colorbar(image, ax=list(axes_C), shrink=0.7)
        bar.set_label("advantage * weight / its largest (grey: left out)", fontsize=8)
    return figure


def _chosen(group: Sequence[Row]) -> list[int]:
    """Return some completions of the item, half of them of the highest reward if there are any.

    Of completions with the same tokens only the first is taken.
    """
    rewards = {row["completion"]: row["reward"] for row in group}
    texts: dict[int, list[str]] = {}
    for row in group:
        if row["algorithm"] == group[0]["algorithm"]:
            texts.setdefault(row["completion"], []).append(row["token"])
    first = {tuple(text): number for number, text in reversed(texts.items())}
    rewards = {number: rewards[number] for number in sorted(first.values())}
    best = max(rewards.values(), default=0.0)
    right = [c for c, reward in rewards.items() if reward == best]
    wrong = [c for c, reward in rewards.items() if reward < best]
    half = max(SHOWN_COMPLETIONS // 2, SHOWN_COMPLETIONS - len(wrong))
    return sorted(right[:half] + wrong[: SHOWN_COMPLETIONS - len(right[:half])])


def _of(row: Row) -> float:
    """Return the coefficient of a token's log-probability in the gradient, at a ratio of 1."""
    return float((row["advantage"] or 0.0) * row["weight"])


def _visible(text: str) -> str:
    return text.replace("$", r"\$")[:8]


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
