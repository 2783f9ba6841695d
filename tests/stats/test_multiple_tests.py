"""Adjusted p-values, tie groups and detectable differences: worked by hand and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, norm

from harness.stats.multiple_tests import (
    benjamini_hochberg,
    holm,
    rank_spans,
    smallest_detectable_difference,
    tie_groups,
)


def test_holm_by_hand() -> None:
    # Ascending .01 .02 .03 .5 times 4 3 2 1: .04 .06 .06 .5, never falling.
    found = holm([0.03, 0.5, 0.01, 0.02])
    np.testing.assert_allclose(found, [0.06, 0.5, 0.04, 0.06])
    assert holm([0.4, 0.6, 0.9]).tolist() == [1, 1, 1]


def test_comparisons_not_made_do_not_count() -> None:
    table = np.array([[math.nan, 0.01], [0.02, math.nan]])
    np.testing.assert_allclose(holm(table), [[math.nan, 0.02], [0.02, math.nan]])
    np.testing.assert_allclose(benjamini_hochberg(table), [[math.nan, 0.02], [0.02, math.nan]])
    assert holm([]).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_benjamini_hochberg_equals_scipys(p_values: list[float]) -> None:
    np.testing.assert_allclose(
        benjamini_hochberg(p_values), false_discovery_control(p_values), atol=1e-12
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_between_the_p_value_and_bonferroni(p_values: list[float]) -> None:
    found, raw = holm(p_values), np.array(p_values)
    assert (found >= raw).all() and (found <= np.minimum(raw * len(raw), 1) + 1e-15).all()
    assert (found >= benjamini_hochberg(p_values) - 1e-15).all()


def test_smallest_detectable_difference_has_the_power_it_promises() -> None:
    found = smallest_detectable_difference(0.01)
    assert float(found) == pytest.approx(0.0280, abs=5e-5)  # 2.80 standard errors
    # Chance that a z-test at .05 finds that difference (the far tail is 1e-6).
    assert norm.sf(norm.isf(0.025) - float(found) / 0.01) == pytest.approx(0.8, abs=1e-6)
    assert smallest_detectable_difference([0.0, 1.0], alpha=0.01).shape == (2,)


def pairs(n: int, apart: list[tuple[int, int]]) -> np.ndarray:
    p_values = np.ones((n, n))
    for i, j in apart:
        p_values[i, j] = p_values[j, i] = 0.01
    return p_values


def test_tie_groups_overlap_where_ties_do_not_carry_over() -> None:
    # By score: 2 > 0 > 3 > 1. Only steps one and three are significant.
    scores = [0.6, 0.2, 0.7, 0.4]
    p_values = pairs(4, [(2, 3), (2, 1), (0, 1)])
    assert tie_groups(scores, p_values) == [(2, 0), (0, 3), (3, 1)]
    assert rank_spans(scores, p_values) == [(1, 3), (3, 4), (1, 2), (2, 4)]


def test_all_tied_and_all_apart() -> None:
    scores = [3.0, 1.0, 2.0]
    assert tie_groups(scores, pairs(3, [])) == [(0, 2, 1)]
    assert rank_spans(scores, pairs(3, [])) == [(1, 3)] * 3
    every = pairs(3, [(0, 1), (0, 2), (1, 2)])
    assert tie_groups(scores, every) == [(0,), (2,), (1,)]
    assert rank_spans(scores, every) == [(1, 1), (3, 3), (2, 2)]


def test_lower_may_be_better() -> None:
    every = pairs(3, [(0, 1), (0, 2), (1, 2)])
    assert tie_groups([3.0, 1.0, 2.0], every, higher_is_better=False) == [(1,), (2,), (0,)]
    spans = rank_spans([3.0, 1.0, 2.0], every, higher_is_better=False)
    assert [s.best for s in spans] == [3, 1, 2]


def test_comparisons_that_were_not_made_count_as_ties() -> None:
    nothing = np.full((2, 2), math.nan)
    assert tie_groups([1.0, 2.0], nothing) == [(1, 0)]
    assert rank_spans([1.0, 2.0], nothing) == [(1, 2), (1, 2)]
    assert tie_groups([1.0], np.array([[math.nan]])) == [(0,)]


@given(st.integers(1, 6), st.randoms(use_true_random=False))
def test_every_system_is_in_a_group_and_no_group_has_a_significant_difference(
    n: int, random: object
) -> None:
    rng = np.random.default_rng(random.randrange(2**32))
    p_values = rng.random((n, n)) * 0.2
    p_values = np.minimum(p_values, p_values.T)
    groups = tie_groups(rng.random(n), p_values)
    assert {i for group in groups for i in group} == set(range(n))
    for group in groups:
        assert all(p_values[i, j] > 0.05 for i in group for j in group if i != j)
    assert not any(set(a) < set(b) for a in groups for b in groups)
