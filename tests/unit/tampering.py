"""Kinds of tampering with a results folder, and what each of them contradicts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from unit.true_folder import edit


def cell(out: Path, algorithm: str = "grpo", seed: int = 0) -> Path:
    (found,) = out.glob(f"cells/{algorithm}-*-s{seed}-*")
    return found


def change_json(path: Path, **values: object) -> None:
    edit(path, lambda text: json.dumps(json.loads(text) | values))


def swap(old: str, new: str) -> Callable[[str], str]:
    return lambda text: text.replace(old, new, 1)


def a_score_in_a_cell(out: Path) -> None:
    edit(cell(out) / "evals.csv", swap("a/eval/3,0,0.0", "a/eval/3,0,1.0"))


def a_mean_in_a_cell(out: Path) -> None:
    edit(cell(out) / "curves.csv", swap("score/mean,0.25,4,2", "score/mean,0.75,4,2"))


def a_row_is_deleted(out: Path) -> None:
    edit(cell(out) / "evals.csv", lambda text: text.rsplit("\n", 2)[0] + "\n")


def an_update_is_deleted(out: Path) -> None:
    lines = (cell(out) / "phases.csv").read_text().splitlines(keepends=True)
    (cell(out) / "phases.csv").write_text("".join(x for x in lines if ",1," not in x))


def a_row_is_doubled(out: Path) -> None:
    edit(cell(out) / "memory.csv", lambda text: text + text.splitlines()[-1] + "\n")


def a_run_is_removed(out: Path) -> None:
    shutil.rmtree(cell(out, "ppo", 1))


def a_failed_run_is_called_ok(out: Path) -> None:
    for name in ("curves.csv", "phases.csv", "evals.csv"):  # it ended after its first update
        lines = (cell(out) / name).read_text().splitlines(keepends=True)
        column = lines[0].split(",").index("update")
        kept = [line for line in lines if line.split(",")[column] != "2"]
        (cell(out) / name).write_text("".join(kept))
    known = {"updates": 1, "completion_tokens": 100, "prompt_tokens": 200, "train_s": 1.6}
    change_json(cell(out) / "status.json", train_flops=10**9, **known)


def phases_are_shortened(out: Path) -> None:
    edit(cell(out) / "phases.csv", swap("2,update_policy,0.5", "2,update_policy,0.25"))


def phases_are_lengthened(out: Path) -> None:
    edit(cell(out) / "phases.csv", swap("2,update_policy,0.5", "2,update_policy,0.75"))


def seconds_are_cut_everywhere_but_in_the_phases(out: Path) -> None:
    edit(cell(out) / "curves.csv", lambda text: text.replace(",3.2,", ",2.4,"))
    change_json(cell(out) / "status.json", train_s=2.4)


def memory_is_made_less(out: Path) -> None:
    edit(cell(out) / "memory.csv", swap(str(36 * 2**20), str(6 * 2**20)))


def a_peak_is_made_less(out: Path) -> None:
    change_json(cell(out) / "status.json", peak_rss_bytes=200 * 2**20)


def a_config_is_changed(out: Path) -> None:
    spec = json.loads((cell(out) / "spec.json").read_text())
    change_json(cell(out) / "spec.json", config=spec["config"] | {"learning_rate": 0.1})


def the_settings_asked_for_are_changed(out: Path) -> None:
    asked = json.loads((out / "experiment.json").read_text())
    change_json(out / "experiment.json", config=asked["config"] | {"group_size": 64})


def a_version_is_changed(out: Path) -> None:
    change_json(cell(out) / "spec.json", content={"torch": "2.14.0"})


def a_seed_is_swapped(out: Path) -> None:
    for path in (cell(out) / "spec.json", cell(out) / "status.json"):
        change_json(path, seed=1)


def an_algorithm_is_swapped(out: Path) -> None:
    edit(cell(out) / "curves.csv", lambda text: text.replace(",grpo,", ",ppo,"))
    for name in ("spec.json", "status.json"):
        edit(cell(out) / name, lambda text: text.replace('"grpo"', '"ppo"'))


def a_sample_is_edited(out: Path) -> None:
    edit(cell(out) / "samples.jsonl", swap('"score": 0.0', '"score": 1.0'))


def a_sample_is_of_another_run(out: Path) -> None:
    edit(cell(out) / "samples.jsonl", swap("results/grpo", "results/ppo"))


def a_table_is_torn(out: Path) -> None:
    edit(cell(out) / "curves.csv", lambda text: text[: len(text) // 2])


def tokens_fall(out: Path) -> None:
    edit(cell(out) / "curves.csv", lambda text: text.replace(",2,200,600,", ",2,50,600,"))
    change_json(cell(out) / "status.json", completion_tokens=50)


def a_score_is_out_of_range(out: Path) -> None:
    edit(cell(out) / "evals.csv", swap("a/eval/3,0,0.0", "a/eval/3,0,-1.0"))


TAMPERING = {
    a_score_in_a_cell: "the items in evals.csv have 0.25",
    a_mean_in_a_cell: "gives 0.75 as score/mean after update 2, the items in evals.csv have 0.25",
    a_row_is_deleted: "evals.csv has evaluations of 3 and 4 items",
    an_update_is_deleted: "phases.csv lacks update 1 of the 2",
    a_row_is_doubled: "memory.csv has two rows of 0, unattributed",
    a_run_is_removed: "there is no run of ppo with seed 1",
    a_failed_run_is_called_ok: "it ended ok after 1 of 2 updates",
    phases_are_shortened: "update 2 took 1.6 s of training in curves.csv, its phases with the rest",
    phases_are_lengthened: "update 2 took 1.6 s of training in curves.csv, its phases 1.75 s",
    seconds_are_cut_everywhere_but_in_the_phases: "update 2 took 0.8 s of training in curves.csv",
    memory_is_made_less: "bytes at the peak, phases.csv reaches",
    a_peak_is_made_less: "bytes at the peak, status.json gives 209715200",
    a_config_is_changed: "spec.json gives 0.1 as learning_rate (config), experiment.json None",
    the_settings_asked_for_are_changed: "config_sha256 is not the hash of the settings",
    a_version_is_changed: "content_sha256 is not the hash of its settings, code and versions",
    a_seed_is_swapped: "as cell_id; of such a run it is",
    an_algorithm_is_swapped: "as cell_id; of such a run it is",
    a_sample_is_edited: "samples.jsonl gives 1.0 as score of a/eval/0 at update 0",
    a_sample_is_of_another_run: "samples.jsonl has a line of no run, or of another one",
    a_table_is_torn: "curves.csv lacks update 2",
    tokens_fall: "completion_tokens falls from 100 to 50 at update 2",
    a_score_is_out_of_range: "the score of a/eval/3 at update 0 is -1",
}
