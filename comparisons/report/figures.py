"""The figures of a report: held-out scores on four axes, trade-offs, memory and seconds in parts.

They are drawn without pyplot, so that no window, global state or display is needed. A/A controls
are in none of them.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.report.lines import score_curves
from bakeoff.comparisons.report.measures import NOT_TRAINING
from bakeoff.comparisons.report.pareto import trade_offs
from bakeoff.comparisons.report.style import COMPONENT_COLOURS, MIB, PHASE_COLOURS, tidy, title
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import COMPONENTS, PHASES
from bakeoff.comparisons.tables import replace_file
from bakeoff.comparisons.wording import amount, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(results: Results, summary: Sequence[Row]) -> dict[str, Figure]:
    """Return the figures by the name of their PNG file.

    Args:
        results: the cells' rows.
        summary: the rows of ``summary.csv``.
    """
    components = {f"memory/{name}": COMPONENT_COLOURS[name] for name in COMPONENTS}
    held = {name: colour for name, colour in components.items() if "baseline" not in name}
    phases = {f"update_s/{p}": PHASE_COLOURS[p] for p in PHASES if p not in NOT_TRAINING}
    at_peak = {"memory at the peak (MiB)": components, "without the process's baseline (MiB)": held}
    return {
        "rewards.png": score_curves(results, ("update", "train_wall_s")),
        "axes.png": score_curves(results, ("completion_tokens", "train_flops")),
        "pareto.png": trade_offs(summary),
        "memory.png": stacked_bars(summary, at_peak, unit="bytes"),
        "speed.png": stacked_bars(summary, {"seconds of an update": phases}, unit="s"),
    }


def save(figures: Mapping[str, Figure], out: Path, *, vector: bool = False) -> list[str]:
    """Write figures into a folder, each in place of the old one; return the names of the files.

    Args:
        figures: by the name of their PNG file.
        out: the folder.
        vector: write an SVG file beside each PNG file.
    """
    files = {name: png(figure) for name, figure in figures.items()}
    if vector:
        files |= {f"{Path(name).stem}.svg": svg(figure) for name, figure in figures.items()}
    for name, data in files.items():
        replace_file(out / name, data)
    return list(files)


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def svg(figure: Figure) -> bytes:
    """Return a figure as the bytes of an SVG file, the same ones for the same figure."""
    import matplotlib

    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "bakeoff", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def stacked_bars(
    summary: Sequence[Row], columns: Mapping[str, Mapping[str, str]], *, unit: str
) -> Figure:
    """Return one stacked bar per algorithm; one row of panels for each environment and model.

    Args:
        summary: the rows of ``summary.csv``.
        columns: for each column of panels, by the label of its axis: the metrics to stack, in
            order, and their colours.
        unit: of the metrics; bytes are drawn as MiB.
    """
    from matplotlib.figure import Figure

    places = list(groups(summary, "environment", "model"))
    bars = sum(len({row["algorithm"] for row in rows}) for _, rows in places)
    size = (4 + 4.5 * len(columns), 1.6 + 0.6 * len(places) + 0.5 * bars)
    figure = Figure(figsize=size, layout="constrained")
    axes_RC = figure.subplots(len(places), len(columns), squeeze=False, sharex="col", sharey="row")
    shown: dict[str, str] = {}
    for (place, rows), axes_C in zip(places, axes_RC, strict=True):
        for axes, (label, colours) in zip(axes_C, columns.items(), strict=True):
            shown |= _draw_bars(axes, rows, colours, unit)
            axes.margins(x=0.16)
            tidy(axes, grid="x")
            if axes in axes_RC[-1]:
                axes.set_xlabel(label)
        axes_C[0].invert_yaxis()
        axes_C[0].set_title(title(place), fontsize=10, loc="left")
    in_order = dict.fromkeys(metric for colours in columns.values() for metric in colours)
    _add_legend(figure, {metric: shown[metric] for metric in in_order if metric in shown})
    return figure


def _draw_bars(
    axes: Axes, summary: Sequence[Row], colours: Mapping[str, str], unit: str
) -> dict[str, str]:
    """Draw a panel's bars; return the metrics that can be seen, with their colours."""
    shown, names = {}, []
    for y, ((algorithm,), own) in enumerate(groups(summary, "algorithm")):
        found = {row["metric"]: row for row in own if row["metric"] in colours and row["n_seeds"]}
        n = max((int(row["n_seeds"]) for row in found.values()), default=0)
        names.append(f"{short(algorithm)} (n={n})")
        ends = {True: 0.0, False: 0.0}  # what is negative goes to the left of 0
        axes.barh(y, 0.0)  # the line of an algorithm without a value
        for metric in (metric for metric in colours if metric in found):
            value = found[metric]["mean"] / (MIB if unit == "bytes" else 1)
            axes.barh(y, value, left=ends[value >= 0], height=0.62, **_fill(metric, colours))
            ends[value >= 0] += value
            if value:
                shown[metric] = colours[metric]
        total = f"{sum(ends.values()):.0f}" if unit == "bytes" else amount(sum(ends.values()), unit)
        text = total if found else "no run ended ok"
        axes.text(ends[True], y, f" {text}", va="center", fontsize=8)
    axes.set_yticks(range(len(names)), names)
    return shown


def _fill(metric: str, colours: Mapping[str, str]) -> dict[str, Any]:
    hatch = "////" if metric.endswith("/unattributed") else None
    return {"facecolor": colours[metric], "edgecolor": "#444444", "linewidth": 0.5, "hatch": hatch}


def _add_legend(figure: Figure, colours: Mapping[str, str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(label=metric.split("/")[1], **_fill(metric, colours)) for metric in colours]
    if handles:
        figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
