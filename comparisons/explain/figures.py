"""The figures: what moved, what clipping stops, what several steps do, whose gradient does what.

Blue is up and vermilion is down throughout, told apart by colour-blind readers too; signs and line
styles say the same once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.explain.curves import HIGHEST, SHOWN, curve, ratios, stopped
from bakeoff.comparisons.explain.explanation import Explanation
from bakeoff.comparisons.explain.movement import ReplyMove, TokenMove
from bakeoff.comparisons.explain.repeated import Repeated
from bakeoff.comparisons.explain.sentences import percent, quoted
from bakeoff.comparisons.explain.side_by_side import NORM, SideBySide
from bakeoff.comparisons.report.style import LINE_COLOURS
from bakeoff.comparisons.wording import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

UP, DOWN = "#0072B2", "#D55E00"
LINE_STYLES, MARKERS = ("-", "--", ":", "-."), "osD^v"
REPLIES, TOKENS = 6, 10
"""The most replies, and tokens of each, that a figure has room for."""


def draw(seen: Explanation) -> dict[str, Figure]:
    """Return the figures by file name."""
    return {
        "update.png": update(seen),
        "surrogate.png": surrogate(),
        "steps.png": steps(seen.repeated, seen.name),
        "three_gradients.png": gradients(seen.sides),
    }


def update(seen: Explanation) -> Figure:
    """Return the replies token by token, each token in the colour of its change."""
    from matplotlib.figure import Figure

    shown = seen.replies[:REPLIES]
    width = min(TOKENS, max(len(reply.tokens) for reply in shown))
    figure = Figure(figsize=(9, 1.0 + 0.88 * len(shown)), layout="constrained")
    axes = figure.subplots()
    for row, reply in enumerate(shown):
        for column, token in enumerate(reply.tokens[:width]):
            _draw_token(axes, column, row, seen.shown(token.token_id), token)
        _draw_reply(axes, row, reply, width)
    axes.set_xlim(-1.25, width + 1.35)
    axes.set_ylim(len(shown) - 0.5, -0.75)
    axes.axis("off")
    question = cut(seen.scene.groups[0].item.prompt, 63)
    axes.set_title(f"'{question}': one update of {seen.name}", fontsize=11, loc="left")
    axes.text(-1.2, -0.66, "reply, score", fontsize=9, color="#555555")
    axes.text(
        0,
        -0.66,
        "its tokens: probability before → after, and advantage A",
        fontsize=9,
        color="#555555",
    )
    axes.text(width + 0.1, -0.66, "whole reply", fontsize=9, color="#555555")
    return figure


def _draw_token(axes: Axes, column: int, row: int, text: str, token: TokenMove) -> None:
    from matplotlib.patches import Rectangle

    strength = min(1.0, abs(token.change) / 1.0)
    colour = UP if token.change > 0 else DOWN
    face = _tint(colour, 0.75 * strength)
    box = Rectangle((column + 0.03, row - 0.4), 0.94, 0.8, facecolor=face, edgecolor="#777777")
    axes.add_patch(box)
    before, after = percent(token.before), percent(token.after)
    style: dict[str, Any] = {"ha": "center", "va": "center"}
    axes.text(column + 0.5, row - 0.17, text, fontsize=14, family="monospace", **style)
    adv = "no advantage" if token.adv is None else f"A {token.adv:+.2f}"
    axes.text(column + 0.5, row + 0.29, adv, fontsize=8, color="#333333", **style)
    moved = f"{before} → {after}" if before != after else before
    axes.text(column + 0.5, row + 0.1, moved.replace(" %", "%"), fontsize=8.5, **style)


def _draw_reply(axes: Axes, row: int, reply: ReplyMove, width: int) -> None:
    copies = f"{reply.copies} time{'s' if reply.copies > 1 else ''}"
    axes.text(-1.2, row - 0.14, quoted(reply), fontsize=11, va="center")
    axes.text(-1.2, row + 0.2, f"score {reply.reward:g}, {copies}", fontsize=9, va="center")
    sign, colour = ("▲", UP) if reply.change > 0 else ("▼", DOWN)
    more = "..., " if len(reply.tokens) > width else ""
    text = f"{more}{percent(reply.before)} → {percent(reply.after)}".replace(" %", "%")
    axes.text(width + 0.1, row, f"{sign} {text}", fontsize=10, va="center", color=colour)


def surrogate() -> Figure:
    """Return each surrogate and its gradient against the ratio, for both signs of the advantage."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 10.2), layout="constrained")
    axes_RC = figure.subplots(4, 3, sharex=True, sharey="row")
    for number, (title, function) in enumerate(SHOWN.items()):
        block, column = divmod(number, 3)
        gain, pull = axes_RC[2 * block][column], axes_RC[2 * block + 1][column]
        for adv, colour, style in ((1.0, UP, "-"), (-1.0, DOWN, "--")):
            drawn = curve(function, adv, ratios())
            gain.plot(drawn.ratio_N, drawn.gain_N, color=colour, linestyle=style, linewidth=2)
            pull.plot(drawn.ratio_N, drawn.pull_N, color=colour, linestyle=style, linewidth=2)
            for low, high in stopped(drawn):
                for axes in (gain, pull):
                    half = (0.5, 1.0) if adv > 0 else (0.0, 0.5)
                    axes.axvspan(low, high, *half, color=colour, alpha=0.18, linewidth=0)
        gain.set_title(title, fontsize=10)
        gain.set_ylim(-2.9, 2.9)
        pull.set_ylim(-3.9, 3.9)
    for axes in axes_RC.flat:
        axes.axvline(1, color="#999999", linewidth=0.8, linestyle=":")
        axes.axhline(0, color="#999999", linewidth=0.8)
        axes.set_xlim(0, HIGHEST)
        axes.spines[["top", "right"]].set_visible(False)
    for row in (0, 2):
        axes_RC[row][0].set_ylabel("objective,\n0 at a ratio of 1")
        axes_RC[row + 1][0].set_ylabel("its gradient\nby log-probability")
    for axes in axes_RC[3]:
        axes.set_xlabel("ratio: new / old probability")
    _surrogate_legend(figure)
    return figure


