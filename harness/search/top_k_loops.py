"""The top k of a row of scores, in compiled loops (:mod:`harness.search.cpu_loops`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.base.jit import compiled
from harness.search.inner_loops import equal, inner_product
from harness.search.instructions import ABREAST, lowest_bit, reaching

FEW = 32
"""Largest k whose bound is found by insertion."""

RUN = 64
"""Candidates of a top k in one run of near ones, up to which they are sorted by insertion."""

LANES = 256
"""Lanes of a row for a small k, whose columns are then in little more than k of them."""


@compiled()
def _find_peaks(flat: Any, start: Any, stop: Any, lanes: Any, peaks: Any) -> None:
    """The highest score of each lane; lane b holds every ``lanes``-th column from b on.

    Strided lanes mix the languages: a query's best passages are close together in one language's
    columns, and contiguous lanes would leave most peaks to irrelevant passages.
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


@compiled()
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


@compiled()
def _kth_highest(values: Any, k: Any, best: Any) -> Any:
    """The k-th highest of ``values``; ``best`` has room for k."""
    if k > FEW:
        return np.partition(values, len(values) - k)[len(values) - k]
    n = 0
    for x in values:
        if n == k and x <= best[k - 1]:
            continue
        if n < k:
            n += 1
        j = n - 1
        while j > 0 and best[j - 1] < x:
            best[j] = best[j - 1]
            j -= 1
        best[j] = x
    return best[k - 1]


@compiled()
def _reaching_columns(flat: Any, start: Any, stop: Any, bound: Any, base: Any, keys: Any) -> Any:
    """Gather columns that reach ``bound`` from left to right."""
    n, abreast = np.uint64(0), np.uint64(ABREAST)
    whole = start + (stop - start) // abreast * abreast
    for a in range(start, whole, abreast):
        bits = reaching(flat, a, bound)
        while bits:
            keys[n] = a + lowest_bit(bits) - base
            bits &= bits - np.uint64(1)
            n += np.uint64(1)
    for j in range(whole, stop):
        keys[n] = j - base
        n += np.uint64(flat[j] >= bound)
    return n


@compiled()
def _in_order(flat: Any, start: Any, stop: Any, bound: Any, k: Any, base: Any, keys: Any) -> Any:
    """Gather columns that reach ``bound`` from left to right, and of ties at it no more than k."""
    n = _reaching_columns(flat, start, stop, bound, base, keys)
    return _without_idle_ties(flat, base, bound, k, keys, n) if n > np.uint64(4 * k) else n


@compiled()
def _in_total_order(flat: Any, base: Any, keys: Any, n: Any) -> Any:
    """The columns ``keys[:n]`` by score ascending, of equal ones the higher column first."""
    for i in range(n):
        # One integer per candidate, ordered by score, then by lower column. Adding 0 turns
        # -0.0 into 0.0, which compares equal to it but has other bits.
        bits = np.float32(flat[base + keys[i]] + np.float32(0)).view(np.uint32)
        bits = ~bits if bits >> np.uint32(31) else bits | np.uint32(0x80000000)
        keys[i] = (np.uint64(bits) << np.uint64(32)) | (np.uint64(0xFFFFFFFF) - keys[i])
    ordered = np.sort(keys[:n])
    for i in range(n):
        ordered[i] = np.uint64(0xFFFFFFFF) - (ordered[i] & np.uint64(0xFFFFFFFF))
    return ordered


@compiled()
def top_k_row(
    flat: Any,
    base: Any,
    first: Any,
    last: Any,
    k: Any,
    peaks: Any,
    best: Any,
    keys: Any,
    out: Any,
    out_scores: Any,
) -> None:
    """The top k of the row that begins at ``base``, among columns ``first`` to ``last``."""
    start, stop = base + first, base + last
    # At least k scores reach the k-th highest peak: nothing below it can be in the top k.
    bound = np.float32(-np.inf)
    if len(peaks) > k:
        _find_peaks(flat, start, stop, len(peaks), peaks)
        bound = _kth_highest(peaks, k, best)
    n = _in_order(flat, start, stop, bound, k, base, keys)
    ordered = _in_total_order(flat, base, keys, n)
    for i in range(k):
        j = ordered[n - np.uint64(i + 1)]
        out[i] = j
        out_scores[i] = flat[base + j]


