"""Which rows of a board the data tell apart: all pairs of a column at once, in closed form.

The difference of two macro means is a sum over questions, each adding its share. If two models
are alike, the labels can be swapped within any question, which turns the sign of its share: the
permutation test of ``harness compare``. Here its Student form is taken instead of draws, so that
all pairs of 200 models cost one matrix product: with D the sum and S the sum of squares of the
questions' shares of the difference, z = D / sqrt(S) and t = z * sqrt((n - 1) / (n - z * z)) on
n - 1 degrees of freedom, which is the paired t-test over questions where all weigh the same.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.stats.multiple_tests import ALPHA, holm, rank_spans, tie_groups
from harness.stats.ragged import FloatArray

METHOD = (
    "Two rows are told apart by a column where the paired test over questions (all queries of a "
    "question swapped at once, Student's form) gives a p-value of at most {alpha} after Holm's "
    "correction over all pairs of rows of that column. Ranks are those that the data do not "
    "exclude."
)


def paired_p_values(shares: FloatArray) -> FloatArray:
    """Two-sided p-values of all pairs of K models, not corrected.

    Args:
        shares: what each of n questions adds to each model's macro mean, ``(K, n)`` (to a common
            factor); a model with a NaN is compared with none.

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
    # What rounding leaves of the squares of equal rows.
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
) -> tuple[NDArray[np.intp], list[tuple[int, int]], list[tuple[int, ...]], int]:
    """Order, ranks and ties of K models by one column.

    Args:
        values: macro means ``(K,)``, all defined.
        shares: as in :func:`paired_p_values`.
        higher_is_better: ``False`` for rank distance.

    Returns:
        Positions best first; (best, worst) rank of each model; groups of neighbours that are not
        told apart, of two or more; number of pairs tested.
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
    tested = int((~np.isnan(corrected)).sum())
    return order, [(s.best, s.worst) for s in spans], [x for x in ties if len(x) > 1], tested
