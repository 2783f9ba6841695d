"""A board as JSON values, for the JSON format and the page.

Rows are given by position in ``rows`` of their board, cells are ``[value, low, high]``, undefined
is ``null``; matrices are query language by passage language in the order of ``languages``. ``hits``
and ``asked`` are base64 of bits, question by language, first bit highest.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import Any

from harness.boards.board import Board, Column, Overview, Ranking, Row, TaskBoard
from harness.console.numbers import decimals

FORMAT = 1


def to_payload(board: Board) -> dict[str, Any]:
    """``board`` as JSON values."""
    return {
        "format": FORMAT,
        "records": board.records,
        "alpha": board.alpha,
        "level": board.level,
        "method": board.method,
        "tasks": [_task(x) for x in board.tasks],
        "overview": _overview(board.overview),
    }


def _column(column: Column) -> dict[str, Any]:
    return {**column._asdict(), "key": column.key, "decimals": decimals(column.measure)}


def _task(board: TaskBoard) -> dict[str, Any]:
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
        "asked": dict(board.has_query),
        "rankings": {k: _ranking(x, position) for k, x in board.rankings.items()},
        "additions": [
            {
                "row": position[x.row],
                "base": position[x.base],
                "differences": {k: list(cell) for k, cell in x.differences.items()},
            }
            for x in board.additions
        ],
        "rows": [_row(x, {c.key for c in board.columns}) for x in board.rows],
        **({} if board.one_each else {"one_each": False}),
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
        "untested": at(ranking.untested),
        # Few columns have any.
        **({"tied_apart": [at(x) for x in ranking.tied_apart]} if ranking.tied_apart else {}),
    }


def _row(row: Row, main: Collection[str]) -> dict[str, Any]:
    """A row; values by language only for the main table (parquet has the others)."""
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
        "released": row.released,
        "open_weights": row.open_weights,
        "license": row.license,
        "trained_on_task": row.trained_on_task,
        "options": row.options,
        "text": row.text,
        "notes": list(row.notes),
        "comparable": row.comparable,
        "elsewhere": row.elsewhere,
        "reference": row.reference,
        "cells": {k: list(x) for k, x in row.cells.items()},
        "languages": {
            k: [list(x) for x in cells] for k, cells in row.languages.items() if k in main
        },
        "matrices": {m: [list(x) for x in matrix] for m, matrix in row.matrices.items()},
        "top_languages": None
        if row.top_languages is None
        else [list(x) for x in row.top_languages],
        "seen": {k: list(x) for k, x in row.seen.items() if k in main},
        "hits": dict(row.hits),
        "facts": None if row.facts is None else asdict(row.facts),
    }


def _overview(overview: Overview) -> dict[str, Any]:
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
                "cells": {k: list(x) for k, x in row.cells.items()},
                "mean": row.mean,
            }
            for row in overview.rows
        ],
        "best": {k: list(x) for k, x in overview.best.items()},
        "second": {k: list(x) for k, x in overview.second.items()},
    }
