"""What fits, as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bakeoff.comparisons.fitting.fit import WHOLE, Fit, Tried
from bakeoff.comparisons.fitting.verifying import Key, Measured
from bakeoff.comparisons.schema import COMPONENTS
from bakeoff.comparisons.wording import short, text_table


def text(found: Sequence[Fit], measured: Mapping[Key, Measured]) -> str:
    """Return a line for each algorithm, a table of its bytes, and what was measured.

    Args:
        found: what each algorithm can afford.
        measured: what runs of these sizes held, if they were made.
    """
    blocks = [_answers(found), _components(found)]
    if measured:
        blocks.append(_measured(found, measured))
    blocks.append(f"Note: {WHOLE}. No reply ends early in what is foretold.")
    return "\n\n".join(blocks)


def _answers(found: Sequence[Fit]) -> str:
    lines = []
    for one in found:
        where = f"{short(one.algorithm)}, {short(one.environment)}"
        where += "" if one.vary == "model" else f", {short(one.model)}"
        if one.best is None:
            said = "none fits"
        else:
            said = f"{one.best.value} at {_mib(one.best.prediction.peak_bytes)} MiB"
        if one.above is not None:
            said += f"; {one.above.value} would take {_mib(one.above.prediction.peak_bytes)} MiB"
        lines.append(f"{where}: {one.vary} {said}")
    limit = f"In {_mib(found[0].limit)} MiB, the largest {found[0].vary} of"
    return "\n".join([limit, *(f"- {line}" for line in lines)])


def _components(found: Sequence[Fit]) -> str:
    """Return the table of what the runs hold at their peaks, in MiB, a column for each size."""
    columns = [(one, tried) for one in found for tried in one.tried[:1]]
    header = ["MiB at the peak", *(f"{short(one.key(t)[0])} {t.value}" for one, t in columns)]
    lines = [["phase", *(tried.prediction.peak_phase for _, tried in columns)]]
    for component in COMPONENTS:
        held = [tried.prediction.at_peak.get(component) for _, tried in columns]
        if any(held):
            lines.append([component, *("-" if not n else _mib(n) for n in held)])
    lines.append(["peak", *(_mib(tried.prediction.peak_bytes) for _, tried in columns)])
    return text_table(header, lines)


def _measured(found: Sequence[Fit], measured: Mapping[Key, Measured]) -> str:
    header = ["measured", "tensors foretold", "measured", "ratio", "process foretold", "measured"]
    lines = []
    for one in found:
        for tried in one.tried:
            held = measured[one.key(tried)]
            name = f"{short(one.key(tried)[0])} {tried.value}"
            lines.append([name, *_figures(tried, held)])
    return text_table(header, lines)


def _figures(tried: Tried, held: Measured) -> list[str]:
    if held.live is None or held.process is None:
        return [_mib(tried.prediction.live_bytes), held.problem[:60], "-", "-", "-"]
    live, peak = tried.prediction.live_bytes, tried.prediction.peak_bytes
    return [
        _mib(live),
        _mib(held.live),
        f"{live / held.live:.3f}",
        _mib(peak),
        _mib(held.process),
    ]


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.0f}"
