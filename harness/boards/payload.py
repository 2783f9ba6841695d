"""A board as JSON values: the JSON format, and what the page carries.

Rows are by position in ``rows`` of their board, cells are ``[value, low, high]``, undefined is
``null``; matrices are query language by passage language in the order of ``languages``. ``hits``
and ``asked`` are base64 of bits, question by language, first bit highest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from harness.boards.board import Board, Cell, Column, Matrix, Overview, Ranking, Row, TaskBoard
from harness.console.numbers import decimals

FORMAT = 1


class _Digits:
    """Rounds numbers to what is shown, or not at all."""

    def __init__(self, *, as_shown: bool) -> None:
        self._as_shown = as_shown

    def number(self, measure: str, value: float | None) -> float | None:
        return round(value, decimals(measure)) if self._as_shown and value is not None else value

    def numbers(self, measure: str, values: Iterable[float | None]) -> list[float | None]:
        return [self.number(measure, x) for x in values]

    def cell(self, measure: str, cell: Cell) -> list[float | None]:
        return self.numbers(measure, cell)

    def matrix(self, measure: str, matrix: Matrix) -> list[list[float | None]]:
        return [self.numbers(measure, row) for row in matrix]


def to_payload(board: Board, *, as_shown: bool = False) -> dict[str, Any]:
    """``board`` as JSON values.

    Args:
        board: what to write.
        as_shown: round numbers to the digits that tables show, which makes it small.
    """
    digits = _Digits(as_shown=as_shown)
    return {
        "format": FORMAT,
        "records": board.records,
        "alpha": board.alpha,
        "level": board.level,
        "method": board.method,
        "tasks": [_task(x, digits) for x in board.tasks],
        "overview": _overview(board.overview, digits),
    }


def _column(column: Column) -> dict[str, Any]:
    return {**column._asdict(), "key": column.key, "decimals": decimals(column.measure)}


def _task(board: TaskBoard, digits: _Digits) -> dict[str, Any]:
    position = {row.id: i for i, row in enumerate(board.rows)}
    return {
        "slug": board.slug,
        "task": board.task,
        "title": board.title,
        "primary": board.primary,
        "notes": list(board.notes),
        "text": board.text,
        "data_digest": board.data_digest,
        "revision": board.revision,
        "license": board.license,
        "languages": list(board.languages),
        "kinds": list(board.kinds),
        "questions": board.questions,
        "queries": dict(board.queries),
        "passages": dict(board.passages),
        "columns": [_column(x) for x in board.columns],
        "more": [_column(x) for x in board.more],
        "sort": board.sort,
        "per_language_only": board.per_language_only,
        "question_ids": None if board.question_ids is None else list(board.question_ids),
        "asked": dict(board.asked),
        "rankings": {k: _ranking(x, position) for k, x in board.rankings.items()},
        "additions": [
            {
                "row": position[x.row],
                "base": position[x.base],
                "differences": {
                    k: digits.cell(k.partition("/")[2], cell) for k, cell in x.differences.items()
                },
            }
            for x in board.additions
        ],
        "rows": [_row(x, digits, {c.key for c in board.columns}) for x in board.rows],
    }


def _ranking(ranking: Ranking, position: dict[str, int]) -> dict[str, Any]:
    def at(ids: Sequence[str]) -> list[int]:
        return [position[x] for x in ids]

    return {
        "order": at(ranking.order),
        "spans": [list(ranking.spans[x]) for x in ranking.order],
        "ties": [at(x) for x in ranking.ties],
        "best": at(ranking.best),
        "second": at(ranking.second),
        "tested": ranking.tested,
    }


def _row(row: Row, digits: _Digits, main: Collection[str]) -> dict[str, Any]:
    """A row; by language only its columns of the main table (parquet holds the others)."""

    def measure(key: str) -> str:
        return key.partition("/")[2]

    return {
        "id": row.id,
        "model": row.model,
        "source": row.source,
        "kind": row.kind,
        "recipe": row.recipe,
        "alpha": row.alpha,
        "seed": row.seed,
        "trained_on": None if row.trained_on is None else list(row.trained_on),
        "parameters": row.parameters,
        "dimensions": row.dimensions,
        "options": row.options,
        "text": row.text,
        "notes": list(row.notes),
        "comparable": row.comparable,
        "elsewhere": row.elsewhere,
        "reference": row.reference,
        "cells": {k: digits.cell(measure(k), x) for k, x in row.cells.items()},
        "languages": {
            k: [digits.cell(measure(k), x) for x in cells]
            for k, cells in row.languages.items()
            if k in main
        },
        "matrices": {m: digits.matrix(m, x) for m, x in row.matrices.items()},
        "top_languages": None
        if row.top_languages is None
        else digits.matrix("", row.top_languages),
        "seen": {k: digits.numbers(measure(k), x) for k, x in row.seen.items() if k in main},
        "hits": dict(row.hits),
        "facts": None if row.facts is None else asdict(row.facts),
    }


def _overview(overview: Overview, digits: _Digits) -> dict[str, Any]:
    measures = {c.key: c.column.measure for c in overview.columns}
    return {
        "columns": [
            {"key": c.key, "slug": c.slug, "title": c.title, "column": _column(c.column)}
            for c in overview.columns
        ],
        "averaged": list(overview.averaged),
        "rows": [
            {
                "model": row.model,
                "source": row.source,
                "recipe": row.recipe,
                "options": row.options,
                "parameters": row.parameters,
                "rows": dict(row.rows),
                "cells": {k: digits.cell(measures[k], x) for k, x in row.cells.items()},
                "mean": digits.number("", row.mean),
            }
            for row in overview.rows
        ],
        "best": {k: list(x) for k, x in overview.best.items()},
        "second": {k: list(x) for k, x in overview.second.items()},
    }
