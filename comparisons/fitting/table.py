"""The table of ``bakeoff fit``: one row for each size and component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bakeoff.comparisons.fitting.fit import Fit
from bakeoff.comparisons.fitting.verifying import Key, Measured


def rows(found: Iterable[Fit], measured: Mapping[Key, Measured]) -> list[dict[str, Any]]:
    """Return the rows of the table; the components add up to ``process``.

    Args:
        found: what each algorithm can afford.
        measured: what runs of these sizes held, if they were made.
    """
    table: list[dict[str, Any]] = []
    for one in found:
        for tried in one.tried:
            algorithm, environment, model, value = one.key(tried)
            prediction = tried.prediction
            key = {
                "algorithm": algorithm,
                "environment": environment,
                "model": model,
                "vary": one.vary,
                "value": value,
                "limit_bytes": one.limit,
                "fits": prediction.peak_bytes <= one.limit,
                "peak_phase": prediction.peak_phase,
            }
            held = measured.get((algorithm, environment, model, value), Measured())
            sums = {
                "live_tensors": (prediction.live_bytes, held.live),
                "process": (prediction.peak_bytes, held.process),
            }
            each = {name: (n_bytes, None) for name, n_bytes in prediction.at_peak.items()}
            table += [
                {**key, "component": name, "bytes_predicted": foretold, "bytes_measured": seen}
                for name, (foretold, seen) in {**each, **sums}.items()
            ]
    return table
