"""The embedding store in the terminal."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.console import numbers
from harness.console.tables import Grid
from harness.console.terminal import print_grid
from harness.vectors.inventory import Leftover, StoredSpace


def print_spaces(console: Console, root: Path, stored: Sequence[StoredSpace]) -> None:
    """By model, one line per space: its contents and size."""
    if not stored:
        console.print(f"the store in {root} is empty", soft_wrap=True)
        return
    for model, group in groupby(stored, key=lambda x: x.model):
        spaces = list(group)
        console.print(
            Text(model, "bold").append(
                f"  {numbers.memory(sum(x.bytes for x in spaces))}", "not bold"
            )
        )
        rows = [
            (
                space.what,
                numbers.count(space.vectors),
                numbers.count(len(space.manifests)),
                space.dtype,
                numbers.memory(space.bytes),
                datetime.date.fromtimestamp(space.used).isoformat() if space.used else "",
                space.folder.name[:12],
            )
            for space in spaces
        ]
        headers = ("vectors of", "vectors", "shards", "dtype", "size", "written", "space")
        print_grid(console, Grid("", headers, rows, align="lrrrrrl"))
        console.print()
    console.print(f"{root}: {numbers.memory(sum(x.bytes for x in stored))}", soft_wrap=True)


def print_sizes(console: Console, root: Path, stored: Sequence[StoredSpace]) -> None:
    """One line per model, largest first, then the whole."""
    totals: dict[str, int] = {}
    for space in stored:
        totals[space.model] = totals.get(space.model, 0) + space.bytes
    largest = sorted(totals.items(), key=lambda x: (-x[1], x[0]))
    if totals:
        rows = [(model, numbers.memory(size)) for model, size in largest]
        print_grid(console, Grid("", ("model", "size"), rows))
    console.print(f"{root}: {numbers.memory(sum(totals.values()))}", soft_wrap=True)


def print_pruned(console: Console, what: Sequence[Leftover], *, dry_run: bool) -> None:
    """Each removed item, then the space freed."""
    for x in what:
        console.print(f"{x.path}  {x.why}", soft_wrap=True)
    freed = numbers.memory(sum(x.bytes for x in what))
    things = numbers.plural(len(what), "thing")
    console.print(f"{things}, {freed}: {'would be removed' if dry_run else 'removed'}")
