"""The compiled loop of float64 inner products, which decides close comparisons."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled


@compiled()
def inner_product(a: Any, first: Any, b: Any, second: Any, width: Any, products: Any) -> Any:
    """Inner product of ``width`` numbers from two places, float64, folded in one fixed order."""
    n = np.uint64(width)
    half = (n + np.uint64(1)) // np.uint64(2)
    third, fourth = first + half, second + half
    # The first fold happens while multiplying.
    for x in range(n - half):
        left = np.float64(a[first + x]) * np.float64(b[second + x])
        products[x] = left + np.float64(a[third + x]) * np.float64(b[fourth + x])
    if n - half < half:
        middle = n - half
        products[middle] = np.float64(a[first + middle]) * np.float64(b[second + middle])
    n = half
    while n > np.uint64(1):
        half = (n + np.uint64(1)) // np.uint64(2)
        for x in range(n - half):
            products[x] += products[x + half]
        n = half
    return products[0]


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
