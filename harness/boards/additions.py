"""What an addition (post-processing, a reranker, translated queries) buys a system.

A record of such a system names the one it was added to. If that one is on the same board, the two
are compared question by question.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.boards.board import Addition, Cell, Column, Row
from harness.boards.tracked.document import Tracked
from harness.boards.tracked.fields import TrackedTask
from harness.stats.ragged import FloatArray
from harness.stats.resampling import LEVEL


def additions(
    rows: Sequence[Row], members: Sequence[tuple[Tracked, TrackedTask]], columns: Sequence[Column]
) -> tuple[Addition, ...]:
    """All pairs of a system and the same system without its addition.

    Args:
        rows: of one board, beginning with those of ``members``.
        members: the records behind them.
        columns: to compare, if both have values per question.
    """
    found = []
    for row, (tracked, entry) in zip(rows, members, strict=False):
        first = tracked.contents.model.facts.get("first")
        # A model without a fingerprint may have changed in between.
        if not isinstance(first, dict) or first["fingerprint"] is None:
            continue
        for base, (plain, other) in zip(rows, members, strict=False):
            model = plain.contents.model
            if (model.name, model.fingerprint) != (first["name"], first["fingerprint"]):
                continue
            if plain.contents.options == tracked.contents.options:
                cells = _differences(row, base, (tracked, entry), (plain, other), columns)
                found.append(Addition(row.id, base.id, cells))
    return tuple(found)


def _differences(
    row: Row,
    base: Row,
    member: tuple[Tracked, TrackedTask],
    other: tuple[Tracked, TrackedTask],
    columns: Sequence[Column],
) -> dict[str, Cell]:
    found = {}
    ours, theirs = (tracked.questions[task.task] for tracked, task in (member, other))
    for column in columns:
        values = [x.cells.get(column.key, Cell(None)).value for x in (row, base)]
        at = (column.kind, column.measure)
        if None in values or ours.ids_sha256 != theirs.ids_sha256:
            continue
        if at not in ours.columns or at not in theirs.columns:
            continue
        shares = ours.values[:, ours.columns.index(at)] - theirs.values[:, theirs.columns.index(at)]
        if len(shares) < 2:
            continue
        difference = float(np.subtract(*np.array(values, np.float64)))
        half = half_width(shares)
        found[column.key] = Cell(difference, difference - half, difference + half)
    return found


def half_width(shares: FloatArray) -> float:
    """Half the width of Student's interval for the mean of ``shares``, (n,) of at least two.

    The counterpart of the test in :mod:`harness.stats.pairwise_tests`.
    """
    from scipy.special import stdtrit

    n = len(shares)
    quantile = stdtrit(n - 1, (1 + LEVEL) / 2)
    return float(quantile * np.std(shares, ddof=1) / np.sqrt(n))
