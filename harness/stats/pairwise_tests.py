"""Test all pairs of systems for a difference of macro means, corrected for their number.

The difference of two macro means is a sum over questions, each adding its share. If two systems are
equal, the labels can be swapped within any question, which flips the sign of its share: this is the
permutation test of a comparison (:func:`paired_tests`). Boards take its Student form instead of
draws (:func:`paired_p_values`), so that all pairs of 200 models cost one matrix product: with D the
sum and S the sum of squares of the questions' shares of the difference, z = D / sqrt(S) and t = z *
sqrt((n - 1) / (n - z * z)) on n - 1 degrees of freedom, which is the paired t-test over questions
where all weigh the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.stats.means import question_shares
from harness.stats.multiple_tests import ALPHA, holm, holm_levels, rank_spans, tie_groups
from harness.stats.per_query import Paired
from harness.stats.ragged import FloatArray
from harness.stats.resampling import paired_permutation_test


@dataclass(frozen=True)
class PairwiseTests:
    """All P pairs of K records by M measures, kind by kind of setting."""

    pairs: tuple[tuple[int, int], ...]
    differences: tuple[FloatArray, ...]
    """Per kind (P, M): the second's macro mean minus the first's."""
    p_values: tuple[FloatArray, ...]
    adjusted: tuple[FloatArray, ...]
    """Holm over all pairs, measures and kinds."""
    levels: tuple[FloatArray, ...]
    """Level at which Holm tests each (:func:`harness.stats.multiple_tests.holm_levels`)."""
    smallest: tuple[float, ...]
    """Per kind: the smallest p-value that its permutations can give."""
    comparisons: int
    permutations: int
    """Number of permutations drawn, unless all were tried."""


def paired_tests(kinds: Sequence[Paired], resamples: int, seed: int) -> PairwiseTests:
    """Test all pairs of records for a difference of macro means.

    At least ``resamples`` permutations are drawn; more if Holm's correction over many comparisons
    needs smaller p-values than these can give.
    """
    pairs = tuple(combinations(range(len(kinds[0].values)), 2))
    shares = [
        np.concatenate(
            [question_shares(x.rows, x.values[j] - x.values[i]) for i, j in pairs], axis=1
        )
        for x in kinds
    ]
    comparisons = sum(int((~np.isnan(x[0])).sum()) for x in shares)
    # The smallest p-value times the comparisons is then a tenth of alpha.
    permutations = max(resamples, round(10 * comparisons / ALPHA))
    differences, p_values, smallest = [], [], []
    for x in shares:
        n = len(x)
        # The macro mean is linear in swaps: the mean over questions of n times their shares.
        found = paired_permutation_test(
            n * x,
            np.zeros_like(x),
            np.arange(n),
            np.zeros(n, np.int64),
            1,
            seed=seed,
            resamples=permutations,
        )
        differences.append(found.macro.value.reshape(len(pairs), -1))
        p_values.append(found.macro.p_value.reshape(len(pairs), -1))
        smallest.append(2 / found.resamples if found.exact else 1 / (found.resamples + 1))
    together = np.concatenate([x.ravel() for x in p_values])
    ends = np.cumsum([x.size for x in p_values])[:-1]
    adjusted, levels = (
        tuple(x.reshape(len(pairs), -1) for x in np.split(flat, ends))
        for flat in (holm(together), holm_levels(together))
    )
    return PairwiseTests(
        pairs=pairs,
        differences=tuple(differences),
        p_values=tuple(p_values),
        adjusted=adjusted,
        levels=levels,
        smallest=tuple(smallest),
        comparisons=comparisons,
        permutations=permutations,
    )


def paired_p_values(shares: FloatArray) -> FloatArray:
    """Two-sided p-values of all pairs of K models, not corrected.

    Args:
        shares: what each of n questions adds to each model's macro mean, ``(K, n)`` (to a common
            factor); a model with a NaN is not compared.

    Returns:
        Symmetric ``(K, K)``; NaN on the diagonal and where there is nothing to compare.
    """
    from scipy.special import stdtr

    known: NDArray[np.bool_] = np.logical_not(np.isnan(shares).any(axis=1))
    x = np.where(known[:, None], shares, 0.0)
    n = x.shape[1]
    means = x.sum(axis=1)
    gram = x @ x.T
    own = np.diag(gram)
    squares = np.maximum(own[:, None] + own[None, :] - 2 * gram, 0.0)
    # Rounding errors of the squares of equal rows.
    equal = squares <= 1e-12 * (own[:, None] + own[None, :])
    difference = means[:, None] - means[None, :]
    z2 = np.where(equal, 0.0, difference**2 / np.where(equal, 1.0, squares))
    z2 = np.minimum(z2, n)
    with np.errstate(divide="ignore"):
        t = np.sqrt(z2 * max(n - 1, 0) / (n - z2)) if n > 1 else np.zeros_like(z2)
    p = 2 * stdtr(max(n - 1, 1), -t)
    p[~known, :] = p[:, ~known] = np.nan
    np.fill_diagonal(p, np.nan)
    found: FloatArray = p
    return found


def ranked(
    values: FloatArray, shares: FloatArray, *, higher_is_better: bool
) -> tuple[
    NDArray[np.intp], list[tuple[int, int]], list[tuple[int, ...]], list[tuple[int, int]], int
]:
    """Order, ranks and ties of K models by one column.

    Args:
        values: macro means ``(K,)``, all defined.
        shares: as in :func:`paired_p_values`.
        higher_is_better: ``False`` for rank distance.

    Returns:
        Positions best first; (best, worst) rank of each model; groups of neighbours that are not
        significantly different, of two or more; pairs that are not either and in none of these, as
        a model between them is different from one of them; number of pairs tested.
    """
    order = np.argsort(-values if higher_is_better else values, kind="stable")
    p = paired_p_values(shares)
    upper = np.triu_indices(len(values), 1)
    corrected = holm(p[upper])
    adjusted = np.full_like(p, np.nan)
    adjusted[upper] = corrected
    adjusted.T[upper] = corrected
    spans = rank_spans(values, adjusted, higher_is_better=higher_is_better, alpha=ALPHA)
    ties = tie_groups(values, adjusted, higher_is_better=higher_is_better, alpha=ALPHA)
    ties = [x for x in ties if len(x) > 1]
    grouped = {pair for tie in ties for pair in combinations(sorted(tie), 2)}
    alike = np.argwhere(np.triu(adjusted > ALPHA, 1)).tolist()
    apart = [(i, j) for i, j in alike if (i, j) not in grouped]
    tested = int((~np.isnan(corrected)).sum())
    return order, [(s.best, s.worst) for s in spans], ties, apart, tested
