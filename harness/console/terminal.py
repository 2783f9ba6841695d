"""Tables in the terminal: a ruled header, two spaces between columns, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from harness.console import numbers
from harness.console.tables import Grid, Item, Line, Style, one_line

_MARKS = {"": "", "best": "bold", "second": "underline"}
_STYLES = {"": "", "strong": "bold", "dim": "dim"}
_GAP = 2
_LONGEST = 40
"""Maximum width of a name; longer ones wrap."""
_SHORTEST = 12
"""The width to which words are wrapped before columns continue below."""
_LEAST = 4
"""The width to which names are wrapped where not even one column fits next to them."""


class _Column(NamedTuple):
    header: Text
    cells: list[Text]
    side: str
    longest: int = _LONGEST
    """Maximum width of names."""

    @property
    def width(self) -> int:
        lines = (line for x in (self.header, *self.cells) for line in x.plain.split("\n"))
        return max(cell_len(line) for line in lines)

    @property
    def least(self) -> int:
        return min(self.width, {"l": self.longest, "w": _SHORTEST}.get(self.side, self.width))


class Row(NamedTuple):
    """One row of a table of measures."""

    name: str
    counts: Sequence[str]
    values: Mapping[str, Item | str]
    """Measure -> its value; what is absent is undefined."""
    style: Style = ""


def print_measures(
    console: Console,
    headers: Sequence[str],
    measures: Sequence[str],
    rows: Sequence[Row],
    label: Callable[[str], str] = numbers.label,
) -> None:
    """Print ``rows``, one column per measure; measures go down and rows across if that is narrower.

    Args:
        console: the console to print to.
        headers: headers of the name and of each count.
        measures: in order.
        rows: each with ``len(headers) - 1`` counts.
        label: a measure's name -> its header.
    """
    lines = [
        Line([x.name, *x.counts, *(x.values.get(m, numbers.UNDEFINED) for m in measures)], x.style)
        for x in rows
    ]
    labels = (label(m).replace(" ", "\n") for m in measures)
    grid = Grid("", [*headers, *labels], lines)
    print_grid(console, grid, fixed=len(headers), turn=True)


def print_grid(
    console: Console, grid: Grid, *, intervals: bool = True, fixed: int = 0, turn: bool = False
) -> None:
    """Print a table.

    Intervals follow their numbers if the width allows it, otherwise they are below them. Columns
    that do not fit go on below, with the names again.

    Args:
        console: the console to print to.
        grid: the table.
        intervals: whether they are shown.
        fixed: the first columns that are shown again; those with names at least.
        turn: rows become columns where that is narrower.
    """
    if grid.title:
        console.print(Text(one_line(grid.title), "bold"))
    lines = list(grid.lines())
    names = max(fixed, grid.names)
    columns = _fitted(_columns(grid, lines, " " if intervals else None), names, console.width)
    blocks = list(_blocks(columns, names, console.width))
    if turn and len(blocks) > 1:
        turned = _turned(grid, lines)
        if _taken(_columns(turned, list(turned.lines()), " ")) <= console.width:
            print_grid(console, turned)
            return
    if intervals and _taken(columns) > console.width:
        columns = _fitted(_columns(grid, lines, "\n"), names, console.width)
        blocks = list(_blocks(columns, names, console.width))
        if turn and len(blocks) > 1:
            turned = _turned(grid, lines)
            if _taken(_columns(turned, list(turned.lines()), "\n")) <= console.width:
                print_grid(console, turned)
                return
    for number, block in enumerate(blocks):
        if number:
            console.print()
        _print_block(console, [columns[i] for i in block], lines)


def _columns(grid: Grid, lines: Sequence[Line], glue: str | None) -> list[_Column]:
    above = [title for title, width in grid.over for _ in range(width)] or [""] * len(grid.headers)
    found = []
    for number, (over, header) in enumerate(zip(above, grid.headers, strict=True)):
        # A header of several words is stacked over a column of numbers.
        words = [*over.split(), *(header.split() if over else [header])] if grid.over else [header]
        texts = [_text(line.items[number], glue) for line in lines]
        heading = Text("\n".join(x for x in words if x), "bold")
        found.append(_Column(heading, texts, grid.side(number)))
    return found


def _fitted(columns: list[_Column], names: int, width: int) -> list[_Column]:
    """``columns`` with names narrow enough for the widest of the others to stand next to them."""
    widest = max((x.least for x in columns[names:]), default=-_GAP)
    for longest in range(_LONGEST, _LEAST - 1, -1):
        fitted = [x._replace(longest=longest) for x in columns]
        if sum(x.least + _GAP for x in fitted[:names]) + widest <= width:
            return fitted
    return fitted


def _text(cell: Item, glue: str | None) -> Text:
    written = (" " * (len(x) - len(x.lstrip())) + one_line(x) for x in cell.text.split("\n"))
    text = Text("\n".join(written), _MARKS[cell.mark])
    text.append(cell.sign, "not bold not underline")
    if cell.interval and glue is not None:
        text.append(f"{glue}[{', '.join(cell.interval)}]", "not underline")
    return text


def _taken(columns: Sequence[_Column]) -> int:
    return sum(x.width + _GAP for x in columns) - _GAP


def _blocks(columns: Sequence[_Column], names: int, width: int) -> Iterator[list[int]]:
    """Columns that fit side by side, the names first in each block."""
    fixed = sum(x.least + _GAP for x in columns[:names])
    block: list[int] = []
    taken = fixed
    for at in range(names, len(columns)):
        if block and taken + columns[at].least > width:
            yield [*range(names), *block]
            block, taken = [], fixed
        block.append(at)
        taken += columns[at].least + _GAP
    yield [*range(names), *block]


def _turned(grid: Grid, lines: Sequence[Line]) -> Grid:
    """Columns as rows."""
    headers, *rest = (
        [" ".join(header.split()), *(line.cells[i] for line in lines)]
        for i, header in enumerate(grid.headers)
    )
    return Grid("", [x.text if isinstance(x, Item) else x for x in headers], rest)


def _print_block(console: Console, columns: Sequence[_Column], lines: Sequence[Line]) -> None:
    """Print columns side by side, titles of groups between their rows."""
    widths = _widths(columns, console.width)
    table = _empty(columns, widths, header=any(x.header.plain for x in columns))
    title = ""
    for number, line in enumerate(lines):
        if line.group != title:
            _print(console, table)
            console.print(Text(line.group, "bold"))
            table = _empty(columns, widths, header=False)
        title = line.group
        table.add_row(*(x.cells[number] for x in columns), style=_STYLES[line.style])
    _print(console, table)


def _print(console: Console, table: Table) -> None:
    """Print a table without the spaces that fill its last column."""
    for line in console.render_lines(table, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
        console.print(Segments([*line, Segment.line()]), end="")


def _widths(columns: Sequence[_Column], whole: int) -> list[int]:
    """Words share what names and numbers leave, the shortest first."""
    widths = [x.least for x in columns]
    wrapping = sorted((x.width, i) for i, x in enumerate(columns) if x.side == "w")
    room = whole - sum(w for w, x in zip(widths, columns, strict=True) if x.side != "w")
    room -= _GAP * (len(columns) - 1)
    for number, (width, i) in enumerate(wrapping):
        widths[i] = max(widths[i], min(width, room // (len(wrapping) - number)))
        room -= widths[i]
    return widths


def _empty(columns: Sequence[_Column], widths: Sequence[int], *, header: bool) -> Table:
    table = Table(
        box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, show_header=header
    )
    for x, width in zip(columns, widths, strict=True):
        numeric = x.side == "r"
        justify: Literal["left", "right"] = "right" if numeric else "left"
        table.add_column(
            x.header, justify=justify, no_wrap=numeric, overflow="fold", width=max(width, 1)
        )
    return table
