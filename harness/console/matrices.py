"""Language x language matrices, coloured by value where the terminal has colours."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise

from rich.console import Console
from rich.text import Text

from harness.console.numbers import UNDEFINED

# Five points of matplotlib's viridis: its lightness rises evenly, so it reads in grey too.
_SCALE = ((68, 1, 84), (59, 82, 139), (33, 145, 140), (94, 201, 98), (253, 231, 37))

Cells = Mapping[tuple[str, str], float | None]


def heat(share: float) -> str:
    """A rich style for ``share`` of the way, 0 to 1, from the lowest to the highest value."""
    (red, green, blue), dark = heat_colours(share)
    return f"{'black' if dark else 'white'} on rgb({red},{green},{blue})"


def heat_colours(share: float) -> tuple[tuple[int, int, int], bool]:
    """Red, green and blue for ``share`` of the way, and whether letters on it are to be dark."""
    at = min(max(share, 0.0), 1.0) * (len(_SCALE) - 1)
    low, high = list(pairwise(_SCALE))[min(int(at), len(_SCALE) - 2)]
    part = at - min(int(at), len(_SCALE) - 2)
    red, green, blue = (round(a + (b - a) * part) for a, b in zip(low, high, strict=True))
    # Rec. 709 weights: dark letters on light ground, light letters on dark.
    return (red, green, blue), 0.2126 * red + 0.7152 * green + 0.0722 * blue > 128


def print_matrix(
    console: Console,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Cells,
    write: Callable[[float], str],
    marked: Collection[tuple[str, str]] = (),
) -> None:
    """Print ``cells[row, column]``; columns that do not fit the width follow in further blocks.

    Cells in ``marked`` carry an asterisk.
    """
    known = [x for x in cells.values() if x is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    texts = {at: UNDEFINED if x is None else write(x) for at, x in cells.items()}
    if marked:
        texts = {at: text + ("*" if at in marked else " ") for at, text in texts.items()}
    side = max([len(x) for x in rows])
    width = max([len(x) for x in (*columns, *texts.values())])
    fitting = max(1, (console.width - side) // (width + 1))
    for start in range(0, len(columns), fitting):
        block = columns[start : start + fitting]
        if start:
            console.print()
        headers = Text(" " * side)
        for column in block:
            headers.append(" ").append(column.rjust(width), "bold")
        console.print(headers, no_wrap=True)
        for row in rows:
            line = Text(row.ljust(side), "bold")
            for column in block:
                cell = cells.get((row, column))
                spread = (cell - low) / (high - low) if cell is not None and high > low else 0.5
                style = "dim" if cell is None else heat(spread)
                text = texts.get((row, column), UNDEFINED).rjust(width)
                line.append(" ", "not bold").append(text, f"not bold {style}")
            console.print(line, no_wrap=True)
