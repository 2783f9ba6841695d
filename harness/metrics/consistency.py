"""Does a question retrieve the same passages in every language?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.stats.ragged import BoolArray, FloatArray, IntArray, divide

ScoresOf: TypeAlias = Callable[[int, IntArray], NDArray[Any]]
"""``scores_of(language, passages)``: scores of the question's query in that language, ``(n, U)``.

``passages`` is ``(n, U)``, passage numbers in the pool for each of n questions. Entries of
questions without a query in the language, and entries past the end of a short pool, may have any
finite value.
"""


def spearman(first: NDArray[Any], second: NDArray[Any], valid: BoolArray) -> FloatArray:
    """Spearman's rank correlation of each row, ``(n,)``: Pearson's of the ranks, ties averaged.

    Args:
        first: ``(n, U)`` finite scores.
        second: ``(n, U)`` finite scores.
        valid: ``(n, U)``: which entries count.

    Returns:
        NaN if either side is constant or fewer than two entries count.
    """
    sides = []
    for values in (first, second):
        ranks = _row_ranks(values, valid)
        mean = divide(ranks.sum(axis=1), valid.sum(axis=1))
        sides.append(np.where(valid, ranks - np.nan_to_num(mean)[:, None], 0.0))
    product = (sides[0] * sides[1]).sum(axis=1)
    return divide(product, np.sqrt((sides[0] ** 2).sum(axis=1) * (sides[1] ** 2).sum(axis=1)))


def top_k_union(first: IntArray, second: IntArray) -> tuple[NDArray[np.intp], BoolArray]:
    """Union of the two top-k sets of each row.

    Args:
        first: ``(n, k)`` passage numbers, -1 past a short pool.
        second: ``(n, k)``.

    Returns:
        ``(n, 2k)`` passage numbers, ascending, and which of them count, so that each passage counts
        once.
    """
    both = np.sort(np.concatenate((first, second), axis=1).astype(np.intp), axis=1)
    valid = both >= 0
    valid[:, 1:] &= both[:, 1:] != both[:, :-1]
    return both, valid


def rank_correlations(top_k: IntArray, has_query: BoolArray, scores_of: ScoresOf) -> FloatArray:
    """Correlation between the rankings of the same question in two languages.

    Spearman's correlation over the union of the two top-k sets, of the scores that both queries
    give to all of it. Source: Yang et al., arXiv 2509.06195 (mean rank correlation), who correlate
    full rankings; over a full pool the order of thousands of wrong passages would dominate.

    Args:
        top_k: ``(n, L, k)``: top k of each question in each language, as passage numbers in one
            pool; -1 past the end of a short pool.
        has_query: ``(n, L)``: whether the question has a query in the language.
        scores_of: gives the scores; called twice for each pair of languages.

    Returns:
        ``(n, L, L)``, symmetric; NaN on the diagonal, where the question lacks a query in either
        language, and where a correlation is undefined.
    """
    n, languages, _ = top_k.shape
    found = np.full((n, languages, languages), np.nan)
    for a in range(languages):
        for b in range(a + 1, languages):
            passages, valid = top_k_union(top_k[:, a], top_k[:, b])
            passages = np.maximum(passages, 0)
            value = spearman(scores_of(a, passages), scores_of(b, passages), valid)
            found[:, a, b] = found[:, b, a] = np.where(
                has_query[:, a] & has_query[:, b], value, np.nan
            )
    return found


def mean_rank_correlation(correlations: FloatArray) -> FloatArray:
    """Mean over the other languages of each question's query: ``(n, L, L)`` to ``(n, L)``.

    NaN if no correlation is defined.
    """
    defined = ~np.isnan(correlations)
    return divide(np.where(defined, correlations, 0.0).sum(axis=2), defined.sum(axis=2))


def _row_ranks(values: NDArray[Any], valid: BoolArray) -> FloatArray:
    """Ranks of the valid entries of each row, smallest first, ties averaged; 0 elsewhere."""
    rows, width = values.shape
    filled = np.where(valid, values, np.inf)  # sorted to the end, after every valid entry
    order = np.argsort(filled, axis=1)  # equal values in any order: they share a rank
    ordered = np.take_along_axis(filled, order, axis=1)
    new = np.ones((rows, width), dtype=bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    starts = np.flatnonzero(new)  # every row starts a new group of ties
    stops = np.append(starts[1:], rows * width)
    mean = (starts + 1 + stops) / 2 - starts // width * width
    ranks = np.empty((rows, width))
    np.put_along_axis(ranks, order, np.repeat(mean, stops - starts).reshape(rows, width), axis=1)
    return np.where(valid, ranks, 0.0)
