"""Multiple comparisons: adjusted p-values, groups of ties, minimum detectable effects."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.stats.ragged import FloatArray

ALPHA = 0.05
POWER = 0.8


def holm(p_values: ArrayLike) -> FloatArray:
    """Adjust p-values so that the chance of any false finding among them stays below alpha.

    Args:
        p_values: any shape; NaN marks a comparison that was not made.

    Returns:
        Same shape: reject where it is at most alpha. Source: Holm 1979.
    """
    p, order = _ascending(p_values)
    n = len(order)
    stepped = np.maximum.accumulate((n - np.arange(n)) * p.ravel()[order])
    return _back(p, order, stepped)


def holm_levels(p_values: ArrayLike, alpha: float = ALPHA) -> FloatArray:
    """Return the level at which Holm's procedure tests each comparison.

    It is alpha over the number of comparisons that remain: all but those with smaller p-values,
    and, from the first that is not significant on, all but the significant ones. An interval of
    coverage 1 - level agrees with the corrected verdict, but for what the interval and the test
    differ in.

    Args:
        p_values: any shape; NaN marks a comparison that was not made.
        alpha: of the whole family.

    Returns:
        Same shape, NaN where ``p_values`` is.
    """
    p, order = _ascending(p_values)
    significant = int((holm(p) <= alpha).sum())
    ascending = p.ravel()[order]
    smaller = np.minimum(np.searchsorted(ascending, ascending, "left"), significant)
    found = np.full(p.size, np.nan)
    found[order] = alpha / np.maximum(len(order) - smaller, 1)
    return found.reshape(p.shape)


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Adjust p-values so that the expected share of false findings stays below alpha.

    For a map of many cells, in which Holm would leave nothing. Source: Benjamini and Hochberg 1995.

    Args:
        p_values: any shape; NaN marks a comparison that was not made.

    Returns:
        Same shape: reject where it is at most alpha.
    """
    p, order = _ascending(p_values)
    n = len(order)
    scaled = p.ravel()[order] * n / np.arange(1, n + 1)
    return _back(p, order, np.minimum.accumulate(scaled[::-1])[::-1])


def smallest_detectable_difference(
    standard_error: ArrayLike, *, alpha: float = ALPHA, power: float = POWER
) -> FloatArray:
    """Return the smallest true difference that a two-sided test detects with probability ``power``.

    ``(z(1 - alpha / 2) + z(power)) * standard error``, by the normal approximation (Bloom 1995,
    minimum detectable effect): 2.80 standard errors at the defaults.

    Args:
        standard_error: of the difference, any shape, from :func:`cluster_bootstrap` on differences.
        alpha: level of the test; divide it by the number of comparisons if Holm is applied.
        power: probability of detecting it.
    """
    normal = NormalDist()
    factor = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return factor * np.asarray(standard_error, dtype=np.float64)


class RankSpan(NamedTuple):
    """The range of ranks a system may have, given which differences are significant; 1 = best."""

    best: int
    worst: int


def rank_spans(
    scores: ArrayLike,
    p_values: NDArray[Any],
    *,
    higher_is_better: bool = True,
    alpha: float = ALPHA,
) -> list[RankSpan]:
    """Return the range of ranks of each system that the data do not exclude.

    Best rank: 1 + the number of significantly better systems; worst rank: n - the number of
    significantly worse ones.

    Args:
        scores: one per system, ``(n,)``.
        p_values: adjusted p-values of all pairs, symmetric ``(n, n)``; the diagonal is ignored, NaN
            counts as not significant.
        higher_is_better: ``False`` for measures such as rank distance.
        alpha: two systems differ significantly if their p-value is at most this.
    """
    value = np.asarray(scores, dtype=np.float64) * (1 if higher_is_better else -1)
    apart = np.asarray(p_values) <= alpha
    better = (value[None, :] > value[:, None]) & apart
    worse = (value[None, :] < value[:, None]) & apart
    best = 1 + better.sum(axis=1)
    worst = len(value) - worse.sum(axis=1)
    return [RankSpan(int(b), int(w)) for b, w in zip(best, worst, strict=True)]


def tie_groups(
    scores: ArrayLike,
    p_values: NDArray[Any],
    *,
    higher_is_better: bool = True,
    alpha: float = ALPHA,
) -> list[tuple[int, ...]]:
    """Return the maximal runs of neighbours by score in which no pair differs significantly.

    These are the bars of a critical-difference diagram (Demšar 2006). "Not significantly different"
    is not transitive, so runs may overlap; a system alone in its run differs significantly from its
    neighbours.

    Args:
        scores: as in :func:`rank_spans`.
        p_values: as in :func:`rank_spans`.
        higher_is_better: as in :func:`rank_spans`.
        alpha: as in :func:`rank_spans`.

    Returns:
        System numbers, best first, one tuple per run; every system is in at least one.
    """
    value = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-value if higher_is_better else value, kind="stable")
    apart = (np.asarray(p_values) <= alpha)[np.ix_(order, order)]
    np.fill_diagonal(apart, False)
    runs: list[tuple[int, ...]] = []
    reach = 0
    for start in range(len(order)):
        stop = max(start + 1, reach)  # inside the previous run nothing differs
        while stop < len(order) and not apart[stop, start:stop].any():
            stop += 1
        if stop > reach:  # otherwise it is part of the previous run
            runs.append(tuple(int(i) for i in order[start:stop]))
            reach = stop
    return runs


def _ascending(p_values: ArrayLike) -> tuple[FloatArray, NDArray[np.intp]]:
    """The p-values, and the flat positions of the defined ones, smallest first."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p.ravel(), kind="stable")  # NaN last
    return p, order[: p.size - int(np.isnan(p).sum())]


def _back(p: FloatArray, order: NDArray[np.intp], adjusted: FloatArray) -> FloatArray:
    """``adjusted`` (ascending) put back in place, capped at 1; NaN elsewhere."""
    found = np.full(p.size, np.nan)
    found[order] = np.minimum(adjusted, 1.0)
    return found.reshape(p.shape)
