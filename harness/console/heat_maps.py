"""A language x language matrix as an SVG drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from rich.cells import cell_len

from harness.console.matrices import Cells, heat_colours
from harness.console.numbers import UNDEFINED
from harness.console.tables import one_line

_CELL, _HEIGHT, _MARGIN, _TITLE = 46, 22, 12, 40
_LETTER = 7.2
"""Width of a letter of the labels, in pixels."""


def heat_map(
    title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Cells,
    write: Callable[[float], str],
) -> str:
    """``cells[row, column]`` as an SVG: queries down, passages across, the colours of a terminal.

    Args:
        title: one line above.
        rows: labels of the rows.
        columns: labels of the columns.
        cells: values; what is absent or ``None`` is a dash.
        write: a value as the text of its cell.
    """
    known = [x for x in cells.values() if x is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    side = _MARGIN + round(_LETTER * max((len(x) for x in rows), default=0)) + 6
    # Letters of Chinese, Japanese and Korean are two wide.
    of_title = round(_LETTER * cell_len(one_line(title))) + 2 * _MARGIN
    width = max(side + _CELL * len(columns) + _MARGIN, of_title)
    height = _TITLE + _HEIGHT * (len(rows) + 1) + _MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="DejaVu Sans, Verdana, sans-serif" '
        'font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(_MARGIN, 24, title, "start", weight="bold"),
    ]
    for j, column in enumerate(columns):
        lines.append(_text(side + _CELL * (j + 0.5), _TITLE + 15, column, "middle"))
    for i, row in enumerate(rows):
        top = _TITLE + _HEIGHT * (i + 1)
        lines.append(_text(side - 6, top + 15, row, "end"))
        for j, column in enumerate(columns):
            value = cells.get((row, column))
            left = side + _CELL * j
            ground, ink = "#eee", "#555"
            if value is not None:
                share = (value - low) / (high - low) if high > low else 0.5
                (red, green, blue), dark = heat_colours(share)
                ground, ink = f"#{red:02x}{green:02x}{blue:02x}", "#000" if dark else "#fff"
            lines.append(
                f'<rect x="{left}" y="{top}" width="{_CELL}" height="{_HEIGHT}" fill="{ground}"/>'
            )
            text = UNDEFINED if value is None else write(value)
            lines.append(_text(left + _CELL / 2, top + 15, text, "middle", ink=ink, size=11))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _text(
    x: float, y: float, text: str, anchor: str, *, ink: str = "#000", size: int = 12,
    weight: str = "normal",
) -> str:  # fmt: skip
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{ink}" font-size="{size}" '
        f'font-weight="{weight}">{escape(one_line(text))}</text>'
    )
