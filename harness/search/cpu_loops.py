"""The inner loops of search on a CPU: counting passages above relevant ones, and the top k.

Both work on one tile of scores, rows = queries, columns = the pool in its total order (see
:mod:`harness.search.in_memory`), so that of two equal scores the lower column ranks higher. They
are compiled by numba: plain torch writes a mask the size of the tile for every comparison and takes
several times as long as the matrix product that made the scores, these stay in cache.

The loops release the interpreter lock, so that several tiles can be worked on at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled
from harness.search.exact import Open, Vectors
from harness.search.inner_loops import inner, inner_product

_AT_ONCE = 6
"""Thresholds compared per pass over a row: as many as fit in registers next to the scores."""

_SCAN = 32
"""Columns checked at once for any that reach the bound."""

_FEW = 32
"""Largest k whose bound is found by insertion and whose columns in the highest lanes."""

_RUN = 64
"""Candidates of a top k in one run of near ones, up to which they are sorted by insertion."""

_HIGHEST = (1 << 15) - 1
"""The highest place of a score (:func:`_place`): places are 16-bit integers, of which a vector
instruction compares twice as many as of float32."""

_PAIRS = 3
"""Intervals whose two ends are compared per pass over a chunk of places: 6 comparisons, as with
``_AT_ONCE``."""

_CHUNK = 1024
"""Places counted at once: they stay in cache, and their counts in 16 bits."""

_LANE = 64
"""Chunks are padded to a multiple of this, so that vector instructions leave no remainder."""

_LANES = 256
"""Lanes of a row for a small k, whose columns are then in little more than k of them."""


@compiled(inline="always")
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


@compiled()
def _count_row(
    flat: Any,
    base: Any,
    columns: Any,
    first: Any,
    relevant: Any,
    starts: Any,
    threshold: Any,
    below: Any,
    out: Any,
) -> None:
    """Fill ``out[first:first + relevant]`` from the row of scores that begins at ``base``."""
    for i in range(relevant):
        below[i] = np.nextafter(flat[base + columns[first + i]], np.float32(-np.inf))
    for i in range(relevant, len(threshold)):
        threshold[i] = np.inf
    for block in range(len(starts) - 1):
        a = base + starts[block]
        b = base + starts[block + 1]
        for i in range(relevant):
            c = base + columns[first + i]
            # A block entirely before the relevant passage wins ties: ">=" is ">" the float below.
            threshold[i] = flat[c] if c < b else below[i]
        for i in range(0, relevant, _AT_ONCE):
            n = _count_above(flat, a, b, threshold, i)
            for q in range(min(_AT_ONCE, relevant - i)):
                out[first + i + q, block] = n[q]
        for i in range(relevant):
            c = base + columns[first + i]
            if a <= c < b:
                tied = np.int32(0)
                score = flat[c]
                for j in range(np.uint64(a), np.uint64(c)):
                    tied += np.int32(flat[j] == score)
                out[first + i, block] += tied


@compiled()
def _most(indptr: Any) -> Any:
    """The largest number of relevant passages in a row."""
    most = 0
    for r in range(len(indptr) - 1):
        most = max(most, indptr[r + 1] - indptr[r])
    return most


@compiled()
def _place(x: Any, lowest: Any, scale: Any) -> Any:
    """The place of a score: 0 far below ``lowest``, ``_HIGHEST`` far above it.

    Subtraction, multiplication by a positive number, clamping and truncation are all monotone,
    rounded or not, so that of two scores the one with the higher place is the higher one.
    """
    place = np.float32((x - lowest) * scale)
    # Written so that it becomes vector instructions; min() and max() look for NaN.
    place = place if place > np.float32(0) else np.float32(0)
    place = place if place < np.float32(_HIGHEST) else np.float32(_HIGHEST)
    return np.int16(np.int32(place))


@compiled()
def _place_chunk(flat: Any, start: Any, size: Any, lowest: Any, scale: Any, places: Any) -> Any:
    """Fill ``places`` from ``flat[start:start + size]``.

    Returns the highest of them and how many there are with padding, which is below all.
    """
    highest = np.int16(0)
    for j in range(size):
        place = _place(flat[start + j], lowest, scale)
        places[j] = place
        highest = place if place > highest else highest
    padded = (size + np.uint64(_LANE - 1)) & ~np.uint64(_LANE - 1)
    for j in range(size, padded):
        places[j] = np.int16(-1)
    return highest, padded


@compiled(inline="always")
def _above_and_reaching(places: Any, size: Any, a: Any, b: Any, which: Any, i: Any) -> Any:
    """How many of ``places[:size]`` exceed ``b``, and how many reach ``a``, of three intervals.

    They are ``which[i]`` to ``which[i + 2]``.
    """
    a0, a1, a2 = a[which[i]], a[which[i + 1]], a[which[i + 2]]
    b0, b1, b2 = b[which[i]], b[which[i + 1]], b[which[i + 2]]
    zero = np.int16(0)
    n0, n1, n2, m0, m1, m2 = zero, zero, zero, zero, zero, zero
    for j in range(size):
        x = places[j]
        n0 = np.int16(n0 + np.int16(x > b0))
        n1 = np.int16(n1 + np.int16(x > b1))
        n2 = np.int16(n2 + np.int16(x > b2))
        m0 = np.int16(m0 + np.int16(x >= a0))
        m1 = np.int16(m1 + np.int16(x >= a1))
        m2 = np.int16(m2 + np.int16(x >= a2))
    return n0, n1, n2, m0, m1, m2


@compiled()
def _list_near(
    places: Any, size: Any, a: Any, b: Any, which: Any, column: Any, marks: Any, hits: Any, n: Any
) -> Any:
    """Append to ``hits``, of length ``n``, each column whose place is in an interval ``which``.

    Interval i is from ``a[i]`` to ``b[i]``; ``column`` is the column of ``places[0]``, and
    ``marks`` is room for as many. Returns the new length.
    """
    for j in range(size):
        marks[j] = np.int16(0)
    for i in which:
        first, last = a[i], b[i]
        for j in range(size):
            marks[j] |= np.int16(places[j] >= first) & np.int16(places[j] <= last)
    for start in range(np.uint64(0), size, np.uint64(_LANE)):
        # One test for many: most fail it.
        any_ = np.int16(0)
        for j in range(start, start + np.uint64(_LANE)):
            any_ = np.int16(any_ | marks[j])
        if any_:
            for j in range(start, start + np.uint64(_LANE)):
                hits[n] = column + np.int64(j)
                n += marks[j]
    return n


@compiled()
def _place_intervals(low: Any, high: Any, relevant: Any, a: Any, b: Any) -> Any:
    """Fill ``a`` and ``b`` with the places of ``low`` and ``high``, and one above all of them.

    Returns the lowest score and the scale that :func:`_place` takes.
    """
    lowest, highest = low[0], high[0]
    for i in range(1, relevant):
        lowest, highest = min(lowest, low[i]), max(highest, high[i])
    # Places are further apart than scores are rounded, and the first and the last ones are left
    # free for what is further out.
    largest = max(abs(lowest), abs(highest))
    span = max(np.float32(highest - lowest), np.float32(1e-2) * largest, np.float32(1e-30))
    scale = np.float32(np.float32(_HIGHEST - 8) / span)
    lowest = np.float32(lowest - np.float32(3) / scale)
    for i in range(relevant):
        a[i], b[i] = _place(low[i], lowest, scale), _place(high[i], lowest, scale)
    a[relevant] = b[relevant] = np.int16(_HIGHEST)
    return lowest, scale


@compiled()
def _count_places(
    flat: Any,
    base: Any,
    columns: Any,
    relevant: Any,
    lowest: Any,
    scale: Any,
    starts: Any,
    a: Any,
    b: Any,
    places: Any,
    marks: Any,
    which: Any,
    above: Any,
    hits: Any,
) -> Any:
    """Count by block the places of one row that are higher than ``b`` of each relevant passage.

    The row begins at ``base``, its relevant passages are ``columns``. A place above ``b`` is of a
    score above ``high``, one below ``a`` of a score below ``low``; of places between, nothing is
    certain. Adds the first kind to ``above`` and lists the columns of the last kind in ``hits``;
    returns how many they are. A chunk is read again to list them only where the two counts differ
    by more than the relevant passage itself.
    """
    n = 0
    for block in range(len(starts) - 1):
        for column in range(starts[block], starts[block + 1], _CHUNK):
            stop = min(column + _CHUNK, starts[block + 1])
            top, size = _place_chunk(
                flat, np.uint64(base + column), np.uint64(stop - column), lowest, scale, places
            )
            # Most relevant passages rank above whole chunks: nothing to count for those.
            reached = 0
            for i in range(relevant):
                which[reached] = i
                reached += a[i] <= top
            for i in range(reached, reached + _PAIRS):
                which[i] = relevant
            crowded = 0
            for first in range(0, reached, _PAIRS):
                counts = _above_and_reaching(places, size, a, b, which, first)
                for q in range(min(_PAIRS, reached - first)):
                    i = which[first + q]
                    above[i, block] += counts[q]
                    own = column <= columns[i] < stop
                    which[crowded] = i
                    crowded += counts[_PAIRS + q] - counts[q] > own
            if crowded:
                n = _list_near(places, size, a, b, which[:crowded], column, marks, hits, n)
    return n


@compiled()
def _decide_row(
    flat: Any,
    base: Any,
    columns: Any,
    first: Any,
    relevant: Any,
    low: Any,
    high: Any,
    own: Any,
    error: Any,
    lowest: Any,
    scale: Any,
    b: Any,
    queries: Any,
    query: Any,
    passages: Any,
    dimensions: Any,
    products: Any,
    block_of: Any,
    hits: Any,
    scores: Any,
    above: Any,
    open_relevant: Any,
    open_column: Any,
    n: Any,
) -> Any:
    """Decide the columns ``hits``, which :func:`_count_places` listed instead of counting them.

    Those with scores from ``low`` to ``high`` are decided in float64; ``scores`` is room for these,
    and ``hits`` is overwritten. Returns the length of the list of pairs that even this leaves open,
    and how many scores were computed.
    """
    near = 0
    for column in hits:
        x, maybe = flat[base + column], False
        # Places above b are counted already, for all relevant passages.
        place = _place(x, lowest, scale)
        for i in range(relevant):
            other = column != columns[first + i]
            above[first + i, block_of[column]] += other & (x > high[i]) & (place <= b[i])
            maybe |= other & (x >= low[i]) & (x <= high[i])
        hits[near] = column
        near += maybe
    # All of them before the first is compared: no branch then waits for a sum.
    for h in range(near):
        there = np.uint64(hits[h]) * np.uint64(dimensions)
        scores[h] = inner_product(queries, query, passages, there, dimensions, products)
    for h in range(near):
        column = hits[h]
        x = flat[base + column]
        for i in range(relevant):
            if x < low[i] or x > high[i] or column == columns[first + i]:
                continue
            difference = scores[h] - own[i]
            if abs(difference) <= error:
                open_relevant[n], open_column[n] = first + i, column
                n += 1
            else:
                above[first + i, block_of[column]] += difference > 0
    return n, near


@compiled()
def _top_row(
    flat: Any,
    base: Any,
    candidates: Any,
    found: Any,
    k: Any,
    margin: Any,
    error: Any,
    queries: Any,
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
    i = 0
    while i < k:
        # A run of candidates of which each may be above the one before.
        stop = i + 1
        while stop < found and (
            flat[base + candidates[stop - 1]] - flat[base + candidates[stop]] <= margin
        ):
            stop += 1
            if stop - i > _RUN:
                return False, computed
        if stop - i > 1:
            for j in range(i, stop):
                there = np.uint64(candidates[j]) * np.uint64(dimensions)
                value = inner_product(queries, query, passages, there, dimensions, products)
                computed += 1
                column = candidates[j]
                at = j
                while at > i and score[at - 1 - i] < value:
                    score[at - i], candidates[at] = score[at - 1 - i], candidates[at - 1]
                    at -= 1
                score[at - i], candidates[at] = value, column
            for j in range(i + 1, stop):
                if score[j - 1 - i] - score[j - i] <= error:
                    return False, computed
        i = stop
    for j in range(k):
        out[j] = candidates[j]
        out_scores[j] = flat[base + candidates[j]]
    return True, computed


@compiled(nogil=True)
def _certain_rows(
    flat: Any,
    width: Any,
    indptr: Any,
    columns: Any,
    starts: Any,
    block_of: Any,
    error32: Any,
    error64: Any,
    queries: Any,
    first_query: Any,
    passages: Any,
    dimensions: Any,
    first: Any,
    last: Any,
    k: Any,
    lanes: Any,
    r: Any,
    above: Any,
    open_relevant: Any,
    open_column: Any,
    out: Any,
    out_scores: Any,
    row: Any,
    column: Any,
    scores: Any,
) -> Any:
    """As :func:`_rows`, from row ``r`` on, with certainty; what float64 leaves open is listed.

    Returns (row to go on from, open pairs of a relevant passage and a column, candidates of rows
    whose top k is open, scores computed in float64).
    """
    most = _most(indptr)
    own = np.empty(most, np.float64)
    low, high = np.empty(most, np.float32), np.empty(most, np.float32)
    products = np.empty(dimensions, np.float64)
    a, b = np.empty(most + 1, np.int16), np.empty(most + 1, np.int16)
    places, marks = np.empty(_CHUNK, np.int16), np.empty(_CHUNK, np.int16)
    which = np.empty(most + _PAIRS, np.int64)
    hits, near_scores = np.empty(width + 1, np.int64), np.empty(width, np.float64)
    peaks = np.empty(lanes, np.float32)
    best = np.empty(min(k, _FEW), np.float32)
    keys = np.empty(last - first if k else 0, np.uint64)
    run = np.empty(_RUN + 1, np.float64)
    candidates = np.empty(last - first if k else 0, np.int64)
    n, m, computed = 0, 0, 0
    while r < len(indptr) - 1:
        relevant = indptr[r + 1] - indptr[r]
        full = n + relevant * width > len(open_column) or m + (last - first) > len(column)
        if full and (n or m):
            break
        base = r * width
        query = np.uint64(first_query + r) * np.uint64(dimensions)
        if relevant:
            for i in range(relevant):
                there = np.uint64(columns[indptr[r] + i]) * np.uint64(dimensions)
                own[i] = inner_product(queries, query, passages, there, dimensions, products)
                # A step further out, as the sum is rounded. What float64 is off by is far less
                # than the bound of float32 has to spare.
                up, down = np.float32(own[i] + error32[r]), np.float32(own[i] - error32[r])
                high[i] = np.nextafter(up, np.float32(np.inf))
                low[i] = np.nextafter(down, np.float32(-np.inf))
            computed += relevant
            lowest, scale = _place_intervals(low, high, relevant, a, b)
            listed = _count_places(
                flat,
                base,
                columns[indptr[r] : indptr[r + 1]],
                relevant,
                lowest,
                scale,
                starts,
                a,
                b,
                places,
                marks,
                which,
                above[indptr[r] : indptr[r + 1]],
                hits,
            )
            n, more = _decide_row(
                flat,
                base,
                columns,
                indptr[r],
                relevant,
                low,
                high,
                own,
                error64[r],
                lowest,
                scale,
                b,
                queries,
                query,
                passages,
                dimensions,
                products,
                block_of,
                hits[:listed],
                near_scores,
                above,
                open_relevant,
                open_column,
                n,
            )
            computed += more
        if k:
            start, stop = np.uint64(base + first), np.uint64(base + last)
            margin = np.float32(2) * error32[r]
            bound = np.float32(-np.inf)
            found = np.uint64(0)
            if len(peaks) > k:
                _peaks(flat, start, stop, len(peaks), peaks)
                bound = np.float32(_kth_highest(peaks, k, best) - margin)
                bound = np.nextafter(bound, np.float32(-np.inf))
                if k <= _FEW:
                    found = _in_high_lanes(
                        flat, start, stop, bound, peaks, 4 * k, np.uint64(base), keys
                    )
            if not found:
                found = _reaching_columns(flat, start, stop, bound, np.uint64(base), keys)
            ordered = _ordered(flat, np.uint64(base), keys, found)
            kth = flat[np.uint64(base) + ordered[found - np.uint64(k)]]
            bound = np.nextafter(np.float32(kth - margin), np.float32(-np.inf))
            near = 0
            for i in range(found):
                j = ordered[found - np.uint64(i + 1)]
                if flat[np.uint64(base) + j] < bound:
                    break
                candidates[near] = j
                near += 1
            certain, more = _top_row(
                flat,
                base,
                candidates,
                near,
                k,
                margin,
                error64[r],
                queries,
                query,
                passages,
                dimensions,
                products,
                run,
                out[r],
                out_scores[r],
            )
            computed += more
            if not certain:
                for i in range(near):
                    j = ordered[found - np.uint64(i + 1)]
                    row[m], column[m], scores[m] = r, j, flat[np.uint64(base) + j]
                    m += 1
        r += 1
    return r, n, m, computed


def count_ranked_above(
    scores: NDArray[np.float32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """How many passages of each block are ranked above each relevant passage.

    ``scores`` is (R, N) and C-contiguous, ``indptr`` (R + 1,) and ``columns`` (G,) give each row's
    relevant passages, ``starts`` (B + 1,) the blocks' bounds. Returns (G, B). The rank of a
    relevant passage in any union of blocks is 1 + the sum over them.
    """
    return count_and_top_k(scores, indptr, columns, starts, 0)[0]


@compiled()
def _peaks(flat: Any, start: Any, stop: Any, lanes: Any, peaks: Any) -> None:
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
def _reaching(flat: Any, start: Any, stop: Any, bound: Any) -> Any:
    """How many of ``flat[start:stop]`` are at least ``bound``."""
    n = np.int32(0)
    for j in range(np.uint64(start), np.uint64(stop)):
        n += np.int32(flat[j] >= bound)
    return n


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
    if k > _FEW:
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
def _in_high_lanes(
    flat: Any, start: Any, stop: Any, bound: Any, peaks: Any, most: Any, base: Any, keys: Any
) -> Any:
    """Gather columns that reach ``bound``; 0 where more than ``most`` lanes or columns do."""
    high = 0
    for b in range(len(peaks)):
        high += peaks[b] >= bound
    if high > most:
        return np.uint64(0)
    n = np.uint64(0)
    for b in range(np.uint64(len(peaks))):
        if peaks[b] >= bound:
            for j in range(start + b, stop, np.uint64(len(peaks))):
                keys[n] = j - base
                n += np.uint64(flat[j] >= bound)
    return n if n <= np.uint64(most) else np.uint64(0)


@compiled()
def _reaching_columns(flat: Any, start: Any, stop: Any, bound: Any, base: Any, keys: Any) -> Any:
    """Gather columns that reach ``bound`` from left to right."""
    n = np.uint64(0)
    for a in range(start, stop, np.uint64(_SCAN)):
        b = min(a + np.uint64(_SCAN), stop)
        if _reaching(flat, a, b, bound):
            for j in range(a, b):
                keys[n] = j - base
                n += np.uint64(flat[j] >= bound)
    return n


@compiled()
def _in_order(flat: Any, start: Any, stop: Any, bound: Any, k: Any, base: Any, keys: Any) -> Any:
    """Gather columns that reach ``bound`` from left to right, and of ties at it no more than k."""
    n = _reaching_columns(flat, start, stop, bound, base, keys)
    return _without_idle_ties(flat, base, bound, k, keys, n) if n > np.uint64(4 * k) else n


@compiled()
def _ordered(flat: Any, base: Any, keys: Any, n: Any) -> Any:
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
def _top_k_row(
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
    n = np.uint64(0)
    if len(peaks) > k:
        _peaks(flat, start, stop, len(peaks), peaks)
        bound = _kth_highest(peaks, k, best)
        if k <= _FEW:
            n = _in_high_lanes(flat, start, stop, bound, peaks, 4 * k, base, keys)
    if not n:
        n = _in_order(flat, start, stop, bound, k, base, keys)
    ordered = _ordered(flat, base, keys, n)
    for i in range(k):
        j = ordered[n - np.uint64(i + 1)]
        out[i] = j
        out_scores[i] = flat[base + j]


@compiled(nogil=True)
def _rows(
    flat: Any,
    width: Any,
    indptr: Any,
    columns: Any,
    starts: Any,
    first: Any,
    last: Any,
    k: Any,
    lanes: Any,
    n_above: Any,
    out: Any,
    out_scores: Any,
) -> None:
    """Count and find the top k row by row, so that the second loop finds the row in cache."""
    # Once per call: arrays as wide as the pool are newly mapped by the system every time.
    most = _most(indptr)
    threshold = np.empty(most + _AT_ONCE, np.float32)
    below = np.empty(most, np.float32)
    peaks = np.empty(lanes, np.float32)
    best = np.empty(min(k, _FEW), np.float32)
    keys = np.empty(last - first if k else 0, np.uint64)
    for r in range(len(indptr) - 1):
        base = r * width
        relevant = indptr[r + 1] - indptr[r]
        if relevant:
            _count_row(flat, base, columns, indptr[r], relevant, starts, threshold, below, n_above)
        if k:
            _top_k_row(
                flat,
                np.uint64(base),
                np.uint64(first),
                np.uint64(last),
                k,
                peaks,
                best,
                keys,
                out[r],
                out_scores[r],
            )


def count_and_top_k(
    scores: NDArray[np.float32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """:func:`count_ranked_above` and the top ``k`` columns of whole rows, in one pass over rows."""
    return _in_one_pass(scores, indptr, columns, starts, 0, scores.shape[1], k)


def compile_loops() -> None:
    """Compile the loops, or load them from the cache: a first run waits for it."""
    scores = np.zeros((1, 2), np.float32)
    first = np.array([0, 1], np.int64)
    none = np.zeros(1, np.int64)
    count_and_top_k(scores, first, none, np.array([0, 2], np.int64), 1)
    one, error = np.ones((1, 1), np.float32), np.zeros(1)
    vectors = Vectors(one, np.ones((2, 1), np.float32), np.zeros(2, np.int16), one[0], error)
    for _ in certain(scores, vectors, 0, first, none, np.array([0, 2], np.int64), 0, 2, 1):
        pass
    inner(scores, scores, none, none)


def top_k(
    scores: NDArray[np.float32], start: int, stop: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``min(k, stop - start)`` best columns in ``[start, stop)`` of each row, best first.

    ``scores`` is (R, N) and C-contiguous; returns columns and their scores, both (R, k).
    """
    none = np.zeros(0, np.int64)
    indptr = np.zeros(len(scores) + 1, np.int64)
    return _in_one_pass(scores, indptr, none, np.zeros(1, np.int64), start, stop, k)[1:]


