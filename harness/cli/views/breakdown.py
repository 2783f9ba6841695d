"""A breakdown in the terminal: one table for each kind of setting."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from harness.analysis.breakdown import Breakdown, SliceMean, Table
from harness.console import numbers
from harness.console.tables import Item
from harness.console.terminal import Row, print_measures
from harness.evaluation.partial import partial


def print_breakdown(console: Console, found: Breakdown) -> None:
    """Print ``found``, each mean with its interval."""
    title = Text(found.model, "bold")
    title.append(f" on {found.task}, by {found.by}", "not bold")
    console.print(title)
    if found.partial:
        console.print(f"PARTIAL: {partial(found.partial)}", style="bold yellow")
    if found.seen is not None:
        source = "as stated" if found.seen_stated else "as the record says"
        console.print(f"Seen in training, {source}: {', '.join(found.seen) or 'none of the task'}")
    for table in found.tables:
        console.print()
        console.print(f"{table.kind}, by {table.parts}", style="bold")
        _print_table(console, table, lengths=found.by == "length")
    console.print()
    console.print(
        f"Macro means with {numbers.percent(found.level, 0)} BCa intervals over questions "
        f"({numbers.count(found.resamples)} resamples, seed {found.seed})",
        style="dim",
    )


def _print_table(console: Console, table: Table, *, lengths: bool) -> None:
    rows = []
    for row in table.rows:
        counts = [numbers.count(row.queries)]
        if lengths:
            counts.insert(0, f"{row.characters[0]}-{row.characters[1]}")
        cells = {measure: _item(measure, cell) for measure, cell in row.cells.items()}
        rows.append(Row(row.name, counts, cells))
    headers = ["", "characters", "queries"] if lengths else ["", "queries"]
    print_measures(console, headers, table.measures, rows)


def _item(measure: str, cell: SliceMean) -> Item:
    """``0.4512 [0.4321, 0.4702]``, or only the mean if there is no interval."""
    ends = numbers.interval(measure, cell.low, cell.high)
    return Item(numbers.value(measure, cell.mean), interval=ends)
