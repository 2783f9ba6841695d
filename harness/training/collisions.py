"""Separate rows of one group that are in the same batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from harness.training.strata import Bools, Ints


def keep_apart(
    batches: Sequence[Ints],
    cells: Ints,
    group: Ints,
    signature: Ints,
    allowed: Bools,
    limit: int,
) -> list[Ints] | None:
    """The same batches with no two rows of a group in any; each keeps its cell.

    A surplus row is swapped with a row of another batch if both fit; otherwise it moves into a
    batch of fewer than ``limit`` rows.

    Args:
        batches: row numbers of each batch.
        cells: (batches,) cell of each.
        group: (N,) group of each row.
        signature: (N,) index of each row into ``allowed``.
        allowed: (signatures, cells) which cells a row can be in.
        limit: most rows of a batch.

    Returns:
        ``None`` if no such change is found.
    """
    members = [rows.tolist() for rows in batches]
    counts = [Counter(group[rows].tolist()) for rows in batches]

    def fits(row: int, at: int) -> bool:
        return bool(allowed[signature[row], cells[at]])

    def swapped(at: int, place: int) -> bool:
        row = members[at][place]
        mine = int(group[row])
        for other in _others(at, len(members)):
            if counts[other][mine] or not fits(row, other):
                continue
            for there, candidate in enumerate(members[other]):
                theirs = int(group[candidate])
                if not counts[at][theirs] and fits(candidate, at):
                    members[at][place], members[other][there] = candidate, row
                    counts[at].update({mine: -1, theirs: 1})
                    counts[other].update({mine: 1, theirs: -1})
                    return True
        return False

    def moved(at: int, place: int) -> bool:
        row = members[at][place]
        mine = int(group[row])
        for other in _others(at, len(members)):
            if not counts[other][mine] and fits(row, other) and len(members[other]) < limit:
                del members[at][place]
                members[other].append(row)
                counts[at].update({mine: -1})
                counts[other].update({mine: 1})
                return True
        return False

    for at in range(len(members)):
        # From the back, so that a row that leaves does not shift those still to be looked at.
        for place in reversed(range(len(members[at]))):
            crowded = counts[at][int(group[members[at][place]])] > 1
            if crowded and not swapped(at, place) and not moved(at, place):
                return None
    return [np.array(rows, np.int64) for rows in members]


def _others(at: int, count: int) -> list[int]:
    """The other batches, nearest after ``at`` first."""
    return [(at + step) % count for step in range(1, count)]
