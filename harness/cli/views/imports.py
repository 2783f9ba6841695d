"""The result of an import: how much, and which problems."""

from __future__ import annotations

from collections.abc import Iterator

from harness.console.numbers import plural
from harness.interop.mteb.import_results import Imports


def shown(found: Imports) -> Iterator[str]:
    """A line of counts, then a line for each kind of problem."""
    models = len({row.model for row in found.rows})
    tasks = len({row.task for row in found.rows})
    trained = sum(row.trained is not None for row in found.rows)
    yield (
        f"{plural(len(found.rows), 'row')}: {plural(models, 'model')} on {plural(tasks, 'task')}, "
        f"from {plural(found.files, 'file')}"
        + (f"; {trained:,} of them trained on data of the task" if trained else "")
    )
    if found.problems:
        kinds = plural(len(found.problems), "kind")
        yield f"{kinds} of problems:"
        yield from (f"- {x}" for x in found.problems)
