"""The inner loops of search on a CPU: counting passages above relevant ones, and the top k.

Both work on one tile of scores, rows = queries, columns = the pool in its total order (see
:mod:`harness.search.in_memory`), so that of two equal scores the lower column ranks higher. They
are compiled by numba: plain torch writes a mask the size of the tile for every comparison and takes
several times as long as the matrix product that made the scores, these stay in cache. The parts of
a row (:class:`harness.search.products.Tile`) are put side by side first, in cache too.

The loops release the interpreter lock, so that several tiles can be worked on at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled
from harness.search.count_loops import (
    AT_ONCE,
    CHUNK,
    INTERVALS,
    PAIRS,
    PART,
    certain_counts_row,
    counts_row,
    most_relevant,
)
from harness.search.exact import Open, Vectors
from harness.search.inner_loops import inner, relevant_scores
from harness.search.products import Tile
from harness.search.top_k_loops import FEW, LANES, RUN, certain_top_k_row, top_k_row


@compiled()
def _row(flat: Any, rows: Any, columns: Any, width: Any, r: Any, row: Any) -> Any:
    """Row ``r`` of a tile as an array, and where it begins there.

    ``row`` has room for it; it is not used if the tile has one part, whose rows are whole.
    """
    if width >= columns:
        return flat, r * columns
    for start in range(0, columns, width):
        size = min(width, columns - start)
        at = np.uint64(rows * start + r * size)
        for j in range(np.uint64(size)):
            row[np.uint64(start) + j] = flat[at + j]
    return row, 0


@compiled(nogil=True)
def _rows(
    tile: Any,
    rows: Any,
    pool: Any,
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
    most = most_relevant(indptr)
    threshold = np.empty(most + AT_ONCE, np.float32)
    below = np.empty(most, np.float32)
    peaks = np.empty(lanes, np.float32)
    best = np.empty(min(k, FEW), np.float32)
    keys = np.empty(last - first if k else 0, np.uint64)
    whole = np.empty(pool, np.float32)
    for r in range(rows):
        flat, base = _row(tile, rows, pool, width, r, whole)
        relevant = indptr[r + 1] - indptr[r]
        if relevant:
            counts_row(flat, base, columns, indptr[r], relevant, starts, threshold, below, n_above)
        if k:
            top_k_row(
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


@compiled(nogil=True)
def _certain_rows(
    tile: Any,
    rows: Any,
    pool: Any,
    width: Any,
    indptr: Any,
    columns: Any,
    starts: Any,
    block_of: Any,
    error32: Any,
    error64: Any,
    largest: Any,
    queries: Any,
    first_query: Any,
    passages: Any,
    dimensions: Any,
    relevant_score: Any,
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
    most, blocks = most_relevant(indptr), len(starts) - 1
    query, products = np.empty(dimensions, np.float64), np.empty(dimensions, np.float64)
    own = np.empty(most, np.float64)
    number = np.empty(most, np.int64)
    low, high = np.empty(most, np.float32), np.empty(most, np.float32)
    saved = np.empty(most, np.float32)
    a = np.empty(most + INTERVALS, np.int16)
    row_above = np.empty((most + INTERVALS, blocks), np.int32)
    passed = np.empty(blocks, np.int32)
    unsorted, places = np.empty(CHUNK, np.int16), np.empty(CHUNK, np.int16)
    tops, order = np.empty(CHUNK // PART, np.int16), np.empty(CHUNK // PART, np.int64)
    near = np.empty(PAIRS + CHUNK + 1, np.int64)
    near_column = np.empty(PAIRS + CHUNK + 1, np.int64)
    near_score = np.empty(PAIRS + CHUNK, np.float64)
    peaks = np.empty(lanes, np.float32)
    best = np.empty(min(k, FEW), np.float32)
    keys = np.empty(last - first if k else 0, np.uint64)
    run = np.empty(RUN + 1, np.float64)
    candidates = np.empty(last - first if k else 0, np.int64)
    whole = np.empty(pool, np.float32)
    n, m, computed = 0, 0, 0
    while r < rows:
        begin, end = indptr[r], indptr[r + 1]
        relevant = end - begin
        full = n + relevant * pool > len(open_column) or m + (last - first) > len(column)
        if full and (n or m):
            break
        flat, base = _row(tile, rows, pool, width, r, whole)
        at = np.uint64(first_query + r) * np.uint64(dimensions)
        for x in range(np.uint64(dimensions)):
            query[x] = queries[at + x]
        if relevant:
            begun = n
            n, more = certain_counts_row(
                flat,
                base,
                columns[begin:end],
                starts,
                block_of,
                error32[r],
                error64[r],
                largest[r],
                query,
                passages,
                dimensions,
                relevant_score[begin:end],
                own,
                number,
                low,
                high,
                a,
                saved,
                passed,
                unsorted,
                tops,
                order,
                places,
                near,
                near_column,
                near_score,
                row_above,
                open_relevant,
                open_column,
                n,
            )
            computed += more
            for i in range(relevant):
                for block in range(blocks):
                    above[begin + number[i], block] = row_above[i, block]
            for i in range(begun, n):
                open_relevant[i] += begin
        if k:
            certain_, near_top, more = certain_top_k_row(
                flat,
                base,
                first,
                last,
                k,
                np.float32(2) * error32[r],
                error64[r],
                peaks,
                best,
                keys,
                candidates,
                query,
                passages,
                dimensions,
                products,
                run,
                out[r],
                out_scores[r],
            )
            computed += more
            if not certain_:
                for i in range(near_top):
                    j = candidates[i]
                    row[m], column[m], scores[m] = r, j, flat[np.uint64(base) + np.uint64(j)]
                    m += 1
        r += 1
    return r, n, m, computed


def count_ranked_above(
    scores: Tile,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.int32]:
    """How many passages of each block are ranked above each relevant passage.

    ``scores`` are (R, N), ``indptr`` (R + 1,) and ``columns`` (G,) give each row's
    relevant passages, ``starts`` (B + 1,) the blocks' bounds. Returns (G, B). The rank of a
    relevant passage in any union of blocks is 1 + the sum over them.
    """
    return count_and_top_k(scores, indptr, columns, starts, 0)[0]


def count_and_top_k(
    scores: Tile,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """:func:`count_ranked_above` and the top ``k`` columns of whole rows, in one pass over rows."""
    return _in_one_pass(scores, indptr, columns, starts, 0, scores.columns, k)


def compile_loops() -> None:
    """Compile the loops, or load them from the cache: a first run waits for it."""
    scores = Tile.of(np.zeros((1, 2), np.float32))
    first = np.array([0, 1], np.int64)
    none = np.zeros(1, np.int64)
    count_and_top_k(scores, first, none, np.array([0, 2], np.int64), 1)
    one, error = np.ones((1, 1), np.float32), np.zeros(1)
    vectors = Vectors(
        one, np.ones((2, 1), np.float32), np.zeros(2, np.int16), one[0], error, one[0]
    )
    for _ in certain(scores, vectors, 0, first, none, np.array([0, 2], np.int64), 0, 2, 1):
        pass
    inner(one, one, none, none)


def top_k(
    scores: Tile, start: int, stop: int, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The ``min(k, stop - start)`` best columns in ``[start, stop)`` of each row, best first.

    Returns columns and their scores, both (R, k).
    """
    none = np.zeros(0, np.int64)
    indptr = np.zeros(scores.rows + 1, np.int64)
    return _in_one_pass(scores, indptr, none, np.zeros(1, np.int64), start, stop, k)[1:]


