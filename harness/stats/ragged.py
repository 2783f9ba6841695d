"""Sums and extremes over the relevant passages of each query, without a Python loop.

CSR layout, here and in every measure: the relevant passages of query ``q`` are entries
``indptr[q]`` to ``indptr[q + 1]`` of arrays with one entry per relevant passage, ``(G,)``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def counts(indptr: IntArray) -> NDArray[np.int64]:
    """Number of relevant passages of each query, shape ``(Q,)``."""
    return np.diff(indptr).astype(np.int64, copy=False)


def owners(indptr: IntArray) -> NDArray[np.intp]:
    """The query of each relevant passage, shape ``(G,)``."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def segment_sum(values: NDArray[Any], indptr: IntArray) -> FloatArray:
    """Sum of each query's ``values`` (``(G,)``), shape ``(Q,)``; 0 for a query without any."""
    sums = np.bincount(owners(indptr), weights=values, minlength=len(indptr) - 1)
    return sums.astype(np.float64, copy=False)


def segment_min(values: NDArray[Any], indptr: IntArray) -> FloatArray:
    """Minimum of each query's ``values`` (``(G,)``), shape ``(Q,)``; NaN where there are none."""
    return _reduce(np.minimum, values, indptr)


def segment_max(values: NDArray[Any], indptr: IntArray) -> FloatArray:
    """Maximum of each query's ``values`` (``(G,)``), shape ``(Q,)``; NaN where there are none."""
    return _reduce(np.maximum, values, indptr)


def subset(keep: BoolArray, indptr: IntArray) -> NDArray[np.int64]:
    """The ``indptr`` of the entries where ``keep`` (``(G,)``) is true, shape ``(Q + 1,)``."""
    kept_before = np.concatenate(([0], np.cumsum(keep)))
    return kept_before[indptr].astype(np.int64, copy=False)


def rank_order(ranks: IntArray, indptr: IntArray) -> NDArray[np.intp]:
    """The permutation that sorts entries by query and, within a query, best rank first."""
    span = int(ranks.max(initial=0)) + 1
    return np.argsort(owners(indptr) * span + ranks)


def split(
    keys: NDArray[Any], indptr: IntArray, n_keys: int
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Split each query's entries by ``keys`` (``(G,)``, 0 to ``n_keys - 1``: languages, say).

    Returns:
        ``order`` ``(G,)``, which sorts the entries by query and key, and the ``indptr`` ``(Q *
        n_keys + 1,)`` of the parts in that order.
    """
    part = owners(indptr) * n_keys + keys
    sizes = np.bincount(part, minlength=(len(indptr) - 1) * n_keys)
    return np.argsort(part, kind="stable"), np.concatenate(([0], np.cumsum(sizes)))


def divide(numerator: NDArray[Any], denominator: NDArray[Any]) -> FloatArray:
    """Elementwise quotient; NaN if the denominator is 0."""
    shape = np.broadcast_shapes(np.shape(numerator), np.shape(denominator))
    quotient: FloatArray = np.full(shape, np.nan)
    np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) != 0)
    return quotient


def _reduce(operation: np.ufunc, values: NDArray[Any], indptr: IntArray) -> FloatArray:
    found = np.full(len(indptr) - 1, np.nan)
    # reduceat gives an empty segment its neighbour's value: pass only the starts of non-empty ones,
    # each of which ends where the next non-empty one starts.
    full = np.diff(indptr) > 0
    if full.any():
        found[full] = operation.reduceat(values, indptr[:-1][full])
    return found
