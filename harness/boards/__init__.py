"""Boards: tracked records laid side by side.

>>> from harness.boards import make_board, read_leaderboards
>>> board = make_board(read_leaderboards("leaderboards"))
"""

from __future__ import annotations

from harness.boards.assemble import make_board
from harness.boards.board import Board, Cell, Column, Facts, Ranking, Row, TaskBoard
from harness.boards.leaderboards import Leaderboards, read_leaderboards
from harness.boards.payload import to_payload

__all__ = [
    "Board",
    "Cell",
    "Column",
    "Facts",
    "Leaderboards",
    "Ranking",
    "Row",
    "TaskBoard",
    "make_board",
    "read_leaderboards",
    "to_payload",
]
