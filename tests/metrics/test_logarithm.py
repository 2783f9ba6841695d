"""Logarithms against decimal arithmetic, which rounds correctly."""

from __future__ import annotations

from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.base.error_free import two_product, two_sum
from harness.metrics.logarithm import discount, log2

DIGITS = Context(prec=60)
LN_2 = DIGITS.ln(Decimal(2))


def rounded_once(value: float) -> float:
    return float(DIGITS.divide(DIGITS.ln(Decimal(value)), LN_2))


def test_ranks_have_the_logarithms_of_correct_rounding() -> None:
    numbers = np.concatenate([np.arange(1.0, 3000.0), 1.0 + 7919.0 * np.arange(1000)])
    assert log2(numbers).tolist() == [rounded_once(x) for x in numbers.tolist()]


@given(st.floats(2.0**-500, 2.0**500))
def test_any_number_is_off_by_a_unit_in_the_last_place_at_most(value: float) -> None:
    (found,) = log2(np.array([value]))
    exact = rounded_once(value)
    assert abs(found - exact) <= np.spacing(abs(exact))


def test_numbers_near_one_keep_their_digits() -> None:
    numbers = 1 + np.array([-1.0, 1.0, 3.0]) * 2.0**-40
    assert log2(numbers).tolist() == [rounded_once(x) for x in numbers.tolist()]


def test_powers_of_two_are_whole_and_shapes_stay() -> None:
    powers = 2.0 ** np.arange(-40, 41)
    assert log2(powers).tolist() == list(range(-40, 41))
    assert log2(np.ones((2, 0, 3))).shape == (2, 0, 3)
    assert log2(np.array([[4, 8], [8, 1]])).tolist() == [[2, 3], [3, 0]]


def test_discounts_of_near_and_far_ranks() -> None:
    for ranks in ([1, 2, 3, 1024], [3, 1025, 10**8]):
        expected = [1 / rounded_once(x + 1) for x in ranks]
        assert discount(np.array(ranks)).tolist() == expected
    assert discount(np.array([], dtype=np.int64)).tolist() == []


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
def test_sums_and_products_lose_nothing(a: float, b: float) -> None:
    first, second = np.array([a]), np.array([b])
    total, rest = two_sum(first, second)
    assert Fraction(total[0]) + Fraction(rest[0]) == Fraction(a) + Fraction(b)
    # A product's rest can be too small for float64 where both factors are tiny.
    if min(abs(a), abs(b)) > 1e-100:
        product, lost = two_product(first, second)
        assert Fraction(product[0]) + Fraction(lost[0]) == Fraction(a) * Fraction(b)
