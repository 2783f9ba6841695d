"""How many passages rank above the relevant ones of a row of scores, in compiled loops.

With certainty (:func:`certain_counts_row`) scores become 16-bit places first, of which a vector
instruction takes twice as many as of float32. They are compared with the interval of each relevant
passage in which nothing is certain: those below it are counted, the rest are above it, except those
inside it, which are listed and decided one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.base.jit import compiled
from harness.search.inner_loops import any_order_product, equal, fetch
from harness.search.instructions import ABREAST, lowest_bit, within

AT_ONCE = 6
"""Thresholds compared per pass over a row: as many as fit in registers next to the scores."""

_HIGHEST = (1 << 15) - 1
"""The highest place of a score (:func:`_place`)."""

_LARGEST = 2.0**29
"""Places from 0 to the largest score, at most: before they are clamped they are 32-bit integers."""

INTERVALS = 3
"""Intervals compared per pass over places, two registers for each."""

PART = 128
"""Columns left out at once if none of them reaches an interval; a multiple of ``ABREAST``."""

CHUNK = 32 * PART
"""Columns counted at once: their places stay in cache, and their number in 16 bits."""

PAIRS = 1 << 12
"""Undecided pairs of a relevant passage and a column that are collected before they are decided."""


@compiled(inline="always")
def _count_above(flat: Any, start: Any, stop: Any, t: Any, i: Any) -> Any:
    """How many of ``flat[start:stop]`` exceed each of ``t[i:i + 6]``."""
    t0, t1, t2, t3, t4, t5 = t[i], t[i + 1], t[i + 2], t[i + 3], t[i + 4], t[i + 5]
    zero = np.int32(0)
    n0, n1, n2, n3, n4, n5 = zero, zero, zero, zero, zero, zero
    # Unsigned indices: numba then drops the test for negative ones and the loop becomes SIMD.
    for j in range(np.uint64(start), np.uint64(stop)):
        x = flat[j]
        n0 = np.int32(n0 + np.int32(x > t0))
        n1 = np.int32(n1 + np.int32(x > t1))
        n2 = np.int32(n2 + np.int32(x > t2))
        n3 = np.int32(n3 + np.int32(x > t3))
        n4 = np.int32(n4 + np.int32(x > t4))
        n5 = np.int32(n5 + np.int32(x > t5))
    return n0, n1, n2, n3, n4, n5


@compiled()
def counts_row(
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
        for i in range(0, relevant, AT_ONCE):
            n = _count_above(flat, a, b, threshold, i)
            for q in range(min(AT_ONCE, relevant - i)):
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
def most_relevant(indptr: Any) -> Any:
    """The largest number of relevant passages in a row."""
    most = 0
    for r in range(len(indptr) - 1):
        most = max(most, indptr[r + 1] - indptr[r])
    return most


@compiled(inline="always")
def _place(x: Any, lowest: Any, scale: Any) -> Any:
    """The place of a score: 0 at ``lowest`` and below, ``_HIGHEST`` far above it.

    Subtraction, multiplication by a positive number, truncation and clamping are all monotone,
    rounded or not, so that of two scores the one with the higher place is the higher one.
    """
    place = np.int32(np.float32((x - lowest) * scale))
    place = place if place > np.int32(0) else np.int32(0)
    place = place if place < np.int32(_HIGHEST) else np.int32(_HIGHEST)
    return np.int16(place)


@compiled()
def _place_part(
    flat: Any, start: Any, size: Any, lowest: Any, scale: Any, places: Any, to: Any
) -> Any:
    """Fill ``places[to : to + PART]`` from ``flat[start : start + size]``, the rest of it with 0.

    Returns the highest of them.
    """
    highest = np.int16(0)
    if size == np.uint64(PART):
        # A loop of known length has no remainder.
        for j in range(np.uint64(PART)):
            place = _place(flat[start + j], lowest, scale)
            places[to + j] = place
            highest = place if place > highest else highest
        return highest
    for j in range(size):
        place = _place(flat[start + j], lowest, scale)
        places[to + j] = place
        highest = place if place > highest else highest
    for j in range(size, np.uint64(PART)):
        places[to + j] = np.int16(0)
    return highest


@compiled()
def _places(
    flat: Any,
    start: Any,
    size: Any,
    lowest: Any,
    scale: Any,
    unsorted: Any,
    tops: Any,
    order: Any,
    places: Any,
) -> Any:
    """The places of ``size`` scores from ``flat[start]`` on, by parts of descending highest place.

    Fills ``tops``, the highest places, and ``order``, the numbers of the parts, sorted, and
    ``places``. Returns the number of parts.
    """
    parts = (size + PART - 1) // PART
    for part in range(parts):
        begin = np.uint64(part * PART)
        n = np.uint64(min(PART, size - part * PART))
        top = _place_part(flat, np.uint64(start) + begin, n, lowest, scale, unsorted, begin)
        at = part
        while at > 0 and tops[at - 1] < top:
            tops[at], order[at] = tops[at - 1], order[at - 1]
            at -= 1
        tops[at], order[at] = top, part
    for part in range(parts):
        here, there = np.uint64(part * PART), np.uint64(order[part] * PART)
        for j in range(np.uint64(PART)):
            places[here + j] = unsorted[there + j]
    return parts


@compiled(inline="always")
def _below_and_nearest(places: Any, size: Any, a: Any, i: Any) -> Any:
    """Minus how many of ``places[:size]`` are below each of ``a[i : i + 3]``, and how near one is.

    The latter is the least distance from it, as an unsigned number: of a lower place a large one.
    """
    a0, a1, a2 = a[i], a[i + 1], a[i + 2]
    zero, most = np.int16(0), np.uint16(0xFFFF)
    n0, n1, n2, m0, m1, m2 = zero, zero, zero, most, most, most
    sign = np.int16(15)
    # Shifted signs, not comparisons: these would be masks, which take two more instructions.
    for j in range(size):
        x = places[j]
        d0, d1, d2 = np.int16(x - a0), np.int16(x - a1), np.int16(x - a2)
        n0 = np.int16(n0 + np.int16(d0 >> sign))
        n1 = np.int16(n1 + np.int16(d1 >> sign))
        n2 = np.int16(n2 + np.int16(d2 >> sign))
        u0, u1, u2 = np.uint16(d0), np.uint16(d1), np.uint16(d2)
        m0 = u0 if u0 < m0 else m0
        m1 = u1 if u1 < m1 else m1
        m2 = u2 if u2 < m2 else m2
    return (n0, n1, n2), (m0, m1, m2)


@compiled()
def _sort(own: Any, number: Any, relevant: Any, score: Any) -> None:
    """Fill ``own`` with ``score[:relevant]``, ascending, and ``number`` with their numbers."""
    for i in range(relevant):
        at = i
        while at > 0 and own[at - 1] > score[i]:
            own[at], number[at] = own[at - 1], number[at - 1]
            at -= 1
        own[at], number[at] = score[i], i


@compiled()
def _intervals(
    own: Any, relevant: Any, error: Any, largest: Any, low: Any, high: Any, a: Any
) -> Any:
    """Fill ``low``, ``high`` and ``a``, the place of ``low``, of each of ``own``, ascending.

    A float32 score below ``low`` or above ``high`` is certainly below or above the relevant
    passage's. Returns what :func:`_place` takes, and how many places an interval is wide.
    """
    for i in range(relevant):
        # A step further out, as the sum is rounded. What float64 is off by is far less than the
        # bound of float32 has to spare.
        up, down = np.float32(own[i] + error), np.float32(own[i] - error)
        high[i] = np.nextafter(up, np.float32(np.inf))
        low[i] = np.nextafter(down, np.float32(-np.inf))
    lowest, highest = low[0], high[relevant - 1]
    # Places are further apart than scores are rounded, and the first and the last ones are left
    # free for what is further out.
    far = max(abs(lowest), abs(highest))
    span = max(np.float32(highest - lowest), np.float32(1e-2) * far, np.float32(1e-30))
    scale = min(np.float32(np.float32(_HIGHEST - 8) / span), np.float32(_LARGEST / largest))
    lowest = np.float32(lowest - np.float32(3) / scale)
    wide = np.int16(0)
    for i in range(relevant):
        a[i] = _place(low[i], lowest, scale)
        wide = max(wide, np.int16(_place(high[i], lowest, scale) - a[i]))
    for i in range(relevant, len(a)):
        a[i] = np.int16(_HIGHEST)
    return lowest, scale, np.uint16(wide)


@compiled(inline="always")
def _tie(
    i: Any, column: Any, own: Any, passages: Any, dimensions: Any, block_of: Any, above: Any
) -> Any:
    """Whether ``column`` has the same vector as the relevant passage in column ``own``.

    The two tie whatever the query, and the lower column ranks higher: it is counted if it is
    ``column``. Texts that a tokenizer does not tell apart have equal vectors.
    """
    if not equal(passages, own, column, dimensions):
        return False
    above[i, block_of[column]] += np.int32(column < own)
    return True


@compiled()
def _decide(
    relevant: Any,
    columns: Any,
    pairs: Any,
    own: Any,
    own_column: Any,
    error: Any,
    query: Any,
    passages: Any,
    dimensions: Any,
    block_of: Any,
    scores: Any,
    number: Any,
    above: Any,
    open_relevant: Any,
    open_column: Any,
    n: Any,
) -> Any:
    """Decide the ``pairs`` in float64; what that leaves open is listed from ``n`` on.

    ``scores`` is room for them. Returns the new length of the list, and how many scores were
    computed.
    """
    left = 0
    for h in range(pairs):
        i, column = relevant[h], columns[h]
        if not _tie(i, column, own_column[number[i]], passages, dimensions, block_of, above):
            relevant[left], columns[left] = i, column
            left += 1
    # All of them before the first is compared: no branch then waits for a sum.
    for h in range(left):
        there = np.uint64(columns[h]) * np.uint64(dimensions)
        scores[h] = any_order_product(query, passages, there, dimensions)
    for h in range(left):
        i, column = relevant[h], columns[h]
        difference = scores[h] - own[i]
        if abs(difference) <= error:
            open_relevant[n], open_column[n] = number[i], column
            n += 1
        else:
            above[i, block_of[column]] += np.int32(difference > 0)
    return n, left


@compiled()
def _compare_relevant(
    own: Any,
    relevant: Any,
    error: Any,
    columns: Any,
    passages: Any,
    dimensions: Any,
    block_of: Any,
    number: Any,
    passed: Any,
    above: Any,
    open_relevant: Any,
    open_column: Any,
    n: Any,
) -> Any:
    """Count the relevant passages, sorted by ascending ``own`` score, that rank above others.

    What float64 leaves open is listed from ``n`` on. Returns the new length of the list.
    """
    passed[:] = 0
    certain = relevant
    for i in range(relevant - 1, -1, -1):
        while certain > i + 1 and own[certain - 1] - own[i] > error:
            certain -= 1
            passed[block_of[columns[number[certain]]]] += np.int32(1)
        for block in range(len(passed)):
            above[i, block] += passed[block]
        one = columns[number[i]]
        for j in range(i + 1, certain):
            other = columns[number[j]]
            if _tie(i, other, one, passages, dimensions, block_of, above):
                above[j, block_of[one]] += np.int32(one < other)
                continue
            open_relevant[n], open_column[n] = number[i], other
            open_relevant[n + 1], open_column[n + 1] = number[j], one
            n += 2
    return n


@compiled()
def certain_counts_row(
    flat: Any,
    base: Any,
    columns: Any,
    starts: Any,
    block_of: Any,
    error32: Any,
    error64: Any,
    largest: Any,
    query: Any,
    passages: Any,
    dimensions: Any,
    score: Any,
    own: Any,
    number: Any,
    low: Any,
    high: Any,
    a: Any,
    saved: Any,
    passed: Any,
    unsorted: Any,
    tops: Any,
    order: Any,
    places: Any,
    near: Any,
    near_column: Any,
    near_score: Any,
    above: Any,
    open_relevant: Any,
    open_column: Any,
    n: Any,
) -> Any:
    """Fill ``above`` (relevant passages by ascending score, blocks) from the row at ``base``.

    ``columns`` are the row's relevant passages; ``flat``, rows of float32 products, is overwritten
    there while it is counted. ``error32`` bounds the error of products, ``largest`` their absolute
    values, and ``error64`` is twice the bound of float64 scores. ``query`` is the row's vector in
    float64; ``passages`` and ``dimensions`` are the other vectors, end to end. ``score`` has the
    float64 scores of the relevant passages, ``number`` is filled with their numbers by ascending
    score. From ``n`` on, ``open_relevant``
    (numbers) and ``open_column`` list the pairs that float64 leaves open. The rest is room for what
    is computed. Returns the list's new length, and how many scores were computed in float64.
    """
    relevant = len(columns)
    _sort(own, number, relevant, score)
    lowest, scale, wide = _intervals(own, relevant, error32, largest, low, high, a)
    above[:] = 0
    n = _compare_relevant(
        own,
        relevant,
        error64,
        columns,
        passages,
        dimensions,
        block_of,
        number,
        passed,
        above,
        open_relevant,
        open_column,
        n,
    )
    # Relevant passages are compared; below all intervals they are not counted again.
    for i in range(relevant):
        saved[i] = flat[base + columns[i]]
    for i in range(relevant):
        flat[base + columns[i]] = lowest
    pairs, computed = 0, relevant
    for block in range(len(starts) - 1):
        for column in range(starts[block], starts[block + 1], CHUNK):
            stop = min(column + CHUNK, starts[block + 1])
            reached = _places(
                flat, base + column, stop - column, lowest, scale, unsorted, tops, order, places
            )
            for first in range(0, relevant, INTERVALS):
                # Most relevant passages rank above whole parts: nothing to count for those.
                while reached > 0 and tops[reached - 1] < a[first]:
                    reached -= 1
                if not reached:
                    break
                size = np.uint64(reached * PART)
                below, nearest = _below_and_nearest(places, size, a, first)
                for q in range(INTERVALS):
                    above[first + q, block] += np.int32(reached * PART) + np.int32(below[q])
                if min(nearest) > wide:
                    continue
                for q in range(min(INTERVALS, relevant - first)):
                    i = first + q
                    if nearest[q] > wide:
                        continue
                    for begin in range(np.uint64(0), size, np.uint64(ABREAST)):
                        bits = within(places, begin, a[i], wide)
                        while bits:
                            at = np.int64(begin + lowest_bit(bits))
                            bits &= bits - np.uint64(1)
                            j = column + order[at // PART] * PART + at % PART
                            x = flat[base + j]
                            above[i, block] -= np.int32(x <= high[i])
                            near[pairs], near_column[pairs] = i, j
                            if low[i] <= x <= high[i]:
                                pairs += 1
                                fetch(passages, np.uint64(j) * np.uint64(dimensions), dimensions)
                    if pairs > PAIRS:
                        n, more = _decide(
                            near,
                            near_column,
                            pairs,
                            own,
                            columns,
                            error64,
                            query,
                            passages,
                            dimensions,
                            block_of,
                            near_score,
                            number,
                            above,
                            open_relevant,
                            open_column,
                            n,
                        )
                        computed += more
                        pairs = 0
    for i in range(relevant):
        flat[base + columns[i]] = saved[i]
    n, more = _decide(
        near,
        near_column,
        pairs,
        own,
        columns,
        error64,
        query,
        passages,
        dimensions,
        block_of,
        near_score,
        number,
        above,
        open_relevant,
        open_column,
        n,
    )
    return n, computed + more
