"""Boards: tracked records laid side by side.

>>> from harness.board import make_board, read_leaderboards
>>> board = make_board(read_leaderboards("leaderboards"))
"""

from __future__ import annotations

from harness.board.assemble import make_board
from harness.board.leaderboards import Leaderboards, read_leaderboards
from harness.board.model import Board, Cell, Column, Facts, Ranking, Row, TaskBoard
from harness.board.payload import to_payload

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
