"""Differences between all pairs of measured rows of one board, for the page's side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.boards.board import Column, Pairs, Row
from harness.stats.pairwise_tests import paired_p_values
from harness.stats.resampling import LEVEL

FloatArray = NDArray[np.float64]

MOST_ROWS = 24
"""Maximum number of rows of which all pairs are kept: their number is quadratic."""


def all_pairs(
    rows: Sequence[Row], columns: Sequence[Column], shares: Callable[[Column], FloatArray]
) -> Pairs | None:
    """The pairs of ``rows``; ``None`` for fewer than two rows or more than :data:`MOST_ROWS`.

    Args:
        rows: K measured rows.
        columns: to compare.
        shares: gives the values per question ``(K, n)`` of a column, whose means over questions are
            the rows' means; NaN for a row without them.
    """
    if not 2 <= len(rows) <= MOST_ROWS:
        return None
    upper = np.triu_indices(len(rows), 1)
    half_widths, p_values = {}, {}
    for column in columns:
        values = shares(column)
        p = paired_p_values(values)[upper]
        if not np.isnan(p).all():
            half_widths[column.key] = _plain(_half_widths(values)[upper])
            p_values[column.key] = _plain(p)
    return Pairs(tuple(row.id for row in rows), half_widths, p_values)


def _plain(values: FloatArray) -> tuple[float | None, ...]:
    return tuple(None if x != x else x for x in values.tolist())


def _half_widths(shares: FloatArray) -> FloatArray:
    """``(K, K)``, of the differences between all rows of ``shares``."""
    from scipy.special import stdtrit

    n = shares.shape[1]
    if n < 2:
        return np.full((len(shares), len(shares)), np.nan)
    covariance = np.atleast_2d(np.cov(shares))
    own = np.diag(covariance)
    variance = np.maximum(own[:, None] + own[None, :] - 2 * covariance, 0.0)
    found: FloatArray = stdtrit(n - 1, (1 + LEVEL) / 2) * np.sqrt(variance / n)
    return found
