"""``bakeoff doctor``: a table for people, JSON for programs, and an exit code that tells."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bakeoff.comparisons.cli import main
from bakeoff.comparisons.running.host import version

TESTS = Path(__file__).resolve().parents[1]
WITHOUT_SANDBOX = [sys.executable, str(TESTS / "without_sandbox.py"), sys.executable]


def doctor(*flags: str, without_sandbox: bool = False) -> subprocess.CompletedProcess[str]:
    python = WITHOUT_SANDBOX if without_sandbox else [sys.executable]
    return subprocess.run(
        [*python, "-m", "bakeoff", "doctor", *flags], capture_output=True, text=True, check=False
    )


def test_where_no_sandbox_can_be_had_it_says_why_and_exits_with_1() -> None:
    done = doctor(without_sandbox=True)
    lines = done.stdout.splitlines()

    assert done.returncode == 1
    assert "sandbox NONE" in [" ".join(line.split()) for line in lines]
    # the kernel's own word for what without_sandbox.py makes it refuse
    assert lines[-1].startswith("Rewards for code fail here") and "not permitted" in lines[-1]


def test_json_names_the_layers_that_are_missing() -> None:
    found = json.loads(doctor("--json", without_sandbox=True).stdout)["sandbox"]

    assert (found["level"], found["contained"]) == (None, False)
    missing = {layer["name"] for layer in found["layers"] if not layer["available"]}
    assert {"namespaces", "landlock"} <= missing


def test_the_table_names_versions_and_hardware(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor"])
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if line]
    facts = dict(lines)

    assert facts["python"] == platform.python_version()
    assert facts["torch"] == version("torch")
    assert facts["transformers"] == version("transformers")
    assert facts["cores"].endswith(f"of {os.cpu_count()} may be used")
    # 1 exactly if the table's own line says that there is no sandbox
    assert code == int(facts["sandbox"] == "NONE")


def test_a_shell_that_switches_the_sandbox_off_is_told_so_and_gets_a_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAKEOFF_SANDBOX", "none")

    assert main(["doctor"]) == 1
    assert "run WITHOUT isolation: BAKEOFF_SANDBOX=none is set" in capsys.readouterr().out


def test_a_shell_that_names_no_sandbox_there_is_gets_the_nearest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAKEOFF_SANDBOX", "landlok")

    assert main(["doctor"]) == 2
    assert "did you mean 'landlock'?" in capsys.readouterr().err


def test_it_answers_without_torch() -> None:
    code = (
        "import sys; from bakeoff.comparisons.cli import main; main(['doctor', '--json']); "
        "print([name for name in ('torch', 'transformers', 'gymnasium') if name in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
