"""All pairs of systems at once, in closed form: which differences the questions show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.pairwise_tests import paired_p_values, ranked
from harness.stats.resampling import paired_permutation_test


# 30 paired differences by hand-drawn seed; scipy's t-test is what the closed form must equal.
def test_where_all_questions_weigh_the_same_it_is_the_paired_t_test() -> None:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(5)
    values = rng.random((4, 30)) + np.array([[0.0], [0.05], [0.2], [0.4]])
    found = paired_p_values(values)
    for i in range(4):
        assert np.isnan(found[i, i])
        for j in range(i):
            expected = ttest_rel(values[i], values[j]).pvalue
            assert found[i, j] == found[j, i] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("unequal", [False, True])
def test_it_agrees_with_the_permutation_test_of_compare(unequal: bool) -> None:
    rng = np.random.default_rng(6)
    base = rng.random(400)
    # As on MLQA-R, where a question is asked in two to four languages.
    weights = rng.integers(1, 5, 400) / 2.5 if unequal else np.ones(400)
    for shift in (0.0, 0.01, 0.02, 0.03):
        other = np.clip(base + rng.normal(shift, 0.2, 400), 0, 1)
        shares = weights * np.stack([base, other])
        closed = paired_p_values(shares)[0, 1]
        drawn = paired_permutation_test(
            *shares, np.arange(400), np.zeros(400, np.int64), 1, seed=1, resamples=20_000
        ).macro.p_value[0]
        # Monte Carlo error of 20,000 draws: three standard errors.
        assert closed == pytest.approx(drawn, abs=3 * np.sqrt(drawn * (1 - drawn) / 20_000) + 0.003)


def test_equal_models_are_never_significantly_different_and_unknown_ones_never_tested() -> None:
    values = np.random.default_rng(1).random(50)
    shares = np.stack([values, values, np.full(50, np.nan), values + 0.5])
    found = paired_p_values(shares)
    assert found[0, 1] == 1.0
    assert np.isnan(found[2, [0, 1, 3]]).all()
    assert found[0, 3] == 0.0  # every question by the same amount
    order, spans, ties, apart, tested = ranked(
        np.array([0.5, 0.5, 0.7, 1.0]), shares, higher_is_better=True
    )
    assert order.tolist() == [3, 2, 0, 1]
    assert tested == 3
    assert spans[3] == (1, 2) and spans[0] == (2, 4)
    assert (2, 0, 1) in ties and apart == []


def test_two_that_a_third_stands_between_are_tied_where_no_group_can_say_so() -> None:
    # The second scatters as the first and less by the same for all: it is surely worse. The third
    # is worse still, but scatters by itself.
    rng = np.random.default_rng(3)
    first = rng.normal(size=100)
    shares = np.stack([first, first - 0.05, rng.normal(size=100) + first.mean() - 0.1])
    shares[2] -= shares[2].mean() - first.mean() + 0.1
    _, spans, ties, apart, _ = ranked(shares.mean(axis=1), shares, higher_is_better=True)
    assert (ties, apart) == ([(1, 2)], [(0, 2)])
    assert spans == [(1, 2), (2, 3), (1, 3)]


@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_p_values_are_symmetric_and_within_their_range(k: int, n: int, seed: int) -> None:
    found = paired_p_values(np.random.default_rng(seed).random((k, n)))
    off = ~np.eye(k, dtype=bool)
    assert np.array_equal(found, found.T, equal_nan=True)
    assert ((found[off] >= 0) & (found[off] <= 1)).all()


def test_false_alarms_stay_at_the_stated_level_for_equal_models() -> None:
    # 10 models of equal quality on 200 questions, 200 times: Holm's level is that of any finding.
    rng = np.random.default_rng(12)
    found = 0
    for _ in range(200):
        question = rng.normal(size=200)
        values = question + rng.normal(size=(10, 200))
        _, _, ties, *_ = ranked(values.mean(axis=1), values, higher_is_better=True)
        found += len(ties) != 1 or len(ties[0]) != 10
    assert found / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)
