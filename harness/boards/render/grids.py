"""The tables of a board: the contents of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.base.languages import outside
from harness.boards.board import Board, Cell, Column, Row, TaskBoard
from harness.boards.leaders import leaders
from harness.boards.overview import recipe_in_words
from harness.console import numbers
from harness.console.tables import Grid, Item, Mark
from harness.data.task import Kind
from harness.stats.means import median, or_none

KIND_TITLES = {"mono": "Monolingual", "cross": "Cross-lingual", "multi": "Multilingual"}
_MEASURED, _PUBLISHED, _IMPORTED = "", "†", "‡"
SIGNS = {"measured": _MEASURED, "published": _PUBLISHED, "imported": _IMPORTED}
UNDEFINED = "–"


def name_of(row: Row) -> Item:
    """A row's model, with what its user set for it."""
    options = f" ({row.options})" if row.options else ""
    return Item(row.model + options, sign=SIGNS[row.source])


def value_item(column: Column, cell: Cell | None, mark: Mark = "") -> Item:
    """A mean with its interval."""
    if cell is None or cell.value is None:
        return Item(UNDEFINED)
    ends = numbers.interval(column.measure, cell.low, cell.high)
    return Item(numbers.value(column.measure, cell.value), mark, ends)


def rank_item(board: TaskBoard, row: Row, column: str) -> Item:
    """The ranks that the data do not exclude: ``1`` or ``2–4``."""
    ranking = board.rankings.get(column)
    span = ranking.spans.get(row.id) if ranking else None
    if span is None:
        return Item(UNDEFINED)
    return Item(str(span[0]) if span[0] == span[1] else f"{span[0]}–{span[1]}")


def parameters_item(number: int | None) -> Item:
    """``117,653,760`` as ``117.7M``."""
    return Item(UNDEFINED if number is None else numbers.parameters(number))


def headline(board: TaskBoard) -> tuple[Column, ...]:
    """What the first table of a board shows: the main measure of each kind, and language bias.

    Tasks of a few measures in one kind of setting show them all.
    """
    if board.per_language_only:
        return board.columns
    main = board.sort.partition("/")[2]
    return tuple(c for c in board.columns if c.measure in (main, *_BIAS))


_BIAS = ("rank_distance", "own_language_first", "other_language_recall@10")


def marked(board: TaskBoard, column: Column, row: Row) -> Mark:
    """Whether a row's value is the best or second of its column."""
    ranking = board.rankings.get(column.key)
    if ranking is None:
        return ""
    return "best" if row.id in ranking.best else "second" if row.id in ranking.second else ""


def ordered(board: TaskBoard, key: str) -> tuple[Row, ...]:
    """Rows in the order of a column, best first; those without a value last."""
    column = next(c for c in board.every if c.key == key)
    sign = 1 if column.better == "lower" else -1

    def place(row: Row) -> tuple[bool, float]:
        value = row.cells.get(key, Cell(None)).value
        return (value is None, sign * (value or 0.0))

    return tuple(sorted(board.rows, key=place))


def _titled(columns: Sequence[Column]) -> tuple[tuple[str, int], ...]:
    """Headers over the columns of each kind."""
    groups: list[tuple[str, int]] = []
    for column in columns:
        title = KIND_TITLES[column.kind]
        if groups and groups[-1][0] == title:
            groups[-1] = (title, groups[-1][1] + 1)
        else:
            groups.append((title, 1))
    return tuple(groups)


def main_grid(board: TaskBoard, sort: str | None = None, *, elsewhere: bool = False) -> Grid:
    """Every model with the main measures; ``elsewhere``: rows in a separate table."""
    sort = sort or board.sort
    columns = headline(board)
    if sort not in (c.key for c in columns):
        columns = (*columns, next(c for c in board.every if c.key == sort))
    rows = tuple(
        (
            rank_item(board, row, sort),
            name_of(row),
            Item(_recipe(row)),
            parameters_item(row.parameters),
            Item(UNDEFINED if row.dimensions is None else str(row.dimensions)),
            *(value_item(c, row.cells.get(c.key), marked(board, c, row)) for c in columns),
        )
        for row in ordered(board, sort)
        if row.elsewhere == elsewhere
    )
    headers = ("Rank", "Model", "Recipe", "Parameters", "Dimensions", *(c.label for c in columns))
    title = "Over other data than the rows above" if elsewhere else "Models"
    return Grid(title, headers, rows, (("", 5), *_titled(columns)), align="lll")


