"""Retrieval measures as pure functions of exact ranks: per query, vectorised, equal to trec_eval's.

Each takes the relevant passages of Q queries in CSR layout (see :mod:`harness.stats.ragged`):

``ranks``
    Integer array ``(G,)``: the rank of each relevant passage in the full pool, 1 = best, distinct
    within a query. Those of a query may come in any order. :data:`harness.metrics.ranks.NEVER`,
    any number of times, for one that the pool lacks: it is never retrieved.
``indptr``
    Integer array ``(Q + 1,)``.
``grades``
    Optional positive numbers ``(G,)``; without them every grade is 1.

and returns a float64 array ``(Q,)``, NaN for queries without relevant passages. A rank is a count
over the full pool, so these are measures of the exhaustive ranking: nothing was cut off.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.logarithm import discount
from harness.metrics.ranks import NEVER
from harness.stats.ragged import (
    FloatArray,
    IntArray,
    counts,
    divide,
    owners,
    segment_min,
    segment_sum,
)


def average_precision(ranks: IntArray, indptr: IntArray) -> FloatArray:
    """Average precision over the full ranking: ``1/m * sum_i i / r_i`` with ``r_i`` ascending.

    Its mean is mAP. Source: trec_eval's ``map``.
    """
    relevant = counts(indptr)
    if relevant.max(initial=0) <= 1:
        return divide(segment_sum(_found(ranks) / ranks, indptr), relevant)
    owner = owners(indptr)
    # One sort for all queries: ranks ascending within each query, queries in order.
    span = int(ranks.max()) + 1
    ascending = np.sort(owner * span + ranks) - owner * span
    place = np.arange(1, len(ranks) + 1) - np.repeat(indptr[:-1], relevant)
    return divide(segment_sum(_found(ascending) * place / ascending, indptr), relevant)


def _found(ranks: IntArray) -> FloatArray:
    """1 for a rank, 0 for a relevant passage that the pool lacks."""
    return (ranks < NEVER).astype(np.float64)


def recall(ranks: IntArray, indptr: IntArray, k: int) -> FloatArray:
    """Share of the relevant passages in the top ``k``. Source: trec_eval's ``recall_k``."""
    return divide(segment_sum(ranks <= k, indptr), counts(indptr))


def precision(ranks: IntArray, indptr: IntArray, k: int) -> FloatArray:
    """Share of the top ``k`` that is relevant. Source: trec_eval's ``P_k``."""
    return np.where(counts(indptr) > 0, segment_sum(ranks <= k, indptr) / k, np.nan)


def success(ranks: IntArray, indptr: IntArray, k: int) -> FloatArray:
    """1 if a relevant passage is in the top ``k``, else 0. Source: trec_eval's ``success_k``."""
    first = segment_min(ranks, indptr)
    return np.where(np.isnan(first), np.nan, first <= k)


def judged(top_k_judged: IntArray, k: int) -> FloatArray:
    """Share of the top ``k`` that is judged, relevant or not; ``(Q,)``.

    Where it is low, the other measures say little: an unjudged passage counts as not relevant. A
    pool of fewer than ``k`` passages is divided by its size. Source: ir_measures' ``Judged@k``.

    Args:
        top_k_judged: ``(Q, at least k)``: 1 if the passage at the rank is judged, 0 if it is not,
            -1 past the end of the pool.
        k: the cutoff.
    """
    top = top_k_judged[:, :k]
    return divide((top == 1).sum(axis=1), (top >= 0).sum(axis=1))


def reciprocal_rank(ranks: IntArray, indptr: IntArray, k: int | None = None) -> FloatArray:
    """``1 / rank`` of the first relevant passage; 0 if it is below ``k``. Its mean is MRR@k.

    Source: trec_eval's ``recip_rank`` (no cutoff), ir_measures' ``RR@k``.
    """
    first = segment_min(ranks, indptr)
    value = np.where(first >= NEVER, 0.0, 1.0) / first
    return value if k is None else np.where(first > k, 0.0, value)


def ndcg(
    ranks: IntArray,
    indptr: IntArray,
    k: int | None = None,
    grades: NDArray[Any] | None = None,
) -> FloatArray:
    """nDCG@k with the grade as gain and discount ``log2(rank + 1)``; full ranking without ``k``.

    The ideal ranks all relevant passages first, by grade descending, cut at ``k`` like the ranking.
    Source: trec_eval's ``ndcg_cut_k`` and ``ndcg`` (Järvelin and Kekäläinen 2002, with the discount
    of Burges et al. 2005 and linear gain).
    """
    if grades is not None and (np.asarray(grades) == 1).all():
        grades = None
    inside = np.flatnonzero(ranks <= k if k is not None else ranks < NEVER)
    gain = discount(ranks[inside])
    if grades is not None:
        gain *= grades[inside]
    found = np.bincount(owners(indptr)[inside], weights=gain, minlength=len(indptr) - 1)
    return divide(found, _ideal(indptr, k, grades))


def _ideal(indptr: IntArray, k: int | None, grades: NDArray[Any] | None) -> FloatArray:
    """DCG of the best possible ranking, shape ``(Q,)``."""
    relevant = counts(indptr)
    most = int(relevant.max(initial=0))
    weights = discount(np.arange(1, most + 1))
    if k is not None:
        weights[k:] = 0.0
    if grades is None:
        return np.concatenate(([0.0], np.cumsum(weights)))[relevant]
    owner = owners(indptr)
    descending = np.lexsort((-np.asarray(grades), owner))
    place = np.arange(len(owner)) - np.repeat(indptr[:-1], relevant)
    return segment_sum(np.asarray(grades)[descending] * weights[place], indptr)
