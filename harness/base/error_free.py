"""Sums and products of float64 with the error of their rounding, which is a float64 itself.

They use nothing but single operations of IEEE 754, so that every processor gives the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
_SPLITTER = 2.0**27 + 1
"""Of a float64's 53 bits it leaves the upper 26."""


def two_sum(first: FloatArray, second: FloatArray) -> tuple[FloatArray, FloatArray]:
    """``first + second`` as rounded, and what rounding lost. Source: Knuth's two-sum."""
    total = first + second
    of_second = total - first
    return total, (first - (total - of_second)) + (second - of_second)


def two_product(first: FloatArray, second: Any) -> tuple[FloatArray, FloatArray]:
    """``first * second`` as rounded, and what rounding lost, without over- and underflow.

    Source: Dekker (1971), with Veltkamp's split of each factor.
    """
    product = first * second
    a, b = _split(first)
    c, d = _split(second)
    return product, b * d - (((product - a * c) - b * c) - a * d)


def _split(value: Any) -> tuple[Any, Any]:
    large = value * _SPLITTER
    upper = large - (large - value)
    return upper, value - upper
