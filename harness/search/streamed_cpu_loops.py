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
from harness.search.instructions import ABREAST, lowest_bit, reaching

OPEN = 1 << 15
"""Open pairs that the counting loop can list at once."""


_INFINITE = 0x7F800000
"""The bits of float32's infinity: the greatest key of a number (:func:`_number_at`)."""


@compiled(inline="always")
def _number_at(key: Any) -> Any:
    """The float32 of a key from -``_INFINITE`` to ``_INFINITE``; the keys are in their order."""
    if key >= 0:
        return np.uint32(key).view(np.float32)
    return np.float32(-np.uint32(-key).view(np.float32))


@compiled()
def _reached(scores: Any, n: Any, k: Any) -> Any:
    """A number that at least ``k`` of ``scores[:n]`` reach, and few more unless many are equal.

    Halving the range of numbers and counting takes a tenth of the time of a selection.
    """
    enough = k + k // 16
    low, high = -_INFINITE, _INFINITE + 1
    while high - low > 1:
        middle = low + (high - low) // 2
        bound = _number_at(middle)
        count = np.int32(0)
        for i in range(np.uint64(n)):
            count += np.int32(scores[i] >= bound)
        if count < k:
            high = middle
            continue
        low = middle
        if count <= enough:
            break
    return _number_at(low)


@compiled()
def _compact(scores: Any, rows: Any, n: Any, bound: Any) -> Any:
    """Keep the candidates that reach ``bound``; returns how many."""
    kept = 0
    for i in range(n):
        score, row = scores[i], rows[i]
        scores[kept], rows[kept] = score, row
        kept += score >= bound
    return kept


@compiled()
def _reduce(
    scores: Any, rows: Any, k: Any, share: Any, margin: Any, kth: Any, shared: Any, r: Any
) -> Any:
    """Raise ``kth[r]`` and ``shared[r]`` by a full list of candidates; returns how many are left.

    The rest is too low to be in the top k.
    """
    n = len(scores)
    kth[r] = max(kth[r], _reached(scores, n, k))
    shared[r] = max(shared[r], _reached(scores, n, share))
    return _compact(scores, rows, n, np.float32(kth[r] - margin[r]))


@compiled(nogil=True)
def collect_listed(
    query: Any,
    column: Any,
    scores: Any,
    first_row: Any,
    k: Any,
    share: Any,
    margin: Any,
    kth: Any,
    shared: Any,
    kept_scores: Any,
    kept_rows: Any,
    n_kept: Any,
    at: Any,
) -> Any:
    """As :func:`look` for the top k alone, for scores picked from a tile.

    They are (n,) ``query``, ``column`` and ``scores``.

    Returns the position in the list to continue from; n if all is done.
    """
    capacity = kept_scores.shape[1]
    while at < len(query):
        r = query[at]
        if n_kept[r] == capacity:
            n_kept[r] = _reduce(kept_scores[r], kept_rows[r], k, share, margin, kth, shared, r)
            if n_kept[r] > capacity - capacity // 8:
                break
        if scores[at] >= np.float32(kth[r] - margin[r]):
            kept_scores[r, n_kept[r]] = scores[at]
            kept_rows[r, n_kept[r]] = first_row + column[at]
            n_kept[r] += 1
        at += 1
    return at


@compiled()
def _collect(
    flat: Any,
    base: Any,
    width: Any,
    first_row: Any,
    k: Any,
    share: Any,
    margin: Any,
    kth: Any,
    shared: Any,
    scores: Any,
    rows: Any,
    n_kept: Any,
    q: Any,
    j: Any,
) -> Any:
    """Add what may be among the k best of query ``q``, from column ``j`` of its scores on.

    ``scores`` and ``rows`` (capacity,) are its candidates; the rest is that of :func:`look`.
    Returns the column to continue from; ``width`` if all is done.
    """
    n = n_kept[q]
    bound = np.float32(kth[q] - margin[q])
    for a in range(j, width, ABREAST):
        bits = _needed(flat, base, a, width, bound)
        while bits:
            i = a + np.int64(lowest_bit(bits))
            bits &= bits - np.uint64(1)
            if n == len(scores):
                n = _reduce(scores, rows, k, share, margin, kth, shared, q)
                bound = np.float32(kth[q] - margin[q])
                if n > len(scores) - len(scores) // 8:
                    n_kept[q] = n
                    return i
            x = flat[base + np.uint64(i)]
            if x >= bound:
                scores[np.uint64(n)], rows[np.uint64(n)] = x, first_row + i
                n += 1
    n_kept[q] = n
    return width