def _recipe(row: Row) -> str:
    return recipe_in_words(row) or UNDEFINED


def addition_grid(board: TaskBoard) -> Grid | None:
    """What an addition to a system buys: before, after, difference; ``None`` without any."""
    if not board.additions:
        return None
    rows = {row.id: row for row in board.rows}
    columns = headline(board)
    lines = []
    for x in board.additions:
        items = [name_of(rows[x.row]), name_of(rows[x.base])]
        for c in columns:
            before, after = (rows[i].cells.get(c.key, Cell(None)) for i in (x.base, x.row))
            items.append(_change(c, before, after, x.differences.get(c.key)))
        lines.append(tuple(items))
    headers = ("Model", "Against", *(c.label for c in columns))
    return Grid(
        "What additions buy", headers, tuple(lines), (("", 2), *_titled(columns)), align="ll"
    )


def _change(column: Column, before: Cell, after: Cell, difference: Cell | None) -> Item:
    if before.value is None or after.value is None:
        return Item(UNDEFINED)
    text = " → ".join(numbers.value(column.measure, x) for x in (before.value, after.value))
    if difference is None:
        return Item(text)
    ends = numbers.interval(column.measure, difference.low, difference.high, differences=True)
    return Item(text, interval=ends)


def kind_grid(board: TaskBoard, kind: Kind) -> Grid:
    """Every measure of one kind of setting that the main table can show."""
    columns = [c for c in board.columns if c.kind == kind]
    sort = next((c.key for c in columns if c.measure == board.sort.partition("/")[2]), None)
    rows = tuple(
        (
            name_of(row),
            Item(_recipe(row)),
            *(value_item(c, row.cells.get(c.key), marked(board, c, row)) for c in columns),
        )
        for row in ordered(board, sort or columns[0].key)
        if any(c.key in row.cells for c in columns) and not row.elsewhere
    )
    return Grid(
        f"{KIND_TITLES[kind]}: all measures",
        ("Model", "Recipe", *(c.label for c in columns)),
        rows,
        align="ll",
    )


def language_grid(board: TaskBoard, column: Column) -> Grid:
    """One column by query language, with mean and median over languages."""
    holders = [row for row in ordered(board, column.key) if column.key in row.languages]
    holders = [row for row in holders if not row.elsewhere]
    table = []
    for row in holders:
        values = [c.value for c in row.languages[column.key]]
        # The macro mean: of a published row the mean as printed.
        whole = row.cells.get(column.key, Cell(None)).value
        table.append([*values, whole, or_none(median(np.array(values, np.float64)))])
    measured = [i for i, row in enumerate(holders) if row.comparable]
    marks: list[dict[int, Mark]] = []
    for j in range(len(board.languages) + 2):
        best, second = leaders(column.measure, [table[i][j] for i in measured], column.better)
        found: dict[int, Mark] = {measured[i]: "second" for i in second}
        marks.append(found | {measured[i]: "best" for i in best})
    rows = tuple(
        (
            name_of(row),
            Item(_recipe(row)),
            *(
                value_item(column, Cell(value), marks[j].get(i, ""))
                for j, value in enumerate(table[i])
            ),
        )
        for i, row in enumerate(holders)
    )
    return Grid(
        f"{KIND_TITLES[column.kind]} {column.label} by query language",
        ("Model", "Recipe", *board.languages, "mean", "median"),
        rows,
        align="ll",
    )


def matrix_grid(board: TaskBoard, row: Row, measure: str, label: str) -> Grid:
    """One model's query language by passage language; the diagonal is monolingual."""
    column = Column("cross", measure, label, None)
    return Grid(
        f"{label}, query language by passage language",
        ("Query", *board.languages),
        tuple(
            (Item(query_language), *(value_item(column, Cell(x)) for x in values))
            for query_language, values in zip(board.languages, row.matrices[measure], strict=True)
        ),
    )


