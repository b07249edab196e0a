"""A comparison from Python: run it, or open one that was run, and have its tables as frames."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakeoff.comparisons.report import figures, report
from bakeoff.comparisons.report.summary import summary_rows
from bakeoff.comparisons.results import load

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Comparison:
    """The results folder of a comparison; the tables are read when they are first asked for.

    ``print(comparison)`` shows what the command line shows at its end. The columns of the frames
    are described in docs/tables.md; missing values are NaN.

    Attributes:
        out: the results folder.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    @classmethod
    def load(cls, out: Path | str) -> Comparison:
        """Open a results folder, bringing everything in it that is derived up to date.

        Raises:
            UsageError: there is no cell in the folder, or none that can be read.
        """
        report.write(Path(out))
        return cls(Path(out))

    def __str__(self) -> str:
        return report.console(self.out)

    def __repr__(self) -> str:
        return f"Comparison.load({str(self.out)!r})"

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per cell, failed ones included."""
        return self._frame("runs")

    @cached_property
    def curves(self) -> pd.DataFrame:
        """One row per run, metric and update, with every x-axis."""
        return self._frame("curves")

    @cached_property
    def phases(self) -> pd.DataFrame:
        """One row per run, update and phase: where the time went."""
        return self._frame("phases")

    @cached_property
    def memory(self) -> pd.DataFrame:
        """One row per run and component: where the memory was."""
        return self._frame("memory")

    @cached_property
    def evals(self) -> pd.DataFrame:
        """One row per run, evaluation and held-out item."""
        return self._frame("evals")

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per algorithm, environment, model and metric, over seeds."""
        return self._frame("summary")

    @cached_property
    def pairwise(self) -> pd.DataFrame:
        """One row per pair of algorithms and metric, paired by seed."""
        return self._frame("pairwise")

    def plot(self) -> dict[str, Figure]:
        """Return the figures by file name; in a notebook they are shown too."""
        results = load(self.out)
        drawn = figures.draw(results, summary_rows(results))
        ipython = sys.modules.get("IPython")
        if ipython is not None and ipython.get_ipython() is not None:
            for figure in drawn.values():
                ipython.display.display(ipython.display.Image(figures.png(figure), retina=True))
        return drawn

    def _frame(self, name: str) -> pd.DataFrame:
        import pandas as pd

        # pandas would take a name such as "NA" or "null" for a missing value
        return pd.read_csv(self.out / f"{name}.csv", keep_default_na=False, na_values=["", "nan"])


def compare(
    algorithms: Iterable[str] = ("grpo", "ppo", "reinforce"),
    environments: Iterable[str] = ("bakeoff/Arithmetic-v0",),
    models: Iterable[str] = ("tiny",),
    seeds: int | Iterable[int] = 3,
    out: Path | str | None = None,
    *,
    quiet: bool = False,
    **knobs: Any,
) -> Comparison:
    """Run algorithms head to head and return what they came to.

    Each algorithm, environment, model and seed is one fresh process. Those that have ended in
    ``out`` already are not run again.

    Args:
        algorithms: names or specs, such as ``"grpo:clip=0.1"``.
        environments: names or specs, such as ``"bakeoff/Arithmetic-v0"``.
        models: names that ship, hub ids or folders.
        seeds: how many, or which.
        out: the results folder; by default one under ``results/``, named after what is compared.
        quiet: say nothing while it runs.
        **knobs: ``memory_limit`` (bytes), ``cell_timeout`` (seconds), and every knob of
            ``bakeoff.training.config``, such as ``updates=10``.

    Raises:
        UsageError: something asked for does not exist or is out of its range.
    """
    from bakeoff.comparisons.running.driver import run
    from bakeoff.comparisons.running.grid import plan

    asked = plan(
        algorithms=algorithms,
        environments=environments,
        models=models,
        seeds=seeds,
        out=out,
        **knobs,
    )
    return Comparison(run(asked, quiet=quiet))
