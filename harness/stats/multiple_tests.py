"""Several comparisons at once: adjusted p-values, tie groups, and what could have been detected."""

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


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Adjust p-values so that the expected share of false findings stays below alpha.

    For a map of many cells, where Holm would leave nothing. Source: Benjamini and Hochberg 1995.

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
    """Return the least true difference that a two-sided test on these data finds often enough.

    ``(z(1 - alpha / 2) + z(power)) * standard error``, by the normal approximation (Bloom 1995,
    minimum detectable effect): 2.80 standard errors at the defaults.

    Args:
        standard_error: of the difference, any shape, from :func:`cluster_bootstrap` on differences.
        alpha: level of the test; divide it by the number of comparisons where Holm is applied.
        power: chance to find it.
    """
    normal = NormalDist()
    factor = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return factor * np.asarray(standard_error, dtype=np.float64)


class RankSpan(NamedTuple):
    """Ranks a system may hold, given what the data can tell apart; 1 = best."""

    best: int
    worst: int


def rank_spans(
    scores: ArrayLike,
    p_values: NDArray[Any],
    *,
    higher_is_better: bool = True,
    alpha: float = ALPHA,
) -> list[RankSpan]:
    """Return for each system the ranks that cannot be excluded.

    Best rank: 1 + the systems that are better and told apart; worst rank: n - the systems that are
    worse and told apart.

    Args:
        scores: one per system, ``(n,)``.
        p_values: adjusted p-values of all pairs, symmetric ``(n, n)``; the diagonal is ignored, NaN
            counts as not told apart.
        higher_is_better: ``False`` for measures such as rank distance.
        alpha: two systems are told apart where their p-value is at most this.
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
    """Return the largest runs of neighbours by score in which no pair is told apart.

    These are the bars of a critical-difference diagram (Demšar 2006). "Not told apart" is not
    transitive, so runs may overlap; a system alone in its run is told apart from its neighbours.

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
        stop = max(start + 1, reach)  # what lies inside the run before is not apart
        while stop < len(order) and not apart[stop, start:stop].any():
            stop += 1
        if stop > reach:  # else it lies inside the run before
            runs.append(tuple(int(i) for i in order[start:stop]))
            reach = stop
    return runs


def _ascending(p_values: ArrayLike) -> tuple[FloatArray, NDArray[np.intp]]:
    """The p-values, and the flat positions of those that are defined, least first."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p.ravel(), kind="stable")  # NaN last
    return p, order[: p.size - int(np.isnan(p).sum())]


def _back(p: FloatArray, order: NDArray[np.intp], adjusted: FloatArray) -> FloatArray:
    """``adjusted`` (in ascending order) at its places, at most 1; NaN elsewhere."""
    found = np.full(p.size, np.nan)
    found[order] = np.minimum(adjusted, 1.0)
    return found.reshape(p.shape)
