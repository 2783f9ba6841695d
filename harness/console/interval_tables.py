"""Tables whose cells hold a number and its interval, in the terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from harness.console import numbers

Cells = Sequence[str]
"""One row; a cell may have two lines."""


class Line(NamedTuple):
    """A row of a table, as it is shown."""

    cells: Cells
    strong: bool = False
    """The significant best."""


@dataclass(frozen=True)
class Grid:
    """A table whose rows stand in groups, each under a line of its own."""

    heads: Cells
    groups: Sequence[tuple[str, Sequence[Line]]]
    """Title of a group (may be empty) and its rows."""
    words: int
    """The first columns, and the last, that hold words: written from the left."""


def signed_value(measure: str, number: float) -> str:
    """A difference with its sign; none for what rounds to 0."""
    text = numbers.value(measure, abs(number))
    if text == numbers.UNDEFINED or not text.strip("0."):
        return text
    return ("-" if number < 0 else "+") + text


def ends(measure: str, number: float, low: float, high: float, *, signed: bool = False) -> str:
    """A number, and on a second line its interval."""
    write = signed_value if signed else numbers.value
    if low != low:
        return write(measure, number)
    return f"{write(measure, number)}\n[{write(measure, low)}, {write(measure, high)}]"


def p_value(p: float) -> str:
    """A p-value with four decimals."""
    if p != p:
        return numbers.UNDEFINED
    return "<0.0001" if p < 0.0001 else f"{p:.4f}"


def percent(share: float) -> str:
    """A share as a percentage."""
    return numbers.UNDEFINED if share != share else f"{100 * share:.1f}%"


def print_grid(console: Console, grid: Grid) -> None:
    """Print a table; cells of two lines become one where the width holds them."""
    lines = [line for _, rows in grid.groups for line in rows]
    for glue in (" ", "\n"):
        table = [[cell.replace("\n", glue) for cell in x.cells] for x in lines]
        widths = [
            max(len(part) for cell in column for part in cell.split("\n"))
            for column in zip(grid.heads, *table, strict=True)
        ]
        if sum(widths) + 2 * (len(widths) - 1) <= console.width:
            break
    else:  # words of the last column one below the other
        table = [[*x[:-1], x[-1].replace("no difference ", "no difference\n")] for x in table]
        widths[-1] = max(len(part) for x in table for part in x[-1].split("\n"))
    _print_cells(console, Line(grid.heads, strong=True), widths, grid.words)
    whole = min(sum(widths) + 2 * (len(widths) - 1), console.width)
    console.print("\N{BOX DRAWINGS LIGHT HORIZONTAL}" * whole)
    at = 0
    for title, rows in grid.groups:
        if title:
            console.print(Text(title, "bold"))
        for row in rows:
            _print_cells(console, Line(table[at], row.strong), widths, grid.words)
            at += 1


def _print_cells(console: Console, row: Line, widths: Sequence[int], words: int) -> None:
    parts = [cell.split("\n") for cell in row.cells]
    for number in range(max(map(len, parts))):
        written = []
        for i, (cell, width) in enumerate(zip(parts, widths, strict=True)):
            text = cell[number] if number < len(cell) else ""
            left = i < words or i == len(parts) - 1
            written.append(text.ljust(width) if left else text.rjust(width))
        style = "bold" if row.strong else ""
        console.print(Text("  ".join(written).rstrip(), style), soft_wrap=True)


def markdown_grid(grid: Grid) -> Iterator[str]:
    """The lines of a Markdown table; titles of groups become its first column."""
    named = any(title for title, _ in grid.groups)
    heads = [*([""] if named else []), *(x.replace("\n", " ") for x in grid.heads)]
    yield markdown_row(heads)
    yield "|" + "---|" * len(heads)
    for title, rows in grid.groups:
        for row in rows:
            cells = [escaped(x.replace("\n", " ")) for x in row.cells]
            if row.strong:
                cells = [f"**{x}**" if x else "" for x in cells]
            yield markdown_row([escaped(title)] * named + cells)


def markdown_row(cells: Cells) -> str:
    """One row of a Markdown table; ``cells`` are escaped already."""
    return "| " + " | ".join(cells) + " |"


def escaped(text: str) -> str:
    """``text`` without meaning in Markdown or HTML."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|~&])", r"\\\1", plain)