def _surrogate_legend(figure: Figure) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    figure.legend(
        handles=[
            Line2D([], [], color=UP, linewidth=2, label="advantage +1"),
            Line2D([], [], color=DOWN, linewidth=2, linestyle="--", label="advantage -1"),
            Patch(color=UP, alpha=0.18, label="no gradient, +1"),
            Patch(color=DOWN, alpha=0.18, label="no gradient, -1"),
        ],
        loc="outside upper center",
        ncols=4,
        frameon=False,
        fontsize=10,
    )


def steps(seen: Repeated, name: str) -> Figure:
    """Return the ratio of each reply's token against the steps; a cross: no gradient any more."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, one in enumerate(seen.watched[:REPLIES]):
        colour = LINE_COLOURS[number % len(LINE_COLOURS)]
        style = LINE_STYLES[number % len(LINE_STYLES)]
        label = f"{one.name}, advantage {one.adv:+.2f}"
        axes.plot(one.ratio_N, color=colour, linestyle=style, linewidth=2, label=label)
        for stop, marker, size in ((False, MARKERS[number % len(MARKERS)], 6), (True, "x", 8)):
            at = [n for n, stopped in enumerate(one.stopped_N) if stopped is stop]
            ratio = [one.ratio_N[n] for n in at]
            axes.plot(at, ratio, marker, color=colour, markersize=size, markeredgewidth=1.8)
    axes.axhline(1, color="#999999", linewidth=0.8)
    axes.set_yscale("log")
    _ratio_ticks(axes, [r for one in seen.watched[:REPLIES] for r in one.ratio_N])
    axes.set_xlabel("optimiser steps on the same batch")
    axes.set_ylabel("ratio: new / old probability")
    axes.set_title(f"{name}, step size {seen.rate:g}", fontsize=11, loc="left")
    axes.plot([], [], "x", color="#444444", markersize=8, markeredgewidth=1.8, label="no gradient")
    axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.4, alpha=0.6)
    return figure


def _ratio_ticks(axes: Axes, values: list[float]) -> None:
    """Label a logarithmic axis with plain numbers."""
    from matplotlib.ticker import FixedLocator, NullFormatter

    ticks = [0.05, 0.1, 0.2, 0.5, 0.7, 0.8, 1, 1.2, 1.5, 2, 3, 5, 10, 20]
    low, high = min(values) / 1.08, max(values) * 1.08
    axes.set_ylim(low, high)
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.yaxis.set_major_locator(FixedLocator(shown))
    axes.yaxis.set_major_formatter(lambda value, position: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def gradients(seen: SideBySide) -> Figure:
    """Return what one step of each algorithm does to each reply, and the cosines between them."""
    from matplotlib.figure import Figure

    n = len(seen.rows)
    size = (9, 1.6 + 0.33 * n + 2.3)
    figure = Figure(figsize=size, layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.2 + 0.33 * n, 2.3])[:, 0]
    axes_A = top.subplots(1, len(seen.names), sharex=True, sharey=True, squeeze=False)[0]
    places = _row_places(seen)
    for a, (name, axes) in enumerate(zip(seen.names, axes_A, strict=True)):
        change_R = [row[a] for row in seen.change_RA]
        colours = [UP if change > 0 else DOWN for change in change_R]
        axes.barh(places, change_R, color=colours, height=0.72)
        axes.axvline(0, color="#444444", linewidth=0.8)
        axes.set_title(name, fontsize=10)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", linewidth=0.4, alpha=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
    axes_A[0].set_yticks(places, [_row_label(seen, r) for r in range(n)], fontsize=9)
    axes_A[0].set_ylim(max(places) + 0.7, -1.1)
    for r, place in enumerate(places):
        if r == 0 or seen.rows[r].question != seen.rows[r - 1].question:
            _question(axes_A[0], place - 0.85, seen.rows[r].question)
    top.supxlabel(f"change of the reply's log-probability in a step of length {NORM:g}", fontsize=9)
    left, right = bottom.subplots(1, 2, width_ratios=[1, 1])
    _cosine_map(left, seen)
    _share_map(right, seen)
    return figure


def _question(axes: Axes, y: float, text: str) -> None:
    style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": 9, "weight": 700}
    axes.text(-0.04, y, cut(text, 30), transform=axes.get_yaxis_transform(), **style)


def _row_places(seen: SideBySide) -> list[float]:
    """Return where each reply's bar is: one below the other, a gap before each question."""
    places: list[float] = []
    for r, row in enumerate(seen.rows):
        new = r > 0 and row.question != seen.rows[r - 1].question
        places.append(0.0 if r == 0 else places[-1] + (2.0 if new else 1.0))
    return places


