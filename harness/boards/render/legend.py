"""What is said above and below a board's table: plain text, for every output format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from harness.boards.board import Board, Row, TaskBoard
from harness.boards.overview import recipe_in_words
from harness.boards.render.grids import TRAINED, headline, name_of
from harness.console import numbers

PUBLISHED = (
    "† published, not measured here: shown with the others, never ranked with them.",
    "‡ imported from result files of another harness.",
)
_MOST_NAMES = 6
"""Rows that a note lists; of more it says how many they are."""


def about(board: TaskBoard) -> tuple[list[str], str]:
    """What makes a board's numbers other than its task's, and what was measured."""
    passages = sum(board.passages.values())
    facts = (
        f"{numbers.plural(len(board.languages), 'language')} ({', '.join(board.languages)}), "
        f"{numbers.plural(board.questions, 'question')}, {numbers.plural(passages, 'passage')}, "
        f"text: {board.text}."
    )
    return [f"{note}." for note in board.notes], facts


def order_of(board: TaskBoard, sort: str | None = None) -> str:
    """What the rows are ordered by, and Rank is of."""
    column = next(c for c in board.every if c.key == (sort or board.sort))
    ranking = board.rankings.get(column.key)
    said = f"Rank and order are by {column.kind} {column.label}"
    if ranking is not None and ranking.untested:
        if not ranking.order:
            return f"Order is by {column.kind} {column.label}; rows were not tested, so no rank"
        left = numbers.plural(len(ranking.untested), "row")
        return f"{said}; {left} without values per question: not tested, so no rank"
    return said


def legend(
    board: TaskBoard, whole: Board, sort: str | None = None, *, intervals: bool = True
) -> list[str]:
    """Below the main table: order, intervals, tests, ties, signs, and notes on single rows."""
    level = numbers.percent(whole.level, 0)
    ends = f"; in brackets {level} intervals (bootstrap over questions)" if intervals else ""
    return [
        f"{order_of(board, sort)}{ends}.",
        "Best measured value in bold, second best underlined.",
        whole.method,
        *ties(board),
        *signs(r.source for r in board.rows if r.source != "imported"),
        *row_notes(r for r in board.rows if r.source != "imported"),
    ]


def of_models(board: TaskBoard) -> list[str]:
    """Below the table of every model by every language."""
    imported = [r for r in board.rows if r.source == "imported"]
    lines = [
        PUBLISHED[1],
        "Models that cover all languages first, best first. The others have no mean, as it would "
        "be over other languages, and stand by how many they cover.",
        "In bold: measured here. No rank: nothing is published by question that could be tested.",
    ]
    if any(r.trained_on_task for r in imported):
        lines.append(f"{TRAINED} trained on data of this task, as far as is published.")
    return [*lines, *row_notes(imported)]


def signs(sources: Iterable[str]) -> list[str]:
    """The signs behind names that occur, explained."""
    present = set(sources)
    shown = (("published", PUBLISHED[0]), ("imported", PUBLISHED[1]))
    return [words for source, words in shown if source in present]


def plain_name(row: Row) -> str:
    """A row's name with its sign."""
    item = name_of(row)
    return item.text + item.sign


def names_apart(rows: Iterable[Row]) -> dict[str, str]:
    """Row id -> its name, for rows of one name with the recipe, and where that is one with the id.

    Where tables have a column for the recipe, or the rows' own numbers, this is not needed.
    """
    rows = list(rows)
    names = {row.id: plain_name(row) for row in rows}
    for more in (recipe_in_words, lambda row: row.id):
        count = Counter(names.values())
        for row in rows:
            name, words = names[row.id], more(row)
            if count[name] > 1 and words:
                names[row.id] = f"{name} ({words})"
    return names


def ties(board: TaskBoard) -> list[str]:
    """For each main column the rows that are not significantly different."""
    names = names_apart(row for row in board.rows if row.comparable)
    found = []
    for c in headline(board):
        ranking = board.rankings.get(c.key)
        if ranking is None or c.better is None:
            continue
        label = f"{c.kind} {c.label}"
        if ranking.untested:
            found.append(f"{label}, not tested: {_few([names[x] for x in ranking.untested])}.")
        if tied := (*ranking.ties, *ranking.tied_apart):
            groups = "; ".join(" = ".join(names[x] for x in tie) for tie in tied)
            found.append(f"{label}, not significantly different: {groups}.")
        elif len(ranking.order) > 1:
            found.append(f"{label}: all rows are significantly different.")
    return found


def _few(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _MOST_NAMES else f"{len(names)} rows"


def row_notes(rows: Iterable[Row]) -> list[str]:
    """What distinguishes rows from the others of their board, once for all rows concerned.

    What the tables of imported rows show is not repeated.
    """
    by_note: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            if row.source == "imported" and note.startswith(_SHOWN):
                continue
            recipe = f" {row.recipe}" if row.recipe else ""
            by_note.setdefault(note, []).append(plain_name(row) + recipe)
    return [f"{_few(names)}: {note}." for note, names in by_note.items()]


_SHOWN = ("imported from", "trained on", "over ")
"""How notes begin that say what a column of an imported row's table shows."""
