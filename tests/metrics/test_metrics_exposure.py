"""Languages in the top of the rankings: worked by hand and against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from harness.metrics.exposure import language_shares, rank_fairness


def test_language_shares_by_hand() -> None:
    # -1 is past the pool.
    heads = np.array([[0, 0, 1, 2], [0, 1, -1, -1], [2, 2, 2, 2]], dtype=np.int16)
    shares = [[2 / 4, 1 / 4, 1 / 4], [1 / 2, 1 / 2, 0], [0, 0, 1]]
    np.testing.assert_allclose(language_shares(heads, 3), shares)


def test_rank_fairness_by_hand() -> None:
    relevant, indptr = np.array([0, 1, 0, 1, 1]), np.array([0, 2, 4, 5, 5])
    heads = np.array([[0], [0], [0], [0]])
    found = rank_fairness(heads, relevant, indptr, 2)
    # All attention on one of two languages with a relevant passage each: JSD((1, 0), (1/2, 1/2)) in
    # bits.
    half = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5 * math.log2(2)) / 2
    np.testing.assert_allclose(found, [1 - half, 1 - half, 0, math.nan], atol=1e-15)


def test_rank_fairness_is_1_where_attention_mirrors_the_relevant_passages() -> None:
    heads, relevant = np.array([[0], [1]]), np.array([0, 0, 1])
    assert rank_fairness(heads, relevant, np.array([0, 2, 3]), 2).tolist() == [1, 1]
    # Place 1 has attention 1, place 3 has 1/2 (place 2 is left open): two relevant passages against
    # one.
    heads = np.array([[0, -1, 1]])
    assert rank_fairness(heads, relevant, np.array([0, 3]), 2) == pytest.approx(1)


def test_rank_fairness_weighs_the_top_more() -> None:
    relevant, indptr = np.array([0, 0, 1] * 2), np.array([0, 3, 6])
    top, bottom = rank_fairness(np.array([[0, 0, 1], [1, 0, 0]]), relevant, indptr, 2)
    assert top > bottom  # two thirds of the relevant passages are in language 0


@given(
    st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=1, max_size=6),
)
@settings(max_examples=100, deadline=None)
def test_rank_fairness_equals_scipys_divergence(
    heads: list[list[int]], relevant: list[int]
) -> None:
    indptr = np.arange(len(heads) + 1) * len(relevant)
    found = rank_fairness(np.array(heads), np.array(relevant * len(heads)), indptr, 4)
    weight = 1 / np.log2(np.arange(2, 7))
    for q, head in enumerate(heads):
        exposure = np.bincount(head, weight, 4)
        target = np.bincount(relevant, minlength=4)
        divergence = np.nan_to_num(jensenshannon(exposure, target, base=2)) ** 2
        assert found[q] == pytest.approx(1 - divergence, abs=1e-7)
        assert 0 <= found[q] <= 1
