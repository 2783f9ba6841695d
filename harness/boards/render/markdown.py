"""Boards as Markdown, as GitHub shows it."""

from __future__ import annotations

from collections import Counter

from harness.boards.board import Board, Column, TaskBoard
from harness.boards.render.grids import (
    addition_grid,
    beside_grid,
    command_grid,
    cost_grid,
    facts_grid,
    headline,
    kind_grid,
    language_grid,
    main_grid,
    matrix_grid,
    models_grid,
    overview_grid,
    seen_grid,
)
from harness.boards.render.legend import about, legend, names_apart, of_models, signs
from harness.console import numbers
from harness.console.markdown import bullets, code, escaped, folded, table
from harness.console.tables import Grid

GENERATED = "<!-- Written by `harness board` from the records beside it; changes here are lost. -->"


def overview(board: Board) -> str:
    """The board across tasks."""
    return "\n".join((f"# All tasks\n\n{GENERATED}\n", overview_table(board), _tasks(board)))


def overview_table(board: Board) -> str:
    """The table across tasks, and what its signs mean."""
    return f"{table(overview_grid(board))}\n{_legend(board)}"


def _tasks(board: Board) -> str:
    lines = []
    for x in board.tasks:
        notes = f" ({escaped('; '.join(x.notes))})" if x.notes else ""
        rows = sum(r.source == "measured" for r in x.rows)
        lines.append(
            f"- [{escaped(x.title)}]({x.slug}.md){notes}: {numbers.plural(rows, 'measured row')}, "
            f"{numbers.plural(len(x.languages), 'language')}\n"
        )
    return "".join(lines)


def _legend(board: Board) -> str:
    averaged = [c for c in board.overview.columns if c.key in board.overview.averaged]
    named = ", ".join(f"{c.title} {c.column.kind} {c.column.label}" for c in averaged)
    lines = [f"Mean is over {escaped(named)}."] if named else []
    rows = board.overview.rows
    found = {r.source for r in rows if r.source != "imported"}
    imported = len({r.model for r in rows if r.source == "imported"})
    if imported:
        models = numbers.plural(imported, "model")
        lines.append(f"{models} as published by others are on the boards of their tasks.")
    return bullets([*lines, *signs(found), "Best value in bold, second best underlined."])


def task_board(board: TaskBoard, whole: Board) -> str:
    """The board of one task: scores first, then what they are by, then speed and commands."""
    parts = [f"# {escaped(board.title)}\n\n{GENERATED}\n", *_head(board), _main(board, whole)]
    beside = beside_grid(board, whole)
    if beside is not None:
        parts.append(f"{_section(beside)}\n{bullets([_BESIDE])}")
    parts.append(_additions(board, whole))
    if not board.per_language_only:
        parts += [_section(kind_grid(board, kind)) for kind in board.kinds]
    parts += [_section(language_grid(board, c)) for c in _by_language(board)]
    parts.append(_models(board))
    seen = seen_grid(board, [c for c in headline(board) if c.measure == _main_measure(board)])
    parts += [_section(x) for x in (seen,) if x is not None]
    parts.append(_matrices(board))
    parts += [_section(x) for x in (cost_grid(board), command_grid(board)) if x is not None]
    parts.append(_digests(board))
    return "\n".join(x for x in parts if x)


_BESIDE = (
    "Means over the languages that both have. All records with something published beside them, "
    "and why they differ: [verified.md](verified.md)."
)


def _models(board: TaskBoard) -> str:
    """Imported rows by language, and what is published about their models: folded."""
    column = next(c for c in board.every if c.key == board.sort)
    grid = models_grid(board, column)
    if grid is None:
        return ""
    lines = bullets(escaped(x) for x in of_models(board))
    count = numbers.plural(len(grid.rows), "model")
    parts = [f"## {escaped(grid.title)}\n", folded(count, f"{table(grid)}\n{lines}")]
    if facts := facts_grid(board):
        parts += [f"## {escaped(facts.title)}\n", folded(count, table(facts))]
    return "\n".join(parts)


def main_part(board: TaskBoard, whole: Board, sort: str | None = None) -> str:
    """Title, marks, the main table in the order of a column, and its legend."""
    title = f"# {escaped(board.title)}\n"
    lines = bullets(escaped(x) for x in legend(board, whole, sort))
    return "\n".join([title, *_head(board), f"{table(main_grid(board, sort))}\n{lines}"])


def _main_measure(board: TaskBoard) -> str:
    return board.sort.partition("/")[2]


def _by_language(board: TaskBoard) -> list[Column]:
    """Columns shown by language: the main measure of each kind and rank distance."""
    if board.per_language_only:
        return list(board.columns)
    return [c for c in board.columns if c.measure in (_main_measure(board), "rank_distance")]


def _section(grid: Grid) -> str:
    return f"## {escaped(grid.title)}\n\n{table(grid)}" if grid.rows else ""


def _head(board: TaskBoard) -> list[str]:
    notes, facts = about(board)
    return [*(f"**{escaped(x)}**\n" for x in notes), escaped(facts) + "\n"]


def _main(board: TaskBoard, whole: Board) -> str:
    apart = _section(main_grid(board, elsewhere=True))
    lines = bullets(escaped(x) for x in legend(board, whole))
    return f"## Models\n\n{table(main_grid(board))}\n{lines}" + (apart and f"\n{apart}")


def _additions(board: TaskBoard, whole: Board) -> str:
    grid = addition_grid(board)
    if grid is None:
        return ""
    line = (
        "Before → after; in brackets the difference's interval at "
        f"{numbers.percent(whole.level, 0)} (Student's, over what each question adds to it)."
    )
    return f"{_section(grid)}\n{bullets([line])}"


def _matrices(board: TaskBoard) -> str:
    measure = _main_measure(board)
    label = next(c.label for c in board.every if c.measure == measure)
    rows = [row for row in board.rows if measure in row.matrices]
    if not rows:
        return ""
    names = names_apart(rows)
    single = Counter(row.model for row in rows)
    parts = []
    for row in rows:
        name = row.model if single[row.model] == 1 else names[row.id]
        parts.append(folded(escaped(name), table(matrix_grid(board, row, measure, label))))
    return f"## {escaped(label)} by query and passage language\n\n" + "\n".join(parts)


def _digests(board: TaskBoard) -> str:
    revision = f", revision {code(board.revision)}" if board.revision else ""
    return (
        f"Data: SHA-256 {code(board.data_digest)} over ids, texts and judgements"
        f"{revision}, licence {escaped(board.license)}. A record of other data is never on this "
        "board.\n"
    )
