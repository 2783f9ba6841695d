"""Logarithms that are the same on every processor; those of libraries differ in their last bits."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.error_free import FloatArray, two_product, two_sum

_BINS = 16
_WORKING = Context(prec=50)
_LN_2 = _WORKING.ln(Decimal(2))


def _double(value: Decimal) -> tuple[float, float]:
    """``value`` as the sum of two float64 numbers."""
    upper = float(value)
    return upper, float(_WORKING.subtract(value, Decimal(upper)))


# log2(c / 16) for the c that a number between sqrt(.5) and sqrt(2) is nearest to.
_FIRST, _LAST = 11, 23
_CENTRES = [
    _double(_WORKING.divide(_WORKING.ln(_WORKING.divide(Decimal(c), _BINS)), _LN_2))
    for c in range(_FIRST, _LAST + 1)
]
_UPPER, _LOWER = (np.array(x) for x in zip(*_CENTRES, strict=True))
_SCALE, _SCALE_REST = _double(_WORKING.divide(Decimal(2), _LN_2))
_ODD = (3.0, 5.0, 7.0, 9.0, 11.0, 13.0)
_IN_TABLE = 1024


def discount(ranks: NDArray[Any]) -> FloatArray:
    """``1 / log2(rank + 1)`` of ranks from 1 on, the weight of a place in nDCG."""
    near = ranks.max(initial=0) <= _IN_TABLE
    weights: FloatArray = _table()[ranks] if near else 1.0 / log2(ranks + 1.0)
    return weights


@cache
def _table() -> FloatArray:
    """By rank; 0 is no rank."""
    found: FloatArray = np.append(np.nan, 1.0 / _log2(np.arange(2.0, _IN_TABLE + 2.0)))
    return found


def log2(values: NDArray[Any]) -> FloatArray:
    """Logarithms to base 2 of positive numbers, in float64; powers of 2 give whole numbers."""
    distinct, at = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True)
    found: FloatArray = _log2(distinct)[at].reshape(np.shape(values))
    return found


def _log2(values: FloatArray) -> FloatArray:
    """The same, one by one.

    ``x = 2^e m`` with m between sqrt(.5) and sqrt(2), and ``log2 m = log2 c + (2 / ln 2) atanh s``
    with ``s = (m - c) / (m + c)``, c the nearest sixteenth and ``|s| < .023``. What matters is kept
    in two float64 numbers: the result is off by less than .501 units in the last place, so that all
    but one in a thousand are those of correct rounding. It is made of single additions, products
    and quotients, which IEEE 754 defines to the bit.
    """
    part, power = np.frexp(values)
    small = part < np.sqrt(0.5)
    part, power = np.where(small, 2 * part, part), power - small
    nearest = np.rint(part * _BINS).astype(np.intp)
    centre = nearest / _BINS
    above = part - centre  # exact, as they lie close together
    below, below_rest = two_sum(part, centre)
    s = above / below
    product, product_rest = two_product(s, below)
    s_rest = (((above - product) - product_rest) - s * below_rest) / below
    square = s * s
    series = np.zeros_like(s)
    for odd in reversed(_ODD):
        series = square * (1 / odd + series)
    scaled, scaled_rest = two_product(s, _SCALE)
    scaled_rest = scaled_rest + (s * _SCALE_REST + (s_rest + s * series) * _SCALE)
    total, rest = two_sum(power.astype(np.float64), _UPPER[nearest - _FIRST])
    total, more = two_sum(total, scaled)
    found: FloatArray = total + (rest + more + (_LOWER[nearest - _FIRST] + scaled_rest))
    return found
