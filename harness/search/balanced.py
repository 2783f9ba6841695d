"""Balanced retrieval: every language gets an equal share of a ranking of several.

The best passage of each language comes first, then the second best of each, and so on; within such
a round the scores decide. Each language's own order stays as it is, so monolingual and
cross-lingual settings do not change.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.search import Scores


def balanced(scores: Scores, starts: NDArray[np.int64]) -> Scores:
    """``scores`` as places in the balanced ranking, negated: the best passage has 0.

    ``starts`` (L + 1,) are the first columns of each language, then N. Places are whole numbers
    below 2**24, so float32 holds them exactly and no two are equal.
    """

    def tile(start: int, stop: int) -> NDArray[np.float32]:
        given: Any = scores(start, stop)
        rows = given if isinstance(given, np.ndarray) else given.cpu().numpy()
        return np.stack([_places(row, starts) for row in rows])

    return tile


def _places(row: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    sizes = np.diff(starts)
    depth = int(sizes.max())
    columns = np.full((len(sizes), depth), -1, np.int64)
    best = np.full((len(sizes), depth), -np.inf, np.float32)
    for i, size in enumerate(sizes):
        block = row[starts[i] : starts[i + 1]]
        # Stable: of equal scores the lower column first, as everywhere.
        order = np.argsort(-block, kind="stable")
        columns[i, :size] = starts[i] + order
        best[i, :size] = block[order]
    # Within a round the higher score first, of equal ones the lower column, which is the earlier
    # language; a language that has run out (column -1) comes last.
    rounds = np.lexsort((-best, columns < 0), axis=0)
    ordered = np.take_along_axis(columns, rounds, axis=0).T.reshape(-1)
    out = np.empty(len(row), np.float32)
    out[ordered[ordered >= 0]] = -np.arange(len(row), dtype=np.float32)
    return out