def _in_one_pass(
    scores: NDArray[np.float32],
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    first: int,
    last: int,
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    k = min(k, last - first)
    n_above = np.zeros((len(columns), len(starts) - 1), np.int32)
    out = np.empty((len(scores), k), np.int32)
    out_scores = np.empty((len(scores), k), np.float32)
    # Many lanes give a bound that few columns reach, few lanes few peaks to choose it from.
    lanes = min(_LANES if k <= _FEW else 2 * k, last - first)
    _rows(
        scores.reshape(-1),
        scores.shape[1],
        indptr,
        columns,
        starts,
        first,
        last,
        k,
        lanes,
        n_above,
        out,
        out_scores,
    )
    return n_above, out, out_scores


OPEN = 1 << 16
"""Pairs that can be listed as open at once, if one row does not need more."""


def certain(
    scores: NDArray[np.float32],
    vectors: Vectors,
    first_query: int,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    first: int,
    last: int,
    k: int,
) -> Iterator[Open]:
    """Counts and top k that float64 decides, and what it leaves open, some rows at a time.

    ``scores`` (R, N) are products of ``vectors``, their first row that of query ``first_query``.
    The other arguments are those of :func:`count_ranked_above`; the top ``k`` are of the columns
    ``[first, last)``.
    """
    k = min(k, last - first)
    above = np.zeros((len(columns), len(starts) - 1), np.int32)
    top = np.zeros((len(scores), k), np.int32)
    top_scores = np.zeros((len(scores), k), np.float32)
    most = int(np.diff(indptr).max(initial=0)) * scores.shape[1]
    relevant, column = np.empty((2, max(OPEN, most)), np.int64)
    row, candidate = np.empty((2, max(OPEN, last - first) if k else 0), np.int64)
    score = np.empty(len(row), np.float32)
    here = slice(first_query, first_query + len(scores))
    r = 0
    while r < len(scores):
        begun = r
        r, n, m, computed = _certain_rows(
            scores.reshape(-1),
            scores.shape[1],
            indptr,
            columns,
            starts,
            vectors.block_of,
            vectors.error32[here],
            2 * vectors.error64[here],
            vectors.queries.reshape(-1),
            first_query,
            vectors.passages.reshape(-1),
            vectors.queries.shape[1],
            first,
            last,
            k,
            min(_LANES if k <= _FEW else 2 * k, last - first),
            r,
            above,
            relevant,
            column,
            top,
            top_scores,
            row,
            candidate,
            score,
        )
        a, b = indptr[begun], indptr[r]
        yield Open(
            start=begun,
            stop=r,
            above=above[a:b],
            near_relevant=relevant[:n],
            near_column=column[:n],
            top=top[begun:r],
            top_scores=top_scores[begun:r],
            row=row[:m],
            column=candidate[:m],
            score=score[:m],
            float64=int(computed),
        )
