"""Tables in LaTeX: booktabs, nothing else."""

from __future__ import annotations

import re

from harness.console.tables import Grid, Item, ends, one_line

_LONGEST = 40
"""Of a name that fits on one line."""
_WRAPPED = r"p{0.4\linewidth}"
_SIGNS = {"": "", "†": r"\textsuperscript{\dag}", "‡": r"\textsuperscript{\ddag}"}
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
}


def escaped(text: str) -> str:
    """``text`` as LaTeX prints it letter by letter."""
    return "".join(_LETTERS.get(x, x) for x in one_line(text))


def item(cell: Item) -> str:
    """One cell: best in bold, second underlined, interval small below."""
    text = escaped(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second":
        text = rf"\underline{{{text}}}"
    text += _SIGNS[cell.sign]
    if cell.interval is None:
        return text
    return rf"\shortstack[r]{{{text}\\{{\scriptsize ({escaped(ends(cell.interval))})}}}}"


def _wrapped(cell: Item) -> str:
    """A cell of a column that wraps: lines may end behind hyphens and slashes."""
    return re.sub(r"(?<=[^\\-])([-/.:])(?=[^-])", r"\1\\allowbreak{}", item(cell))


def table(grid: Grid, caption: str, label: str) -> str:
    """A table environment, scaled to the width of the text."""
    cells = [line.items for line in grid.lines()]
    sides = ["r" if grid.side(i) == "r" else "l" for i in range(len(grid.headers))]
    wraps = {
        i
        for i, side in enumerate(sides)
        if side == "l" and any(len(row[i].text) > _LONGEST for row in cells)
    }
    columns = "".join(_WRAPPED if i in wraps else side for i, side in enumerate(sides))
    rows = [
        " & ".join(_wrapped(x) if i in wraps else item(x) for i, x in enumerate(row))
        for row in cells
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{tab:{label}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_over(grid),
        f"{' & '.join(escaped(x) for x in grid.headers)} \\\\",
        r"\midrule",
        *(f"{row} \\\\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _over(grid: Grid) -> list[str]:
    """Headers over several columns, and the rules below them."""
    if not any(title for title, _ in grid.over):
        return []
    cells: list[str] = []
    rules: list[str] = []
    at = 1
    for title, width in grid.over:
        if title:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{escaped(title)}}}")
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        else:
            cells += [""] * width
        at += width
    return [f"{' & '.join(cells)} \\\\", " ".join(rules)]
