"""``report.md``: a comparison as a page to read."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from bakeoff.comparisons.report.fairness import fairness_card, semantics
from bakeoff.comparisons.report.measures import COMPARED, MEASURES
from bakeoff.comparisons.report.sentences import cautions, failures, sentences
from bakeoff.comparisons.results import Results, Row, groups
from bakeoff.comparisons.running import contamination
from bakeoff.comparisons.settings import size_text
from bakeoff.comparisons.wording import MISSING, amount, markdown_table, short, signed, times
from bakeoff.training.config import TrainConfig, flat

RESULT_COLUMNS = {
    "held-out score, start": "score_initial",
    "end": "score_final",
    "gain": "score_gain",
    "memory above baseline": "training_bytes",
    "peak RSS": "peak_rss_bytes",
    "time per update": "update_s",
    "tokens/s": "completion_tokens_per_s",
}

FIGURES = {
    "rewards.png": "Held-out score against updates and training time. Thick: mean of the seeds; "
    "thin: each seed; band: 95 % Student-t interval, from 3 seeds on.",
    "memory.png": "Memory by component at the peak of a run; white hatched: what no counted tensor "
    "explains, activations included.",
    "speed.png": "Seconds of an update by phase; warm-up and evaluation left out. The number is "
    "the sum of the phases' medians.",
}


def document(results: Results, summary: Sequence[Row], pairwise: Sequence[Row]) -> str:
    """Return the text of ``report.md``.

    Args:
        results: the cells' rows.
        summary: the rows of ``summary.csv``.
        pairwise: the rows of ``pairwise.csv``.
    """
    name = str(results.runs[0]["experiment"] or results.out.resolve().name)
    parts = [f"# {name}", _overview(results)]
    warnings = [*cautions(results), *contamination.cautions(results.out)]
    parts += [f"> **Warning: {line}.**" for line in warnings]
    for (environment, model), rows in groups(summary, "environment", "model"):
        here = (environment, model)
        pairs = [row for row in pairwise if (row["environment"], row["model"]) == here]
        runs = [run for run in results.runs if (run["environment"], run["model"]) == here]
        parts += [
            f"## {short(environment)}, {short(model)}",
            _results_table(rows),
            "Means over the seeds that ended ok, with 95 % Student-t intervals.",
            _bullets(sentences(rows, pairs)),
            "### Pair by pair",
            _pairwise_table(pairs),
            "Runs of one seed are paired. An effect is a geometric mean ratio (x) or a mean "
            "difference, with its 95 % interval. `p` is that of an exact sign-flip test after "
            "Holm's correction over the pairs of one metric; where no outcome could have brought "
            "it to 0.05, the verdict is `too_few_seeds`.",
            "### What was held equal",
            _bullets(fairness_card(runs)),
        ]
    parts += ["## Figures", *(f"![{text}]({file})\n\n{text}" for file, text in FIGURES.items())]
    shared = contamination.sentences(results.out)
    if shared:
        parts += ["## Held-out items among the training items", _bullets(shared)]
    notes = failures(results)
    if notes:
        parts += ["## What failed, and what is missing", _bullets(notes)]
    parts += ["## What each algorithm was", _semantics(results.runs)]
    parts += ["## The same again", f"```\n{command(results)}\n```", _versions(results.runs)]
    parts.append(
        "The tables beside this file hold every number: `summary.csv`, `pairwise.csv`, `runs.csv`, "
        "`curves.csv`, `phases.csv`, `memory.csv`, `evals.csv`, `samples.jsonl`."
    )
    return "\n\n".join(parts) + "\n"


def command(results: Results) -> str:
    """Return the command that makes a comparison like this one again.

    It is made from ``experiment.json``, or from the cells if that cannot be read.
    """
    try:
        asked = json.loads((results.out / "experiment.json").read_text(encoding="utf-8"))
        lists = [asked[key] for key in ("algorithms", "environments", "models", "seeds")]
        config = asked["config"]
    except (OSError, ValueError, KeyError, TypeError):
        columns = ("algorithm", "environment", "model", "seed")
        lists = [list(dict.fromkeys(run[key] for run in results.runs)) for key in columns]
        config, asked = json.loads(results.runs[0]["config_json"]), {}
    algorithms, environments, models, seeds = lists
    words = ["bakeoff", "compare", "--algorithms", ",".join(algorithms)]
    for flag, names in (("--env", environments), ("--model", models)):
        words += [word for name in names for word in (flag, name)]
    words += ["--seeds", ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")]
    words += _knobs(config)
    if asked.get("memory_limit") is not None:
        words += ["--memory-limit", size_text(asked["memory_limit"])]
    if asked.get("cell_timeout") is not None:
        words += ["--cell-timeout", str(asked["cell_timeout"])]
    return shlex.join([*words, "--out", "FOLDER"])


def _knobs(config: Mapping[str, Any]) -> list[str]:
    default = flat(TrainConfig())
    changed = {k: v for k, v in config.items() if v != default.get(k) and v is not None}
    return [word for k, v in changed.items() for word in ("--" + k.replace("_", "-"), str(v))]


def _overview(results: Results) -> str:
    runs = results.runs
    ok = sum(run["status"] == "ok" for run in runs)
    names = {
        key: ", ".join(dict.fromkeys(f"`{short(str(run[key]))}`" for run in runs))
        for key in ("algorithm", "environment", "model")
    }
    seeds = ", ".join(map(str, sorted({int(run["seed"]) for run in runs})))
    return (
        f"{len(runs)} runs, {ok} of them ended ok: {names['algorithm']} on {names['environment']} "
        f"with {names['model']}, seeds {seeds}. One run is one fresh process."
    )


def _results_table(summary: Sequence[Row]) -> str:
    lines = []
    for (algorithm,), own in groups(summary, "algorithm"):
        of = {row["metric"]: row for row in own}
        cells = [_with_interval(of.get(metric)) for metric in RESULT_COLUMNS.values()]
        counts = [str(of["score_final"][key]) for key in ("n_seeds", "n_failed")]
        lines.append([short(algorithm), *cells, *counts])
    return markdown_table(["algorithm", *RESULT_COLUMNS, "n", "failed"], lines)


def _with_interval(row: Row | None) -> str:
    if row is None or row["mean"] is None:
        return MISSING
    unit = str(row["unit"])
    mean = signed(row["mean"]) if row["metric"] == "score_gain" else amount(row["mean"], unit)
    if row["ci_low"] is None:
        return mean
    return f"{mean} [{amount(row['ci_low'], unit)}, {amount(row['ci_high'], unit)}]"


def _pairwise_table(pairs: Sequence[Row]) -> str:
    lines = []
    for row in sorted(pairs, key=lambda row: COMPARED.index(row["metric"])):
        lines.append(
            [
                row["metric"],
                f"{short(row['algorithm_b'])} to {short(row['algorithm_a'])}",
                _effect(row),
                str(row["n_pairs"]),
                MISSING if row["p_value_holm"] is None else f"{row['p_value_holm']:.3f}",
                f"`{row['verdict']}`",
                row["note"] or "",
            ]
        )
    if not lines:
        return "There is nothing to compare: one algorithm, or no run that ended ok."
    return markdown_table(["metric", "pair", "effect", "pairs", "p", "verdict", "note"], lines)


def _effect(row: Row) -> str:
    if row["ratio_b_over_a"] is not None:
        low, high = row["ratio_ci_low"], row["ratio_ci_high"]
        interval = "" if low is None else f" [{times(low)}, {times(high)}]"
        return f"{times(row['ratio_b_over_a'])}x{interval}"
    if row["difference"] is None:
        return MISSING
    if MEASURES[row["metric"]].unit != "score":
        return amount(row["difference"], MEASURES[row["metric"]].unit)
    low, high = row["diff_ci_low"], row["diff_ci_high"]
    interval = "" if low is None else f" [{signed(low)}, {signed(high)}]"
    return f"{signed(row['difference'])}{interval}"


def _semantics(runs: Sequence[Row]) -> str:
    manifests = semantics(runs)
    if not manifests:
        return "No run has written down its algorithm's formula."
    keys = list(dict.fromkeys(key for manifest in manifests.values() for key in manifest))
    header = ["", *(short(name) for name in manifests)]
    lines = [[key, *(str(m.get(key, MISSING)) for m in manifests.values())] for key in keys]
    return markdown_table(header, lines)


def _versions(runs: Sequence[Row]) -> str:
    columns = ("package_version", "git_sha", "torch", "transformers", "python", "os", "device_name")
    parts = []
    for column in columns:
        values = sorted({str(run[column]) for run in runs if run[column] is not None})
        if values:
            parts.append(f"{column} {' / '.join(values)}")
    return f"Made with: {'; '.join(parts)}." if parts else "The runs have recorded no versions."


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
