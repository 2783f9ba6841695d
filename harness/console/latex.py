"""Tables in LaTeX: booktabs, nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from textwrap import wrap

from harness.console.tables import Grid, Item, ends, one_line

_LONGEST = 40
"""Maximum characters of a name on one line."""
_WRAPPED = r"p{0.4\linewidth}"
_SIGNS = {"†": r"\dag", "‡": r"\ddag", "◆": r"$\diamond$"}
_LETTERS = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "%": r"\%",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": r"{[}",
    "]": r"{]}",
    "–": "--",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    # Isolates of text that runs from right to left: LaTeX has no letters for them.
    "\u2068": "",
    "\u2069": "",
    # Put between letters that LaTeX would join; no text has it.
    "\0": "{}",
}


# In a row they would be one sign: a dash, quotation marks.
_LIGATURE = re.compile(r"[-–](?=[-–])|([',])(?=\1)")


def escaped(text: str) -> str:
    """``text`` as LaTeX prints it letter by letter."""
    apart = _LIGATURE.sub("\\g<0>\0", one_line(text))
    return "".join(_LETTERS.get(x, x) for x in apart)


def item(cell: Item) -> str:
    """One cell: best in bold, second underlined, interval below."""
    text = escaped(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second":
        text = rf"\underline{{{text}}}"
    if cell.sign:
        text += rf"\textsuperscript{{{''.join(_SIGNS[x] for x in cell.sign)}}}"
    if cell.interval is None:
        return text
    return rf"\shortstack[r]{{{text}\\{{\footnotesize ({escaped(ends(cell.interval))})}}}}"


def _wrapped(cell: Item) -> str:
    """A cell of a column that wraps: lines may end behind hyphens and slashes."""
    return re.sub(r"(?<=[^\\-])([-/.:])(?=[^-])", r"\1\\allowbreak{}", item(cell))


def table(grid: Grid, caption: str, label: str) -> str:
    r"""A table environment in \footnotesize, never scaled down.

    What is too wide for a column of text stands sideways; what is too wide for that, in several
    tables that repeat the names.
    """
    cells = [line.items for line in grid.lines()]
    parts = _parts(grid, cells)
    written = []
    for number, columns in enumerate(parts, 1):
        more = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
        name = f"{label}-{number}" if number > 1 else label
        wide = _width(grid, cells, columns) > _UPRIGHT
        written.append(_table(grid, cells, columns, f"{caption}{more}", name, sideways=wide))
    return "\n".join(written)


_UPRIGHT, _SIDEWAYS = 82, 124
r"""Letters of \footnotesize in a line of article's text, and of a page turned sideways."""
_HEAD = 14
"""Letters of a line of a header."""
_GAP = 2
"""Letters between columns, with the \\tabcolsep below."""


def _width(grid: Grid, cells: Sequence[Sequence[Item]], columns: Sequence[int]) -> int:
    """Letters of a line of these columns."""
    return sum(_width_of(grid, cells, i) + _GAP for i in columns)


def _width_of(grid: Grid, cells: Sequence[Sequence[Item]], column: int) -> int:
    wide = max((len(row[column].text) for row in cells), default=0)
    # Intervals stand below values, in a smaller type.
    ranges = (row[column].interval for row in cells)
    below = max((round(0.9 * len(ends(x)) + 2) for x in ranges if x), default=0)
    head = max(map(len, _lines(grid.headers[column])))
    return max(min(max(wide, head), _LONGEST), below)


def _lines(head: str) -> list[str]:
    """A header in lines of a few letters, broken between words."""
    return wrap(head, _HEAD, break_long_words=False, break_on_hyphens=False) or [""]


def _head(grid: Grid, column: int) -> str:
    lines = [escaped(x) for x in _lines(grid.headers[column])]
    side = "r" if grid.side(column) == "r" else "l"
    stacked = r"\\".join(lines)
    return stacked if len(lines) == 1 else rf"\shortstack[{side}]{{{stacked}}}"


def _parts(grid: Grid, cells: Sequence[Sequence[Item]]) -> list[list[int]]:
    """Columns of each table: all in one if a page turned sideways takes them."""
    every = list(range(len(grid.headers)))
    if not grid.names or _width(grid, cells, every) <= _SIDEWAYS:
        return [every]
    parts = _within(grid, cells, _SIDEWAYS)
    # As few tables, and then as even: a last one with two columns is hard to compare.
    for limit in range(_SIDEWAYS - 1, 0, -1):
        even = _within(grid, cells, limit)
        if len(even) > len(parts):
            break
        parts = even
    return parts


def _within(grid: Grid, cells: Sequence[Sequence[Item]], limit: int) -> list[list[int]]:
    """Columns of tables of at most ``limit`` letters, each with the names and one more column."""
    names = list(range(grid.names))
    parts: list[list[int]] = []
    for column in range(grid.names, len(grid.headers)):
        if not parts or _width(grid, cells, [*parts[-1], column]) > limit:
            parts.append(list(names))
        parts[-1].append(column)
    return parts


def _table(
    grid: Grid,
    cells: Sequence[Sequence[Item]],
    chosen: Sequence[int],
    caption: str,
    label: str,
    *,
    sideways: bool,
) -> str:
    sides = ["r" if grid.side(i) == "r" else "l" for i in range(len(grid.headers))]
    wraps = {
        i
        for i, side in enumerate(sides)
        if side == "l" and any(len(row[i].text) > _LONGEST for row in cells)
    }
    columns = "".join(_WRAPPED if i in wraps else sides[i] for i in chosen)
    rows = [
        " & ".join(_wrapped(row[i]) if i in wraps else item(row[i]) for i in chosen)
        for row in cells
    ]
    environment = "sidewaystable" if sideways else "table"
    lines = [
        rf"\begin{{{environment}}}",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{tab:{label}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_over(grid, chosen),
        f"{' & '.join(_head(grid, i) for i in chosen)} \\\\",
        r"\midrule",
        *(f"{row} \\\\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\end{{{environment}}}",
    ]
    return "\n".join(lines) + "\n"


def _over(grid: Grid, chosen: Sequence[int]) -> list[str]:
    """Headers over several columns, and the rules below them."""
    if not any(title for title, _ in grid.over):
        return []
    above = [(n, title) for n, (title, width) in enumerate(grid.over) for _ in range(width)]
    cells: list[str] = []
    rules: list[str] = []
    at = 1
    for (_, title), group in groupby(above[i] for i in chosen):
        width = len(list(group))
        if title:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(title)}}}")
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        else:
            cells += [""] * width
        at += width
    return [f"{' & '.join(cells)} \\\\", " ".join(rules)]
