"""Tables of boards in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from harness.boards.render.escaping import one_line
from harness.boards.render.grids import KIND_TITLES, Grid, Item
from harness.console.plain_tables import plain_table

_STYLES = {"": "", "best": "bold", "second": "underline"}
_SHORT = {title: kind for kind, title in KIND_TITLES.items()}
_GAP = 2
_LONGEST = 40
"""Of a name; longer ones go on below."""


def print_grid(console: Console, grid: Grid) -> None:
    """Print one table; columns that do not fit the width follow below, with the names again."""
    heads = _heads(grid)
    columns = [
        [Text(head, "bold"), *(_text(row[i]) for row in grid.rows)] for i, head in enumerate(heads)
    ]
    console.print(Text(one_line(grid.title), "bold"))
    for block in _blocks(columns, grid.left, console.width):
        table = plain_table()
        for at in block:
            if at < grid.left:
                table.add_column(columns[at][0], overflow="fold", max_width=_LONGEST)
            else:
                table.add_column(columns[at][0], justify="right", no_wrap=True)
        for line in zip(*(columns[at][1:] for at in block), strict=True):
            table.add_row(*line)
        console.print(table)
        console.print()


def _heads(grid: Grid) -> list[str]:
    above = [title for title, width in grid.groups for _ in range(width)] or [""] * len(grid.heads)
    found = []
    for number, (over, head) in enumerate(zip(above, grid.heads, strict=True)):
        first, _, rest = over.partition(" ")
        words = " ".join(x for x in (_SHORT.get(first, first), rest) if x).split()
        words += [head] if number < grid.left else head.split()
        found.append("\n".join(words))
    return found


def _blocks(columns: Sequence[Sequence[Text]], left: int, width: int) -> Iterator[list[int]]:
    """Columns that fit beside each other, the names first in each block."""
    widths = [max(cell_len(line) for x in c for line in x.plain.split("\n")) for c in columns]
    names = list(range(left))
    fixed = sum(min(widths[i], _LONGEST) + _GAP for i in names)
    block: list[int] = []
    taken = fixed
    for at in range(left, len(columns)):
        if block and taken + widths[at] > width:
            yield [*names, *block]
            block, taken = [], fixed
        block.append(at)
        taken += widths[at] + _GAP
    yield [*names, *block]


def _text(item: Item) -> Text:
    return Text(one_line(item.text), _STYLES[item.mark]).append(item.sign, "not bold not underline")
