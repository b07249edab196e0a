"""Whether held-out items of a comparison stand among the items that its runs train on.

``contamination.csv`` is written before the first run: for each two environments of the grid, their
training items, from the first on, against the items of an evaluation. Of a data set these are all
that a run may ask; where items are generated without end they are a sample. It takes a few seconds
at most; how many items were compared stands in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakeoff.comparisons.running.grid import Experiment
from bakeoff.comparisons.schema import CONTAMINATION_COLUMNS
from bakeoff.comparisons.tables import read_rows, write_rows
from bakeoff.comparisons.wording import short
from bakeoff.errors import UsageError

FILE = "contamination.csv"
SECONDS = 3.0  # to read the items of all environments
MAX_ITEMS = 10_000  # of one environment


def record(experiment: Experiment) -> None:
    """Write the table of a comparison.

    An environment whose items cannot be read is left out: its runs will say why.
    """
    from bakeoff.envs import make
    from bakeoff.envs.checking.overlap import first_items, overlap

    names, share = experiment.environments, SECONDS / len(experiment.environments) / 2
    asked = {}
    for name in names:
        try:
            env = make(name)
            first = experiment.config.get("eval_offset", 0)
            held_out = range(first, first + experiment.config["eval_items"])
            evaluation = list(first_items(env, "eval", held_out, share))
            trained = range(MAX_ITEMS)
            asked[name] = list(first_items(env, "train", trained, share)), evaluation
        except Exception:  # code of the user's may raise anything
            continue
    lines = []
    for train in asked:
        for evaluation_of in asked:
            found = overlap(asked[train][0], asked[evaluation_of][1])
            eval_item, train_item = found.examples[0] if found.examples else (None, None)
            counts = {key: getattr(found, key) for key in CONTAMINATION_COLUMNS[2:-2]}
            places = {"train_environment": train, "eval_environment": evaluation_of}
            lines.append({**places, **counts, "eval_item": eval_item, "train_item": train_item})
    write_rows(experiment.out / FILE, CONTAMINATION_COLUMNS, lines)


def sentences(out: Path) -> list[str]:
    """Return what the table of a results folder says, a sentence for each thing found."""
    found = _rows(out)
    own = [row for row in found if row["train_environment"] == row["eval_environment"]]
    across = [row for row in found if row not in own]
    said = [_said(row) for row in own]
    said += [_said(row) for row in across if row["normalised"] != "0" or row["ngram"] != "0"]
    if across and len(said) == len(own):
        said.append("Nor does one in the training items of another environment.")
    return said


def _said(row: Mapping[str, str]) -> str:
    evaluation, train = (short(row[f"{side}_environment"]) for side in ("eval", "train"))
    trained = f"the {row['train_items']} training items of {train} compared"
    if row["normalised"] == "0":
        held_out = f"None of the {row['eval_items']} held-out items of {evaluation}"
        text = f"{held_out} stands in {trained}"
    else:
        held_out = f"**{row['normalised']} of the {row['eval_items']} held-out items** of"
        text = (
            f"{held_out} {evaluation} stand in {trained}, {row['exact']} of them to the letter "
            f"({row['eval_item']} is {row['train_item']})"
        )
    if row["ngram"] != "0":
        text += f"; {row['ngram']} more share a run of 13 words with one"
    repeats = row["eval_prompts"] not in ("", row["eval_items"])
    if repeats and evaluation == train:
        text += (
            f"; the {row['eval_items']} have {row['eval_prompts']} different prompts, and one that "
            "is asked again counts as another item"
        )
    return f"{text}."


def cautions(out: Path) -> list[str]:
    """Return what a reader must know before any score: held-out items that are trained on."""
    return [
        f"{row['normalised']} of {row['eval_items']} held-out items of "
        f"{short(row['eval_environment'])} are asked in training on "
        f"{short(row['train_environment'])}: its held-out scores say little"
        for row in _rows(out)
        if row["normalised"] != "0"
    ]


def rows(out: Path) -> list[dict[str, str]]:
    """Return the table of a results folder, without rows if there is none.

    Raises:
        UsageError: it is none of this version, nor of one before ``eval_prompts`` was in it.
    """
    try:
        return read_rows(out / FILE, CONTAMINATION_COLUMNS)
    except UsageError:
        before = [name for name in CONTAMINATION_COLUMNS if name != "eval_prompts"]
        return [{**row, "eval_prompts": ""} for row in read_rows(out / FILE, before)]


def _rows(out: Path) -> list[dict[str, str]]:
    try:
        return rows(out)
    except (UsageError, OSError):
        return []
