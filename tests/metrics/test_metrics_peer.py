"""PEER against scipy's Kruskal-Wallis test, with its options, and refused where it says nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, kruskal

from harness.errors import UsageError
from harness.metrics import RelevantRanks, parse_measure
from harness.metrics.peer import peer, peer_refusal


@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(1, 30), st.integers(0, 2)), max_size=8, unique_by=lambda x: x[0]
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([None, 5, 20]),
)
@settings(max_examples=200, deadline=None)
def test_equals_scipys_kruskal(queries: list[list[tuple[int, int]]], k: int | None) -> None:
    ranks = np.array([r for q in queries for r, _ in q], dtype=np.int64)
    languages = np.array([x for q in queries for _, x in q], dtype=np.int64)
    indptr = np.cumsum([0, *(len(q) for q in queries)])
    found = peer(ranks, indptr, languages, 3, k=k)
    for q, relevant in enumerate(queries):
        groups = [[min(r, (k or 99) + 1) for r, y in relevant if y == x] for x in range(3)]
        groups = [g for g in groups if g]
        if len(groups) < 2 or max(map(len, groups)) < 2:
            assert math.isnan(found[q])
        elif len({r for g in groups for r in g}) == 1:
            assert found[q] == 1  # all tied past the cutoff: equal ranks
        else:
            assert found[q] == pytest.approx(kruskal(*groups).pvalue, abs=1e-12)


def test_grades_are_tested_apart_and_weighed() -> None:
    # Grade 1: languages 0 0 1 1 at places 1 2 3 4; grade 2: at 1 3 2 4 of its own.
    ranks = np.array([1, 2, 3, 4, 11, 13, 12, 14])
    languages = np.array([0, 0, 1, 1] * 2)
    grades = np.array([1] * 4 + [2] * 4)
    indptr = np.array([0, 8])
    apart, mixed = kruskal([1, 2], [3, 4]).pvalue, kruskal([1, 3], [2, 4]).pvalue
    found = [
        peer(ranks, indptr, languages, 2, grades=grades, weights=weights)[0]
        for weights in (None, {1: 0.25, 2: 0.75}, {1: 1.0}, {2: 3.0})
    ]
    expected = [(apart + mixed) / 2, 0.25 * apart + 0.75 * mixed, apart, mixed]
    assert found == pytest.approx(expected, abs=1e-12)
    with pytest.raises(UsageError, match="must not be negative"):
        peer(ranks, indptr, languages, 2, grades=grades, weights={1: -1.0})


def test_a_grade_that_a_query_lacks_takes_no_weight_away() -> None:
    ranks, languages = np.array([1, 3, 2, 4]), np.array([0, 0, 1, 1])
    found = peer(
        ranks,
        np.array([0, 4]),
        languages,
        2,
        grades=np.ones(4, dtype=int),
        weights={1: 0.5, 2: 0.5},
    )
    assert found[0] == pytest.approx(kruskal([1, 3], [2, 4]).pvalue, abs=1e-12)


def test_one_relevant_passage_per_language_is_refused_with_the_constant_it_would_be() -> None:
    # H = n - 1 = 10 at 10 degrees of freedom.
    assert chi2.sf(10, 10) == pytest.approx(0.4405, abs=5e-5)
    relevant = RelevantRanks(
        np.random.default_rng(0).permutation(99)[:22] + 1,
        np.array([0, 11, 22]),
        relevant_languages=np.tile(np.arange(11), 2),
        n_languages=11,
    )
    measure = parse_measure("peer")
    assert np.isnan(measure.per_query(relevant)).all()
    reason = measure.refusal(relevant)
    assert reason is not None and "with one in each of 11 languages it is always .4405" in reason
    assert parse_measure("map").refusal(relevant) is None


def test_it_is_offered_where_one_query_can_tell() -> None:
    indptr, languages = np.array([0, 2, 5]), np.array([0, 1, 0, 0, 1])
    assert peer_refusal(indptr, languages, 2) is None
    assert peer_refusal(indptr, languages, 2, grades=np.array([1, 1, 1, 2, 2])) is not None
    found = peer(np.array([1, 2, 1, 2, 3]), indptr, languages, 2)
    assert math.isnan(found[0]) and found[1] == pytest.approx(kruskal([1, 2], [3]).pvalue)


def test_no_queries_and_no_relevant_passages() -> None:
    empty = np.array([], dtype=np.int64)
    assert peer(empty, np.array([0]), empty, 3).shape == (0,)
    assert np.isnan(peer(empty, np.array([0, 0]), empty, 3)).all()
    assert peer_refusal(np.array([0, 0]), empty, 3) is not None
