"""Rank correlations in a compiled loop: those of :mod:`harness.metrics.consistency`, to the bit.

A mean rank is a multiple of one half, so that sums of products of centred ranks are exact in
float64, in whatever order they are added.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled
from harness.stats.ragged import BoolArray, FloatArray, IntArray


@compiled()
def _union(first: Any, second: Any, seen: Any, mark: Any, places: Any) -> Any:
    """Fill ``places`` with the places of either top k, each once; returns their number.

    ``seen`` says of each place the last ``mark`` it was met with.
    """
    n = 0
    for top in (first, second):
        for place in top:
            if place >= 0 and seen[place] != mark:
                seen[place] = mark
                places[n] = place
                n += 1
    return n


@compiled()
def _centred_ranks(scores: Any, places: Any, n: Any, values: Any, out: Any) -> None:
    """Fill ``out[:n]`` with how many of ``scores[places[:n]]`` each is above, less those above it.

    That is twice its mean rank less twice the mean of all ranks.
    """
    for i in range(n):
        values[i] = scores[places[i]]
        out[i] = np.int32(0)
    for j in range(n):
        other = values[j]
        for i in range(n):
            out[i] += np.int32(values[i] > other) - np.int32(values[i] < other)


@compiled(nogil=True)
def _fill(top_k: Any, has_query: Any, scores: Any, out: Any) -> None:
    questions, languages, k = top_k.shape
    seen = np.zeros(scores.shape[2], np.int64)
    places, values = np.empty(2 * k, np.int64), np.empty(2 * k, np.float32)
    one, other = np.empty(2 * k, np.int32), np.empty(2 * k, np.int32)
    mark = 0
    for q in range(questions):
        for a in range(languages):
            for b in range(a + 1, languages):
                if not (has_query[q, a] and has_query[q, b]):
                    continue
                mark += 1
                n = _union(top_k[q, a], top_k[q, b], seen, mark, places)
                _centred_ranks(scores[q, a], places, n, values, one)
                _centred_ranks(scores[q, b], places, n, values, other)
                product, first, second = 0, 0, 0
                for i in range(n):
                    product += one[i] * other[i]
                    first += one[i] * one[i]
                    second += other[i] * other[i]
                if first and second:
                    # The four that each is too large by would cancel, and rounds nothing.
                    out[q, a, b] = product / np.sqrt(np.float64(first) * np.float64(second))
                    out[q, b, a] = out[q, a, b]


def rank_correlations(
    top_k: IntArray, has_query: BoolArray, scores: NDArray[np.float32], threads: int = 1
) -> FloatArray:
    """See :func:`harness.metrics.consistency.rank_correlations`: the same bits.

    Args:
        top_k: ``(n, L, k)``, as there; the numbers are places in ``scores``.
        has_query: ``(n, L)``, as there.
        scores: ``(n, L, C)``: scores of the question's query in each language, by place.
        threads: how many take a share of the questions.
    """
    n, languages, _ = top_k.shape
    out = np.full((n, languages, languages), np.nan)
    parts = (np.array_split(x, threads) for x in (top_k, has_query, scores, out))
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(_fill, *parts):
            pass
    return out
