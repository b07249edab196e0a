import json
import math
from pathlib import Path

import pytest
from unit.results_folder import write_cell, write_grid

from bakeoff.comparisons import schema, tables
from bakeoff.comparisons.results import load
from bakeoff.comparisons.schema import CURVES_COLUMNS, RUNS_COLUMNS
from bakeoff.comparisons.tables import append_rows, read_rows
from bakeoff.errors import UsageError
from bakeoff.training import ledger

COLUMNS = ("a", "b")


def runs_of(out):
    return {row["cell_id"]: row for row in read_rows(out / "runs.csv", RUNS_COLUMNS)}


def test_a_row_comes_back_as_it_was_written(tmp_path):
    path = tmp_path / "t.csv"
    append_rows(path, COLUMNS, [{"a": 0.1 + 0.2, "b": 'x, "y"\nz'}])

    assert read_rows(path, COLUMNS) == [{"a": "0.30000000000000004", "b": 'x, "y"\nz'}]


def test_the_header_is_written_once(tmp_path):
    path = tmp_path / "t.csv"
    append_rows(path, COLUMNS, [{"a": 1}])
    append_rows(path, COLUMNS, [{"a": 2}])

    assert path.read_text() == "a,b\n1,\n2,\n"


def test_missing_is_empty_and_a_loss_that_is_no_number_is_data(tmp_path):
    path = tmp_path / "t.csv"
    append_rows(path, COLUMNS, [{"a": None, "b": math.nan}, {"a": True, "b": -math.inf}])

    assert path.read_text() == "a,b\n,nan\ntrue,-inf\n"


def test_a_column_that_the_table_has_not_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'c'"):
        append_rows(tmp_path / "t.csv", COLUMNS, [{"c": 1}])


def test_appending_to_a_table_with_other_columns_is_refused(tmp_path):
    path = tmp_path / "t.csv"
    append_rows(path, ("a", "old"), [{"a": 1}])

    with pytest.raises(UsageError, match="no column 'b'"):
        append_rows(path, COLUMNS, [{"a": 1}])


@pytest.mark.parametrize("torn", ["3", "3,4", '3,"4\n'])
def test_a_torn_last_line_is_dropped_on_reading(tmp_path, torn):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n" + torn)  # "3,4" without a line end may be the start of "3,45"

    assert read_rows(path, COLUMNS) == [{"a": "1", "b": "2"}]


