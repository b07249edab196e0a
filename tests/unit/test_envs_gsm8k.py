"""GSM8K from a folder: what an item is, and one clear line for each way the data can be wrong."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from unit.envs.gsm8k_rows import SIZES, write_gsm8k

from bakeoff.envs import make
from bakeoff.errors import UsageError

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gsm8k"
GOOD = '{"question": "What is 1 + 1?", "answer": "Two.\\n#### 2"}\n'


def test_an_item_is_a_question_with_the_rationale_as_gold(tmp_path: Path) -> None:
    env = make("bakeoff/GSM8K-v0", data=str(write_gsm8k(tmp_path)))
    item = env.item(0, "eval")

    assert item.prompt == (
        "A test farm has 1000 hens and buys 1. How many are there?\n"
        r"Reason briefly, then put the number in \boxed{}."
    )
    # without <<...>>, and without the comma of 1,001
    assert (item.answer, item.gold) == ("1001", "It is 1000 + 1 = 1001.\n\\boxed{1001}")
    assert (env.size("train"), env.size("eval")) == (SIZES["train"], SIZES["test"])


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("#### 1,001", 1.0),
        ("#### $1001.00", 1.0),
        (r"So \boxed{1001}.", 1.0),
        ("1001", 1.0),
        ("#### 1001 hens", 1.0),  # a unit may be left out, so it may stand there
        ("#### 1002 hens", 0.0),
        ("#### 1000 + 1", 0.0),
        ("#### 1001 or 1002", 0.0),
        (r"#### 1001, no: \boxed{1002}", 0.0),  # the box decides
        (r"\boxed{}", 0.0),
    ],
)
def test_replies(tmp_path: Path, reply: str, value: float) -> None:
    env = make("bakeoff/GSM8K-v0", data=str(write_gsm8k(tmp_path)))

    assert env.score(env.item(0, "eval"), reply).value == value


def test_the_folder_may_stand_in_an_environment_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAKEOFF_GSM8K", str(write_gsm8k(tmp_path)))

    assert make("bakeoff/GSM8K-v0").size("eval") == SIZES["test"]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (None, GOOD, "holds no train.jsonl"),
        (GOOD, None, "holds no test.jsonl"),
        ("", GOOD, "train.jsonl is empty"),
        ("\n \n", GOOD, "train.jsonl is empty"),
        (GOOD + "\n{oops\n", GOOD, "train.jsonl, line 3: not JSON"),
        ("[1, 2]\n", GOOD, "train.jsonl, line 1: not a JSON object"),
        (GOOD + '\n\n{"question": "Why?"}\n', GOOD, "train.jsonl, line 4: a row needs"),
        ('{"question": "Why?", "answer": "5"}', GOOD, "line 1: the answer does not end with"),
        ('{"question": "Why?", "answer": "#### 1 or 2"}', GOOD, "line 1: the answer does not end"),
        (
            '{"question": "Why?", "answer": "#### 1+2"}',
            GOOD,
            "line 1: the answer does not end with",
        ),
        (GOOD + GOOD.replace("}", ', "x": 1e999}'), GOOD, "datasets cannot read it: JSON parse"),
        (GOOD, GOOD, "1 of its test questions are in train as well"),
    ],
)
def test_what_is_wrong_with_the_data_is_said_in_one_line(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    train: str | None,
    test: str | None,
    message: str,
) -> None:
    for name, text in (("train", train), ("test", test)):
        if text is not None:
            (tmp_path / f"{name}.jsonl").write_text(text)
    with pytest.raises(UsageError, match=message) as error:
        make("bakeoff/GSM8K-v0", data=str(tmp_path))

    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no such folder: .*/nowhere"):
        make("bakeoff/GSM8K-v0", data=str(tmp_path / "nowhere"))


def test_without_the_hub_the_error_says_how_to_go_on(tmp_path: Path) -> None:
    code = "from bakeoff.envs import make; make('bakeoff/GSM8K-v0')"
    environ = {k: v for k, v in os.environ.items() if k != "BAKEOFF_GSM8K"}
    environ |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)

    last = done.stderr.strip().splitlines()[-1]
    assert "UsageError: cannot read GSM8K from 'openai/gsm8k'" in last
    assert "give a folder with train.jsonl and test.jsonl as data, or in BAKEOFF_GSM8K" in last


def test_the_format_is_paid_if_it_has_a_weight(tmp_path: Path) -> None:
    env = make("bakeoff/GSM8K-v0:format_weight=0.1", data=str(write_gsm8k(tmp_path)))
    item = env.item(0, "eval")

    assert env.score(item, item.gold).value == pytest.approx(1.1)
    assert env.score(item, "#### 1001").value == 1.0


@pytest.mark.skipif(not REAL.is_dir(), reason="the real GSM8K files are not beside the repository")
def test_every_gold_reply_of_the_real_data_is_correct() -> None:
    env = make("bakeoff/GSM8K-v0", data=str(REAL))
    # 7,473 and 1,319 problems, as the paper says
    assert (env.size("train"), env.size("eval")) == (7473, 1319)

    for split in ("train", "eval"):
        items = [env.item(index, split) for index in range(env.size(split))]
        assert [i.id for i in items if env.score(i, i.gold).value != 1.0] == []