def seen_grid(board: TaskBoard, columns: Sequence[Column]) -> Grid | None:
    """Languages that a model has seen in training against others; ``None`` if none is known."""
    holders = [row for row in board.rows if any(_split(row, c) for c in columns)]
    if not holders:
        return None
    rows = []
    for row in holders:
        items = [name_of(row), Item(" ".join(unseen(board, row)) or "none")]
        for c in columns:
            for value in row.seen.get(c.key, (None, None)):
                items.append(value_item(c, Cell(value)))
        rows.append(tuple(items))
    return Grid(
        "Languages seen and not seen in training",
        ("Model", "Not seen", *(x for _ in columns for x in ("seen", "not seen"))),
        tuple(rows),
        (("", 2), *((f"{KIND_TITLES[c.kind]} {c.label}", 2) for c in columns)),
        align="ll",
    )


def _split(row: Row, column: Column) -> bool:
    return all(x is not None for x in row.seen.get(column.key, (None,)))


def unseen(board: TaskBoard, row: Row) -> list[str]:
    """Languages of a board that a model is known not to have been trained on."""
    return [] if row.trained_on is None else outside(board.languages, row.trained_on)


def cost_grid(board: TaskBoard) -> Grid | None:
    """Speed and memory of the runs; ``None`` if none is known."""
    rows = []
    for row in board.rows:
        if (facts := row.facts) is None:
            continue
        speed = facts.texts_per_second
        rows.append(
            (
                name_of(row),
                Item(facts.device),
                Item(facts.processor),
                Item(numbers.count(facts.texts)),
                Item(UNDEFINED if speed is None else numbers.count(round(speed))),
                Item(_seconds(facts.search_seconds)),
                Item(UNDEFINED if facts.peak_bytes is None else numbers.memory(facts.peak_bytes)),
            )
        )
    headers = (
        "Model", "Device", "Processor", "Texts", "Encoded texts/s", "Search", "Peak memory",
    )  # fmt: skip
    return Grid("Speed and memory", headers, tuple(rows), align="lll") if rows else None


def _seconds(value: float | None) -> str:
    return UNDEFINED if value is None else numbers.seconds(value)


def command_grid(board: TaskBoard) -> Grid | None:
    """What makes each row again; ``None`` if no row was measured here."""
    rows = tuple(
        (
            name_of(row),
            Item(row.facts.command, code=True),
            Item((row.facts.fingerprint or UNDEFINED)[:12], code=row.facts.fingerprint is not None),
            Item(row.id, code=True),
            Item(row.facts.created[:10]),
        )
        for row in board.rows
        if row.facts is not None
    )
    headers = ("Model", "Command", "Fingerprint", "Record", "Measured")
    return Grid("Measured with", headers, rows, align="lllll") if rows else None


def overview_grid(board: Board) -> Grid:
    """All models across tasks."""
    overview = board.overview
    groups: list[tuple[str, int]] = [("", 3)]
    for c in overview.columns:
        if groups[-1][0] == c.title:
            groups[-1] = (c.title, groups[-1][1] + 1)
        else:
            groups.append((c.title, 1))
    rows = []
    for i, row in enumerate(overview.rows):
        options = f" ({row.options})" if row.options else ""
        items = [
            Item(row.model + options, sign=SIGNS[row.source]),
            Item(row.recipe or UNDEFINED),
            parameters_item(row.parameters),
        ]
        for c in overview.columns:
            cell = row.cells.get(c.key)
            plain = None if cell is None else Cell(cell.value)
            items.append(value_item(c.column, plain, _overall(board, c.key, i)))
        if overview.averaged:
            whole = Column("multi", "map", "", None)
            items.append(value_item(whole, Cell(row.mean), _overall(board, "mean", i)))
        rows.append(tuple(items))
    headers = ["Model", "Recipe", "Parameters"]
    headers += [f"{c.column.kind} {c.column.label}" for c in overview.columns]
    if overview.averaged:
        headers.append("Mean")
        groups.append(("", 1))
    return Grid("All tasks", tuple(headers), tuple(rows), tuple(groups), align="ll")


def _overall(board: Board, key: str, row: int) -> Mark:
    if row in board.overview.best.get(key, ()):
        return "best"
    return "second" if row in board.overview.second.get(key, ()) else ""