def _row_label(seen: SideBySide, r: int) -> str:
    row = seen.rows[r]
    text = cut(row.reply, 18)
    verdict = "right" if row.right else "wrong"
    return f"{text}  {verdict}, {row.copies} of 8" if row.copies else f"{text}  gold, not sampled"


def _cosine_map(axes: Axes, seen: SideBySide) -> None:
    _map(axes, seen.cosine_AA, seen.names, seen.names)
    axes.set_title("cosine between the gradients", fontsize=10)


def _share_map(axes: Axes, seen: SideBySide) -> None:
    labels = [cut(question, 20) for question in dict.fromkeys(row.question for row in seen.rows)]
    _map(axes, seen.share_GA, labels, seen.names)
    axes.set_title("share of each gradient, by question", fontsize=10)


def _map(
    axes: Axes,
    values_RC: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Draw a table of numbers within [-1, 1] as coloured fields."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [_tint(DOWN, 0.75), _tint(UP, 0), _tint(UP, 0.75)]
    shades = LinearSegmentedColormap.from_list("shades", ends)
    axes.imshow(values_RC, cmap=shades, vmin=-1, vmax=1, aspect="auto")
    for r, value_C in enumerate(values_RC):
        for c, value in enumerate(value_C):
            text = "-" if math.isnan(value) else f"{value:.2f}"
            axes.text(c, r, text, ha="center", va="center", fontsize=9)
    axes.set_xticks(range(len(columns)), columns, fontsize=9)
    axes.set_yticks(range(len(rows)), rows, fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _tint(colour: str, strength: float) -> tuple[float, float, float]:
    """Return a colour mixed with white: 0 is white."""
    from matplotlib.colors import to_rgb

    red, green, blue = (1 - strength * (1 - part) for part in to_rgb(colour))
    return red, green, blue
