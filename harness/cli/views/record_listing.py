"""The records of a folder in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.data.task import Kind
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Task

_SHOWN: tuple[Kind, ...] = ("mono", "cross", "multi")


def print_listing(console: Console, folder: Path, found: Mapping[Path, Record | str]) -> None:
    """Print a line for each task of each record, and a sentence for each damaged one."""
    if not found:
        console.print(
            f"No records in {folder}; `harness run --output {folder}` writes them there.",
            soft_wrap=True,
        )
        return
    leads = {_lead(t) for x in found.values() if isinstance(x, Record) for t in x.tasks}
    same = len(leads) == 1
    rows = []
    for path, record in found.items():
        if isinstance(record, str):
            continue
        for number, task in enumerate(record.tasks):
            lead = _lead(task)
            means = (task.means[k].macro.get(lead) if k in task.means else None for k in _SHOWN)
            rows.append(
                (
                    "" if number else _within(folder, path),
                    "" if number else record.model,
                    task.task + (" *" if task.partial.to_dict() else ""),
                    record.contents.created[:10],
                    *(() if same else (numbers.label(lead),)),
                    *(numbers.value(lead, x) for x in means),
                )
            )
    headers = ("record", "system", "task", "made", *(() if same else ("measure",)), *_SHOWN)
    if rows:
        print_grid(console, Grid("", headers, rows, align="lwwl" if same else "lwwll"))
    if same:
        console.print(f"Means of {numbers.label(*leads)}.", style="dim")
    if any(" *" in row[2] for row in rows):
        console.print("* less than the whole task; `harness show RECORD` says what", style="dim")
    for record in found.values():
        if isinstance(record, str):
            console.print(f"damaged: {record}", style="yellow", soft_wrap=True)


def documents(found: Mapping[Path, Record | str]) -> list[dict[str, Any]]:
    """The listing as JSON values."""
    return [
        {"folder": str(path), "error": record}
        if isinstance(record, str)
        else {
            "folder": str(path),
            "system": record.model,
            "created": record.contents.created,
            "tasks": [_document(task) for task in record.tasks],
        }
        for path, record in found.items()
    ]


def _document(task: Task) -> dict[str, Any]:
    return {
        "task": task.task,
        "partial": task.partial.to_dict(),
        "means": {kind: dict(means.macro) for kind, means in task.means.items()},
    }


def _within(folder: Path, path: Path) -> str:
    return str(path.relative_to(folder)) if path != folder else path.name


def _lead(task: Task) -> str:
    measures: Sequence[str] = task.measures
    return "map" if "map" in measures else measures[0]
