"""Tables of one look: a ruled header, two spaces between columns, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from harness.console import numbers


class Row(NamedTuple):
    """One row of a table of measures, as it is shown."""

    name: str
    counts: Sequence[str]
    values: Mapping[str, str]
    """Measure -> its value; what is absent is undefined."""
    style: str = ""


def plain_table() -> Table:
    """A table without columns yet."""
    return Table(
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )


def print_measures(
    console: Console,
    heads: Sequence[str],
    measures: Sequence[str],
    rows: Sequence[Row],
    label: Callable[[str], str] = numbers.label,
) -> None:
    """Print ``rows``, one column per measure.

    Where the width does not hold them all, measures go down and rows across; where that is too wide
    as well, further tables follow.

    Args:
        console: where to.
        heads: headers of the name and of each count.
        measures: in order.
        rows: each with ``len(heads) - 1`` counts.
        label: a measure's name -> its header.
    """
    labels = {m: label(m).replace(" ", "\n") for m in measures}
    upright = [[heads[0], *(row.name for row in rows)]]
    upright += [[head, *(row.counts[i] for row in rows)] for i, head in enumerate(heads[1:])]
    columns = {
        m: [labels[m], *(row.values.get(m, numbers.UNDEFINED) for row in rows)] for m in measures
    }
    room = console.width - sum(_width(column) + 2 for column in upright)
    blocks = list(_blocks({m: _width(column) for m, column in columns.items()}, room))
    if len(blocks) > 1:
        flat = [[" ".join(x.split()) for x in line] for line in (*upright, *columns.values())]
        turned = [list(column) for column in zip(*flat, strict=True)]
        if sum(_width(column) + 2 for column in turned) - 2 <= console.width:
            _print(console, turned, [""] * (len(flat) - 1))
            return
    for number, block in enumerate(blocks):
        if number:
            console.print()
        _print(console, [*upright, *(columns[m] for m in block)], [row.style for row in rows])


def _width(cells: Sequence[str]) -> int:
    return max(len(line) for cell in cells for line in cell.split("\n"))


def _blocks(widths: Mapping[str, int], room: int) -> Iterator[list[str]]:
    """Measures that fit beside each other."""
    block: list[str] = []
    taken = 0
    for measure, width in widths.items():
        if block and taken + width > room:
            yield block
            block, taken = [], 0
        block.append(measure)
        taken += width + 2
    yield block


def _print(console: Console, columns: Sequence[Sequence[str]], styles: Sequence[str]) -> None:
    """Print columns of cells, the first cell of each its header; ``styles`` are those of rows."""
    table = plain_table()
    for number, column in enumerate(columns):
        table.add_column(column[0], justify="right" if number else "left", no_wrap=True)
    for row, style in zip(zip(*(x[1:] for x in columns), strict=True), styles, strict=True):
        table.add_row(*row, style=style)
    console.print(table)