def _in_one_pass(
    scores: Tile,
    indptr: NDArray[np.int64],
    columns: NDArray[np.int64],
    starts: NDArray[np.int64],
    first: int,
    last: int,
    k: int,
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    k = min(k, last - first)
    n_above = np.zeros((len(columns), len(starts) - 1), np.int32)
    out = np.empty((scores.rows, k), np.int32)
    out_scores = np.empty((scores.rows, k), np.float32)
    # Many lanes give a bound that few columns reach, few lanes few peaks to choose it from.
    lanes = min(LANES if k <= FEW else 2 * k, last - first)
    _rows(
        scores.flat,
        scores.rows,
        scores.columns,
        scores.width,
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
"""Pairs that can be listed as open before one more row is begun, and candidates of open rows."""


def certain(
    scores: Tile,
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
    top = np.zeros((scores.rows, k), np.int32)
    top_scores = np.zeros((scores.rows, k), np.float32)
    most = int(np.diff(indptr).max(initial=0)) * scores.columns
    relevant, column = np.empty((2, OPEN + most), np.int64)
    row, candidate = np.empty((2, OPEN + last - first if k else 0), np.int64)
    score = np.empty(len(row), np.float32)
    here = slice(first_query, first_query + scores.rows)
    queries, passages = vectors.queries.reshape(-1), vectors.passages.reshape(-1)
    dimensions = vectors.queries.shape[1]
    own = np.empty(len(columns))
    relevant_scores(queries, first_query, passages, dimensions, indptr, columns, own)
    r = 0
    while r < scores.rows:
        begun = r
        r, n, m, computed = _certain_rows(
            scores.flat,
            scores.rows,
            scores.columns,
            scores.width,
            indptr,
            columns,
            starts,
            vectors.block_of,
            vectors.error32[here],
            2 * vectors.error64[here],
            vectors.largest[here],
            queries,
            first_query,
            passages,
            dimensions,
            own,
            first,
            last,
            k,
            min(LANES if k <= FEW else 2 * k, last - first),
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
