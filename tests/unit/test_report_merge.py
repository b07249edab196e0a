"""Several results folders as one: what comes together, what is refused, what is not compared."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from unit.true_folder import edit, make, write_report

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.report.check import findings
from bakeoff.comparisons.report.merge import merge
from bakeoff.comparisons.report.pairwise import pairwise_rows
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running.folder import locked
from bakeoff.errors import UsageError


def verdicts(out: Path, metric: str) -> set[tuple[str, str]]:
    rows = [row for row in pairwise_rows(load(out)) if row["metric"] == metric]
    return {(row["verdict"], row["note"]) for row in rows if row["at_value"] == "last"}


def test_two_folders_become_one_that_passes_the_check(tmp_path):
    monday = make(tmp_path / "monday", seeds=[0, 1])
    tuesday = make(tmp_path / "tuesday", seeds=[2, 3])
    both = merge([monday, tuesday], tmp_path / "both")
    write_report(both)

    assert len(load(both).runs) == 8
    assert findings(both) == []
    asked = json.loads((both / "experiment.json").read_text())
    assert (asked["name"], asked["seeds"]) == ("both", [0, 1, 2, 3])


def test_without_out_it_is_made_beside_the_first(tmp_path):
    sources = [make(tmp_path / name, seeds=[n]) for n, name in enumerate("ab")]

    assert merge(sources) == tmp_path / "a+b"


def test_runs_are_copied_and_their_tables_stay_as_they_were(tmp_path):
    one, other = (make(tmp_path / name, seeds=[n]) for n, name in enumerate("ab"))
    both = merge([one, other], tmp_path / "both")
    before = {path.relative_to(one): path.read_bytes() for path in one.rglob("cells/*/*")}
    shutil.rmtree(one)

    assert {path: (both / path).read_bytes() for path in before} == before


def test_a_run_that_both_hold_is_counted_once(tmp_path):
    one = make(tmp_path / "one", seeds=[0])
    copy = shutil.copytree(one, tmp_path / "copy")

    assert len(load(merge([one, copy], tmp_path / "both")).runs) == 2


def test_merging_again_takes_up_what_has_come(tmp_path):
    one = make(tmp_path / "one", seeds=[0])
    both = merge([one, make(tmp_path / "two", seeds=[1])], tmp_path / "both")
    merge([one, make(tmp_path / "three", seeds=[2])], both)

    assert {run["seed"] for run in load(both).runs} == {0, 1, 2}


def test_different_runs_of_one_cell_are_an_error_that_names_both(tmp_path):
    one = make(tmp_path / "one", seeds=[0])
    other = make(tmp_path / "other", seeds=[0])

    with pytest.raises(UsageError, match=r"one/cells/grpo-.*other/cells/grpo-.*different runs"):
        merge([one, other], tmp_path / "both")
    assert not (tmp_path / "both").exists()


def test_other_settings_are_refused(tmp_path):
    sources = [make(tmp_path / "a"), make(tmp_path / "b", seeds=[2], group_size=4)]

    with pytest.raises(UsageError, match=r"group_size=8 and .*group_size=4"):
        merge(sources, tmp_path / "both")


def test_another_schema_is_refused(tmp_path):
    sources = [make(tmp_path / "a"), make(tmp_path / "b", seeds=[2])]
    edit(
        sources[1] / "experiment.json",
        lambda text: json.dumps(json.loads(text) | {"schema_version": 1}),
    )

    with pytest.raises(UsageError, match="b has schema version 1, not"):
        merge(sources, tmp_path / "both")


@pytest.mark.parametrize(
    ("name", "said"), [("nothing", "no such results folder"), ("empty", "not a results folder")]
)
def test_a_folder_without_results_is_named(tmp_path, name, said):
    (tmp_path / "empty").mkdir()

    with pytest.raises(UsageError, match=f"{said}.*{name}|{name}.*{said}"):
        merge([make(tmp_path / "a"), tmp_path / name], tmp_path / "both")


def test_a_folder_at_work_is_refused(tmp_path):
    one, other = make(tmp_path / "one", seeds=[0]), make(tmp_path / "other", seeds=[1])

    with locked(other), pytest.raises(UsageError, match=r"a comparison is at work in .*other"):
        merge([one, other], tmp_path / "both")


def test_a_folder_of_something_else_is_not_written_into(tmp_path):
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "thesis.txt").write_text("mine")

    with pytest.raises(UsageError, match="holds something else"):
        merge([make(tmp_path / "a"), make(tmp_path / "b", seeds=[2])], tmp_path / "both")


def test_times_of_two_machines_are_not_compared_and_scores_are(tmp_path):
    """grpo ran here, ppo there; the pairs are those of one seed."""
    here = make(tmp_path / "here", algorithms=["grpo"], host_id="a")
    there = make(tmp_path / "there", algorithms=["ppo"], host_id="b")
    both = merge([here, there], tmp_path / "both")

    assert verdicts(both, "update_s") == {("not_comparable", "host_id differs (a, b)")}
    assert verdicts(both, "training_bytes") == {("not_comparable", "host_id differs (a, b)")}
    ((verdict, _),) = verdicts(both, "score_final")
    assert verdict == "too_few_seeds"


def test_seeds_on_different_machines_are_compared_if_each_pair_ran_on_one(tmp_path):
    one, other = (make(tmp_path / x, seeds=[n], host_id=x) for n, x in enumerate("ab"))

    ((verdict, _),) = verdicts(merge([one, other], tmp_path / "both"), "update_s")
    assert verdict == "too_few_seeds"


@pytest.mark.slow
def test_the_command_merges_and_reports(tmp_path, capsys):
    one, other = (make(tmp_path / name, seeds=[n]) for n, name in enumerate("ab"))

    assert main(["report", str(one), str(other), "--out", str(tmp_path / "both")]) == 0
    assert f"the runs of 2 folders are in {tmp_path / 'both'}" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "both"), "--check"]) == 0


def test_out_of_one_folder_is_a_mistake(tmp_path, capsys):
    assert main(["report", str(make(tmp_path / "a")), "--out", str(tmp_path / "b")]) == 2
    assert "--out is for several folders" in capsys.readouterr().err
