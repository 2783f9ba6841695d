"""Boards in long form, one value per line: CSV and parquet.

Parquet has all; CSV omits what would be most of its lines: single pairs of languages, and imported
rows, which have a table of their own (``published/TASK.csv``).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from harness.boards.board import Board, Cell, Column, Row, TaskBoard

COLUMNS = (
    "board", "row", "model", "source", "recipe", "options", "kind", "query_language",
    "passage_language", "measure", "value", "low", "high", "best_rank", "worst_rank",
)  # fmt: skip
"""Of every line. Languages are empty for means over languages; ranks are the macro mean's."""

Line = tuple[str | float | int | None, ...]


def lines(board: Board) -> Iterator[Line]:
    """Macro means, means by query language, and single ordered pairs of languages."""
    for task in board.tasks:
        for row in task.rows:
            yield from _lines(task, row)


def _lines(board: TaskBoard, row: Row) -> Iterator[Line]:
    first = (board.slug, row.id, row.model, row.source, row.recipe, row.options or None)
    for column in board.every:
        if (cell := row.cells.get(column.key)) is not None:
            ranking = board.rankings.get(column.key)
            span = ranking.spans.get(row.id) if ranking is not None else None
            yield (*first, *_measure(column, None, None), *cell, *(span or (None, None)))
        for language, cell in zip(board.languages, row.languages.get(column.key, ()), strict=False):
            if cell.value is not None:
                yield (*first, *_measure(column, language, None), *cell, None, None)
    for measure, matrix in row.matrices.items():
        column = Column("cross", measure, "", None)
        for query_language, values in zip(board.languages, matrix, strict=True):
            for passage_language, value in zip(board.languages, values, strict=True):
                if value is not None and query_language != passage_language:
                    measured = _measure(column, query_language, passage_language)
                    yield (*first, *measured, *Cell(value), None, None)


def _measure(
    column: Column, query_language: str | None, passage_language: str | None
) -> tuple[str | None, ...]:
    return (column.kind, query_language, passage_language, column.measure)


def to_table(board: Board) -> Any:
    """All lines as a pyarrow table."""
    import pyarrow as pa

    types = {"value": pa.float64(), "low": pa.float64(), "high": pa.float64()}
    types |= {"best_rank": pa.int32(), "worst_rank": pa.int32()}
    columns = list(zip(*lines(board), strict=True)) or [()] * len(COLUMNS)
    return pa.table(
        {
            name: pa.array(values, types.get(name, pa.string()))
            for name, values in zip(COLUMNS, columns, strict=True)
        }
    )


def csv(table: Any, board: str) -> bytes:
    """The lines of one board of :func:`to_table` as CSV, without pairs of languages and imports."""
    import pyarrow.compute as pc
    from pyarrow.csv import WriteOptions, write_csv

    kept = pc.and_(pc.equal(table["board"], board), pc.is_null(table["passage_language"]))
    kept = pc.and_(kept, pc.not_equal(table["source"], "imported"))
    table = table.filter(kept).drop_columns(["board", "passage_language"])
    sink = io.BytesIO()
    write_csv(table, sink, WriteOptions(quoting_style="needed"))
    return sink.getvalue()


def parquet(table: Any) -> bytes:
    """A table of :func:`to_table` as parquet."""
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", compression_level=9)
    return sink.getvalue()
