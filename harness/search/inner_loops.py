"""The compiled loops of float64 inner products, which decide close comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled
from harness.search.instructions import prefetch

_LINE = 16
"""float32 numbers in a cache line."""

_AHEAD = 4
"""Passages whose vectors are on their way while one is multiplied."""


@compiled()
def fetch(b: Any, second: Any, width: Any) -> None:
    """Begin to load the ``width`` numbers from ``b[second]`` on."""
    for x in range(np.uint64(0), np.uint64(width), np.uint64(_LINE)):
        prefetch(b, second + x)


@compiled()
def equal(b: Any, row: Any, other: Any, width: Any) -> Any:
    """Whether two rows of ``b``, rows of ``width`` numbers end to end, are equal."""
    first, second = np.uint64(row) * np.uint64(width), np.uint64(other) * np.uint64(width)
    for start in range(np.uint64(0), np.uint64(width), np.uint64(_LINE)):
        different = np.int32(0)
        for x in range(start, min(start + np.uint64(_LINE), np.uint64(width))):
            different += np.int32(b[first + x] != b[second + x])
        if different:
            return False
    return True


@compiled()
def _multiply(a: Any, first: Any, b: Any, second: Any, eighth: Any, products: Any) -> None:
    """Fill ``products[:eighth]`` with the sums of the products after three folds."""
    a1, b1 = first + eighth, second + eighth
    a2, b2 = a1 + eighth, b1 + eighth
    a3, b3 = a2 + eighth, b2 + eighth
    a4, b4 = a3 + eighth, b3 + eighth
    a5, b5 = a4 + eighth, b4 + eighth
    a6, b6 = a5 + eighth, b5 + eighth
    a7, b7 = a6 + eighth, b6 + eighth
    for x in range(eighth):
        p0 = np.float64(a[first + x]) * np.float64(b[second + x])
        p1 = np.float64(a[a1 + x]) * np.float64(b[b1 + x])
        p2 = np.float64(a[a2 + x]) * np.float64(b[b2 + x])
        p3 = np.float64(a[a3 + x]) * np.float64(b[b3 + x])
        p0 += np.float64(a[a4 + x]) * np.float64(b[b4 + x])
        p1 += np.float64(a[a5 + x]) * np.float64(b[b5 + x])
        p2 += np.float64(a[a6 + x]) * np.float64(b[b6 + x])
        p3 += np.float64(a[a7 + x]) * np.float64(b[b7 + x])
        products[x] = (p0 + p2) + (p1 + p3)


@compiled()
def _multiply_once(a: Any, first: Any, b: Any, second: Any, n: Any, products: Any) -> Any:
    """Fill ``products`` with the sums of ``n`` products after the first fold; their number."""
    half = (n + np.uint64(1)) // np.uint64(2)
    third, fourth = first + half, second + half
    for x in range(n - half):
        left = np.float64(a[first + x]) * np.float64(b[second + x])
        products[x] = left + np.float64(a[third + x]) * np.float64(b[fourth + x])
    if n - half < half:
        middle = n - half
        products[middle] = np.float64(a[first + middle]) * np.float64(b[second + middle])
    return half


@compiled()
def inner_product(a: Any, first: Any, b: Any, second: Any, width: Any, products: Any) -> Any:
    """Inner product of ``width`` numbers from two places, float64, folded in one fixed order."""
    n = np.uint64(width)
    # The first folds happen while multiplying: three at once where no number is left over.
    if n & np.uint64(7) == np.uint64(0):
        n >>= np.uint64(3)
        _multiply(a, first, b, second, n, products)
    else:
        n = _multiply_once(a, first, b, second, n, products)
    while n & np.uint64(7) == np.uint64(0) and n:
        n >>= np.uint64(3)
        for x in range(n):
            p0 = products[x] + products[x + np.uint64(4) * n]
            p1 = products[x + n] + products[x + np.uint64(5) * n]
            p2 = products[x + np.uint64(2) * n] + products[x + np.uint64(6) * n]
            p3 = products[x + np.uint64(3) * n] + products[x + np.uint64(7) * n]
            products[x] = (p0 + p2) + (p1 + p3)
    while n > np.uint64(1):
        half = (n + np.uint64(1)) // np.uint64(2)
        for x in range(n - half):
            products[x] += products[x + half]
        n = half
    return products[0]


@compiled(fastmath={"reassoc", "contract"})
def any_order_product(query: Any, b: Any, second: Any, width: Any) -> Any:
    """Inner product of ``query``, float64, with the ``width`` numbers from ``b[second]`` on.

    Summed in the order that suits the processor, in a third of the time that a fixed one takes. So
    its last bits are nobody's business: what it says is certain beyond
    :func:`harness.search.exact.sum_error` alone.
    """
    total = 0.0
    for x in range(np.uint64(width)):
        total += query[x] * np.float64(b[second + x])
    return total


@compiled(nogil=True)
def relevant_scores(
    queries: Any,
    first_query: Any,
    passages: Any,
    dimensions: Any,
    indptr: Any,
    columns: Any,
    out: Any,
) -> None:
    """Fill ``out`` (G,) with the scores of the relevant passages ``columns`` (G,), in any order.

    ``indptr`` (R + 1,) says which are those of each query, ``first_query`` and those after it.
    ``queries`` and ``passages`` are rows of ``dimensions`` numbers end to end. Before rows of
    products are looked at, which would take the cache.
    """
    query = np.empty(dimensions, np.float64)
    for r in range(len(indptr) - 1):
        at = np.uint64(first_query + r) * np.uint64(dimensions)
        for x in range(np.uint64(dimensions)):
            query[x] = queries[at + x]
        for i in range(indptr[r], indptr[r + 1]):
            if i + _AHEAD < len(columns):
                soon = np.uint64(columns[i + _AHEAD]) * np.uint64(dimensions)
                fetch(passages, soon, dimensions)
            there = np.uint64(columns[i]) * np.uint64(dimensions)
            out[i] = any_order_product(query, passages, there, dimensions)


@compiled(nogil=True, fastmath={"reassoc", "contract"})
def fill_products(
    queries: Any,
    vectors: Any,
    width: Any,
    columns: Any,
    looked_at: Any,
    out: Any,
) -> None:
    """Fill ``out`` (n, L, C) with float32 products of L queries of each of n questions.

    They are those with ``columns`` (n, C) where ``looked_at`` (n, C), in any order. ``queries``,
    one question after another, and ``vectors`` are rows of ``width`` numbers end to end.
    """
    for i in range(len(columns)):
        for j in range(columns.shape[1]):
            if not looked_at[i, j]:
                continue
            there = np.uint64(columns[i, j]) * np.uint64(width)
            for query in range(out.shape[1]):
                here = np.uint64(i * out.shape[1] + query) * np.uint64(width)
                total = np.float32(0)
                for x in range(np.uint64(width)):
                    total += queries[here + x] * vectors[there + x]
                out[i, query, j] = total


@compiled(nogil=True)
def _inner_pairs(queries: Any, vectors: Any, width: Any, query: Any, vector: Any, out: Any) -> None:
    """Fill ``out``; ``queries`` and ``vectors`` are rows of ``width`` end to end."""
    products = np.empty(width, np.float64)
    for i in range(len(out)):
        a, b = np.uint64(query[i]) * np.uint64(width), np.uint64(vector[i]) * np.uint64(width)
        out[i] = inner_product(queries, a, vectors, b, width, products)


def inner(
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    query: NDArray[np.int64],
    vector: NDArray[np.int64],
) -> NDArray[np.float64]:
    """See :func:`harness.search.exact.inner`: the same bits."""
    out = np.empty(len(query), np.float64)
    flat = np.ascontiguousarray(queries).reshape(-1), np.ascontiguousarray(vectors).reshape(-1)
    _inner_pairs(*flat, queries.shape[1], query, vector, out)
    return out
