"""Boards as Markdown, as GitHub shows it."""

from __future__ import annotations

from collections.abc import Iterable

from harness.boards.board import Board, Column, TaskBoard
from harness.boards.render.grids import (
    addition_grid,
    command_grid,
    cost_grid,
    headline,
    kind_grid,
    language_grid,
    main_grid,
    matrix_grid,
    name_of,
    overview_grid,
    seen_grid,
)
from harness.console import numbers
from harness.console.markdown import bullets, code, escaped, folded, item, table
from harness.console.tables import Grid

GENERATED = "<!-- Written by `harness board` from the records beside it; changes here are lost. -->"
PUBLISHED = (
    "† published, not measured here: shown with the others, never ranked with them.",
    "‡ imported from result files of another harness.",
)


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
    signs = {r.source for r in board.overview.rows}
    return bullets([*lines, *_signs(signs), "Best value in bold, second best underlined."])


def _signs(sources: Iterable[str]) -> list[str]:
    present = set(sources)
    shown = (("published", PUBLISHED[0]), ("imported", PUBLISHED[1]))
    return [words for source, words in shown if source in present]


def task_board(board: TaskBoard, whole: Board) -> str:
    """The board of one task."""
    parts = [f"# {escaped(board.title)}\n\n{GENERATED}\n", *_head(board), _main(board, whole)]
    parts.append(_additions(board, whole))
    if not board.per_language_only:
        parts += [_section(kind_grid(board, kind)) for kind in board.kinds]
    parts += [_section(language_grid(board, c)) for c in _by_language(board)]
    seen = seen_grid(board, [c for c in headline(board) if c.measure == _main_measure(board)])
    parts += [_section(x) for x in (seen,) if x is not None]
    parts.append(_matrices(board))
    parts += [_section(x) for x in (cost_grid(board), command_grid(board)) if x is not None]
    parts.append(_digests(board))
    return "\n".join(x for x in parts if x)


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
    passages = sum(board.passages.values())
    facts = (
        f"{numbers.plural(len(board.languages), 'language')} ({', '.join(board.languages)}), "
        f"{numbers.plural(board.questions, 'question')}, {numbers.plural(passages, 'passage')}, "
        f"text: {escaped(board.text)}."
    )
    notes = [f"**{escaped(note)}.**\n" for note in board.notes]
    return [*notes, facts + "\n"]


def _main(board: TaskBoard, whole: Board) -> str:
    column = next(c for c in board.every if c.key == board.sort)
    lines = [
        f"In the order of {column.kind} {escaped(column.label)}; in brackets "
        f"{numbers.percent(whole.level, 0)} intervals (bootstrap over questions).",
        "Best measured value in bold, second best underlined.",
        escaped(whole.method),
        *_ties(board),
        *_signs(r.source for r in board.rows),
        *_row_notes(board),
    ]
    apart = _section(main_grid(board, elsewhere=True))
    return f"## Models\n\n{table(main_grid(board))}\n{bullets(lines)}" + (apart and f"\n{apart}")


def _additions(board: TaskBoard, whole: Board) -> str:
    grid = addition_grid(board)
    if grid is None:
        return ""
    line = (
        "Before → after; in brackets the difference's interval at "
        f"{numbers.percent(whole.level, 0)} (Student's, over what each question adds to it)."
    )
    return f"{_section(grid)}\n{bullets([line])}"


def _ties(board: TaskBoard) -> list[str]:
    names = {row.id: item(name_of(row)) for row in board.rows}
    found = []
    for c in headline(board):
        ranking = board.rankings.get(c.key)
        if ranking is None or c.better is None or len(ranking.order) < 2:
            continue
        label = f"{c.kind} {escaped(c.label)}"
        if not ranking.tested:
            found.append(f"{label}: no pair could be tested.")
        elif ranking.ties:
            groups = "; ".join(" = ".join(names[x] for x in tie) for tie in ranking.ties)
            found.append(f"{label}, not significantly different: {groups}.")
        else:
            found.append(f"{label}: all rows are significantly different.")
    return found


def _row_notes(board: TaskBoard) -> list[str]:
    """What distinguishes rows from the others of their board, once for all rows concerned."""
    by_note: dict[str, list[str]] = {}
    for row in board.rows:
        for note in row.notes:
            recipe = f" {escaped(row.recipe)}" if row.recipe else ""
            by_note.setdefault(note, []).append(item(name_of(row)) + recipe)
    return [f"{', '.join(rows)}: {escaped(note)}." for note, rows in by_note.items()]


def _matrices(board: TaskBoard) -> str:
    measure = _main_measure(board)
    label = next(c.label for c in board.every if c.measure == measure)
    parts = []
    for row in board.rows:
        if measure in row.matrices:
            grid = matrix_grid(board, row, measure, label)
            parts.append(folded(escaped(row.model), table(grid)))
    if not parts:
        return ""
    return f"## {escaped(label)} by query and passage language\n\n" + "\n".join(parts)


def _digests(board: TaskBoard) -> str:
    revision = f", revision {code(board.revision)}" if board.revision else ""
    return (
        f"Data: SHA-256 {code(board.data_digest)} over ids, texts and judgements"
        f"{revision}, licence {escaped(board.license)}. A record of other data is never on this "
        "board.\n"
    )
