"""The command in a report makes the same comparison again: budgets, control, own settings."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from unit.true_folder import make

from bakeoff.comparisons.commands.flags import parse
from bakeoff.comparisons.report.again import OWN_FILE, command, elsewhere, own_text
from bakeoff.comparisons.report.markdown import document
from bakeoff.comparisons.report.merge import merge
from bakeoff.comparisons.report.page import sections
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running import folder
from bakeoff.comparisons.settings import experiment_of, read_config


def again(out: Path, tmp_path: Path) -> dict[str, object]:
    """Return ``experiment.json`` as the command in the report of ``out`` would write it."""
    results = load(out)
    if text := own_text(results):
        (tmp_path / OWN_FILE).write_text(text)
    _, *words = shlex.split(command(results))
    given = vars(parse(words))
    written = read_config(tmp_path / given.pop("config")) if "config" in given else {}
    del given["command"]
    (tmp_path / "again").mkdir()
    folder.record(experiment_of({**written, **given, "out": str(tmp_path / "again")}))
    return (folder.read_json(tmp_path / "again" / "experiment.json") or {}) | {"name": out.name}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"seeds": [4]},
        {"control": True, "seeds": [0, 3]},
        {"algorithms": ("grpo:clip=0.1", "ppo"), "learning_rate": 3e-4},
        {"budget": "completion_tokens=5000"},
        {"own": {"ppo": {"learning_rate": 1e-4}}, "own_reason": "tuned in here: 4 trials"},
        {"memory_limit": 3 * 2**30, "cell_timeout": 90.0},
        {"launcher": "ray", "ray_address": "10.0.0.5:6379"},
        {"launcher": "slurm", "slurm": {"time": "8:00:00", "exclusive": "", "account": "ours"}},
    ],
    ids=str,
)
def test_the_command_asks_for_the_same_comparison(tmp_path, settings):
    out = make(tmp_path / "first", **settings)

    assert again(out, tmp_path) == folder.read_json(out / "experiment.json")


def test_a_budget_of_memory_decides_the_own_settings_again(tmp_path):
    own = {"ppo": {"group_size": 4}}
    out = make(tmp_path / "first", budget="memory=2GiB", own=own, own_reason="2 GiB")

    assert own_text(load(out)) == ""
    assert "--budget memory=2GiB" in command(load(out))


def test_runs_beside_each_other_are_asked_for_again(tmp_path):
    assert "--max-parallel" not in command(load(make(tmp_path / "alone")))
    folder_of_two = make(tmp_path / "two", parallel=2)

    assert "--max-parallel 2" in command(load(folder_of_two))


def test_the_address_of_a_cluster_is_left_to_who_runs_it_again(tmp_path):
    out = make(tmp_path / "first", launcher="ray", ray_address="10.0.0.5:6379")

    assert "--launcher ray" in command(load(out))
    assert "name yours with --ray-address" in elsewhere(load(out))
    assert "10.0.0.5" not in (out / "experiment.json").read_text() + command(load(out))


def test_of_slurm_it_has_what_a_job_was_given_and_no_name_of_one_site(tmp_path):
    options = {"time": "8:00:00", "exclusive": "", "account": "ours", "mail-user": "me@here"}
    out = make(tmp_path / "first", launcher="slurm", slurm=options)

    asked = "--slurm time=8:00:00 --slurm exclusive --slurm account=ACCOUNT"
    assert f"--launcher slurm {asked} --slurm mail-user=MAIL-USER" in command(load(out))
    assert elsewhere(load(out)) == "Put in what your Slurm has: ACCOUNT, MAIL-USER."
    assert "me@here" not in (out / "experiment.json").read_text()


def test_a_file_for_accelerate_is_named_where_everybody_has_it(tmp_path):
    settings = {"launcher": "accelerate", "processes": 2, "accelerate_config": "/home/me/two.yaml"}
    out = make(tmp_path / "first", **settings)

    assert "--launcher accelerate --accelerate-config accelerate.yaml" in command(load(out))
    assert elsewhere(load(out)) == "accelerate.yaml stands in the folder of each run."


def test_a_server_of_ones_own_is_said_to_be_that(tmp_path):
    out = make(tmp_path / "first", sampler="vllm_server", sampler_url="http://localhost:8000")

    assert "What --sampler-url names was on the machine of the runs" in elsewhere(load(out))


def test_runs_by_two_launchers_that_were_merged_name_none(tmp_path):
    first = make(tmp_path / "first", seeds=[0], launcher="ray")
    second = make(tmp_path / "second", seeds=[1])
    results = load(merge([first, second], tmp_path / "both"))

    assert "--launcher" not in command(results)
    assert elsewhere(results) == ""


def test_the_report_and_the_page_say_what_is_to_be_put_in(tmp_path):
    results = load(make(tmp_path / "first", launcher="ray"))

    assert elsewhere(results) in document(results, [], [], [])
    assert elsewhere(results) in str(sections.again(results))
