"""The final answer of a reply: which one it is, and that a hedge is none."""

import time

import pytest

from bakeoff.rewards.math import final_answer
from bakeoff.rewards.math.extraction import MAX_ANSWER


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (r"\boxed{7}", "7"),
        (r"First \boxed{41}. No: \boxed{42}.", "42"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\fbox {7}", "7"),
        (r"\boxed{\boxed{7}}", "7"),
        (r"\boxed{7} and \boxed{8", "7"),  # the second box never closes
        (r"\boxed{a \} 7}", r"a \} 7"),  # an escaped brace closes nothing
        (r"The answer is 3, so \boxed{7}. The answer is 9", "7"),  # a box wins over a marker
    ],
)
def test_the_last_complete_box_is_the_answer(reply: str, answer: str) -> None:
    assert final_answer(reply) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("The answer is 85.", "85"),
        ("The answer is: **85**\nHope this helps!", "85"),
        ("**Answer:**\n85", "85"),
        ("48/2 = 24\n#### 72", "72"),
        ("#### 71\nNo.\n#### 72", "72"),
        ("<answer>\n72\n</answer> 5", "72"),
        ("ANSWER: 7", "7"),
    ],
)
def test_the_line_after_the_last_marker_is_the_answer(reply: str, answer: str) -> None:
    assert final_answer(reply) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("85", "85"),
        ("some thinking\n\n 85. \n", "85"),
        ("$85$", "85"),
        ("**85**.", "85"),
        (r"\(85\)", "85"),
    ],
)
def test_a_bare_reply_is_its_last_line_without_its_surroundings(reply: str, answer: str) -> None:
    assert final_answer(reply) == answer


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("So\n$$\n85\n$$", "85"),
        ("The answer is\n\\[\n85\n\\]", "85"),
        (
            "Hence\n\\begin{pmatrix}\n1 \\\\\n2\n\\end{pmatrix}",
            "\\begin{pmatrix}\n1 \\\\\n2\n\\end{pmatrix}",
        ),
        ("The answer is 85. I hope it is correct.", "85"),
        ("The answer is 0.5. It is not 1.", "0.5"),
    ],
)
def test_a_display_is_read_whole_and_a_sentence_to_its_end(reply: str, answer: str) -> None:
    assert final_answer(reply) == answer


@pytest.mark.parametrize("reply", ["", " \n\t", r"\boxed{}", "####", "9" * 10**6])
def test_there_may_be_no_answer(reply: str) -> None:
    assert final_answer(reply) is None


def test_an_answer_has_a_greatest_length() -> None:
    assert final_answer("9" * MAX_ANSWER) == "9" * MAX_ANSWER
    assert final_answer("9" * (MAX_ANSWER + 1)) is None


@pytest.mark.parametrize("piece", ["\\boxed{", "{", "}", "####", "=", "\\", "<answer>", "\n"])
def test_time_grows_no_faster_than_the_text(piece: str) -> None:
    start = time.process_time()
    final_answer(piece * 10**6)

    # 20,000 characters are looked at, in about 5 ms; a quadratic search would take minutes
    assert time.process_time() - start < 1
