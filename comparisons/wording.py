"""How names and amounts read in figures, tables for people and sentences."""

from __future__ import annotations

from bakeoff.errors import UsageError
from bakeoff.plugins import Spec, parse_spec

MISSING = "-"

NO_SANDBOX = (
    "NO SANDBOX (--sandbox none): where a reward runs programs that a model wrote, it runs them "
    "WITHOUT isolation, with all the rights of this user"
)
"""Said before such a comparison runs, and at the top of everything that reports it."""


def short(name: str) -> str:
    """Return an algorithm's, environment's or model's name with paths cut to their last part.

    Example:
        >>> short("bakeoff/GSM8K-v0:data=/home/me/data/gsm8k")
        'bakeoff/GSM8K-v0:data=gsm8k'
        >>> short("/home/me/models/mine"), short("org/model")
        ('mine', 'org/model')
    """
    try:
        spec = parse_spec(name)
    except UsageError:
        return name
    is_path = spec.target.startswith(("/", ".", "~"))
    target = str(_last_part(spec.target)) if is_path else spec.target
    return str(Spec(target, {key: _last_part(value) for key, value in spec.arguments.items()}))


def cut(text: str, width: int) -> str:
    """Return a text on one line of at most ``width`` characters.

    Example:
        >>> cut("What is\\n2 + 2?", 20), cut("What is 2 + 2?", 10)
        ('What is 2 + 2?', 'What is...')
    """
    line = " ".join(text.split())
    return f"{line[: width - 3]}..." if len(line) > width else line


def amount(value: float | None, unit: str) -> str:
    """Return a number with its unit, in at most four digits; a dash if it is missing.

    Example:
        >>> amount(3 * 2**20, "bytes"), amount(0.01234, "s"), amount(None, "s")
        ('3.0 MiB', '12.3 ms', '-')
        >>> amount(0.5, "score"), amount(1234.5, "tokens/s")
        ('0.500', '1234')
    """
    if value is None:
        return MISSING
    if unit == "bytes":
        mebibytes = value / 2**20
        return f"{mebibytes / 1024:.2f} GiB" if abs(mebibytes) >= 10240 else f"{mebibytes:.1f} MiB"
    if unit == "s":
        return f"{value * 1000:.1f} ms" if abs(value) < 0.1 else f"{value:.2f} s"
    if unit == "score":
        return f"{value:.3f}"
    return f"{value:.0f}" if abs(value) < 1e6 else f"{value:.3g}"


def signed(value: float) -> str:
    """Return a difference of scores with its sign.

    Example:
        >>> signed(0.25), signed(-0.001)
        ('+0.250', '-0.001')
    """
    return f"{value:+.3f}"


def times(ratio: float) -> str:
    """Return a ratio, with more digits where it is close to 1.

    Example:
        >>> times(1.614), times(1.004), times(0.0021), times(51234.5)
        ('1.61', '1.004', '0.0021', '5.1e+04')
    """
    if not 0.1 <= ratio < 100:
        return f"{ratio:.2g}"
    return f"{ratio:.3f}" if 0.9 < ratio < 1.1 else f"{ratio:.2f}"


def and_list(words: list[str]) -> str:
    """Return words as an enumeration.

    Example:
        >>> and_list(["a"]), and_list(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def text_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a plain-text table: the first column to the left, the others to the right.

    Example:
        >>> print(text_table(["name", "n"], [["grpo", "3"]]))
        name  n
        grpo  3
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: list[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        parts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "  ".join(parts).rstrip()

    return "\n".join(map(line, [header, *rows]))


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table: the first column to the left, the others to the right."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    rule = line(["---", *["---:"] * (len(header) - 1)])
    return "\n".join([line(header), rule, *map(line, rows)])


def _last_part(value: object) -> object:
    if isinstance(value, str) and "/" in value:
        return value.rstrip("/").rsplit("/", 1)[-1]
    return value
