"""What all figures share: colours, line styles, titles, frames.

The colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by
colour-blind readers too; line styles and markers say the same without colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.wording import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIB = 2**20

BAND_SEEDS = 3
"""Fewest seeds for which an interval is drawn; that of 2 would hide everything else."""

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", ":", "-.")
MARKERS = "osD^vPX"

COMPONENT_COLOURS = {
    "process_baseline": "#BBBBBB",
    "policy_weights": "#003F6B",
    "policy_grads": "#2F8AC4",
    "policy_optimizer": "#9CCBEA",
    "critic_weights": "#8A3B00",
    "critic_grads": "#D55E00",
    "critic_optimizer": "#F3B58A",
    "reference_weights": "#CC79A7",
    "merged_weights": "#6A51A3",
    "sampler_weights": "#B3A2D6",
    "kv_cache": "#009E73",
    "activations": "#F0E442",
    "logits": "#B5A300",
    "rollout_buffer": "#E69F00",
    "other_tensors": "#7F7F7F",
    "unattributed": "#FFFFFF",
}

PHASE_COLOURS = {
    "rollout": "#009E73",
    "rollout_wait": "#8FD3BF",
    "reward": "#F0E442",
    "old_logprob": "#56B4E9",
    "ref_logprob": "#CC79A7",
    "values": "#F3B58A",
    "advantage": "#000000",
    "update_policy": "#0072B2",
    "update_critic": "#D55E00",
    "weight_sync": "#E69F00",
    "other": "#BBBBBB",
}


def line_styles(algorithms: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return colour and line style of each algorithm, by its place in the tables."""
    return {
        name: {
            "color": LINE_COLOURS[index % len(LINE_COLOURS)],
            "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
        }
        for index, name in enumerate(dict.fromkeys(algorithms))
    }


def panels(rows: int, columns: int) -> tuple[Figure, Any]:
    """Return a figure, and its panels as an array; those of one row share their y-axis.

    The margins are set in inches: having matplotlib find them takes as long as drawing.
    """
    from matplotlib.figure import Figure

    width, height = 1 + 4.5 * columns, 0.4 + 3.9 * rows
    figure = Figure(figsize=(width, height))
    panels_RC = figure.subplots(rows, columns, squeeze=False, sharey="row")
    figure.subplots_adjust(
        left=0.75 / width,
        right=1 - 0.2 / width,
        bottom=0.6 / height,
        top=1 - 0.4 / height,
        wspace=0.07,
        hspace=0.3,
    )
    return figure, panels_RC


def title(place: Sequence[str]) -> str:
    """Return the heading of the panels of one environment and model."""
    environment, model = place
    return f"{short(environment)}, {short(model)}"


def tidy(axes: Axes, *, grid: str) -> None:
    """Take the frame off two sides of a panel and lay a grid behind what is drawn."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, linewidth=0.4, alpha=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
