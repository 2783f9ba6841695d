"""The inner loops of streamed search: candidates for the top k, and counts above relevant ones.

The scores of a tile come from a matrix kernel, whose last bits depend on shapes, threads and the
device. They are only known to be within a bound of the inner product. What that leaves open is
listed and decided by :mod:`harness.search.exact`, so that ranks and top k are the same whatever the
shards, the tiles and the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.base.jit import compiled

_SCAN = 64
"""Columns checked at once for any that reach the bound."""

OPEN = 1 << 15
"""Open pairs that the counting loop can list at once."""


@compiled()
def _compact(scores: Any, rows: Any, n: Any, k: Any, margin: Any) -> Any:
    """Keep what can still be in the top k; returns how many and the k-th highest score."""
    kth = np.partition(scores[:n], n - k)[n - k]
    bound = np.float32(kth - margin)
    kept = 0
    for i in range(n):
        if scores[i] >= bound:
            scores[kept] = scores[i]
            rows[kept] = rows[i]
            kept += 1
    return kept, kth


@compiled(inline="always")
def _add(
    x: Any,
    row: Any,
    k: Any,
    margin: Any,
    kth: Any,
    kept_scores: Any,
    kept_rows: Any,
    n_kept: Any,
    r: Any,
) -> Any:
    """Add a candidate of query ``r`` if it is still needed; False if there is no room."""
    capacity = kept_scores.shape[1]
    if n_kept[r] == capacity:
        n_kept[r], kth[r] = _compact(kept_scores[r], kept_rows[r], n_kept[r], k, margin[r])
        if n_kept[r] > capacity - capacity // 8:
            return False
    if x >= np.float32(kth[r] - margin[r]):
        kept_scores[r, n_kept[r]] = x
        kept_rows[r, n_kept[r]] = row
        n_kept[r] += 1
    return True


@compiled(nogil=True)
def collect_listed(
    query: Any,
    column: Any,
    scores: Any,
    first_row: Any,
    k: Any,
    margin: Any,
    kth: Any,
    kept_scores: Any,
    kept_rows: Any,
    n_kept: Any,
    at: Any,
) -> Any:
    """As :func:`collect`, for scores picked from a tile: (n,) ``query``, ``column``, ``scores``.

    Returns the position in the list to continue from; n if all is done.
    """
    while at < len(query):
        row = first_row + column[at]
        if not _add(scores[at], row, k, margin, kth, kept_scores, kept_rows, n_kept, query[at]):
            break
        at += 1
    return at


@compiled(nogil=True)
def collect(
    flat: Any,
    width: Any,
    first_row: Any,
    k: Any,
    margin: Any,
    kth: Any,
    kept_scores: Any,
    kept_rows: Any,
    n_kept: Any,
    r: Any,
    j: Any,
) -> Any:
    """Add to each query's candidates what may be among its k best, from row ``r``, column ``j`` on.

    ``flat`` (R * width,) are the scores of a tile whose first passage is row ``first_row``.
    ``kept_scores`` and ``kept_rows`` (R, capacity) are the candidates, ``n_kept`` (R,) their
    number, ``kth`` (R,) the k-th highest score among them (-inf while there are fewer), ``margin``
    (R,) how far below it a score may lie that still could be higher in truth.

    Returns the position to continue from: (R, 0) if all is done, otherwise that of a query whose
    candidates are too close for these scores to order; they have to be decided first.
    """
    while r < len(n_kept):
        base = np.uint64(r) * np.uint64(width)
        bound = np.float32(kth[r] - margin[r])
        a = j
        while a < width:
            b = min(a + _SCAN, width)
            if _reaching(flat, base + np.uint64(a), base + np.uint64(b), bound):
                for i in range(a, b):
                    x = flat[base + np.uint64(i)]
                    if x < bound:
                        continue
                    row = first_row + i
                    if not _add(x, row, k, margin, kth, kept_scores, kept_rows, n_kept, r):
                        return r, i
                    bound = np.float32(kth[r] - margin[r])
            a = b
        r, j = r + 1, 0
    return r, 0


@compiled(inline="always")
def _above_and_near(flat: Any, start: Any, stop: Any, high: Any, low: Any) -> Any:
    """How many of ``flat[start:stop]`` exceed ``high``, and how many lie from ``low`` to it."""
    above, least = np.int32(0), np.int32(0)
    for j in range(np.uint64(start), np.uint64(stop)):
        x = flat[j]
        above += np.int32(x > high)
        least += np.int32(x >= low)
    return above, least - above


@compiled(inline="always")
def _reaching(flat: Any, start: Any, stop: Any, bound: Any) -> Any:
    """How many of ``flat[start:stop]`` are at least ``bound``."""
    n = np.int32(0)
    for j in range(np.uint64(start), np.uint64(stop)):
        n += np.int32(flat[j] >= bound)
    return n


@compiled(nogil=True)
def count(
    flat: Any,
    width: Any,
    indptr: Any,
    high: Any,
    low: Any,
    own: Any,
    n_above: Any,
    open_relevant: Any,
    open_column: Any,
    r: Any,
) -> Any:
    """Add to ``n_above`` (G,) the passages of a tile above each relevant one, from row ``r`` on.

    Scores ``flat`` (R * width,) above ``high`` (G,) are certainly above the relevant passage's,
    those below ``low`` are certainly not; a pair of a relevant passage and a column in between goes
    into ``open_relevant`` and ``open_column``, unless it is the passage's own column ``own`` (G,).

    Returns (row to continue from, pairs listed): not all rows if there were too many pairs.
    """
    n = 0
    while r < len(indptr) - 1:
        first, relevant = indptr[r], indptr[r + 1] - indptr[r]
        if n + relevant * width > len(open_relevant) and n:
            break
        base = np.uint64(r) * np.uint64(width)
        end = base + np.uint64(width)
        for g in range(first, first + relevant):
            above, near = _above_and_near(flat, base, end, high[g], low[g])
            n_above[g] += above
            j = np.uint64(0)
            while near > 0:
                x = flat[base + j]
                if x >= low[g] and x <= high[g]:
                    near -= 1
                    if np.int64(j) != own[g]:
                        open_relevant[n] = g
                        open_column[n] = np.int64(j)
                        n += 1
                j += np.uint64(1)
        r += 1
    return r, n
