"""Sums and extremes over the golds of each query, without a Python loop.

CSR layout, here and in every measure: the golds of query ``q`` are entries ``indptr[q]`` to
``indptr[q + 1]`` of the gold arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def counts(indptr: IntArray) -> NDArray[np.int64]:
    """Number of golds of each query, shape ``(Q,)``."""
    return np.diff(indptr).astype(np.int64, copy=False)


def owners(indptr: IntArray) -> NDArray[np.intp]:
    """The query that each gold belongs to, shape ``(G,)``."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def segment_sum(values: NDArray[Any], indptr: IntArray) -> FloatArray:
    """Sum of each query's ``values`` (``(G,)``), shape ``(Q,)``; 0 for a query without golds."""
    sums = np.bincount(owners(indptr), weights=values, minlength=len(indptr) - 1)
    return sums.astype(np.float64, copy=False)


def segment_min(values: NDArray[Any], indptr: IntArray) -> FloatArray:
    """Least of each query's ``values`` (``(G,)``), shape ``(Q,)``; NaN without golds."""
    return _reduce(np.minimum, values, indptr)


def segment_max(values: NDArray[Any], indptr: IntArray) -> FloatArray:
    """Greatest of each query's ``values`` (``(G,)``), shape ``(Q,)``; NaN without golds."""
    return _reduce(np.maximum, values, indptr)


def subset(keep: BoolArray, indptr: IntArray) -> NDArray[np.int64]:
    """The ``indptr`` of the golds where ``keep`` (``(G,)``) holds, shape ``(Q + 1,)``."""
    kept_before = np.concatenate(([0], np.cumsum(keep)))
    return kept_before[indptr].astype(np.int64, copy=False)


def rank_order(ranks: IntArray, indptr: IntArray) -> NDArray[np.intp]:
    """The permutation that puts golds query by query and, inside a query, best rank first."""
    span = int(ranks.max(initial=0)) + 1
    return np.argsort(owners(indptr) * span + ranks)


def split(
    keys: NDArray[Any], indptr: IntArray, n_keys: int
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Split each query's golds by ``keys`` (``(G,)``, 0 to ``n_keys - 1``: languages, say).

    Returns:
        ``order`` ``(G,)``, which puts the golds query by query and key by key, and the ``indptr``
        ``(Q * n_keys + 1,)`` of the parts so ordered.
    """
    part = owners(indptr) * n_keys + keys
    sizes = np.bincount(part, minlength=(len(indptr) - 1) * n_keys)
    return np.argsort(part, kind="stable"), np.concatenate(([0], np.cumsum(sizes)))


def divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> FloatArray:
    """Elementwise quotient; NaN where the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient: FloatArray = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) != 0)
    return quotient


def _reduce(operation: np.ufunc, values: NDArray[Any], indptr: IntArray) -> FloatArray:
    found = np.full(len(indptr) - 1, np.nan)
    # reduceat gives an empty segment the value of its neighbour: only starts of full ones go in,
    # and as empty segments hold nothing, each of these ends where the next full one starts.
    full = np.diff(indptr) > 0
    if full.any():
        found[full] = operation.reduceat(values, indptr[:-1][full])
    return found
