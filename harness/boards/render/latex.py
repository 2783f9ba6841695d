"""Boards as LaTeX tables: booktabs, nothing else."""

from __future__ import annotations

import re

from harness.boards.board import Board, TaskBoard
from harness.boards.render.escaping import latex
from harness.boards.render.grids import (
    Grid,
    Item,
    headline,
    language_grid,
    main_grid,
    overview_grid,
)

HEAD = r"""% Written by harness board from the records beside it; changes here are lost.
% \usepackage{booktabs,graphicx} and, for the names of models, a Unicode engine or T1 fonts.
"""
_LONGEST = 40
"""Of a name that stands on one line."""
_WRAPPED = r"p{0.4\linewidth}"
_SIGNS = {"": "", "†": r"\textsuperscript{\dag}", "‡": r"\textsuperscript{\ddag}"}


def item(cell: Item) -> str:
    """One cell: best in bold, second underlined, interval small below."""
    text = latex(cell.text)
    if cell.mark == "best":
        text = rf"\textbf{{{text}}}"
    elif cell.mark == "second":
        text = rf"\underline{{{text}}}"
    text += _SIGNS[cell.sign]
    interval = latex(cell.interval)
    return rf"\shortstack[r]{{{text}\\{{\scriptsize ({interval})}}}}" if interval else text


def name(cell: Item) -> str:
    """A cell of a column that wraps: lines may end behind hyphens and slashes."""
    text = item(cell)
    return re.sub(r"(?<=[^\\-])([-/.:])(?=[^-])", r"\1\\allowbreak{}", text)


def table(grid: Grid, caption: str, label: str) -> str:
    """A grid as a table environment, scaled to the width of the text."""
    wraps = {i for i in range(grid.left) if any(len(row[i].text) > _LONGEST for row in grid.rows)}
    columns = "".join(
        _WRAPPED if i in wraps else "l" if i < grid.left else "r" for i in range(len(grid.heads))
    )
    rows = [
        " & ".join(name(x) if i in wraps else item(x) for i, x in enumerate(row))
        for row in grid.rows
    ]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex(caption)}}}",
        rf"\label{{tab:{label}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_over(grid),
        f"{' & '.join(latex(x) for x in grid.heads)} \\\\",
        r"\midrule",
        *(f"{row} \\\\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _over(grid: Grid) -> list[str]:
    """Headers over several columns, and the rules below them."""
    if not any(title for title, _ in grid.groups):
        return []
    cells: list[str] = []
    rules: list[str] = []
    at = 1
    for title, width in grid.groups:
        if title:
            cells.append(rf"\multicolumn{{{width}}}{{c}}{{{latex(title)}}}")
            rules.append(rf"\cmidrule(lr){{{at}-{at + width - 1}}}")
        else:
            cells += [""] * width
        at += width
    return [f"{' & '.join(cells)} \\\\", " ".join(rules)]


def overview(board: Board) -> str:
    """The board across tasks."""
    return HEAD + table(overview_grid(board), "All tasks", "all-tasks")


def task_board(board: TaskBoard, whole: Board) -> str:
    """The board of one task: its main table, and the main measure by query language."""
    notes = "".join(f" {note}." for note in board.notes)
    caption = (
        f"{board.title}, {whole.level:.0%} intervals in brackets, rank: what the data do not "
        f"exclude. †: published, not measured here.{notes}"
    )
    parts = [HEAD, table(main_grid(board), caption, board.slug)]
    main = board.sort.partition("/")[2]
    for c in headline(board):
        if c.measure == main or board.per_language_only:
            grid = language_grid(board, c)
            label = f"{board.slug}-{c.kind}-{c.measure}-by-language"
            parts.append(table(grid, f"{board.title}: {grid.title}", label))
    return "\n".join(parts)