@compiled(inline="always")
def _needed(flat: Any, base: Any, a: Any, width: Any, bound: Any) -> Any:
    """Which columns of a row, from ``a`` on, reach ``bound``: a bit for each of ``ABREAST``."""
    if a + ABREAST <= width:
        return reaching(flat, base + np.uint64(a), bound)
    bits = np.uint64(0)
    for i in range(np.uint64(width - a)):
        enough = np.uint64(flat[base + np.uint64(a) + i] >= bound)
        bits |= enough << i
    return bits


@compiled(inline="always")
def _above_and_near(flat: Any, start: Any, stop: Any, high: Any, low: Any) -> Any:
    """How many of ``flat[start:stop]`` exceed ``high``, and how many lie from ``low`` to it."""
    above, least = np.int32(0), np.int32(0)
    for j in range(np.uint64(start), np.uint64(stop)):
        x = flat[j]
        above += np.int32(x > high)
        least += np.int32(x >= low)
    return above, least - above


@compiled()
def _count(
    flat: Any,
    base: Any,
    width: Any,
    first_row: Any,
    first: Any,
    stop: Any,
    high: Any,
    low: Any,
    own: Any,
    n_above: Any,
    open_relevant: Any,
    open_column: Any,
    n: Any,
) -> Any:
    """Count what is above a query's relevant passages ``first`` to ``stop``; as :func:`look`.

    Returns the number of open pairs, of which there were ``n``.
    """
    end = base + np.uint64(width)
    for g in range(first, stop):
        above, near = _above_and_near(flat, base, end, high[g], low[g])
        n_above[g] += above
        j = np.uint64(0)
        while near > 0:
            x = flat[base + j]
            if x >= low[g] and x <= high[g]:
                near -= 1
                if first_row + np.int64(j) != own[g]:
                    open_relevant[n] = g
                    open_column[n] = np.int64(j)
                    n += 1
            j += np.uint64(1)
    return n


@compiled(nogil=True)
def look(
    flat: Any,
    width: Any,
    first_row: Any,
    start: Any,
    k: Any,
    share: Any,
    margin: Any,
    kth: Any,
    shared: Any,
    kept_scores: Any,
    kept_rows: Any,
    n_kept: Any,
    indptr: Any,
    high: Any,
    low: Any,
    own: Any,
    n_above: Any,
    open_relevant: Any,
    open_column: Any,
    q: Any,
    j: Any,
) -> Any:
    """Look once at the scores of a tile: for each query's top k, and for its relevant passages.

    ``flat`` (R * width,) are the scores of R queries from number ``start`` on with the passages
    from row ``first_row`` on. It is done from query ``q`` on, whose columns before ``j`` have been
    looked at for the top k.

    Candidates for the top k are ``kept_scores`` and ``kept_rows`` (Q, capacity), ``n_kept`` (Q,) of
    them. ``kth`` (Q,) is a score that k passages reach (-inf while fewer are known), ``shared``
    (Q,) one that ``share`` of this thread's passages reach; both rise when candidates are reduced.
    ``margin`` (Q,) is how far below ``kth`` a score may lie that still could be higher in truth.

    ``n_above`` (G,) counts the passages above each relevant one, those of query q from
    ``indptr[q]`` to ``indptr[q + 1]``. Scores above ``high`` (G,) are certainly above the relevant
    passage's, those below ``low`` are certainly not; a pair of a relevant passage and a column in
    between goes into ``open_relevant`` and ``open_column``, unless it is the passage's own, row
    ``own`` (G,).

    Returns (q, j) to continue from, and the number of open pairs, which have to be decided first:
    (start + R, 0) if all is done; with ``j`` below ``width`` the candidates of query q are too
    close for these scores to order, and have to be decided first too.
    """
    n = 0
    stop = start + len(flat) // width
    while q < stop:
        base = np.uint64(q - start) * np.uint64(width)
        if j < width:
            scores, rows = kept_scores[q], kept_rows[q]
            j = _collect(
                flat,
                base,
                width,
                first_row,
                k,
                share,
                margin,
                kth,
                shared,
                scores,
                rows,
                n_kept,
                q,
                j,
            )
            if j < width:
                return q, j, n
        first, last = indptr[q], indptr[q + 1]
        if n + (last - first) * width > len(open_relevant) and n:
            return q, width, n
        n = _count(
            flat,
            base,
            width,
            first_row,
            first,
            last,
            high,
            low,
            own,
            n_above,
            open_relevant,
            open_column,
            n,
        )
        q, j = q + 1, 0
    return q, 0, n
