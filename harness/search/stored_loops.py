"""Vectors as they are stored, float16 or float32, read in compiled loops."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled
from harness.search.inner_loops import inner_product
from harness.search.instructions import widened


def widen(vectors: NDArray[Any], out: NDArray[np.float32]) -> float:
    """Fill ``out`` (n, d) with ``vectors`` (n, d), float16 or float32.

    Returns the greatest sum of the squares of a row, in float32, added in any order. The vectors
    are read once: from the disk they may be on, into the cache where they are multiplied.
    """
    return float(_widen(_bits(vectors), out.reshape(-1), *vectors.shape))


def inner_of_stored(
    queries: NDArray[np.float32],
    vectors: NDArray[Any],
    query: NDArray[np.int64],
    vector: NDArray[np.int64],
) -> NDArray[np.float64]:
    """See :func:`harness.search.exact.inner`: the same bits; ``vectors`` float16 or float32.

    Fastest where ``vector`` is in ascending order.
    """
    out = np.empty(len(query), np.float64)
    flat = np.ascontiguousarray(queries).reshape(-1)
    _inner_of_stored(flat, _bits(vectors), queries.shape[1], query, vector, out)
    return out


def _bits(vectors: NDArray[Any]) -> NDArray[Any]:
    """``vectors`` end to end; numba has no float16, it gets their bits."""
    # Not a memory map any more for numba: that would be another type to compile for.
    flat = np.ascontiguousarray(vectors).view(np.ndarray).reshape(-1)
    return flat.view(np.uint16) if flat.dtype == np.float16 else flat


@compiled(nogil=True, fastmath={"reassoc"})
def _widen(vectors: Any, out: Any, rows: Any, width: Any) -> Any:
    greatest = np.float32(0)
    for row in range(np.uint64(rows)):
        first = row * np.uint64(width)
        squares = np.float32(0)
        for i in range(first, first + np.uint64(width)):
            x = widened(vectors[i])
            out[i] = x
            squares += x * x
        if squares > greatest:
            greatest = squares
    return greatest


@compiled(nogil=True)
def _inner_of_stored(
    queries: Any, vectors: Any, width: Any, query: Any, vector: Any, out: Any
) -> None:
    products, row = np.empty(width, np.float64), np.empty(width, np.float32)
    for i in range(len(out)):
        first = np.uint64(vector[i]) * np.uint64(width)
        if i == 0 or vector[i] != vector[i - 1]:
            for j in range(np.uint64(width)):
                row[j] = widened(vectors[first + j])
        at = np.uint64(query[i]) * np.uint64(width)
        out[i] = inner_product(queries, at, row, np.uint64(0), width, products)
