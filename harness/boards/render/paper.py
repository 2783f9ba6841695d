"""Our rows in the papers' tables, for comparison with the published ones.

arXiv 2408.10536: mAP of XQuAD-R and MLQA-R by query language, three training recipes side by side
in each kind of setting; R@1 (R@10 from the pool of all languages) likewise; rank distance; MIRACL
by language. LAReQA (arXiv 2004.05484): mAP from the pool of all languages, a line per model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.boards.assemble import column_of
from harness.boards.board import Board, Cell, Column, Row, TaskBoard
from harness.boards.leaders import leaders
from harness.boards.published import HYBRID, LAREQA, published_on
from harness.boards.render.grids import KIND_TITLES, SIGNS, value_item
from harness.console.tables import Grid, Item, Mark
from harness.interop.published import MEAN

_SIDE_BY_SIDE = 3
"""Number of models side by side: the papers compare three recipes."""
_BLOCKS: tuple[tuple[str, tuple[Column, ...]], ...] = (
    ("mAP", tuple(column_of(k, "map") for k in ("mono", "cross", "multi"))),
    (
        "Recall",
        (
            column_of("mono", "recall@1"),
            column_of("cross", "recall@1"),
            column_of("multi", "recall@10"),
        ),
    ),
    ("Rank distance", (column_of("multi", "rank_distance"),)),
    (
        "nDCG@10 and Recall@100",
        (column_of("mono", "ndcg@10"), column_of("mono", "recall@100")),
    ),
)


def paper_grids(board: Board, tasks: Sequence[str] = ()) -> list[Grid]:
    """Every table of the papers that our rows can fill: ours first, then the published one.

    ``tasks`` are names of boards; default: all that a paper has tables for.
    """
    chosen = [x for x in board.tasks if published_on(x.task) and (not tasks or x.slug in tasks)]
    found: list[Grid] = []
    for task in chosen:
        found += _by_language(task)
    own = [x for x in chosen if x.task in LAREQA.text]
    return [*found, *_lareqa(own)]


def _by_language(task: TaskBoard) -> Iterator[Grid]:
    printed = [x for x in published_on(task.task) if x.origin == HYBRID.reference]
    if not printed:
        return
    ids = {x.id for x in printed}
    printed_keys = {key for x in printed for key in x.values}
    order = list(dict.fromkeys(language for x in printed for _, _, language in x.values))
    ours = [row for row in task.rows if row.comparable]
    theirs = [row for row in task.rows if row.id in ids]
    for title, columns in _BLOCKS:
        shown = [c for c in columns if (c.kind, c.measure, MEAN) in printed_keys]
        if not shown:
            continue
        languages = [x for x in order if x != MEAN and x in task.languages]
        for rows in (*_chunks(ours), *_by_model(theirs)):
            grid = _table(f"{task.title}: {title}", task, shown, rows, languages)
            if any(item.text != "–" for line in grid.lines() for item in line.items[1:]):
                yield grid


def _chunks(rows: Sequence[Row]) -> list[Sequence[Row]]:
    return [rows[i : i + _SIDE_BY_SIDE] for i in range(0, len(rows), _SIDE_BY_SIDE)]


def _by_model(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Published rows as printed: the recipes of one model side by side, in the papers' order."""
    order = ("X-X-mono", "X-Y", "Hybrid")
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.model, []).append(row)
    return [
        sorted(found[model], key=lambda r: (r.recipe not in order, order.index(str(r.recipe))))
        for model in sorted(found, key=lambda x: (x != "XLM-R", x))
    ]


def _table(
    title: str,
    task: TaskBoard,
    columns: Sequence[Column],
    rows: Sequence[Row],
    languages: Sequence[str],
) -> Grid:
    notes = f" ({'; '.join(task.notes)})" if task.notes and rows[0].comparable else ""
    if rows[0].source == "published":
        notes = f", {rows[0].model} as published ({rows[0].reference})"
    lines = [
        (Item(language), *_line(columns, rows, task.languages.index(language)))
        for language in languages
    ]
    lines.append((Item("Average"), *_line(columns, rows, None)))
    named = [
        str(r.recipe) if r.source == "published" else r.model + (f" {r.recipe}" * bool(r.recipe))
        for r in rows
    ]
    one_kind = len({c.kind for c in columns}) == 1
    return Grid(
        title + notes,
        ("Language", *(x for _ in columns for x in named)),
        tuple(lines),
        (
            ("", 1),
            *(
                (c.label if one_kind else f"{KIND_TITLES[c.kind]} {c.label}", len(rows))
                for c in columns
            ),
        ),
    )


def _line(columns: Sequence[Column], rows: Sequence[Row], language: int | None) -> list[Item]:
    """The values of all rows by column; best in bold and second underlined, as printed."""
    found: list[Item] = []
    for c in columns:
        values = [_value(row, c, language) for row in rows]
        best, second = leaders(c.measure, values, c.better)
        alone = len(rows) < 2
        for i, value in enumerate(values):
            mark: Mark = "best" if i in best else "second" if i in second else ""
            found.append(value_item(c, Cell(value), "" if alone else mark))
    return found


def _value(row: Row, column: Column, language: int | None) -> float | None:
    if language is None:
        return row.cells.get(column.key, Cell(None)).value
    cells = row.languages.get(column.key)
    return None if cells is None else cells[language].value


def _lareqa(boards: Sequence[TaskBoard]) -> Iterator[Grid]:
    """A line per model, a column per task: mAP from the pool of all languages."""
    if not boards:
        return
    column = column_of("multi", "map")
    printed = {x.id for b in boards for x in published_on(b.task) if x.origin == LAREQA.reference}
    names = dict.fromkeys(
        (r.id, r.model, r.recipe or "", r.source)
        for b in boards
        for r in b.rows
        if r.comparable or r.id in printed
    )
    lines = []
    for row_id, model, recipe, source in names:
        items = [Item(model, sign=SIGNS[source]), Item(recipe or "–")]
        for b in boards:
            row = next((r for r in b.rows if r.id == row_id), None)
            cell = None if row is None else row.cells.get(column.key)
            items.append(value_item(column, None if cell is None else Cell(cell.value)))
        lines.append(tuple(items))
    texts = ", ".join(f"{b.title} {b.text}" for b in boards)
    yield Grid(
        f"LAReQA: multilingual mAP (text here: {texts}; published: sentence-context)",
        ("Model", "Training", *(b.title for b in boards)),
        tuple(lines),
        align="ll",
    )
