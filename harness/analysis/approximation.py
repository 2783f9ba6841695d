"""What approximate indexes find of the exact top k, by language, and how long they take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.console import numbers
from harness.console.tables import Grid
from harness.evaluation.record import Record
from harness.evaluation.record_fields import ApproximateSearch


def approximation(records: Sequence[Record]) -> list[Grid]:
    """Tables for each task of the approximate ones of ``records``; the first record is exact.

    The share of the exact top k that each index found, by query language and kind of setting, and
    seconds: of building all indexes, of all searches, and of the exact search of the same settings.
    """
    found: list[Grid] = []
    for number, task in enumerate(records[0].contents.tasks):
        searches = [x for r in records if (x := r.contents.tasks[number].approximate) is not None]
        for search in searches:
            found.append(_recall(task.title, search))
        rows = [
            [x.index, *(f"{x.seconds[y]:.2f}" for y in ("build", "search", "exact_search"))]
            for x in searches
        ]
        heads = ["approximate index", "build", "search", "exact search"]
        title = f"{task.title}: seconds, one thread"
        found.append(Grid(title, heads, rows, align="l"))
    return found


def _recall(title: str, search: ApproximateSearch) -> Grid:
    kinds = list(search.recall)
    cutoffs = list(dict.fromkeys(k for x in search.recall.values() for y in x.values() for k in y))
    languages = list(dict.fromkeys(x for by in search.recall.values() for x in by))
    rows = [
        [x, *(numbers.percent(search.recall[kind][x][k]) if x in search.recall[kind] else ""
              for kind in kinds for k in cutoffs)]
        for x in languages
    ]  # fmt: skip
    means = [
        numbers.percent(float(np.mean([y[k] for y in search.recall[kind].values()])))
        for kind in kinds
        for k in cutoffs
    ]
    heads = ["", *(f"top {k}" for _ in kinds for k in cutoffs)]
    over = [("", 1), *((kind, len(cutoffs)) for kind in kinds)]
    name = f"{title}: what the approximate index {search.index} finds of the exact top k"
    return Grid(name, heads, [*rows, ["mean", *means]], over=over, align="l")
