"""The inner loops of streamed search: candidates for the heads, and counts of what beats a gold.

The scores of a tile come from a matrix kernel, whose last bits depend on shapes, threads and the
device. They are taken as what they are: within ``reach`` of the inner product. Where that leaves
open which of two passages ranks higher, :func:`inner` decides, which depends on nothing but the two
vectors, so that ranks and heads are the same whatever the shards, the tiles and the device.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compiled import compiled

_SCAN = 64
"""Columns looked over at once for any that reach the bound."""

TIES = 1 << 15
"""Ties that the counting loop can report at once."""


@compiled(inline="always")
def _inner(a: Any, i: Any, b: Any, j: Any) -> Any:
    """Inner product of two rows in float64, summed in one fixed order, rounded to float32."""
    d = a.shape[1]
    full = d - d % 8
    s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
    s4, s5, s6, s7 = 0.0, 0.0, 0.0, 0.0
    for x in range(0, full, 8):
        s0 += np.float64(a[i, x]) * np.float64(b[j, x])
        s1 += np.float64(a[i, x + 1]) * np.float64(b[j, x + 1])
        s2 += np.float64(a[i, x + 2]) * np.float64(b[j, x + 2])
        s3 += np.float64(a[i, x + 3]) * np.float64(b[j, x + 3])
        s4 += np.float64(a[i, x + 4]) * np.float64(b[j, x + 4])
        s5 += np.float64(a[i, x + 5]) * np.float64(b[j, x + 5])
        s6 += np.float64(a[i, x + 6]) * np.float64(b[j, x + 6])
        s7 += np.float64(a[i, x + 7]) * np.float64(b[j, x + 7])
    for x in range(full, d):
        s0 += np.float64(a[i, x]) * np.float64(b[j, x])
    return np.float32(((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7)))


@compiled(nogil=True)
def _inner_pairs(queries: Any, vectors: Any, query: Any, vector: Any, out: Any) -> None:
    for i in range(len(out)):
        out[i] = _inner(queries, query[i], vectors, vector[i])


def inner(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    query: NDArray[np.int64],
    vector: NDArray[np.int64],
) -> NDArray[np.float32]:
    """Scores of the pairs (``queries[query[i]]``, ``vectors[vector[i]]``), float32 (n,).

    The product of two float32 is exact in float64, so this is the inner product rounded once, but
    for the last bits of a float64 sum. Equal vectors get equal scores wherever they stand.
    """
    out = np.empty(len(query), np.float32)
    if len(out):
        _inner_pairs(queries, vectors, query, vector, out)
    return out


@compiled()
def _compact(scores: Any, rows: Any, held: Any, k: Any, margin: Any) -> Any:
    """Keep what can still be among the k best; returns how many and the k-th highest score."""
    kth = np.partition(scores[:held], held - k)[held - k]
    bound = np.float32(kth - margin)
    kept = 0
    for i in range(held):
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
    held_scores: Any,
    held_rows: Any,
    held: Any,
    r: Any,
) -> Any:
    """Add a candidate of query ``r`` if there is still need of it; False if there is no room."""
    capacity = held_scores.shape[1]
    if held[r] == capacity:
        held[r], kth[r] = _compact(held_scores[r], held_rows[r], held[r], k, margin[r])
        if held[r] > capacity - capacity // 8:
            return False
    if x >= np.float32(kth[r] - margin[r]):
        held_scores[r, held[r]] = x
        held_rows[r, held[r]] = row
        held[r] += 1
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
    held_scores: Any,
    held_rows: Any,
    held: Any,
    at: Any,
) -> Any:
    """As :func:`collect`, for scores picked from a tile: (n,) ``query``, ``column``, ``scores``.

    Returns the place in the list to go on from; n if all is done.
    """
    while at < len(query):
        row = first_row + column[at]
        if not _add(scores[at], row, k, margin, kth, held_scores, held_rows, held, query[at]):
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
    held_scores: Any,
    held_rows: Any,
    held: Any,
    r: Any,
    j: Any,
) -> Any:
    """Add to each query's candidates what may be among its k best, from row ``r``, column ``j`` on.

    ``flat`` (R * width,) are the scores of a tile whose first passage is row ``first_row``.
    ``held_scores``, ``held_rows`` (R, capacity) and ``held`` (R,) are the candidates, ``kth`` (R,)
    the k-th highest score among them (-inf while there are fewer), ``margin`` (R,) how far below it
    a score may lie that still could be higher in truth.

    Returns the place to go on from: (R, 0) if all is done, else that of a query whose candidates
    lie too close together to be told apart by these scores; they have to be settled first.
    """
    while r < len(held):
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
                    if not _add(x, row, k, margin, kth, held_scores, held_rows, held, r):
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
    first_row: Any,
    queries: Any,
    tile: Any,
    indptr: Any,
    gold_scores: Any,
    reach: Any,
    ties_win: Any,
    outranked: Any,
    tied_gold: Any,
    tied_row: Any,
    r: Any,
) -> Any:
    """Add to ``outranked`` (G,) how many passages of a tile outrank each gold, from row ``r`` on.

    ``queries`` (R, d) and ``tile`` (width, d) are the vectors behind the scores ``flat``, ``reach``
    (R,) is how far a score may be off. A passage that ties with gold g outranks it where
    ``ties_win[g]`` is 1 and does not where it is 0; where it is -1 its id decides, and the pair
    goes into ``tied_gold`` and ``tied_row``, the gold itself included.

    Returns (row to go on from, ties reported): fewer rows than there are if the ties were too many.
    """
    n = 0
    while r < len(indptr) - 1:
        first, golds = indptr[r], indptr[r + 1] - indptr[r]
        if n + golds * width > len(tied_gold) and n:
            break
        base = np.uint64(r) * np.uint64(width)
        end = base + np.uint64(width)
        for g in range(first, first + golds):
            own = gold_scores[g]
            high = np.float32(own + reach[r])
            low = np.float32(own - reach[r])
            # The sums are rounded: a step outward keeps them safe.
            high = np.nextafter(high, np.float32(np.inf))
            low = np.nextafter(low, np.float32(-np.inf))
            above, near = _above_and_near(flat, base, end, high, low)
            outranked[g] += above
            j = np.uint64(0)
            while near > 0:
                x = flat[base + j]
                if x >= low and x <= high:
                    near -= 1
                    score = _inner(queries, r, tile, j)
                    if score > own:
                        outranked[g] += 1
                    elif score == own:
                        if ties_win[g] >= 0:
                            outranked[g] += ties_win[g]
                        else:
                            tied_gold[n] = g
                            tied_row[n] = first_row + np.int64(j)
                            n += 1
                j += np.uint64(1)
        r += 1
    return r, n
