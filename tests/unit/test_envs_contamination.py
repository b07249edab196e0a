"""What counts as overlap of two sets of items, and where a comparison says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from results_folder import write_grid

from bakeoff.comparisons.report import report
from bakeoff.comparisons.results import load
from bakeoff.comparisons.running import contamination as of_comparison
from bakeoff.comparisons.running.grid import plan
from bakeoff.comparisons.schema import CONTAMINATION_COLUMNS
from bakeoff.comparisons.tables import read_rows, write_rows
from bakeoff.envs.checking import contamination
from bakeoff.envs.checking.overlap import normalised, overlap
from bakeoff.types import Item

BROKEN = Path(__file__).parent / "envs" / "broken.py"
STORY = "a farmer has some hens and a dog and a very old tractor that he sells"  # 15 words


def items(*prompts: str) -> list[Item]:
    return [Item(str(number), prompt) for number, prompt in enumerate(prompts)]


def test_the_same_prompt_is_exact_and_normalised_and_no_further_ngram() -> None:
    found = overlap(items(STORY), items(STORY))

    assert (found.exact, found.normalised, found.ngram, found.clean) == (1, 1, 0, False)


@pytest.mark.parametrize(
    "prompt",
    ["what is 2 + 2", "What is  2 +\n2?", "WHAT IS 2 + 2 ?", "What is 2 + 2."],
)
def test_case_spaces_and_closing_punctuation_make_no_new_question(prompt: str) -> None:
    found = overlap(items("What is 2 + 2?"), items(prompt))

    assert (found.exact, found.normalised) == (0, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [("2 + 3", "2 - 3"), ("1.5", "15"), ("5!", "5"), ("f'(x)", "f(x)"), ("2²", "22")],
)
def test_signs_and_digits_make_another_question(one: str, other: str) -> None:
    assert normalised(f"What is {one}?") != normalised(f"What is {other}?")


def test_a_shared_run_of_13_words_is_reported_and_still_clean() -> None:
    # 15 of the words stand in both, in one order: three runs of 13, one item
    found = overlap(items(STORY, *"abcdefghij"), items(f"Once {STORY} today"))

    assert (found.normalised, found.ngram, found.clean) == (0, 1, True)


def test_12_words_in_common_are_no_run() -> None:
    words = STORY.split()[:12]

    assert overlap(items(" ".join([*words, "x"])), items(" ".join([*words, "y"]))).ngram == 0


def test_a_template_with_other_numbers_is_no_overlap() -> None:
    # 11 prompts of one template: its runs stand in more than ten of them, but for the numbers
    train = items(*(f"{STORY} for {number} dollars" for number in range(11)))

    assert overlap(train, items(f"{STORY} for 99 dollars")).ngram == 0


def test_short_prompts_are_counted_and_compared_as_a_whole() -> None:
    found = overlap(items("1 + 1?", "2 + 2?"), items("1 + 1?", "3 + 3?", STORY))

    assert (found.short, found.exact) == (2, 1)


@pytest.mark.parametrize("level", [1, 4])
def test_generated_calculations_do_not_overlap(level: int) -> None:
    spec = f"bakeoff/Arithmetic-v0:level={level}"
    found = contamination(spec, spec, items=300)

    assert (found.eval_items, found.normalised, found.ngram) == (300, 0, 0)


def test_two_environments_and_any_splits_can_be_compared() -> None:
    leaky, sound = (f"{BROKEN}:test/{name}-v0" for name in ("Leaky", "Sound"))

    # Leaky asks by index alone, so its 20 eval items are the first 20 of train
    assert contamination(leaky, leaky).exact == 20
    assert contamination(leaky, leaky, splits=("train", "train")).exact == 60
    assert contamination(leaky, sound).exact == 0
    assert contamination(leaky, sound, splits=("eval", "train")).train == "test/Leaky-v0/eval"


def test_a_comparison_writes_a_row_for_each_two_environments(tmp_path: Path) -> None:
    leaky = f"{BROKEN}:test/Leaky-v0"
    asked = plan(environments=[leaky, "bakeoff/Arithmetic-v0"], out=tmp_path, eval_items=8)
    of_comparison.record(asked)

    rows = read_rows(tmp_path / "contamination.csv", CONTAMINATION_COLUMNS)
    # of 8 held-out items, as the evaluation asks no more; 60 is all that Leaky has
    assert [(row["train_items"], row["eval_items"], row["exact"]) for row in rows] == [
        ("60", "8", "8"),
        ("60", "8", "0"),
        (rows[2]["train_items"], "8", "0"),
        (rows[3]["train_items"], "8", "0"),
    ]


def test_the_report_warns_of_held_out_items_that_are_trained_on(tmp_path: Path) -> None:
    write_grid(tmp_path, seeds=1)
    of_comparison.record(plan(environments=[f"{BROKEN}:test/Leaky-v0"], out=tmp_path))
    text = report.derived(load(tmp_path))["report.md"].decode()

    assert "> **Warning: 20 of 20 held-out items of" in text
    assert "**20 of the 20 held-out items**" in text
    assert "! 20 of 20 held-out items of" in report.console(tmp_path)


def test_a_clean_comparison_says_so_and_warns_of_nothing(tmp_path: Path) -> None:
    write_grid(tmp_path, seeds=1)
    of_comparison.record(plan(environments=["bakeoff/Arithmetic-v0"], out=tmp_path))

    (said,) = of_comparison.sentences(tmp_path)
    assert said.startswith("None of the 128 held-out items of bakeoff/Arithmetic-v0 stands in the")
    assert "held-out items" not in report.console(tmp_path)


def test_an_environment_that_cannot_be_read_stops_no_comparison(tmp_path: Path) -> None:
    of_comparison.record(plan(environments=["nowhere.py:me/Gone-v0"], out=tmp_path))

    assert read_rows(tmp_path / "contamination.csv", CONTAMINATION_COLUMNS) == []


def test_questions_that_are_asked_again_are_counted() -> None:
    assert overlap(items("1 + 1?"), items("2 + 2?", "3 + 3?", "2 + 2 ?")).eval_prompts == 2


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"eval_prompts": "14"},
            "; the 128 have 14 different prompts, and one that is asked again",
        ),
        ({"eval_prompts": "128"}, "training items of a/B-v0 compared."),
        ({}, "training items of a/B-v0 compared."),  # a folder from before they were counted
    ],
)
def test_questions_that_are_asked_again_are_said(
    columns: dict[str, str], said: str, tmp_path: Path
) -> None:
    names = [name for name in CONTAMINATION_COLUMNS if name != "eval_prompts" or name in columns]
    both = {"train_environment": "a/B-v0", "eval_environment": "a/B-v0", "eval_items": "128"}
    row = {**dict.fromkeys(names, "0"), **both, **columns}
    write_rows(tmp_path / "contamination.csv", names, [row])

    (sentence,) = of_comparison.sentences(tmp_path)
    assert said in sentence
