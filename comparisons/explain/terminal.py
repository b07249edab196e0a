"""The explanation in a terminal: coloured there, plain text in a file or a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from bakeoff.comparisons.explain import repeated, side_by_side
from bakeoff.comparisons.explain.explanation import Explanation
from bakeoff.comparisons.explain.movement import SMALL, ReplyMove, TokenMove
from bakeoff.comparisons.explain.page import reply_cells, side_table, step_table
from bakeoff.comparisons.explain.scene import GROUP_SIZE
from bakeoff.comparisons.explain.sentences import percent, signed
from bakeoff.comparisons.wording import MISSING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

UP, DOWN = "bold bright_blue", "bold orange3"
PLAIN_WIDTH = 110
TOKENS = 8
"""The most tokens of one reply that are shown: those that moved the most, in order."""


def show(seen: Explanation, stream: TextIO) -> None:
    """Print the update, the steps and the algorithms side by side, with a sentence for each."""
    from rich.console import Console

    width = None if stream.isatty() else PLAIN_WIDTH
    console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    item = seen.scene.groups[0].item
    question = " ".join(item.prompt.split())
    console.print(f"{item.id}: {question[:200]}", style="bold")
    console.print(
        f"{GROUP_SIZE} replies, one AdamW step of {seen.rate:g} with {seen.name}; probabilities "
        "before and after"
    )
    console.print(_update_table(seen))
    _say(console, seen.seen)
    console.print(f"\nThe same batch, step after step ({seen.repeated.rate:g})", style="bold")
    console.print(_table(*step_table(seen.repeated)))
    _say(console, list(repeated.sentences(seen.repeated)))
    names = ", ".join(seen.sides.names)
    console.print(f"\nOne step of equal length by {names}: change of log-probability", style="bold")
    console.print(_table(*side_table(seen.sides)))
    _say(console, list(side_by_side.sentences(seen.sides)))


def _update_table(seen: Explanation) -> Table:
    table = _table(["reply", "times", "score", "token", "advantage", "before", "after", "change"])
    for reply in seen.replies:
        text, copies, score, adv, before, after, change = reply_cells(reply)
        style = UP if reply.change > 0 else DOWN
        table.add_row(
            text, copies, score, "all of it", adv, before, after, _arrow(change), style=style
        )
        for number, token in _moved_most(reply):
            style = "dim" if abs(token.change) < SMALL else UP if token.change > 0 else DOWN
            table.add_row(
                "",
                "",
                "",
                f"{number} {seen.shown(token.token_id)}",
                MISSING if token.adv is None else f"{token.adv:+.2f}",
                percent(token.before),
                percent(token.after),
                _arrow(signed(token.change)),
                style=style.replace("bold ", ""),
            )
    return table


def _moved_most(reply: ReplyMove) -> list[tuple[int, TokenMove]]:
    numbered = list(enumerate(reply.tokens, start=1))
    most = sorted(numbered, key=lambda pair: -abs(pair[1].change))[:TOKENS]
    return sorted(most)


def _arrow(change: str) -> str:
    return f"{change} {'=' if float(change) == 0 else '^' if change.startswith('+') else 'v'}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]] = ()) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _say(console: Console, lines: Sequence[str]) -> None:
    for line in lines:
        console.print(f"- {line}")
