"""Which languages fill the top of the rankings, and whether that mirrors the relevant passages.

Both take ``top_k_languages`` ``(Q, k)``: the language number of the passage at each of the top k
ranks, -1 past the end of a shorter pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.logarithm import discount, log2
from harness.stats.ragged import FloatArray, IntArray, divide, owners


def language_shares(top_k_languages: IntArray, n_languages: int) -> FloatArray:
    """Share of each language in the top k of each query, shape ``(Q, L)``."""
    return _by_language(top_k_languages, np.ones(top_k_languages.shape[1]), n_languages)


def rank_fairness(
    top_k_languages: IntArray, relevant_languages: IntArray, indptr: IntArray, n_languages: int
) -> FloatArray:
    """Attention-weighted rank fairness of languages, shape ``(Q,)``, in [0, 1], 1 = fair.

    ``1 - JSD(exposure, target)``: exposure is the share of attention each language gets in the top
    k, where rank r has the weight ``1 / log2(r + 1)``; the target is the distribution of the
    query's relevant passages over languages; JSD is the Jensen-Shannon divergence with logarithms
    to base 2. It looks at languages alone: wrong passages in the right languages are fair. NaN
    without relevant passages. Source: Sapiezynski et al. 2019 (AWRF), with the logarithmic discount
    and the divergence of the TREC Fair Ranking tracks.

    Args:
        top_k_languages: ``(Q, k)``.
        relevant_languages: ``(G,)``.
        indptr: ``(Q + 1,)``.
        n_languages: L.
    """
    weights = discount(np.arange(1, top_k_languages.shape[1] + 1))
    exposure = _by_language(top_k_languages, weights, n_languages)
    queries = len(indptr) - 1
    cells = owners(indptr) * n_languages + relevant_languages
    relevant = np.bincount(cells, minlength=queries * n_languages).reshape(queries, n_languages)
    target = divide(relevant, relevant.sum(axis=1, keepdims=True))
    return 1.0 - _jensen_shannon(exposure, target)


def _by_language(top_k_languages: IntArray, weights: NDArray[Any], n_languages: int) -> FloatArray:
    """Share of the ``weights`` (``(k,)``) of each language, ``(Q, L)``."""
    queries = len(top_k_languages)
    filled = top_k_languages >= 0
    cells = (np.arange(queries)[:, None] * n_languages + top_k_languages)[filled]
    weight = np.broadcast_to(weights, top_k_languages.shape)[filled]
    sums = np.bincount(cells, weight, queries * n_languages).reshape(queries, n_languages)
    return divide(sums, sums.sum(axis=1, keepdims=True))


def _jensen_shannon(first: FloatArray, second: FloatArray) -> FloatArray:
    """Divergence of each row's two distributions, base 2; NaN where either is."""
    undefined = np.isnan((first + second).sum(axis=1, keepdims=True))
    middle = (first + second) / 2
    total = np.zeros(len(first))
    for part in (first, second):
        there = (part > 0) & ~undefined
        ratio = np.divide(part, middle, out=np.ones_like(part), where=there)
        total += (part * log2(ratio)).sum(axis=1) / 2
    # Rounding can leave -1e-17 for equal distributions.
    return np.where(undefined[:, 0], np.nan, np.clip(total, 0.0, 1.0))
