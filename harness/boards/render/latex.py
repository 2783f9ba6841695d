"""Boards as LaTeX tables."""

from __future__ import annotations

from harness.boards.board import Board, TaskBoard
from harness.boards.render.grids import (
    headline,
    language_grid,
    main_grid,
    overview_grid,
)
from harness.console.latex import table
from harness.console.numbers import percent

HEAD = r"""% Written by harness board from the records in this folder; edits will be lost.
% \usepackage{booktabs,graphicx} and, for the names of models, a Unicode engine or T1 fonts.
"""


def overview(board: Board) -> str:
    """The board across tasks."""
    return HEAD + table(overview_grid(board), "All tasks", "all-tasks")


def task_board(board: TaskBoard, whole: Board) -> str:
    """The board of one task: its main table, and the main measure by query language."""
    notes = "".join(f" {note}." for note in board.notes)
    caption = (
        f"{board.title}, {percent(whole.level, 0)} intervals in brackets, rank: what the data "
        f"do not exclude. †: published, not measured here.{notes}"
    )
    parts = [HEAD, table(main_grid(board), caption, board.slug)]
    main = board.sort.partition("/")[2]
    for c in headline(board):
        if c.measure == main or board.per_language_only:
            grid = language_grid(board, c)
            label = f"{board.slug}-{c.kind}-{c.measure}-by-language"
            parts.append(table(grid, f"{board.title}: {grid.title}", label))
    return "\n".join(parts)
