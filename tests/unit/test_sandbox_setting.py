"""The setting ``sandbox``: it reaches the cells, stands in every report, and fails early."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from results_folder import write_grid

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.report import report
from bakeoff.comparisons.report.again import command
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running.grid import Experiment, cells, plan
from bakeoff.comparisons.settings import config_text, experiment_of, read_config

pytestmark = pytest.mark.usefixtures("no_figures")

TESTS = Path(__file__).resolve().parents[1]
WITHOUT_SANDBOX = [sys.executable, str(TESTS / "without_sandbox.py"), sys.executable]
WARNING = "NO SANDBOX (--sandbox none)"

CELL = """
import json, os, sys
from pathlib import Path
status = {"status": "ok", "exit_code": 0, "error_message": os.environ.get("BAKEOFF_SANDBOX")}
Path(sys.argv[1], "status.json").write_text(json.dumps(status))
"""

NEEDY = """
from bakeoff.envs import TextEnv, register
from bakeoff.types import Item

class Needy(TextEnv):
    id = "sandbox/Needy-v0"
    rewards = {"any": (1.0, lambda reply, item: 1.0)}
    needs_sandbox = True

    def size(self, split):
        return 1

    def item(self, index, split="train"):
        return Item("one", "Write a program.", "", "")

register("sandbox/Needy-v0", Needy)
"""


def one_cell(**knobs: object) -> Experiment:
    return plan(algorithms=["grpo"], seeds=1, **knobs)  # type: ignore[arg-type]


def told_to_the_cell(tmp_path: Path, *flags: str) -> str:
    """Run a comparison whose one cell only writes down what sandbox it is told to use."""
    (tmp_path / "cell.py").write_text(CELL)
    argv = ["compare", "--algorithms", "grpo", "--seeds", "1", "--out", str(tmp_path / "out")]
    main([*argv, *flags], cell=[sys.executable, str(tmp_path / "cell.py")])
    (status,) = tmp_path.glob("out/cells/*/status.json")
    return str(json.loads(status.read_text())["error_message"])


def test_settings_without_a_sandbox_by_name_are_what_they_were_before_there_was_one() -> None:
    assert "sandbox" not in one_cell().config
    assert cells(one_cell())[0].cell_id == cells(one_cell(sandbox="auto"))[0].cell_id


def test_a_sandbox_by_name_is_part_of_the_settings_and_of_the_cells_identity() -> None:
    (cell,) = cells(one_cell(sandbox="none"))

    assert cell.config["sandbox"] == "none"
    assert cell.config_sha256 != cells(one_cell())[0].config_sha256


def test_a_sandbox_in_a_config_file_is_read_back_as_it_was_printed(tmp_path: Path) -> None:
    # YAML has words for nothing, and "none" is not one of them
    file = tmp_path / "grid.yaml"
    file.write_text(config_text(one_cell(sandbox="none")))

    assert experiment_of(read_config(file)) == one_cell(sandbox="none")


def test_runs_with_and_without_isolation_cannot_share_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_to_the_cell(tmp_path)

    argv = ["compare", "--algorithms", "grpo", "--seeds", "1", "--out", str(tmp_path / "out")]
    assert main([*argv, "--sandbox", "none"]) == 2

    assert "was made with sandbox=auto, not sandbox=none" in capsys.readouterr().err


def test_a_folder_of_the_default_precision_is_named_by_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_to_the_cell(tmp_path)

    argv = ["compare", "--algorithms", "grpo", "--seeds", "1", "--out", str(tmp_path / "out")]
    assert main([*argv, "--precision", "bf16"]) == 2

    assert "was made with precision=fp32, not precision=bf16" in capsys.readouterr().err


def test_a_cell_is_told_its_sandbox(tmp_path: Path) -> None:
    assert told_to_the_cell(tmp_path, "--sandbox", "none") == "none"


def test_a_variable_of_the_shell_cannot_switch_the_sandbox_off_unrecorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_SANDBOX", "none")

    assert told_to_the_cell(tmp_path) == "auto"


def test_the_header_of_a_run_without_isolation_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_to_the_cell(tmp_path, "--sandbox", "none")

    # the count of cells comes first, then the warning, before the first cell starts
    assert capsys.readouterr().out.splitlines()[1].startswith(f"! {WARNING}")


def without_isolation(out: Path) -> Path:
    """Write a comparison of which one run was made with ``--sandbox none``."""
    write_grid(out, seeds=1)
    path = out / "cells" / "ppo-s0-Arithmetic-v0" / "status.json"
    status = json.loads(path.read_text())
    path.write_text(json.dumps({**status, "config_json": '{"updates": 2, "sandbox": "none"}'}))
    return out


def test_a_report_of_runs_without_isolation_begins_with_a_warning(tmp_path: Path) -> None:
    page = report.derived(load(without_isolation(tmp_path)))["report.md"].decode()

    assert report.console(tmp_path).startswith(f"! {WARNING}")
    # before the first section, and so before any number
    assert WARNING in page.partition("\n## ")[0]


def test_a_report_of_other_runs_has_no_such_warning(tmp_path: Path) -> None:
    page = report.derived(load(write_grid(tmp_path, seeds=1)))["report.md"].decode()

    assert WARNING not in report.console(tmp_path)
    assert WARNING not in page


def test_the_command_for_the_same_again_names_the_sandbox(tmp_path: Path) -> None:
    write_grid(tmp_path, seeds=1)
    asked = {"algorithms": ["grpo"], "environments": ["e"], "models": ["tiny"], "seeds": [0]}
    config = {"updates": 2, "sandbox": "none"}
    (tmp_path / "experiment.json").write_text(json.dumps({**asked, "config": config}))

    assert "--sandbox none" in command(load(tmp_path))


def compared(folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Compare on an environment that needs a sandbox, where none can be had."""
    (folder / "needy.py").write_text(NEEDY)
    argv = ["compare", "--env", "needy.py:sandbox/Needy-v0", "--print-config", *flags]
    return subprocess.run(
        [*WITHOUT_SANDBOX, "-m", "bakeoff", *argv],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("level", ["auto", "namespaces", "landlock"])
def test_a_sandbox_that_cannot_be_had_is_one_line_before_anything_is_written(
    level: str, tmp_path: Path
) -> None:
    done = compared(tmp_path, "--sandbox", level)

    (line,) = done.stderr.splitlines()
    assert done.returncode == 2
    for part in ("needy.py:sandbox/Needy-v0", f"--sandbox {level}", "--sandbox none"):
        assert part in line
    assert not (tmp_path / "results").exists()


def test_no_sandbox_is_missed_by_who_asked_for_none(tmp_path: Path) -> None:
    assert compared(tmp_path, "--sandbox", "none").returncode == 0


def test_environments_that_run_no_programs_need_no_sandbox(tmp_path: Path) -> None:
    argv = ["-m", "bakeoff", "compare", "--print-config"]

    done = subprocess.run([*WITHOUT_SANDBOX, *argv], cwd=tmp_path, capture_output=True, check=False)

    assert done.returncode == 0
