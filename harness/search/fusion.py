"""Fused scores: from the ranks or scores of several systems over one pool to one order.

Of reciprocal ranks. The rank of a passage in a system is 1 + the number of passages of the pool
with a higher score; equal scores have equal ranks, so that no passage id (and with it no language)
gains from a tie. A fused score is the rational number sum of 1 / (k + rank), and ranks of fused
scores are those of the rational numbers: no rounding can order two of them.

    Proof. With A = k + first rank and B = k + second rank the score of two systems is
    (A + B) / (A B). Both numbers are whole and below 2^53, so float64 holds them, and the quotient
    is rounded correctly: equal scores give equal numbers, and the order of the numbers never
    contradicts that of the scores. Two different scores (A, B) and (C, D) differ by at least
    1 / (A B C D). They could only become equal if that were at most 2^-52 of the score S. Of A and
    B the smaller one is at most 2 / S, of C and D too, and the others are at most M = k + N; S is
    at least 2 / M. So A B C D S <= 4 M^2 / S <= 2 M^3, below 2^52 where M is below 2^17 = 131,072.

    For three systems with C = k + third rank the score is (AB + AC + BC) / (A B C), again of whole
    numbers below 2^53 where M is below 2^17, but different scores may give equal numbers F. The
    remainder (AB + AC + BC) - F A B C is itself a float64 (the remainder of a correctly rounded
    quotient always is), and divided by A B C it is a second number. Scores with both numbers equal
    are within 2^-105 of S, and different ones are not: of each three factors one is at most 3 / S,
    so that they differ by at least S / (3 M^5). Larger pools and more systems are refused.

Of scores. Each system's scores are float32: those of vectors are the real inner products, rounded
to float64 and then to float32; those of other systems as they give them. From there all is float64,
computed in one fixed order, so that the same scores give the same fused scores everywhere. Sums
over the pool are added as in :func:`harness.search.exact.inner`. A system whose scores are all
equal adds 0.

Equal fused scores go by passage id descending, as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.models.fused import Method
from harness.search.exact import along

MOST = 2**17 - 1
"""Largest k + pool size for which the proof holds."""

Ranks = NDArray[np.int32]
Numbers = NDArray[np.float64]


def ranks_in(order: NDArray[np.int64], level: NDArray[np.bool_]) -> Ranks:
    """(R, N) rank of each column: 1 + the number of columns that are better.

    ``order`` (R, N) are the columns of each row, best first; ``level`` (R, N) says of each place
    whether it ties with the one before.
    """
    place = np.arange(1, order.shape[1] + 1, dtype=np.int32)
    first = np.maximum.accumulate(np.where(level, np.int32(0), place), axis=1)
    ranks = np.empty(order.shape, np.int32)
    np.put_along_axis(ranks, order, first, axis=1)
    return ranks


def ranks_of(keys: NDArray[Any]) -> Ranks:
    """(R, N) ranks by ``keys`` (R, N), the lowest first; equal keys have equal ranks."""
    order = np.argsort(keys, axis=1)
    ordered = np.take_along_axis(keys, order, axis=1)
    level = np.zeros(order.shape, bool)
    level[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    return ranks_in(order, level)


def reciprocal_ranks(ranks: Sequence[Ranks], k: int) -> Numbers:
    """(R, N) numbers in the order of the fused scores of ``ranks``, equal where these are.

    Of two systems they are the scores rounded to float64, of three their negative ranks.

    Raises:
        UsageError: the pool is too large, or there are more than three systems.
    """
    check_reciprocal(len(ranks), ranks[0].shape[1], k)
    a, b, *more = (k + x.astype(np.float64) for x in ranks)
    if not more:
        return (a + b) / (a * b)
    c = more[0]
    whole, product = a * b + a * c + b * c, a * b * c
    high = whole / product
    low = _remainder(whole, high, product) / product
    order = np.lexsort((-low, -high), axis=1)
    level = np.zeros(order.shape, bool)
    level[:, 1:] = True
    for x in (high, low):
        ordered = np.take_along_axis(x, order, axis=1)
        level[:, 1:] &= ordered[:, 1:] == ordered[:, :-1]
    return -ranks_in(order, level).astype(np.float64)


def check_reciprocal(systems: int, pool: int, k: int) -> None:
    """Refuse what :func:`reciprocal_ranks` cannot order with certainty.

    Raises:
        UsageError: the pool is too large, or there are more than three systems.
    """
    if systems > 3:
        raise UsageError(
            f"--fusion rrf orders two or three systems with certainty, not {systems}; minmax and z "
            "take any number"
        )
    if k + pool > MOST:
        raise UsageError(
            f"--fusion rrf@{k} orders pools up to {MOST - k:,} passages with certainty, and this "
            f"one has {pool:,}; take minmax or z"
        )


def _remainder(whole: Numbers, quotient: Numbers, by: Numbers) -> Numbers:
    """``whole - quotient * by`` without rounding, for the rounded quotient of the two.

    The product and its rounding error are those of T. J. Dekker, Numerische Mathematik 18 (1971).
    """
    product = quotient * by
    (a, b), (c, d) = _halves(quotient), _halves(by)
    error = ((a * c - product) + a * d + b * c) + b * d
    return (whole - product) - error


def _halves(x: Numbers) -> tuple[Numbers, Numbers]:
    scaled = x * float(2**27 + 1)
    high = scaled - (scaled - x)
    return high, x - high


def normalised_scores(scores: NDArray[np.float32], method: Method) -> Numbers:
    """(R, N) float64 scores of one system on the scale of ``method``, ``minmax`` or ``z``."""
    least, most = (f(axis=1, keepdims=True).astype(np.float64) for f in (scores.min, scores.max))
    found = scores.astype(np.float64)
    if method == "minmax":
        found -= least
        spread = most - least
    else:
        one = np.ones(found.shape[1])
        found -= along(found, one)[:, None] / len(one)
        spread = np.sqrt(along(found * found, one) / len(one))[:, None]
    found /= np.where(most > least, spread, 1.0)
    found[(most == least)[:, 0]] = 0
    return found


def weighted(scores: Sequence[Numbers], weights: NDArray[np.float64]) -> Numbers:
    """(R, N) sums of (R, N) normalised scores; ``weights`` (R, systems), one row for each query."""
    found = scores[0] * weights[:, :1]
    for i, x in enumerate(scores[1:], 1):
        found += x * weights[:, i : i + 1]
    return found
