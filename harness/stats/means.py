"""Means over queries: per query language first (macro), or over all queries at once (micro).

An undefined value (NaN: no gold in that language, fewer than two golds) is left out; a query that
was judged and found nothing has the value 0, which counts.
"""

from __future__ import annotations

import numpy as np

from harness.stats.ragged import FloatArray, IntArray, divide


def group_means(values: FloatArray, groups: IntArray, n_groups: int) -> FloatArray:
    """Mean of ``values`` (``(Q,)``) in each group, shape ``(n_groups,)``.

    Args:
        values: per-query values; NaN is left out.
        groups: the group of each query (its language), 0 to ``n_groups - 1``.
        n_groups: number of groups.

    Returns:
        NaN for a group without a defined value.
    """
    defined = ~np.isnan(values)
    if defined.all():
        sums = np.bincount(groups, weights=values, minlength=n_groups)
        return divide(sums, np.bincount(groups, minlength=n_groups))
    sums = np.bincount(groups, weights=np.where(defined, values, 0.0), minlength=n_groups)
    return divide(sums, np.bincount(groups, weights=defined, minlength=n_groups))


def macro_mean(values: FloatArray, groups: IntArray, n_groups: int) -> float:
    """Unweighted mean of the group means; groups without a defined value are left out."""
    return micro_mean(group_means(values, groups, n_groups))


def micro_mean(values: FloatArray) -> float:
    """Mean over all defined values; NaN where there is none."""
    undefined = np.isnan(values)
    defined = values[~undefined] if undefined.any() else values
    return float(defined.mean()) if len(defined) else float("nan")
