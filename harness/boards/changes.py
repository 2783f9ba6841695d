"""What changed on the boards between a commit and now: rows, values, ranks.

What a commit held is read from its ``TASK.json`` files, which every board is written to.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.boards.board import Board, Cell, Column, Row, TaskBoard
from harness.boards.render.grids import headline
from harness.console import numbers
from harness.console.tables import Grid
from harness.errors import UsageError


def changes_since(board: Board, leaderboards: Path, revision: str) -> Grid:
    """One line per row that came, went, or has another value or rank than at ``revision``.

    Values count as they are shown: in the columns of a board's first table, to its digits.

    Raises:
        UsageError: there is no git, no such commit, or it held no boards.
    """
    before = _boards_at(leaderboards, revision)
    now = {task.slug: task for task in board.tasks}
    lines: list[tuple[str, ...]] = []
    for slug in sorted(before.keys() - now.keys()):
        lines.append((slug, "", "the board is gone", "", ""))
    for slug, task in now.items():
        if slug not in before:
            rows = numbers.plural(len(task.rows), "row")
            lines.append((slug, "", f"a new board of {rows}", "", ""))
        else:
            lines += _changes(task, before[slug])
    headers = ("Board", "Model", "What", "before", "now")
    return Grid(f"What changed since {revision}", headers, tuple(lines), align="lll")


def _changes(task: TaskBoard, before: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    there = {row["id"]: (i, row) for i, row in enumerate(before["rows"])}
    if before["data_digest"] != task.data_digest:
        yield (
            task.slug, "", "other data", before["data_digest"][:12], task.data_digest[:12],
        )  # fmt: skip
    here = {row.id: row for row in task.rows}
    for row_id, (_, row) in there.items():
        if row_id not in here:
            yield (task.slug, row["model"], "row is gone", "", "")
    for row in task.rows:
        if row.id not in there:
            main = next(c for c in task.every if c.key == task.sort)
            value = _shown(main, row.cells.get(main.key))
            yield (task.slug, row.model, f"new row, {main.kind} {main.label}", "", value)
            continue
        place, old = there[row.id]
        for column in headline(task):
            was = _shown(column, _cell(old, column))
            value = _shown(column, row.cells.get(column.key))
            if was != value:
                yield (task.slug, row.model, f"{column.kind} {column.label}", was, value)
        was, value = _rank_before(before, task.sort, place), _rank(task, row)
        if was != value:
            yield (task.slug, row.model, "rank", was, value)


def _cell(row: Mapping[str, Any], column: Column) -> Cell | None:
    found = row["cells"].get(column.key)
    return None if found is None else Cell(*found)


def _shown(column: Column, cell: Cell | None) -> str:
    return numbers.value(column.measure, None if cell is None else cell.value)


def _rank_before(before: Mapping[str, Any], sort: str, place: int) -> str:
    ranking = before["rankings"].get(sort)
    if ranking is None or place not in ranking["order"]:
        return numbers.UNDEFINED
    return _span(*ranking["spans"][ranking["order"].index(place)])


def _rank(task: TaskBoard, row: Row) -> str:
    ranking = task.rankings.get(task.sort)
    span = None if ranking is None else ranking.spans.get(row.id)
    return numbers.UNDEFINED if span is None else _span(*span)


def _span(best: int, worst: int) -> str:
    return str(best) if best == worst else f"{best}\N{EN DASH}{worst}"


def _boards_at(leaderboards: Path, revision: str) -> dict[str, Mapping[str, Any]]:
    """Slug -> the board as it was at a commit."""
    if revision.startswith("-"):
        raise UsageError(f"{revision!r} is not a commit")
    names = _git(leaderboards, "ls-tree", "--name-only", revision, "./").splitlines()
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        if not name.endswith(".json"):
            continue
        try:
            document = json.loads(_git(leaderboards, "show", f"{revision}:./{name}"))
        except ValueError:
            continue
        task = document.get("task") if isinstance(document, dict) else None
        if isinstance(task, dict) and "slug" in task:
            found[str(task["slug"])] = task
    if not found:
        raise UsageError(f"{leaderboards} held no boards at {revision}")
    return found


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, check=False, encoding="utf-8",
            errors="replace",
        )  # fmt: skip
    except OSError as problem:
        raise UsageError(f"git cannot be run in {folder} ({problem.strerror})") from problem
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UsageError(f"git cannot read {words[-1]}: {said[-1] if said else 'no reason given'}")
    return done.stdout
