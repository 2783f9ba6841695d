"""Language bias in ranks: how far a model favours some languages of a pool over others.

Layout as in :mod:`harness.metrics.retrieval`. The relevant passages of a query are its parallel
set, and their ranks are those in the pool of all languages (``multi``). Languages are numbers, 0 to
L - 1: ``relevant_languages`` ``(G,)`` are those of the relevant passages, ``query_languages``
``(Q,)`` those of the queries. "Own" means the query's language.

The measures of top passages, own-language nDCG and own-language preference follow the idea of
MLAIRE (arXiv 2605.07249: language preference rate, language nDCG, four-way split). Its formulas
were not available when these were written, so the numbers are not comparable with its own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics import retrieval
from harness.stats.ragged import (
    BoolArray,
    FloatArray,
    IntArray,
    counts,
    divide,
    owners,
    rank_order,
    segment_max,
    segment_min,
    segment_sum,
    split,
    subset,
)


def rank_distance(ranks: IntArray, indptr: IntArray) -> FloatArray:
    """Greatest minus least rank over the parallel set, in ranks; shape ``(Q,)``.

    Minimum m - 1 (the relevant passages are adjacent), maximum N - 1. NaN with fewer than two
    relevant passages. A model that ranks all of them equally badly scores well: never show it
    without mAP.
    Source: Huang et al., arXiv 2305.09025; used by arXiv 2408.10536.
    """
    distance = segment_max(ranks, indptr) - segment_min(ranks, indptr)
    return np.where(counts(indptr) < 2, np.nan, distance)


def scaled_rank_distance(
    ranks: IntArray, indptr: IntArray, pool_size: int | NDArray[Any]
) -> FloatArray:
    """Rank distance scaled to [0, 1]: ``(rd - (m - 1)) / (N - m)``, shape ``(Q,)``.

    Args:
        ranks: as in :func:`rank_distance`.
        indptr: as in :func:`rank_distance`.
        pool_size: N, one number for all queries or one each (``(Q,)``).

    Returns:
        NaN with fewer than two relevant passages, or if the pool has no other passages.
    """
    relevant = counts(indptr)
    return divide(rank_distance(ranks, indptr) - (relevant - 1), np.asarray(pool_size) - relevant)


def expected_rank_distance(
    relevant: int | NDArray[Any], pool_size: int | NDArray[Any]
) -> FloatArray:
    """Mean rank distance of random rankings: ``(N + 1)(m - 1) / (m + 1)``.

    The smallest of m distinct ranks drawn from 1 to N has mean ``(N + 1) / (m + 1)``, the largest
    ``m (N + 1) / (m + 1)``. With XQuAD-R's m = 11 and N = 13,014: 10,845.8.
    """
    m = np.asarray(relevant, dtype=np.float64)
    n = np.asarray(pool_size, dtype=np.float64)
    return (n + 1) * (m - 1) / (m + 1)


def max_rank(ranks: IntArray, indptr: IntArray) -> FloatArray:
    """The rank at which all m relevant passages have been retrieved, in ranks; shape ``(Q,)``.

    Minimum m, maximum N. NaN without relevant passages. What rank distance leaves out: a model that
    ranks all of them equally badly has a great one.
    Source: Max@R of arXiv 2604.05684.
    """
    return np.where(counts(indptr) < 1, np.nan, segment_max(ranks, indptr))


def scaled_max_rank(ranks: IntArray, indptr: IntArray, pool_size: int | NDArray[Any]) -> FloatArray:
    """:func:`max_rank` scaled to [0, 1]: ``(max - m) / (N - m)``, shape ``(Q,)``.

    A random ranking has ``m / (m + 1)`` on average, since the greatest of m distinct ranks drawn
    from 1 to N has mean ``m (N + 1) / (m + 1)``.

    Args:
        ranks: as in :func:`max_rank`.
        indptr: as in :func:`max_rank`.
        pool_size: N, one number for all queries or one each (``(Q,)``).

    Returns:
        NaN without relevant passages, or if the pool has no other passages.
    """
    relevant = counts(indptr)
    return divide(max_rank(ranks, indptr) - relevant, np.asarray(pool_size) - relevant)


def expected_max_rank(relevant: int, pool_size: int) -> float:
    """Mean max rank of random rankings: ``m (N + 1) / (m + 1)``."""
    return relevant * (pool_size + 1) / (relevant + 1)


def expected_complete(relevant: int, pool_size: int, k: int) -> float:
    """Chance that a random ranking has all m relevant passages in its top k.

    ``C(N - m, k - m) / C(N, k)``: 0 with more than k of them.
    """
    return math.comb(min(k, pool_size), relevant) / math.comb(pool_size, relevant)


def complete(ranks: IntArray, indptr: IntArray, k: int) -> FloatArray:
    """1 if all relevant passages are in the top ``k``, else 0; shape ``(Q,)``.

    Always 0 with more than ``k`` of them. NaN without relevant passages.
    Source: Complete@k of arXiv 2604.05684.
    """
    return np.where(counts(indptr) < 1, np.nan, segment_max(ranks, indptr) <= k)


def own_language_first(
    ranks: IntArray, indptr: IntArray, relevant_languages: IntArray, query_languages: IntArray
) -> FloatArray:
    """1 if the best-ranked relevant passage is in the query's language, else 0; ``(Q,)``.

    Its mean is the own-language share; a model without preference reaches the share of the
    relevant passages that are in the query's language (1 / m with one per language). NaN unless the
    query has relevant passages both in its own language and in another.
    """
    own = _own(indptr, relevant_languages, query_languages)
    best = segment_min(ranks, indptr)
    own_best = segment_min(ranks[own], subset(own, indptr))
    return np.where(_both(own, indptr), own_best == best, np.nan)


def own_language_pairs(
    ranks: IntArray, indptr: IntArray, relevant_languages: IntArray, query_languages: IntArray
) -> FloatArray:
    """Share of relevant passages in other languages ranked below the own-language one; neutral 1/2.

    With several in the own language: share of all pairs (own, other) in which the own one is ranked
    higher. Shape ``(Q,)``; NaN where :func:`own_language_first` is.
    """
    own = _own(indptr, relevant_languages, query_languages)
    ahead = _own_ahead(ranks, indptr, own)
    n_own = segment_sum(own, indptr)
    won = segment_sum(np.where(own, 0, ahead), indptr)
    return divide(won, n_own * (counts(indptr) - n_own))


def top_split(
    ranks: IntArray, indptr: IntArray, top_languages: IntArray, query_languages: IntArray
) -> FloatArray:
    """Split queries by their top passage: right or wrong, in the query's language or another.

    Args:
        ranks: ``(G,)``.
        indptr: ``(Q + 1,)``.
        top_languages: language of the passage at rank 1, ``(Q,)``.
        query_languages: ``(Q,)``.

    Returns:
        ``(Q, 4)``, with a single 1 in each row: right and own, right and other, wrong and own,
        wrong and other. NaN for queries without relevant passages.
    """
    right = segment_min(ranks, indptr) == 1
    own = np.asarray(top_languages) == query_languages
    table = np.stack([right & own, right & ~own, ~right & own, ~right & ~own], axis=1)
    return np.where(counts(indptr)[:, None] > 0, table, np.nan)


def own_language_ndcg(
    ranks: IntArray,
    indptr: IntArray,
    relevant_languages: IntArray,
    query_languages: IntArray,
    k: int | None = None,
    grades: NDArray[Any] | None = None,
) -> FloatArray:
    """nDCG@k in the pool of all languages, only own-language passages being relevant; ``(Q,)``.

    A perfect value needs the own-language ones above all others. NaN without any.
    """
    own = _own(indptr, relevant_languages, query_languages)
    return retrieval.ndcg(
        ranks[own], subset(own, indptr), k, None if grades is None else grades[own]
    )


def language_aware_ndcg(
    ranks: IntArray,
    indptr: IntArray,
    relevant_languages: IntArray,
    query_languages: IntArray,
    k: int | None = None,
    grades: NDArray[Any] | None = None,
    *,
    other: float = 0.5,
) -> FloatArray:
    """nDCG@k with gain 1 for own-language passages and ``other`` for the rest (times their grade).

    The graded form of :func:`own_language_ndcg`; ``(Q,)``, NaN without relevant passages.
    """
    own = _own(indptr, relevant_languages, query_languages)
    gains = np.where(own, 1.0, other) * (1 if grades is None else grades)
    return retrieval.ndcg(ranks, indptr, k, gains)


def average_precision_without_own(
    ranks: IntArray, indptr: IntArray, relevant_languages: IntArray, query_languages: IntArray
) -> FloatArray:
    """Average precision after removing own-language relevant passages everywhere; ``(Q,)``.

    Each remaining one moves up by the number of removed ones above it. What is left without the
    easy answer: real cross-lingual retrieval. NaN where :func:`own_language_first` is.
    """
    own = _own(indptr, relevant_languages, query_languages)
    moved = (ranks - _own_ahead(ranks, indptr, own))[~own]
    without = retrieval.average_precision(moved, subset(~own, indptr))
    return np.where(_both(own, indptr), without, np.nan)


def other_language_recall(
    ranks: IntArray,
    indptr: IntArray,
    relevant_languages: IntArray,
    query_languages: IntArray,
    k: int,
) -> FloatArray:
    """Share of the relevant passages in other languages that are in the top ``k``; ``(Q,)``.

    Ranks are those in the full pool. NaN without such a passage.
    """
    other = ~_own(indptr, relevant_languages, query_languages)
    return retrieval.recall(ranks[other], subset(other, indptr), k)


def language_ndcg(
    ranks: IntArray,
    indptr: IntArray,
    relevant_languages: IntArray,
    n_languages: int,
    k: int | None = None,
    grades: NDArray[Any] | None = None,
) -> FloatArray:
    """nDCG@k in the pool of all languages, one language's passages being relevant at a time.

    Returns:
        ``(Q, L)``; NaN where the query has no relevant passage in that language.
    """
    order, parts = split(relevant_languages, indptr, n_languages)
    value = retrieval.ndcg(ranks[order], parts, k, None if grades is None else grades[order])
    return value.reshape(-1, n_languages)


def spread(by_language: FloatArray) -> FloatArray:
    """Maximum minus minimum defined value along the last axis; NaN with fewer than two.

    For a row of :func:`language_ndcg` it is the spread within a query, for its means over queries
    the spread between languages.
    """
    defined = ~np.isnan(by_language)
    high = np.where(defined, by_language, -np.inf).max(axis=-1, initial=-np.inf)
    low = np.where(defined, by_language, np.inf).min(axis=-1, initial=np.inf)
    enough = defined.sum(axis=-1) >= 2
    return np.where(enough, np.where(enough, high, 0) - np.where(enough, low, 0), np.nan)


def _own(indptr: IntArray, relevant_languages: IntArray, query_languages: IntArray) -> BoolArray:
    """``(G,)``: the relevant passage is in its query's language."""
    return np.asarray(relevant_languages == np.asarray(query_languages)[owners(indptr)])


def _both(own: BoolArray, indptr: IntArray) -> BoolArray:
    """``(Q,)``: the query has relevant passages in its own language and in others."""
    n_own = segment_sum(own, indptr)
    return np.asarray((n_own > 0) & (n_own < counts(indptr)))


def _own_ahead(ranks: IntArray, indptr: IntArray, own: BoolArray) -> NDArray[np.int64]:
    """``(G,)``: number of own-language relevant passages ranked above each one of a query."""
    if segment_sum(own, indptr).max(initial=0) <= 1:
        # Parallel sets: nothing to sort. Without an own-language one, nothing is above NaN.
        best = np.full(len(indptr) - 1, np.nan)
        best[owners(indptr)[own]] = ranks[own]
        return (ranks > best[owners(indptr)]).astype(np.int64)
    order = rank_order(ranks, indptr)
    before = np.concatenate(([0], np.cumsum(own[order])))
    found = np.empty(len(ranks), dtype=np.int64)
    found[order] = before[:-1] - np.repeat(before[indptr[:-1]], np.diff(indptr))
    return found
