"""A comparison from Python: run it, or open one that was run, and have its tables as frames."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from bakeoff.comparisons.report import figures, report
from bakeoff.comparisons.report.axes import AXES
from bakeoff.comparisons.report.lines import metric_curves
from bakeoff.comparisons.report.page.markup import bullets, escape, inline, tag
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.report.sentences import cautions, failures
from bakeoff.comparisons.report.verdicts import verdict_sentence
from bakeoff.comparisons.results import load as read
from bakeoff.errors import UsageError, unknown

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class Table:
    """A table of a results folder as a frame, read when it is first asked for."""

    def __init__(self, doc: str) -> None:
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, comparison: None, owner: type) -> Table: ...

    @overload
    def __get__(self, comparison: Comparison, owner: type) -> pd.DataFrame: ...

    def __get__(self, comparison: Comparison | None, owner: type) -> Table | pd.DataFrame:
        if comparison is None:
            return self
        import pandas as pd

        path = comparison.out / f"{self.name}.csv"
        if not path.exists():
            raise UsageError(f"there is no {path.name} in {comparison.out}")
        # pandas would take a name such as "NA" or "null" for a missing value
        frame = pd.read_csv(path, keep_default_na=False, na_values=["", "nan"])
        vars(comparison)[self.name] = frame
        return frame


class Comparison:
    """The results folder of a comparison; the tables are read when they are first asked for.

    ``print(comparison)`` shows what the command line shows at its end, and a notebook shows it as
    HTML. The columns of the frames are described in docs/tables.md; missing values are NaN.

    Attributes:
        out: the results folder.
    """

    runs = Table("One row per cell, failed ones included.")
    curves = Table("One row per run, metric and update, with every x-axis.")
    phases = Table("One row per run, update and phase: where the time went.")
    memory = Table("One row per run and component: where the memory was.")
    evals = Table("One row per run, evaluation and held-out item.")
    summary = Table("One row per algorithm, environment, model and metric, over seeds.")
    pairwise = Table("One row per pair of algorithms and metric, paired by seed.")
    items = Table("One row per pair of algorithms: the last evaluation, item by item.")
    profiles = Table("Algorithms over all environments at once, from four environments on.")
    ledger = Table("One row per algorithm and component: memory as audits counted it.")
    flops = Table("One row per algorithm and phase: operations as audits counted them.")
    contamination = Table("One row per two environments: held-out items among training items.")

    def __init__(self, out: Path) -> None:
        self.out = out

    def __str__(self) -> str:
        return report.console(self.out)

    def __repr__(self) -> str:
        return f"load({str(self.out)!r})"

    def _repr_html_(self) -> str:
        results = read(self.out)
        parts = []
        for place in report.places(report.found_in(results)):
            cells = (map(escape, row) for row in place.table)
            rows = (tag("tr", *(tag("td", cell) for cell in row)) for row in cells)
            header = tag("tr", *(tag("th", escape(name)) for name in report.HEADER))
            parts += [tag("h4", escape(place.title)), tag("table", header, *rows)]
            parts.append(bullets(map(inline, place.sentences)))
        notes = [*cautions(results), *failures(results)]
        return "".join([*parts, bullets(map(escape, notes)) if notes else ""])

    def sentences(self) -> list[str]:
        """Return what was found, in sentences: memory, time and held-out score of each place."""
        found = report.found_in(read(self.out))
        return [line for place in report.places(found) for line in place.sentences]

    def verdicts(self) -> pd.DataFrame:
        """Return a row for each pair of algorithms, metric and axis value, with its sentence."""
        import pandas as pd

        rows = [
            {
                **{key: row[key] for key in ("environment", "model", "metric")},
                **{"axis": row["at_axis"], "at": row["at_value"]},
                **{"a": row["algorithm_a"], "b": row["algorithm_b"], "verdict": row["verdict"]},
                "sentence": verdict_sentence(row),
            }
            for row in pairwise_rows(read(self.out))
        ]
        return pd.DataFrame(rows)

    def plot(self, metric: str = "score/mean", axis: str = "update") -> Figure:
        """Return the curves of a metric along an axis, a panel for each environment and model.

        Args:
            metric: one of ``curves.csv``, such as ``"kl"``; of the held-out items if its name
                begins with ``score/``, of training otherwise.
            axis: ``"update"``, ``"completion_tokens"``, ``"total_tokens"``, ``"train_wall_s"`` or
                ``"train_flops"``.

        Raises:
            UsageError: no run has the metric, or there is no such axis.
        """
        results = read(self.out)
        split = "eval" if metric.startswith("score/") else "train"
        known = {row["metric"] for row in results.raw["curves.csv"] if row["split"] == split}
        if metric not in known:
            raise unknown("metric", metric, known)
        if axis not in AXES:
            raise unknown("axis", axis, AXES)
        _show_figures()
        return metric_curves(results, (axis,), (split, metric), metric)


def load(out: Path | str) -> Comparison:
    """Open a results folder, bringing everything in it that is derived up to date.

    Raises:
        UsageError: there is no cell in the folder, or none that can be read.
    """
    report.write(Path(out))
    return Comparison(Path(out))


def compare(
    algorithms: Iterable[str] = ("grpo", "ppo", "reinforce"),
    environments: Iterable[str] = ("bakeoff/Arithmetic-v0",),
    models: Iterable[str] = ("tiny",),
    seeds: int | Iterable[int] = 3,
    out: Path | str | None = None,
    *,
    tuned: Path | str | None = None,
    stale: str | None = None,
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
        tuned: the folder of a finished ``bakeoff tune``, whose choices the algorithms are given.
        stale: what becomes of runs in ``out`` that were made by other code or versions: ``keep``
            or ``rerun``; by default such a folder is refused.
        quiet: say nothing while it runs.
        **knobs: ``memory_limit`` (bytes), ``cell_timeout`` (seconds), ``max_parallel``, and every
            knob of ``bakeoff.training.config``: ``updates=10``; ``launcher="accelerate"`` with
            ``processes=2``: two processes for each run; ``control=False``: no A/A control;
            ``audit=False``: no counting of memory and FLOPs in short runs of their own;
            ``own`` and ``own_reason``: knobs that one algorithm alone gets, and why.

    Raises:
        UsageError: something asked for does not exist or is out of its range, or this is one of
            several processes that a launcher started.
    """
    from bakeoff.comparisons.budgets import check_chosen
    from bakeoff.comparisons.fitting.budget import afforded
    from bakeoff.comparisons.running.driver import run
    from bakeoff.comparisons.running.grid import plan
    from bakeoff.comparisons.running.ranks import check_alone
    from bakeoff.comparisons.tuning.tuned import with_tuned

    check_alone("compare")
    check_chosen(knobs)
    asked = plan(
        algorithms=algorithms,
        environments=environments,
        models=models,
        seeds=seeds,
        out=out,
        **knobs,
    )
    if tuned is not None:
        asked = with_tuned(asked, Path(tuned))
    asked = afforded(asked)
    return Comparison(run(asked, stale=stale, quiet=quiet))


def _show_figures() -> None:
    """Have a notebook show figures that were not made by pyplot."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is not None:
        from matplotlib.figure import Figure

        shell.display_formatter.formatters["image/png"].for_type(Figure, figures.png)
