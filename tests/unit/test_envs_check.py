"""`bakeoff.envs.checking.check`: sound environments pass, and each fault is found and named."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from unit.envs.code_rows import write_code_tests, write_humaneval, write_mbpp
from unit.envs.gsm8k_rows import write_gsm8k
from unit.envs.math_rows import write_math, write_math500

from bakeoff.checkup import FAILED
from bakeoff.envs import ENVIRONMENTS, make
from bakeoff.envs.checking import check
from bakeoff.envs.checking.checkup import examined
from bakeoff.envs.checking.episodes import verdict
from bakeoff.envs.checking.workplace import CallFailed, TookTooLong, Workplace

BROKEN = Path(__file__).parent / "envs" / "broken.py"
FAULTS = [
    ("Leaky", "the splits share no question", "20 exact"),
    ("PaysEmpty", "an empty reply earns nothing", "earns 1"),
    ("AnyGuess", "many guesses are not paid", "paid in both orders"),
    ("AnyBox", "many guesses are not paid", "two boxes"),
    ("AnyNumber", "another item's gold reply is not paid", "are paid"),
    ("Raises", "every reply is scored", "ValueError"),
    ("Hangs", "every reply is scored", "no answer within 0.4 s"),
    ("Exits", "every reply is scored", "exit code 3"),
    ("Random", "the same reply, the same score", "then"),
    ("OutOfRange", "parts are numbers in their range", "10.0"),
    ("WrongGold", "the gold reply earns the most", "earns 0 of 1"),
    ("OneId", "item ids are unique", "4 items"),
    ("Drifting", "the same index, the same item", "another item"),
    ("Endless", "episodes end", "goes on after 3"),
]


def spec(name: str) -> str:
    return f"{BROKEN}:test/{name}-v0"


@pytest.mark.parametrize(("name", "claim", "said"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_is_found_and_the_reason_is_said(name: str, claim: str, said: str) -> None:
    deadline_s = 0.4 if name == "Hangs" else 10.0
    _, claims = examined(make(spec(name)), 4, deadline_s, lambda text: None)

    details = {one.name: one.detail for one in claims if one.state == FAILED}
    assert said in details[claim]


@pytest.mark.parametrize(
    ("name", "claim", "said"),
    [("ByHash", "a fresh process agrees", "there"), ("Unpicklable", "it pickles", "lambda")],
)
def test_a_fault_of_copies_is_found(name: str, claim: str, said: str) -> None:
    details = {one.name: one.detail for one in check(spec(name), items=2).failures}

    assert said in details[claim]


def test_an_environment_without_fault_passes() -> None:
    checkup = check(spec("Sound"), items=4)

    assert checkup.passed, str(checkup)


def test_one_fault_is_not_blamed_on_the_rest() -> None:
    # whether a reward raises says nothing of items, copies or splits
    checkup = check(spec("Raises"), items=4)

    assert {one.name for one in checkup.failures} == {"every reply is scored"}
    assert json.loads(json.dumps(checkup.as_dict()))["passed"] is False


def test_an_environment_of_several_turns_passes() -> None:
    checkup = check("bakeoff/GuessNumber-v0", items=4)

    states = {one.name: one.state for one in checkup.claims}
    assert checkup.passed, str(checkup)
    assert states["episodes end"] == "passed"


def test_an_environment_that_only_this_process_knows_cannot_be_rebuilt(tmp_path: Path) -> None:
    env = make(spec("Sound"))
    env.spec_text = "test/Sound-v0"  # as if it was registered by hand

    failures = {one.name: one.detail for one in check(env, items=2).failures}

    assert "name the file" in failures["a fresh process agrees"]


def test_a_call_that_takes_too_long_is_killed_and_the_next_one_answered() -> None:
    env = make(spec("Hangs"))
    started = time.monotonic()
    with Workplace(env, 0.2) as place:
        with pytest.raises(TookTooLong):
            place.call(verdict, "train", 0, ("9" * 2_000,))
        after = place.call(verdict, "train", 0, ("9",))

    assert after.value == 0.0
    assert time.monotonic() - started < 5


def test_what_ends_the_process_is_told_from_an_error() -> None:
    with (
        Workplace(make(spec("Exits")), 5) as place,
        pytest.raises(CallFailed, match="exit code 3"),
    ):
        place.call(verdict, "train", 0, ("9" * 2_000,))


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ENVIRONMENTS)
def test_every_environment_that_ships_passes(
    env_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = {
        "CodeTests": ("BAKEOFF_CODE_TESTS", write_code_tests),
        "GSM8K": ("BAKEOFF_GSM8K", write_gsm8k),
        "HumanEval": ("BAKEOFF_HUMANEVAL", write_humaneval),
        "MATH": ("BAKEOFF_MATH", write_math),
        "MATH500": ("BAKEOFF_MATH500", write_math500),
        "MBPP": ("BAKEOFF_MBPP", write_mbpp),
    }
    name = env_id.removeprefix("bakeoff/").removesuffix("-v0")
    if name in writers:
        variable, write = writers[name]
        folder = tmp_path if name == "GSM8K" else tmp_path / "data"
        monkeypatch.setenv(variable, str(write(folder)))

    checkup = check(env_id, items=6)

    assert checkup.passed, str(checkup)