def test_a_torn_last_line_is_cut_off_before_more_is_appended(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3,")
    append_rows(path, COLUMNS, [{"a": 5, "b": 6}])

    assert path.read_text() == "a,b\n1,2\n5,6\n"


def test_a_torn_header_is_written_again(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,")
    append_rows(path, COLUMNS, [{"a": 5, "b": 6}])

    assert path.read_text() == "a,b\n5,6\n"


def test_a_short_line_in_the_middle_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1\n3,4\n")

    with pytest.raises(UsageError, match="row 2 has 1 fields, not 2"):
        read_rows(path, COLUMNS)


def test_every_cell_has_a_row_whatever_became_of_it(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, status="diverged", error_message="the loss is nan")
    write_cell(tmp_path, "grpo", 1, status="oom", peak_rss_bytes=None)
    write_cell(tmp_path, "ppo", 1, status=None)  # killed together with its driver
    tables.rebuild(tmp_path)

    statuses = {cell: row["status"] for cell, row in runs_of(tmp_path).items()}
    assert statuses == {
        "grpo-s0-Arithmetic-v0": "ok",
        "grpo-s1-Arithmetic-v0": "oom",
        "ppo-s0-Arithmetic-v0": "diverged",
        "ppo-s1-Arithmetic-v0": "interrupted",
    }


def test_a_cell_that_was_never_started_has_no_row_and_is_counted(tmp_path):
    write_cell(tmp_path, "grpo", 0)
    waiting = write_cell(tmp_path, "ppo", 0, status=None)
    for path in waiting.iterdir():
        if path.name != "spec.json":
            path.unlink()
    results = load(tmp_path)

    assert [run["algorithm"] for run in results.runs] == ["grpo"]
    assert results.waiting == 1


def test_a_cell_at_work_is_not_called_interrupted(tmp_path):
    from bakeoff.comparisons.running.folder import locked

    write_cell(tmp_path, "grpo", 0)
    write_cell(tmp_path, "ppo", 0, status=None)
    with locked(tmp_path):
        during = load(tmp_path)
    after = load(tmp_path)

    assert [run["status"] for run in during.runs] == ["ok"]
    assert [run["status"] for run in after.runs] == ["ok", "interrupted"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("status.json", '{"status": "o', "status.json is not readable JSON"),
        ("status.json", '{"status": "fine"}', "status.json has the status 'fine'"),
        ("status.json", '{"status": "ok", "train_s": "soon"}', "'soon' as train_s"),
        ("spec.json", "[]", "spec.json is not a JSON object"),
        ("spec.json", "{}", "spec.json has no 'run_id'"),
    ],
)
def test_a_broken_cell_costs_one_line_and_no_other_cell(tmp_path, name, text, said):
    write_grid(tmp_path, seeds=1)
    (tmp_path / "cells" / "ppo-s0-Arithmetic-v0" / name).write_text(text)
    problems = tables.rebuild(tmp_path)

    assert list(runs_of(tmp_path)) == ["grpo-s0-Arithmetic-v0"]
    assert len(problems) == 1
    assert "ppo-s0-Arithmetic-v0" in problems[0]
    assert said in problems[0]


def test_a_copied_cell_is_not_counted_twice(tmp_path):
    folder = write_cell(tmp_path, "grpo", 0)
    folder.parent.joinpath("copy").mkdir()
    for path in folder.iterdir():
        folder.parent.joinpath("copy", path.name).write_bytes(path.read_bytes())
    problems = tables.rebuild(tmp_path)

    assert list(runs_of(tmp_path)) == ["grpo-s0-Arithmetic-v0"]
    assert "is it a copy?" in problems[0]


def test_a_raw_table_with_a_word_for_a_number_is_left_out_and_named(tmp_path):
    folder = write_cell(tmp_path, "grpo", 0)
    text = (folder / "curves.csv").read_text()
    (folder / "curves.csv").write_text(text.replace("0.75", "much"))
    problems = tables.rebuild(tmp_path)

    assert "curves.csv" in problems[0]
    assert "'much' as value" in problems[0]
    assert read_rows(tmp_path / "curves.csv", CURVES_COLUMNS) == []


def test_the_merged_tables_hold_the_rows_of_all_cells_in_one_order(tmp_path):
    write_cell(tmp_path, "ppo", 0)
    write_cell(tmp_path, "grpo", 1)
    write_cell(tmp_path, "grpo", 0)
    tables.rebuild(tmp_path)
    order = list(
        dict.fromkeys(r["run_id"] for r in read_rows(tmp_path / "curves.csv", CURVES_COLUMNS))
    )

    expected = ["grpo-s0", "grpo-s1", "ppo-s0"]
    assert order == [f"test/{name}-Arithmetic-v0" for name in expected]


def test_rebuilding_again_changes_no_byte_and_leaves_nothing_behind(tmp_path):
    write_grid(tmp_path)
    tables.rebuild(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    tables.rebuild(tmp_path)
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    names = {"runs.csv", "curves.csv", "phases.csv", "memory.csv", "evals.csv", "samples.jsonl"}
    assert before.keys() == names
    assert after == before


def test_a_sample_may_hold_any_line_separator_of_unicode(tmp_path):
    folder = write_cell(tmp_path, "grpo", 0)  # its completion ends in U+2028
    with (folder / "samples.jsonl").open("a") as file:
        file.write('{"update": 2, "comple')  # torn
    tables.rebuild(tmp_path)
    lines = (tmp_path / "samples.jsonl").read_text().split("\n")[:-1]

    assert [json.loads(line)["completion"] for line in lines] == ["2\u2028"]


def test_a_folder_without_cells_is_one_clear_line(tmp_path):
    with pytest.raises(UsageError, match="no folder 'cells'"):
        tables.rebuild(tmp_path)
    (tmp_path / "cells").mkdir()
    with pytest.raises(UsageError, match="there is no cell"):
        tables.rebuild(tmp_path)
    with pytest.raises(UsageError, match="no such results folder"):
        tables.rebuild(tmp_path / "elsewhere")


def test_every_column_is_described():
    from bakeoff.comparisons import schema

    text = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
    names = [
        *(schema.RUNS_COLUMNS, schema.SUMMARY_COLUMNS, schema.PAIRWISE_COLUMNS),
        *(schema.LEDGER_COLUMNS, schema.FLOPS_COLUMNS),
        *(schema.PHASES, schema.COMPONENTS, schema.STATUSES, *schema.RAW_TABLES.values()),
    ]

    assert [name for group in names for name in group if f"`{name}`" not in text] == []


def test_every_metric_of_the_summary_is_described():
    from bakeoff.comparisons.report.measures import MEASURES

    text = (Path(__file__).parents[2] / "docs" / "tables.md").read_text()
    patterns = {"memory": "memory/COMPONENT", "memory_max": "memory_max/COMPONENT"}
    families = patterns | {"update_s": "update_s/PHASE", "target": "target/AXIS"}
    described = [families[m.split("/")[0]] if "/" in m else m for m in MEASURES]

    assert [name for name in described if f"`{name}`" not in text] == []


def test_the_ledger_and_the_tables_know_the_same_components():
    # the ledger lives where torch is, the schema where it is not: neither can import the other
    assert set(ledger.COMPONENTS) == set(schema.COMPONENTS)
