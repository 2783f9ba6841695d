"""Boards as LaTeX tables."""

from __future__ import annotations

from harness.boards.board import Board, TaskBoard
from harness.boards.render.grids import (
    headline,
    language_grid,
    main_grid,
    overview_grid,
)
from harness.boards.render.legend import order_of
from harness.console.latex import table
from harness.console.numbers import percent, plural

HEAD = r"""% Written by harness board from the records in this folder; edits will be lost.
% \usepackage{booktabs,rotating} and, for the names of models, a Unicode engine or T1 fonts.
"""


def overview(board: Board) -> str:
    """The board across tasks."""
    tasks = ", ".join(dict.fromkeys(c.title for c in board.overview.columns))
    mean = " Mean: over the main measures of whole tasks." if board.overview.averaged else ""
    caption = (
        f"All models across tasks ({tasks}).{mean} Best measured value in bold, second best "
        "underlined. \N{DAGGER}: published, not measured here."
    )
    return HEAD + table(overview_grid(board), caption, "all-tasks")


def task_board(board: TaskBoard, whole: Board) -> str:
    """The board of one task: its main table, and the main measure by query language."""
    parts = [HEAD, main_table(board, whole)]
    main = board.sort.partition("/")[2]
    for c in headline(board):
        if c.measure == main or board.per_language_only:
            grid = language_grid(board, c)
            label = f"{board.slug}-{c.kind}-{c.measure}-by-language"
            parts.append(table(grid, f"{board.title}: {grid.title}.{_notes(board)}", label))
    return "\n".join(parts)


def main_table(board: TaskBoard, whole: Board, sort: str | None = None) -> str:
    """The main table in the order of a column; its label is the board's name."""
    sources = {row.source for row in board.rows}
    published = " \N{DAGGER}: published, not measured here." if "published" in sources else ""
    caption = (
        f"{board.title}, {plural(board.questions, 'question')} in "
        f"{plural(len(board.languages), 'language')}; "
        f"{percent(whole.level, 0)} intervals in brackets. {order_of(board, sort)}: the ranks that "
        f"the data do not exclude. Best measured value in bold, second best underlined."
        f"{published}{_notes(board)}"
    )
    return table(main_grid(board, sort), caption, board.slug)


def _notes(board: TaskBoard) -> str:
    return "".join(f" {note}." for note in board.notes)
