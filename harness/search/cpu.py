"""The two inner loops of search on a CPU: counting what outranks a gold, and the heads.

Both work on one tile of scores, rows = queries, columns = the pool in its total order (see
:mod:`harness.search`), so that of two equal scores the lower column ranks higher. They are compiled
by numba: plain torch writes a mask the size of the tile for every comparison and takes several
times as long as the matrix product that made the scores, these stay in cache.

The loops release the interpreter lock, so that several tiles can be worked on at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_AT_ONCE = 6
"""Thresholds compared per pass over a row: as many as stay in registers beside the scores."""

_SCAN = 32
"""Columns looked over at once for any that reach the bound."""


@njit(cache=True, inline="always")  # type: ignore[untyped-decorator]
def _count_above(flat: Any, start: Any, stop: Any, t: Any, i: Any) -> Any:
    """How many of ``flat[start:stop]`` exceed each of ``t[i:i + 6]``."""
    t0, t1, t2, t3, t4, t5 = t[i], t[i + 1], t[i + 2], t[i + 3], t[i + 4], t[i + 5]
    zero = np.int32(0)
    n0, n1, n2, n3, n4, n5 = zero, zero, zero, zero, zero, zero
    # Unsigned indices: numba then drops the test for negative ones and the loop becomes SIMD.
    for j in range(np.uint64(start), np.uint64(stop)):
        x = flat[j]
        n0 += np.int32(x > t0)
        n1 += np.int32(x > t1)
        n2 += np.int32(x > t2)
        n3 += np.int32(x > t3)
        n4 += np.int32(x > t4)
        n5 += np.int32(x > t5)
    return n0, n1, n2, n3, n4, n5


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _count(flat: Any, width: Any, indptr: Any, columns: Any, starts: Any, out: Any) -> None:
    for r in range(len(indptr) - 1):
        base = r * width
        first = indptr[r]
        golds = indptr[r + 1] - first
        threshold = np.full(golds + _AT_ONCE, np.float32(np.inf), np.float32)
        below = np.empty(golds, np.float32)
        for i in range(golds):
            below[i] = np.nextafter(flat[base + columns[first + i]], np.float32(-np.inf))
        for block in range(len(starts) - 1):
            a = base + starts[block]
            b = base + starts[block + 1]
            for i in range(golds):
                c = base + columns[first + i]
                # A block wholly before the gold wins ties: "at least" is "above the float below".
                threshold[i] = flat[c] if c < b else below[i]
            for i in range(0, golds, _AT_ONCE):
                n = _count_above(flat, a, b, threshold, i)
                for q in range(min(_AT_ONCE, golds - i)):
                    out[first + i + q, block] = n[q]
            for i in range(golds):
                c = base + columns[first + i]
                if a <= c < b:
                    tied = np.int32(0)
                    score = flat[c]
                    for j in range(np.uint64(a), np.uint64(c)):
                        tied += np.int32(flat[j] == score)
                    out[first + i, block] += tied


def count_outranking(
    scores: NDArray[np.float32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """How many passages of each block rank above each gold.

    ``scores`` is (R, N) and C-contiguous, ``indptr`` (R + 1,) and ``columns`` (G,) name each row's
    golds, ``starts`` (B + 1,) the blocks' bounds. Returns (G, B). A gold's rank in any union of
    blocks is 1 + the sum over them.
    """
    out = np.zeros((len(columns), len(starts) - 1), np.int32)
    flat = scores.reshape(-1)
    _count(flat, scores.shape[1], indptr, columns, starts, out)
    return out


@njit(cache=True)  # type: ignore[untyped-decorator]
def _peaks(flat: Any, start: Any, stop: Any, lanes: Any, peaks: Any) -> None:
    """The highest score of each lane; lane b holds every ``lanes``-th column from b on.

    Strided lanes mix the languages: a query's best passages lie side by side in one language's
    columns, and lanes of neighbours would leave most peaks to passages that nobody wants.
    """
    first = np.uint64(start)
    for b in range(np.uint64(lanes)):
        peaks[b] = flat[first + b]
    full = np.uint64((stop - start) // lanes)
    for row in range(np.uint64(1), full):
        at = first + row * np.uint64(lanes)
        for b in range(np.uint64(lanes)):
            x = flat[at + b]
            peaks[b] = x if x > peaks[b] else peaks[b]
    at = first + full * np.uint64(lanes)
    for b in range(np.uint64(stop) - at):
        x = flat[at + b]
        peaks[b] = x if x > peaks[b] else peaks[b]


@njit(cache=True)  # type: ignore[untyped-decorator]
def _reaching(flat: Any, start: Any, stop: Any, bound: Any) -> Any:
    """How many of ``flat[start:stop]`` are at least ``bound``."""
    n = np.int32(0)
    for j in range(np.uint64(start), np.uint64(stop)):
        n += np.int32(flat[j] >= bound)
    return n


@njit(cache=True)  # type: ignore[untyped-decorator]
def _without_idle_ties(flat: Any, base: Any, bound: Any, k: Any, keys: Any, n: Any) -> Any:
    """Keep the candidates above ``bound`` and the first k at it; lower columns win ties.

    Word counts give most passages the score 0, and sorting all of them would take most of a run.
    """
    kept = np.uint64(0)
    tied = 0
    for i in range(n):
        score = flat[base + keys[i]]
        if score > bound or tied < k:
            tied += score == bound
            keys[kept] = keys[i]
            kept += np.uint64(1)
    return kept


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _heads(
    flat: Any,
    width: Any,
    start: Any,
    stop: Any,
    k: Any,
    lanes: Any,
    out: Any,
    out_scores: Any,
) -> None:
    # Once a call: what is as wide as the pool comes fresh from the system each time it is asked.
    peaks = np.empty(lanes, np.float32)
    keys = np.empty(stop - start, np.uint64)
    for r in range(np.uint64(len(out))):
        base = r * np.uint64(width)
        # At least k scores reach the k-th highest peak: nothing below it can be in the head.
        bound = np.float32(-np.inf)
        if lanes > k:
            _peaks(flat, base + np.uint64(start), base + np.uint64(stop), lanes, peaks)
            bound = np.partition(peaks, lanes - k)[lanes - k]
        n = np.uint64(0)
        for a in range(np.uint64(start), np.uint64(stop), np.uint64(_SCAN)):
            b = min(a + np.uint64(_SCAN), np.uint64(stop))
            if _reaching(flat, base + a, base + b, bound):
                for j in range(a, b):
                    keys[n] = j
                    n += np.uint64(flat[base + j] >= bound)
        if n > np.uint64(4 * k):
            n = _without_idle_ties(flat, base, bound, k, keys, n)
        for i in range(n):
            # One integer per candidate, ordered by score, then by lower column. Adding 0 turns
            # -0.0 into 0.0, which compares equal to it but has other bits.
            bits = np.float32(flat[base + keys[i]] + np.float32(0)).view(np.uint32)
            bits = ~bits if bits >> np.uint32(31) else bits | np.uint32(0x80000000)
            keys[i] = (np.uint64(bits) << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - keys[i])
        ordered = np.sort(keys[:n])
        for i in range(k):
            j = np.uint64(0xFFFFFFFF) - (ordered[n - np.uint64(i + 1)] & np.uint64(0xFFFFFFFF))
            out[r, i] = j
            out_scores[r, i] = flat[base + j]


def compile_loops() -> None:
    """Compile both loops, or load what was compiled before: a first run waits for it."""
    scores = np.zeros((1, 2), np.float32)
    first = np.array([0, 1], np.int64)
    count_outranking(scores, first, np.zeros(1, np.int64), np.array([0, 2], np.int64))
    heads(scores, 0, 2, 1)


def heads(
    scores: NDArray[np.float32], start: int, stop: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``min(k, stop - start)`` best columns in ``[start, stop)`` of each row, best first.

    ``scores`` is (R, N) and C-contiguous; returns columns and their scores, both (R, k).
    """
    k = min(k, stop - start)
    rows = scores.shape[0]
    out = np.empty((rows, k), np.int32)
    out_scores = np.empty((rows, k), np.float32)
    if k and rows:
        # Many lanes keep few candidates, few lanes few peaks to choose the bound from.
        lanes = min(2 * k, stop - start)
        flat = scores.reshape(-1)
        _heads(flat, scores.shape[1], start, stop, k, lanes, out, out_scores)
    return out, out_scores
