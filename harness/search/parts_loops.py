"""The compiled loop of MaxSim scores in float64, which decides close comparisons."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled
from harness.search.inner_loops import inner_product

_PAIRS = 64
"""Pairs that another thread is worth while for."""


@compiled(fastmath=True)
def _products(a: Any, first: Any, b: Any, second: Any, tokens: Any, width: Any, out: Any) -> Any:
    """Fill ``out[:tokens]`` with float32 products, summed in any order, and return the largest.

    They are those of the row of ``a`` that begins at ``first`` with ``tokens`` rows of ``b``, the
    first of which begins at ``second``; four at a time.
    """
    # Compiled for finite numbers; no product is as low, or its vectors would be refused.
    n, done, top = np.uint64(width), np.uint64(0), np.float32(-3.4e38)
    while done + np.uint64(4) <= np.uint64(tokens):
        b0 = second + done * n
        b1 = b0 + n
        b2 = b1 + n
        b3 = b2 + n
        s0 = s1 = s2 = s3 = np.float32(0)
        for x in range(n):
            y = a[first + x]
            s0 += y * b[b0 + x]
            s1 += y * b[b1 + x]
            s2 += y * b[b2 + x]
            s3 += y * b[b3 + x]
        out[done] = s0
        out[done + np.uint64(1)] = s1
        out[done + np.uint64(2)] = s2
        out[done + np.uint64(3)] = s3
        top = max(top, max(max(s0, s1), max(s2, s3)))
        done += np.uint64(4)
    while done < np.uint64(tokens):
        s0 = np.float32(0)
        for x in range(n):
            s0 += a[first + x] * b[second + done * n + x]
        out[done] = s0
        top = max(top, s0)
        done += np.uint64(1)
    return top


@compiled(nogil=True)
def _largest(
    a: Any,
    b: Any,
    width: Any,
    own: Any,
    other: Any,
    query: Any,
    passage: Any,
    off: Any,
    products: Any,
    similar: Any,
    out: Any,
) -> None:
    """See :func:`largest_products`; ``a`` and ``b`` are rows of ``width`` end to end.

    ``products`` (d,) float64 and ``similar`` float32, for the most tokens, are room.
    """
    n, place = np.uint64(width), 0
    for i in range(len(query)):
        start, tokens = other[passage[i]], other[passage[i] + 1] - other[passage[i]]
        for token in range(own[query[i]], own[query[i] + 1]):
            first = np.uint64(token) * n
            top = _products(a, first, b, np.uint64(start) * n, tokens, width, similar)
            best = -np.inf
            for j in range(tokens):
                if similar[j] >= top - off[place]:
                    second = np.uint64(start + j) * n
                    score = inner_product(a, first, b, second, width, products)
                    if score > best:
                        best = score
            out[place] = best
            place += 1


def largest_products(
    queries: NDArray[np.float32],
    passages: NDArray[np.float32],
    own: NDArray[np.int64],
    other: NDArray[np.int64],
    query: NDArray[np.int64],
    passage: NDArray[np.int64],
    off: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The largest inner product of each token of a query with a passage's, for pairs of texts.

    Args:
        queries: (t, d) token vectors.
        passages: (u, d) token vectors.
        own: (Q + 1,) bounds of each query's tokens.
        other: (P + 1,) bounds of each passage's tokens, at least one each.
        query: (n,) queries by number.
        passage: (n,) passages by number.
        off: (m,) how much less a float32 product may be than the largest one of its token, and
            still be the largest in truth.

    Returns:
        (m,) float64, by pair and token, the bits of :func:`harness.search.exact.inner`.
    """
    import torch

    out = np.empty(len(off))
    a, b = (np.ascontiguousarray(x, np.float32).reshape(-1) for x in (queries, passages))
    places = np.concatenate([[0], np.cumsum(own[query + 1] - own[query])])

    width, most = queries.shape[1], int(np.diff(other).max())

    def fill(start: int, stop: int) -> None:
        pairs, inside = slice(start, stop), slice(places[start], places[stop])
        what = own, other, query[pairs], passage[pairs], off[inside]
        room = np.empty(width), np.empty(most, np.float32)
        _largest(a, b, width, *what, *room, out[inside])

    # One in the threads of a search, which have a share of the processor each.
    threads = min(torch.get_num_threads(), 1 + len(query) // _PAIRS)
    if threads == 1:
        fill(0, len(query))
        return out
    bounds = np.linspace(0, len(query), threads + 1).astype(int).tolist()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, bounds[:-1], bounds[1:]))
    return out
