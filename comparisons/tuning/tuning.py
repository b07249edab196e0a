"""Trials in order: each is a comparison of all algorithms in a results folder of its own.

    DIR/space.yaml    what is searched      (before the first trial)
    DIR/tuning.json   the rest of the plan  (before the first trial)
    DIR/trials/03/    a results folder: ``bakeoff report`` reads it
    DIR/tuning.csv    a row for each trial, algorithm, environment, model and seed, failed ones too
    DIR/tuned.json    what was chosen; written last, so its presence means that all trials ended

Trials have seeds from ``FIRST_SEED`` on, which no comparison counts up to, and are judged on other
held-out items than the comparison: those behind the ones that its evaluation takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bakeoff.comparisons.budgets import budget_of
from bakeoff.comparisons.results import Row, groups
from bakeoff.comparisons.running import driver, folder
from bakeoff.comparisons.running.attempts import pending
from bakeoff.comparisons.running.checks import check
from bakeoff.comparisons.running.grid import Experiment, cells, plan
from bakeoff.comparisons.schema import SCHEMA_VERSION, TUNING_COLUMNS
from bakeoff.comparisons.tables import replace_file, write_rows
from bakeoff.comparisons.tuning.choice import came_to, choose
from bakeoff.comparisons.tuning.held_out import asked_in_both, check_items
from bakeoff.comparisons.tuning.space import Space
from bakeoff.comparisons.tuning.trials import Trial, trials
from bakeoff.errors import UsageError

FIRST_SEED = 10_000
"""Seeds of trials start here; ``--seeds N`` of a comparison, at most 1000, ends far below."""

PLAN, TABLE, TUNED, SPACE = "tuning.json", "tuning.csv", "tuned.json", "space.yaml"

PLACED = ("max_parallel", "launcher", "accelerate_config", "ray_address", "slurm")
"""What a trial is told of how its runs are started; all as the tuning is."""

SPENT = ("completion_tokens", "train_flops", "train_s", "wall_s")


@dataclass(frozen=True)
class Tuning:
    """A whole tuning; ``planned`` makes a checked one.

    Attributes:
        base: what is tuned, on which seeds and items, with the settings that do not vary.
        space: what varies.
        n: trials of each algorithm, the one with the defaults included.
        asked_in_both: by environment, how many items of an evaluation are asked in the comparison
            as well.
    """

    base: Experiment
    space: Space
    n: int
    asked_in_both: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def trials(self) -> list[Trial]:
        """What is tried, in order."""
        return trials(self.space, self.base.algorithms, self.n)

    def comparison(self, trial: Trial) -> Experiment:
        """Return the comparison that a trial is.

        Raises:
            UsageError: a drawn value is out of a setting's range, or two algorithms become one.
        """
        base = self.base
        made = plan(
            algorithms=[trial.spec(name) for name in base.algorithms],
            environments=base.environments,
            models=base.models,
            seeds=base.seeds,
            out=base.out / "trials" / f"{trial.number:02d}",
            memory_limit=base.memory_limit,
            cell_timeout=base.cell_timeout,
            control=False,
            audit=False,
            **{name: getattr(base, name) for name in PLACED},
            trackers=base.trackers,
            own={
                trial.spec(name): {**base.own.get(name, {}), **trial.knobs(name)}
                for name in base.algorithms
            },
            own_reason="drawn for a trial",
            **{**base.config, **trial.shared},
        )
        return dataclasses.replace(made, name=f"{base.name}-trial-{trial.number:02d}")


def planned(base: Experiment, space: Space, n: int) -> Tuning:
    """Return a checked tuning, whose evaluations take the items behind the comparison's.

    Args:
        base: what the final comparison is to be of, but for its seeds.
        space: what varies.
        n: trials of each algorithm.

    Raises:
        UsageError: a value that may be drawn is not possible, an algorithm, environment or model
            does not exist, or an environment has too few held-out items.
    """
    if (budget := budget_of(base.config)).kind == "memory":
        raise UsageError(f"budget {budget} ends no trial: give updates, or one that does")
    if budget.kind == "train_s" and base.max_parallel > 1:
        raise UsageError(
            f"budget {budget} is worth less to runs side by side: max_parallel must be 1"
        )
    if base.write_only:
        raise UsageError(
            "write_only is for compare: the trials of a tuning are run one after the other"
        )
    offset = base.config.get("eval_offset", 0) or base.config["eval_items"]
    base = dataclasses.replace(base, config={**base.config, "eval_offset": offset})
    tuning = Tuning(base, space, n)
    tried = [tuning.comparison(trial) for trial in tuning.trials]
    specs = tuple(dict.fromkeys(spec for made in tried for spec in made.algorithms))
    check(dataclasses.replace(base, algorithms=specs, control=False))
    items = base.config["eval_items"]
    for environment in base.environments:
        check_items(environment, items, offset)
    both = {name: asked_in_both(name, items, offset) for name in base.environments}
    return dataclasses.replace(tuning, asked_in_both=both)


def run(tuning: Tuning, *, quiet: bool, command: Sequence[str], **again: Any) -> list[Row]:
    """Run what trials have not been run yet, write the tables, and return the rows.

    Args:
        tuning: ``planned`` makes it.
        quiet: print nothing.
        command: what runs a cell.
        **again: ``only`` and ``stale``, which cells to run once more, as ``driver.run`` takes them.

    Raises:
        UsageError: the folder was made by another tuning, or holds something else; or what failed
            is to be run once more before all was run once.
        KeyboardInterrupt: it was interrupted; another call goes on.
    """
    if again.get("only") and any(_due(tuning.comparison(trial)) for trial in tuning.trials):
        raise UsageError(f"{tuning.base.out} has trials that were never run: leave --only out")
    declare(tuning)
    for trial in tuning.trials:
        made = tuning.comparison(trial)
        if _due(made, again.get("only")):
            if not quiet:
                place = f"[{trial.number + 1}/{tuning.n}]"
                print(f"{place} trial {trial.number}: {told(trial)}", flush=True)
            driver.run(made, quiet=quiet, command=command, **again)
            write_rows(tuning.base.out / TABLE, TUNING_COLUMNS, rows_of(tuning))
    rows = rows_of(tuning)
    write_rows(tuning.base.out / TABLE, TUNING_COLUMNS, rows)
    folder.write_json(tuning.base.out / TUNED, outcome(tuning, rows))
    return rows


def declare(tuning: Tuning) -> None:
    """Write down the space and the plan, before the first trial.

    Raises:
        UsageError: the folder is of another tuning, or is no tuning's.
    """
    import yaml

    out = tuning.base.out
    now = as_json(tuning)
    before = folder.read_json(out / PLAN)
    # hidden: what was left half written by a tuning that was killed
    if before is None and out.is_dir() and any(path.name[0] != "." for path in out.iterdir()):
        raise UsageError(f"{out} is not the folder of a tuning (no {PLAN}); use another --out")
    for key in now:
        if before is not None and before.get(key) != now[key]:
            raise UsageError(f"{out} was tuned with other {key}: use another --out, or the same")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write into {out}: {error.strerror}") from None
    folder.write_json(out / PLAN, now)
    text = yaml.safe_dump(tuning.space.as_yaml(), sort_keys=False)
    replace_file(out / SPACE, text.encode())


def as_json(tuning: Tuning) -> dict[str, Any]:
    """Return the plan as it stands in ``tuning.json``."""
    base = tuning.base
    return {
        "schema_version": SCHEMA_VERSION,
        "algorithms": list(base.algorithms),
        "environments": list(base.environments),
        "models": list(base.models),
        "seeds": list(base.seeds),
        "trials": tuning.n,
        "space": tuning.space.as_yaml(),
        "config": dict(base.config),
        "own": {name: dict(own) for name, own in base.own.items()},
        "asked_in_both": dict(tuning.asked_in_both),
    }


def rows_of(tuning: Tuning) -> list[Row]:
    """Return the rows of ``tuning.csv``; those of trials that have not been run say nothing yet."""
    rows: list[Row] = []
    for trial in tuning.trials:
        made = folder.settle(tuning.comparison(trial))
        for name in tuning.base.algorithms:
            own = [cell for cell in cells(made) if cell.algorithm == trial.spec(name)]
            own.sort(key=lambda cell: cell.seed)
            for cell in own:
                status = folder.status(made.out, cell) or {}
                rows.append(
                    {
                        "trial": trial.number,
                        "algorithm": name,
                        "tried_as": cell.algorithm,
                        "knobs_json": trial.knobs(name),
                        "environment": cell.environment,
                        "model": cell.model,
                        "seed": cell.seed,
                        "run_id": cell.run_id,
                        "status": status.get("status"),
                        "score": status.get("eval_score"),
                        **{column: status.get(column) for column in SPENT},
                        "error_message": status.get("error_message"),
                    }
                )
    return rows


def outcome(tuning: Tuning, rows: Sequence[Row]) -> dict[str, Any]:
    """Return what stands in ``tuned.json``: the plan, and what each algorithm is given."""
    found = {}
    for (name,), own in groups(rows, "algorithm"):
        by_trial = {int(number): came_to(mine) for (number,), mine in groups(own, "trial")}
        best, defaults = choose(own), by_trial[0]
        found[name] = {
            "trial": None if best is None else best.trial,
            "spec": None if best is None else tuning.trials[best.trial].spec(name),
            "knobs": {} if best is None else tuning.trials[best.trial].knobs(name),
            "score": None if best is None else best.score,
            "score_of_defaults": None if defaults is None else defaults.score,
            "failed_trials": [number for number, came in by_trial.items() if came is None],
        }
    return {**as_json(tuning), "tuned": found}


def told(trial: Trial) -> str:
    """Return what a trial is, in words.

    Example:
        >>> told(Trial(1, {"top_p": 0.9}, {"ppo": {"lam": 0.95}}))
        'top_p=0.9; ppo: lam=0.95'
    """
    if trial.number == 0:
        return "the defaults"
    own = {name: drawn for name, drawn in trial.own.items() if drawn}
    parts = [_pairs(trial.shared)] if trial.shared else []
    return "; ".join([*parts, *(f"{name}: {_pairs(drawn)}" for name, drawn in own.items())])


def _due(made: Experiment, only: str | None = None) -> bool:
    return bool(pending(made.out, cells(folder.settle(made)), only=only))


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())