@compiled()
def _decide(
    flat: Any,
    base: Any,
    candidates: Any,
    found: Any,
    k: Any,
    margin: Any,
    error: Any,
    query: Any,
    passages: Any,
    dimensions: Any,
    products: Any,
    score: Any,
    out: Any,
    out_scores: Any,
) -> Any:
    """Put the first k of ``candidates``, sorted by float32, in order where float64 can.

    Returns whether that order is certain, and how many scores were computed in float64.
    """
    computed = 0
    value, before = np.float64(0), candidates[0]
    i = 0
    while i < k:
        # A run of candidates of which each may be above the one before.
        stop = i + 1
        while stop < found and (
            flat[base + candidates[stop - 1]] - flat[base + candidates[stop]] <= margin
        ):
            stop += 1
            if stop - i > RUN:
                return False, computed
        if stop - i > 1:
            for j in range(i, stop):
                column = candidates[j]
                # Equal vectors have equal products, or nearly so, and stand side by side.
                if j == i or not equal(passages, before, column, dimensions):
                    there = np.uint64(column) * np.uint64(dimensions)
                    value = inner_product(
                        query, np.uint64(0), passages, there, dimensions, products
                    )
                    computed += 1
                before = column
                at = j
                while at > i and (
                    score[at - 1 - i] < value
                    or (score[at - 1 - i] == value and candidates[at - 1] > column)
                ):
                    score[at - i], candidates[at] = score[at - 1 - i], candidates[at - 1]
                    at -= 1
                score[at - i], candidates[at] = value, column
            for j in range(i + 1, stop):
                if score[j - 1 - i] - score[j - i] <= error and not (
                    # Equal vectors tie, whatever the query; the lower column is first.
                    equal(passages, candidates[j - 1], candidates[j], dimensions)
                ):
                    return False, computed
        i = stop
    for j in range(k):
        out[j] = candidates[j]
        out_scores[j] = flat[base + candidates[j]]
    return True, computed


@compiled()
def certain_top_k_row(
    flat: Any,
    base: Any,
    first: Any,
    last: Any,
    k: Any,
    margin: Any,
    error: Any,
    peaks: Any,
    best: Any,
    keys: Any,
    candidates: Any,
    query: Any,
    passages: Any,
    dimensions: Any,
    products: Any,
    run: Any,
    out: Any,
    out_scores: Any,
) -> Any:
    """As :func:`top_k_row`, with certainty, of products that are off by at most half ``margin``.

    Scores that float64 has to tell apart are those of ``query``, a vector of float64, with the
    vectors end to end in ``passages``; ``error`` is twice their error. Returns (whether that told
    all, number of ``candidates``, scores computed in float64); where it did not, the candidates are
    all that may be in the top k, by float32.
    """
    start, stop = np.uint64(base + first), np.uint64(base + last)
    bound = np.float32(-np.inf)
    if len(peaks) > k:
        _find_peaks(flat, start, stop, len(peaks), peaks)
        bound = np.float32(_kth_highest(peaks, k, best) - margin)
        bound = np.nextafter(bound, np.float32(-np.inf))
    found = _reaching_columns(flat, start, stop, bound, np.uint64(base), keys)
    ordered = _in_total_order(flat, np.uint64(base), keys, found)
    kth = flat[np.uint64(base) + ordered[found - np.uint64(k)]]
    bound = np.nextafter(np.float32(kth - margin), np.float32(-np.inf))
    near = 0
    for i in range(found):
        j = ordered[found - np.uint64(i + 1)]
        if flat[np.uint64(base) + j] < bound:
            break
        candidates[near] = j
        near += 1
    certain, computed = _decide(
        flat,
        base,
        candidates,
        near,
        k,
        margin,
        error,
        query,
        passages,
        dimensions,
        products,
        run,
        out,
        out_scores,
    )
    if not certain:
        # The attempt has moved them.
        for i in range(near):
            candidates[i] = ordered[found - np.uint64(i + 1)]
    return certain, near, computed
