"""Consistency of a question's rankings across languages: worked by hand and against scipy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from harness.metrics import RelevantRanks, parse_measure
from harness.metrics.consistency import (
    mean_rank_correlation,
    rank_correlations,
    spearman,
    top_k_union,
)

ROWS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.5, 1.0, 2.0, -1.0]),
        st.sampled_from([0.0, 0.25, 3.0, 4.0]),
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


@given(ROWS, ROWS)
@settings(max_examples=200, deadline=None)
def test_spearman_equals_scipys(one: list[Any], two: list[Any]) -> None:
    width = max(len(one), len(two))
    rows = [row + [(9.0, 9.0, False)] * (width - len(row)) for row in (one, two)]
    table = np.array(rows)
    first, second, valid = table[:, :, 0], table[:, :, 1], table[:, :, 2].astype(bool)
    found = spearman(first, second, valid)
    for i in range(2):
        a, b = first[i][valid[i]], second[i][valid[i]]
        if len(set(a)) < 2 or len(set(b)) < 2:
            assert math.isnan(found[i])
        else:
            assert found[i] == pytest.approx(spearmanr(a, b).statistic, abs=1e-12)


def test_union_has_each_passage_once() -> None:
    passages, valid = top_k_union(np.array([[5, 2], [7, -1]]), np.array([[2, 9], [7, -1]]))
    assert [p[v].tolist() for p, v in zip(passages, valid, strict=True)] == [[2, 5, 9], [7]]


def test_correlations_by_hand() -> None:
    # Pool of 5, three languages, two questions; top 2 each.
    scores = np.array(
        [
            [[5, 4, 3, 2, 1], [4, 5, 3, 2, 1], [1, 2, 3, 4, 5]],
            [[5, 4, 3, 2, 1], [0, 0, 0, 0, 0], [5, 4, 3, 2, 1]],
        ]
    )
    heads = np.argsort(-scores, axis=2, kind="stable")[:, :, :2]
    requested = np.array([[True, True, True], [True, False, True]])

    def scores_of(language: int, passages: NDArray[Any]) -> NDArray[Any]:
        return np.take_along_axis(scores[:, language], passages, axis=1)

    found = rank_correlations(heads, requested, scores_of)
    # Question 0: languages 0 and 1 share {0, 1}, in opposite order: -1. With language 2 the union
    # is {0, 1, 3, 4}: ranks 4 3 2 1 against 1 2 3 4 are -1; 3 4 2 1 against 1 2 3 4: d = 2 2 1 3,
    # 1 - 6 * 18 / 60 = -0.8.
    nan = math.nan
    np.testing.assert_allclose(found[0], [[nan, -1, -1], [-1, nan, -0.8], [-1, -0.8, nan]])
    # Question 1 is not asked in language 1; languages 0 and 2 agree.
    np.testing.assert_allclose(found[1], [[nan, nan, 1], [nan, nan, nan], [1, nan, nan]])
    means = mean_rank_correlation(found)
    np.testing.assert_allclose(means, [[-1, -0.9, -0.9], [1, nan, 1]])


def test_it_is_a_measure_like_the_others() -> None:
    relevant = RelevantRanks(
        np.array([1, 1]), np.array([0, 1, 2]), rank_correlation=np.array([0.25, math.nan])
    )
    measure = parse_measure("mean_rank_correlation")
    assert measure.kinds == ("multi",)
    np.testing.assert_array_equal(measure.per_query(relevant), [0.25, math.nan])
