"""The program in a reply: which block counts, and that any text is looked at in linear time."""

from __future__ import annotations

import time

import pytest

from bakeoff.rewards.code.replies import program_of

F = "def f(x):\n    return 2 * x"


@pytest.mark.parametrize("tag", ["", "python", "Python", "py", "python3", " python", "{.python}"])
@pytest.mark.parametrize("fence", ["```", "~~~", "`````"])
def test_a_block_of_python_or_of_no_language_is_the_program(fence: str, tag: str) -> None:
    assert program_of(f"Here it is:\n\n{fence}{tag}\n{F}\n{fence}\n\nf(2) is 4.") == F


@pytest.mark.parametrize("tag", ["json", "text", "output", "bash", "pycon", "javascript"])
def test_a_block_of_another_language_is_never_the_program(tag: str) -> None:
    assert program_of(f"```{tag}\n{F}\n```") is None
    assert program_of(f"```python\n{F}\n```\nIt writes:\n```{tag}\n4\n```") == F


def test_the_last_block_is_the_program() -> None:
    reply = f"```python\ndef f(x):\n    return x\n```\nNo, twice:\n```python\n{F}\n```"

    assert program_of(reply) == F


def test_an_empty_block_is_no_program() -> None:
    assert program_of(f"```python\n{F}\n```\n```\n\n```") == F
    assert program_of("```python\n```") is None


def test_a_block_that_the_reply_ends_in_counts_if_there_is_no_complete_one() -> None:
    assert program_of(f"```python\n{F}") == F
    assert program_of(f"```python\n{F}\n```\nAnd shorter:\n```python\ndef f(x): ret") == F


def test_a_fence_ends_at_one_of_the_same_kind_that_is_as_long() -> None:
    text = 'doc = """\n```\n~~~\n"""'

    assert program_of(f"````python\n{text}\n````") == text
    assert program_of("~~~python\nprint('```')\n```\n~~~") == "print('```')\n```"


def test_a_fence_within_a_line_is_none() -> None:
    assert program_of("```f = lambda x: 2 * x```") == "```f = lambda x: 2 * x```"


def test_the_indentation_of_a_fence_is_taken_off_its_lines() -> None:
    reply = "1. Write this:\n\n   ```python\n   def f(x):\n       return 2 * x\n  # less\n   ```"

    assert program_of(reply) == F + "\n# less"


def test_line_ends_of_windows_are_read() -> None:
    assert program_of(f"Sure:\n```python\n{F}\n```\n".replace("\n", "\r\n")) == F


def test_a_reply_without_a_fence_is_the_program() -> None:
    assert program_of(f"\n\n{F}\n\n") == F
    assert program_of("x + 3") == "x + 3"


def test_a_bare_body_keeps_its_first_indentation() -> None:
    assert program_of("\n    y = 2\n    return y * x\n") == "    y = 2\n    return y * x"


def test_what_a_bare_reply_thought_before_is_left_out() -> None:
    assert program_of(f"<think>\nIt doubles.\n</think>\n\n{F}") == F


@pytest.mark.parametrize("reply", ["", " ", "\n\n", "\t\r\n", "<think>hm</think>"])
def test_nothing_is_no_program(reply: str) -> None:
    assert program_of(reply) is None


HOSTILE = [
    *[
        "`",
        "~",
        "```\n",
        "```py\n",
        "```py\nx\n```\n",
        "``` `",
        "~~~\n```\n",
        "\n",
        " ",
        "\t",
        "\r",
    ],
    *["\r\n", "    ```\n", "<think>", "</think>", "\x00", "\ud800", "x\n", "````\n```\n"],
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_million_characters_are_looked_at_in_linear_time(piece: str) -> None:
    reply = piece * (1_000_000 // len(piece))
    start = time.process_time()

    program_of(reply)

    # 0.3 s here; anything quadratic takes a million times a microsecond times a million
    assert time.process_time() - start < 5
