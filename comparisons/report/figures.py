"""The figures of a report: held-out scores, memory by component, seconds by phase.

They are drawn without pyplot, so that no window, global state or display is needed. The colours are
those of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by colour-blind readers too.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from bakeoff.comparisons.report.measures import NOT_TRAINING
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.schema import COMPONENTS, PHASES
from bakeoff.comparisons.statistics import t_interval
from bakeoff.comparisons.tables import replace_file
from bakeoff.comparisons.wording import amount, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MIB = 2**20

BAND_SEEDS = 3
"""Fewest seeds for which an interval is drawn; that of 2 would hide everything else."""

LINE_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINE_STYLES = ("-", "--", ":", "-.")

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
    "rollout_buffer": "#E69F00",
    "other_tensors": "#7F7F7F",
    "unattributed": "#FFFFFF",
}

PHASE_COLOURS = {
    "rollout": "#009E73",
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


class Curve(NamedTuple):
    """The held-out scores of one run, ``N`` evaluations: updates, training seconds, scores."""

    ended_ok: bool
    update_N: Sequence[int]
    second_N: Sequence[float]
    score_N: Sequence[float]


def draw(results: Results, summary: Sequence[Row]) -> dict[str, Figure]:
    """Return the figures by file name.

    Args:
        results: the cells' rows.
        summary: the rows of ``summary.csv``.
    """
    components = {f"memory/{name}": COMPONENT_COLOURS[name] for name in COMPONENTS}
    held = {name: colour for name, colour in components.items() if "baseline" not in name}
    phases = {f"update_s/{p}": PHASE_COLOURS[p] for p in PHASES if p not in NOT_TRAINING}
    at_peak = {"memory at the peak (MiB)": components, "without the process's baseline (MiB)": held}
    return {
        "rewards.png": rewards(results),
        "memory.png": stacked_bars(summary, at_peak, unit="bytes"),
        "speed.png": stacked_bars(summary, {"seconds of an update": phases}, unit="s"),
    }


def save(figures: Mapping[str, Figure], out: Path) -> None:
    """Write the figures into a folder, each in place of the old one."""
    for name, figure in figures.items():
        replace_file(out / name, png(figure))


def png(figure: Figure) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def rewards(results: Results) -> Figure:
    """Return held-out scores against updates and against training seconds.

    One row of panels for each environment and model. The thick line is the mean of the seeds that
    ended ok, thin lines are seeds, the band is a Student-t interval, drawn from 3 seeds on. A run
    that failed ends in a cross.
    """
    from matplotlib.figure import Figure

    curves = _curves(results)
    places = list(groups(results.runs, "environment", "model"))
    algorithms = list(dict.fromkeys(str(run["algorithm"]) for run in results.runs))
    figure = Figure(figsize=(10, 0.4 + 3.9 * len(places)), layout="constrained")
    axes_R2 = figure.subplots(len(places), 2, squeeze=False, sharey="row")
    for (place, runs), (by_update, by_second) in zip(places, axes_R2, strict=True):
        for (algorithm,), own in groups(runs, "algorithm"):
            index = algorithms.index(algorithm)
            style = {
                "color": LINE_COLOURS[index % len(LINE_COLOURS)],
                "linestyle": LINE_STYLES[index % len(LINE_STYLES)],
            }
            found = [curves[run["run_id"]] for run in own if run["run_id"] in curves]
            failed = sum(run["status"] != "ok" for run in own)
            label = f"{short(algorithm)} (n={len(own) - failed}"
            label += f", {failed} failed)" if failed else ")"
            _draw_seeds(by_update, by_second, found, style)
            _draw_mean(by_update, by_second, [c for c in found if c.ended_ok], style, label)
        by_update.set_title(_title(place), fontsize=10, loc="left")
        by_update.set_ylabel("held-out score (greedy)")
        by_update.set_xlabel("updates")
        by_second.set_xlabel("training time (s, evaluation left out)")
        by_update.legend(fontsize=8)
        for axes in (by_update, by_second):
            _tidy(axes, grid="both")
    return figure


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
            _tidy(axes, grid="x")
            if axes in axes_RC[-1]:
                axes.set_xlabel(label)
        axes_C[0].invert_yaxis()
        axes_C[0].set_title(_title(place), fontsize=10, loc="left")
    in_order = dict.fromkeys(metric for colours in columns.values() for metric in colours)
    _add_legend(figure, {metric: shown[metric] for metric in in_order if metric in shown})
    return figure


def _draw_seeds(
    by_update: Axes, by_second: Axes, curves: Sequence[Curve], style: Mapping[str, str]
) -> None:
    for curve in curves:
        for axes, x_N in ((by_update, curve.update_N), (by_second, curve.second_N)):
            axes.plot(x_N, curve.score_N, linewidth=0.8, alpha=0.45, **style)  # type: ignore[arg-type]
            if not curve.ended_ok:
                axes.plot(x_N[-1:], curve.score_N[-1:], "x", color=style["color"], markersize=8)


def _draw_mean(
    by_update: Axes,
    by_second: Axes,
    curves: Sequence[Curve],
    style: Mapping[str, str],
    label: str,
) -> None:
    """Draw the mean over seeds at the updates that all of them were evaluated at."""
    points = [
        dict(zip(c.update_N, zip(c.second_N, c.score_N, strict=True), strict=True)) for c in curves
    ]
    shared_M = sorted(set.intersection(*map(set, points))) if points else []
    score_MS = [[seed[update][1] for seed in points] for update in shared_M]
    second_M = [fmean(seed[update][0] for seed in points) for update in shared_M]
    mean_M = [fmean(score_S) for score_S in score_MS]
    by_update.plot(shared_M, mean_M, linewidth=2.2, label=label, **style)  # type: ignore[arg-type]
    by_second.plot(second_M, mean_M, linewidth=2.2, **style)  # type: ignore[arg-type]
    if len(points) < BAND_SEEDS:
        return
    band_M = [t_interval(score_S) for score_S in score_MS]
    low_M = [band.low for band in band_M if band]
    high_M = [band.high for band in band_M if band]
    for axes, x_M in ((by_update, shared_M), (by_second, second_M)):
        axes.fill_between(x_M, low_M, high_M, color=style["color"], alpha=0.13, linewidth=0)


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


def _curves(results: Results) -> dict[str, Curve]:
    """Return the held-out scores of each run that was evaluated."""
    ok = {run["run_id"]: run["status"] == "ok" for run in results.runs}
    rows: dict[str, list[Mapping[str, str]]] = {}
    for row in results.raw["curves.csv"]:
        if (row["split"], row["metric"]) == ("eval", "score/mean") and row["value"]:
            rows.setdefault(row["run_id"], []).append(row)
    return {
        run_id: Curve(
            ok[run_id],
            [int(row["update"]) for row in own],
            [float(row["train_wall_s"] or "nan") for row in own],
            [float(row["value"]) for row in own],
        )
        for run_id, own in rows.items()
    }


def _title(place: Sequence[str]) -> str:
    environment, model = place
    return f"{short(environment)}, {short(model)}"


def _tidy(axes: Axes, *, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, linewidth=0.4, alpha=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
