"""The tables of a board: the contents of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.base.languages import outside
from harness.boards.board import Board, Cell, Column, Row, TaskBoard
from harness.boards.leaders import leaders
from harness.boards.overview import recipe_in_words
from harness.console import numbers
from harness.console.tables import Grid, Item, Line, Mark
from harness.data.task import KINDS, Kind, Setting
from harness.errors import UsageError, did_you_mean
from harness.stats.means import MacroMean, median, or_none

KIND_TITLES = {"mono": "Monolingual", "cross": "Cross-lingual", "multi": "Multilingual"}
_MEASURED, _PUBLISHED, _IMPORTED = "", "†", "‡"
SIGNS = {"measured": _MEASURED, "published": _PUBLISHED, "imported": _IMPORTED}
UNDEFINED = "–"


def name_of(row: Row) -> Item:
    """A row's model with the options set for it."""
    options = f" ({row.options})" if row.options else ""
    return Item(row.model + options, sign=SIGNS[row.source])


def value_item(column: Column, cell: Cell | None, mark: Mark = "") -> Item:
    """A mean with its interval."""
    if cell is None or cell.value is None:
        return Item(UNDEFINED)
    ends = numbers.interval(column.measure, cell.low, cell.high)
    return Item(numbers.value(column.measure, cell.value), mark, ends)


def rank_item(board: TaskBoard, row: Row, column: str) -> Item:
    """The ranks compatible with the data: ``1`` or ``2–4``."""
    ranking = board.rankings.get(column)
    span = ranking.spans.get(row.id) if ranking else None
    if span is None:
        return Item(UNDEFINED)
    return Item(str(span[0]) if span[0] == span[1] else f"{span[0]}–{span[1]}")


def parameters_item(number: int | None) -> Item:
    """``117,653,760`` as ``117.7M``."""
    return Item(UNDEFINED if number is None else numbers.parameters(number))


def headline(board: TaskBoard) -> tuple[Column, ...]:
    """Columns of a board's first table: the main measure of each kind, and language bias.

    Tasks of a few measures in one kind of setting show them all.
    """
    if board.per_language_only:
        return board.columns
    main = board.sort.partition("/")[2]
    return tuple(c for c in board.columns if c.measure in (main, *_BIAS))


_BIAS = ("rank_distance", "own_language_first", "other_language_recall@10")


def marked(board: TaskBoard, column: Column, row: Row) -> Mark:
    """The mark of a row's value: best or second of its column."""
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
    """Measured rows and those of papers with the main measures.

    Imported rows, of which there can be hundreds, are in :func:`models_grid`. ``elsewhere``: rows
    of a separate table.
    """
    sort = sort or board.sort
    columns = headline(board)
    if sort not in (c.key for c in columns):
        columns = (*columns, next(c for c in board.every if c.key == sort))
    chosen = [
        row
        for row in ordered(board, sort)
        if row.elsewhere == elsewhere and row.source != "imported"
    ]
    recipes = any(_recipe(row) != UNDEFINED for row in chosen)
    rows = tuple(
        (
            rank_item(board, row, sort),
            name_of(row),
            *([Item(_recipe(row))] if recipes else []),
            *(value_item(c, row.cells.get(c.key), marked(board, c, row)) for c in columns),
        )
        for row in chosen
    )
    names = ("Rank", "Model", *(["Recipe"] if recipes else []))
    title = "Over other data than the rows above" if elsewhere else "Models"
    headers = (*names, *(c.label for c in columns))
    over = (("", len(names)), *_titled(columns))
    return Grid(title, headers, rows, over, align="l" * len(names))


TRAINED = "◆"
"""Behind the name of a model that was trained on data of the task."""


def covered(board: TaskBoard, row: Row, column: Column) -> int:
    """In how many of the board's languages a row has a column."""
    return sum(x.value is not None for x in row.languages.get(column.key, ()))


def models_grid(board: TaskBoard, column: Column) -> Grid | None:
    """Every model by every language in one column; ``None`` if no row was imported.

    Rows that cover all languages come first, best first; the others have no mean, as it would be
    over other languages, and stand by how many they cover. On the board of a sample, whose values
    are not those of the whole, only imported rows are shown. Measured rows are in bold.
    """
    imported = [r for r in board.rows if r.source == "imported" and column.key in r.languages]
    if not imported:
        return None
    apart = imported[0].elsewhere
    rows = [
        row
        for row in ordered(board, column.key)
        if column.key in row.languages and row.elsewhere == apart
    ]
    n = len(board.languages)
    rows.sort(key=lambda row: -covered(board, row, column))  # stable: best first within
    lines = []
    for row in rows:
        known = covered(board, row, column)
        whole = row.cells.get(column.key) if known == n else None
        cells = (
            _with_trained(row),
            Item("all" if known == n else f"{known} of {n}"),
            value_item(column, whole and Cell(whole.value)),
            *(value_item(column, Cell(x.value)) for x in row.languages[column.key]),
        )
        lines.append(Line(cells, "strong" if row.source == "measured" else ""))
    return Grid(
        f"{KIND_TITLES[column.kind]} {column.label}: every model by query language"
        + (", over the whole corpus" if apart else ""),
        ("Model", "Languages", "mean", *board.languages),
        tuple(lines),
        align="ll",
    )


