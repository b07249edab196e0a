"""The figure of ``growth.py``: five panels, seconds on the left of each and memory on the right.

Both start at 0, so that a straight line through the corner is proportional; sizes of models differ
by more than that can show, and are on logarithms.

It is drawn without pyplot, so that no window or display is needed, in two of the colours of Okabe
and Ito (https://jfly.uni-koeln.de/color/), which colour-blind readers tell apart too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bakeoff.comparisons.report.figures import png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

AXES = {
    "group": "completions of a prompt",
    "completion_tokens": "tokens of a completion",
    "prompt_tokens": "tokens of a prompt",
    "prompts": "prompts of an update",
    "model": "parameters of the model",
}
"""The axes, and what stands below each panel."""

TIME, MEMORY = "#0072B2", "#D55E00"


class Point(NamedTuple):
    """A size on an axis and what an update took there."""

    size: int
    wall_s: float
    generation_s: float
    update_s: float
    above_mib: float
    logits_mib: float


def drawn(axes: Mapping[str, Sequence[Point]]) -> bytes:
    """Return the figure as the bytes of a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 3.6), layout="constrained", facecolor="white")
    panels = figure.subplots(1, len(axes))
    for panel, (axis, points) in zip(panels, axes.items(), strict=True):
        lines = _panel(panel, AXES[axis], points)
    figure.legend(handles=lines, loc="outside upper center", ncols=len(lines), frameon=False)
    return png(figure)


def _panel(panel: Axes, label: str, points: Sequence[Point]) -> list[Line2D]:
    """Draw an axis; return its lines."""
    memory = panel.twinx()
    size = [point.size for point in points]
    lines = [
        *panel.plot(size, [p.wall_s for p in points], "o-", label="seconds of an update"),
        *memory.plot(size, [p.above_mib for p in points], "s-", label="memory above the model"),
        *memory.plot(size, [p.logits_mib for p in points], "--", label="all logits in fp32"),
    ]
    for line, colour in zip(lines, (TIME, MEMORY, MEMORY), strict=True):
        line.set_color(colour)
    for one, name, colour in ((panel, "seconds", TIME), (memory, "MiB", MEMORY)):
        one.set_ylabel(name, color=colour)
        one.tick_params(axis="y", which="both", labelcolor=colour)
        if label == AXES["model"]:
            one.set(xscale="log", yscale="log")
        else:
            one.set(xlim=(0, None), ylim=(0, None))
            one.locator_params(axis="x", integer=True)
    panel.set_xlabel(label)
    panel.grid(alpha=0.3)
    return lines
