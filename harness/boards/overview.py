"""The board across tasks."""

from __future__ import annotations

from collections.abc import Sequence

from harness.boards.board import Cell, Column, Overview, OverviewColumn, OverviewRow, Row, TaskBoard
from harness.boards.leaders import leaders
from harness.data.task import find_task
from harness.errors import TaskError, UsageError


def make_overview(boards: Sequence[TaskBoard]) -> Overview:
    """One row per model, its main measure of each kind of setting of each task, and a mean.

    The mean is over the main measures of boards that cover their whole task; rows that lack
    one of them have none.
    """
    columns: list[OverviewColumn] = []
    averaged: list[str] = []
    repeated = _repeated(boards)
    for board in boards:
        for column in _headline(board):
            columns.append(OverviewColumn(board.slug, column, board.title))
            counts = board.task != "demo" and board.task not in repeated
            if column.measure != "rank_distance" and not board.notes and counts:
                averaged.append(columns[-1].key)
    models: dict[tuple[str, ...], dict[str, Row]] = {}
    for board in boards:
        for row in board.rows:
            if row.elsewhere:
                continue
            models.setdefault(_identity(row), {}).setdefault(board.slug, row)
    listed = [(_row(of, columns, averaged), of) for of in models.values()]
    listed.sort(key=lambda x: _place(x[0]))
    rows = [row for row, _ in listed]
    best: dict[str, tuple[int, ...]] = {}
    second: dict[str, tuple[int, ...]] = {}
    whole = {c.slug for c in columns if c.key in averaged}
    for key, measure, better, slugs in [
        *((c.key, c.column.measure, c.column.better, {c.slug}) for c in columns),
        ("mean", "map", "higher", whole),
    ]:
        # Not those that a board does not rank: published ones, and those trained on its questions.
        ranked = [
            i for i, (_, of) in enumerate(listed)
            if all(of[slug].comparable for slug in slugs if slug in of)
        ]  # fmt: skip
        values = [
            rows[i].mean if key == "mean" else rows[i].cells.get(key, Cell(None)).value
            for i in ranked
        ]
        first, next_best = leaders(measure, values, better)
        best[key] = tuple(ranked[i] for i in first)
        second[key] = tuple(ranked[i] for i in next_best)
    return Overview(tuple(columns), tuple(rows), tuple(averaged), best, second)


def _place(row: OverviewRow) -> tuple[bool, float, int, str, str]:
    """Best first; rows without a mean last."""
    return (row.mean is None, -(row.mean or 0), -len(row.rows), row.model, row.recipe or "")


def recipe_in_words(row: Row) -> str | None:
    """``hybrid, alpha 0.5, seed 1``; ``None`` if its training is unknown."""
    alpha = "" if row.alpha is None else f"alpha {row.alpha:g}"
    seed = "" if row.seed is None else f"seed {row.seed}"
    return ", ".join(x for x in (row.recipe, alpha, seed) if x) or None


def _repeated(boards: Sequence[TaskBoard]) -> set[str]:
    """Tasks that ask the questions of another one here, from the same files: XQuAD's of XQuAD-R.

    They have columns of their own and no part in the mean, where these questions would count twice.
    """
    folders: dict[str, set[str]] = {}
    for task in {b.task for b in boards}:
        try:
            spec = find_task(task)
        except (TaskError, UsageError):  # of a file that is not here
            continue
        if spec.source.folder:
            folders.setdefault(spec.source.folder, set()).add(task)
    return {
        task
        for folder, tasks in folders.items()
        for task in tasks
        if len(tasks) > 1 and folder in tasks and task != folder
    }


def _headline(board: TaskBoard) -> list[Column]:
    """The main measure of each kind of setting, and rank distance if it was measured."""
    main = board.sort.partition("/")[2]
    return [
        c
        for c in board.columns
        if c.measure == main or (c.kind, c.measure) == ("multi", "rank_distance")
    ]


def _identity(row: Row) -> tuple[str, ...]:
    """Equal for rows of one model with one set of options."""
    fingerprint = (row.facts.fingerprint if row.facts else None) or ""
    return (row.source, row.model, row.recipe or "", row.options, fingerprint)


def _row(
    of: dict[str, Row], columns: Sequence[OverviewColumn], averaged: Sequence[str]
) -> OverviewRow:
    one = next(iter(of.values()))
    cells = {
        c.key: of[c.slug].cells[c.column.key]
        for c in columns
        if c.slug in of and c.column.key in of[c.slug].cells
    }
    values = [cells[k].value for k in averaged if k in cells]
    known = [x for x in values if x is not None]
    whole = bool(averaged) and len(known) == len(averaged)
    return OverviewRow(
        model=one.model,
        source=one.source,
        recipe=recipe_in_words(one),
        options=one.options,
        parameters=next((r.parameters for r in of.values() if r.parameters is not None), None),
        rows={slug: row.id for slug, row in of.items()},
        cells=cells,
        mean=sum(known) / len(known) if whole else None,
    )