def _with_trained(row: Row) -> Item:
    name = name_of(row)
    recipe = f" {row.recipe}" if row.recipe else ""
    mark = TRAINED if row.trained_on_task else ""
    return Item(name.text + recipe, sign=name.sign + mark)


def facts_grid(board: TaskBoard) -> Grid | None:
    """What is published about the imported models; ``None`` without any."""
    rows = []
    for row in board.rows:
        if row.source != "imported":
            continue
        weights = {None: UNDEFINED, True: "open", False: "closed"}[row.open_weights]
        rows.append(
            (
                _with_trained(row),
                parameters_item(row.parameters),
                Item(UNDEFINED if row.dimensions is None else str(row.dimensions)),
                Item(row.released or UNDEFINED),
                Item(weights),
                Item(row.license or UNDEFINED),
                Item(row.trained_on_task or UNDEFINED),
                Item(row.reference or UNDEFINED),
            )
        )
    headers = (
        "Model", "Parameters", "Dimensions", "Released", "Weights", "Licence",
        "Trained on data of the task", "Run by",
    )  # fmt: skip
    rows.sort(key=lambda x: x[0].text.lower())
    return Grid("What is published about the models", headers, tuple(rows)) if rows else None


def beside_grid(board: TaskBoard, whole: Board) -> Grid | None:
    """Measured rows beside the published ones of the same models; ``None`` without any.

    A line for each kind of setting: macro means over the settings that both have.
    """
    found = [x for x in whole.verified if x.task == board.task and not board.notes]
    parts = [
        (x, kind, checks)
        for x in found
        for kind in KINDS
        if (checks := [c for c in x.checks if c.setting.startswith(f"{kind}/")])
    ]
    if not parts:
        return None
    measures = {x.measure for x in found}
    # What is the same in all lines is said once, or is what everybody expects.
    named = any(kind != "mono" for _, kind, _ in parts) or len(measures) > 1
    rows = []
    for x, kind, checks in parts:
        column = Column(kind, x.measure, numbers.label(x.measure), None)
        macro = MacroMean(tuple(Setting(kind, c.language, None) for c in checks))
        here, there = (macro.mean([getattr(c, at) for c in checks]) for at in ("here", "there"))
        rows.append(
            (
                Item(x.model),
                Item(x.published.model, sign=SIGNS["imported"]),
                *([Item(f"{kind} {column.label}")] if named else []),
                Item(f"{len(macro.languages)} of {len(board.languages)}"),
                value_item(column, Cell(here)),
                value_item(column, Cell(there)),
                Item(numbers.signed(x.measure, here - there)),
                Item(f"{sum(c.verdict == 'OK' for c in checks)} of {len(checks)}"),
            )
        )
    label = "" if named else f"{numbers.label(found[0].measure)} "
    headers = (
        "Model", "Published as", *(["Measure"] if named else []), "Languages of both",
        f"{label}here", "published", "difference", "settings OK",
    )  # fmt: skip
    return Grid("Beside what is published", headers, tuple(rows), align="lll" + "l" * named)


def pair_grid(board: TaskBoard, names: tuple[str, str], column: Column) -> Grid:
    """Two rows by language in one column; the mean is over the languages that both have.

    Raises:
        UsageError: no row is called so, or more than one.
    """
    a, b = (_named(board, x) for x in names)
    empty = (Cell(None),) * len(board.languages)
    values = [[c.value for c in row.languages.get(column.key, empty)] for row in (a, b)]
    lines: list[Line] = []
    both: list[tuple[float, float]] = []
    for language, x, y in zip(board.languages, *values, strict=True):
        if x is not None and y is not None:
            both.append((x, y))
        lines.append(Line((Item(language), *_two(column, x, y))))
    if both:
        means = [sum(v) / len(both) for v in zip(*both, strict=True)]
        label = f"mean of {numbers.plural(len(both), 'language')}"
        lines.append(Line((Item(label), *_two(column, *means)), "strong"))
    headers = ("Language", name_of(a).text + SIGNS[a.source], name_of(b).text + SIGNS[b.source])
    title = f"{board.title}: {column.kind} {column.label} by query language"
    return Grid(title, (*headers, "difference"), tuple(lines))


def _two(column: Column, x: float | None, y: float | None) -> tuple[Item, Item, Item]:
    change = UNDEFINED
    if x is not None and y is not None:
        change = numbers.signed(column.measure, y - x)
    return value_item(column, Cell(x)), value_item(column, Cell(y)), Item(change)


def _named(board: TaskBoard, name: str) -> Row:
    """The row that a user calls ``name``: by its id, or by its model; measured rows first."""
    found = [row for row in board.rows if name == row.id]
    for source in ("measured", "published", "imported"):
        found = found or [r for r in board.rows if r.source == source and name == name_of(r).text]
        found = found or [r for r in board.rows if r.source == source and name == r.model]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{board.slug} has {len(found)} rows called {name!r}; name one by its id: "
            f"{', '.join(r.id for r in found)}"
        )
    known = [r.model for r in board.rows]
    raise UsageError(
        f"{board.slug} has no row {name!r}{did_you_mean(name, known)} (it has "
        f"{', '.join(dict.fromkeys(known))})"
    )


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
    """All measures of one kind of setting."""
    columns = [c for c in board.columns if c.kind == kind]
    sort = next((c.key for c in columns if c.measure == board.sort.partition("/")[2]), None)
    rows = tuple(
        (
            name_of(row),
            Item(_recipe(row)),
            *(value_item(c, row.cells.get(c.key), marked(board, c, row)) for c in columns),
        )
        for row in ordered(board, sort or columns[0].key)
        if any(c.key in row.cells for c in columns)
        and not row.elsewhere
        and row.source != "imported"
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
    holders = [row for row in holders if not row.elsewhere and row.source != "imported"]
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
    """Languages of a board that a model was demonstrably not trained on."""
    return [] if row.trained_on is None else outside(board.languages, row.trained_on)


def cost_grid(board: TaskBoard) -> Grid | None:
    """Speed and memory of the runs, and size of the models; ``None`` if none is known."""
    rows = []
    for row in board.rows:
        if (facts := row.facts) is None:
            continue
        speed = facts.texts_per_second
        rows.append(
            (
                name_of(row),
                parameters_item(row.parameters),
                Item(UNDEFINED if row.dimensions is None else str(row.dimensions)),
                Item(facts.device),
                Item(facts.processor),
                Item(numbers.count(facts.texts)),
                Item(UNDEFINED if speed is None else numbers.count(round(speed))),
                Item(_seconds(facts.search_seconds)),
                Item(UNDEFINED if facts.peak_bytes is None else numbers.memory(facts.peak_bytes)),
            )
        )
    headers = (
        "Model", "Parameters", "Dimensions", "Device", "Processor", "Texts", "Encoded texts/s",
        "Search", "Peak memory",
    )  # fmt: skip
    return Grid("Speed and size", headers, tuple(rows), align="lrrll") if rows else None


def _seconds(value: float | None) -> str:
    return UNDEFINED if value is None else numbers.seconds(value)


def command_grid(board: TaskBoard) -> Grid | None:
    """The command that reproduces each row; ``None`` if no row was measured here."""
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
    """All models across tasks, but for imported ones, which can be hundreds: :func:`models_grid`.

    The mean comes first: a code host cuts tables on the right.
    """
    overview = board.overview
    shown = [(i, row) for i, row in enumerate(overview.rows) if row.source != "imported"]
    recipes = any(row.recipe for _, row in shown)
    headers = ["Model", *(["Recipe"] if recipes else []), *(["Mean"] if overview.averaged else [])]
    groups: list[tuple[str, int]] = [("", len(headers))]
    for c in overview.columns:
        if groups[-1][0] == c.title:
            groups[-1] = (c.title, groups[-1][1] + 1)
        else:
            groups.append((c.title, 1))
    rows = []
    for i, row in shown:
        options = f" ({row.options})" if row.options else ""
        items = [Item(row.model + options, sign=SIGNS[row.source])]
        if recipes:
            items.append(Item(row.recipe or UNDEFINED))
        if overview.averaged:
            whole = Column("multi", "map", "", None)
            items.append(value_item(whole, Cell(row.mean), _overall(board, "mean", i)))
        for c in overview.columns:
            cell = row.cells.get(c.key)
            plain = None if cell is None else Cell(cell.value)
            items.append(value_item(c.column, plain, _overall(board, c.key, i)))
        rows.append(tuple(items))
    headers += [f"{c.column.kind} {c.column.label}" for c in overview.columns]
    return Grid("All tasks", tuple(headers), tuple(rows), tuple(groups), align="ll"[: 1 + recipes])


def _overall(board: Board, key: str, row: int) -> Mark:
    if row in board.overview.best.get(key, ()):
        return "best"
    return "second" if row in board.overview.second.get(key, ()) else ""
