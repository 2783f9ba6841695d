"""Retrieval measures against trec_eval, drawn by hypothesis, and against cases worked by hand."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ir_measures
import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.trec import rank_order
from harness.errors import UsageError
from harness.metrics import RelevantRanks, parse_measure

# Our names, and what trec_eval calls the same.
NAMES = {
    "map": "map",
    "recall@1": "recall_1",
    "recall@3": "recall_3",
    "recall@10": "recall_10",
    "precision@3": "P_3",
    "success@3": "success_3",
    "mrr": "recip_rank",
    "ndcg": "ndcg",
    "ndcg@1": "ndcg_cut_1",
    "ndcg@3": "ndcg_cut_3",
    "ndcg@10": "ndcg_cut_10",
}


class Case(NamedTuple):
    qrels: dict[str, dict[str, int]]
    run: dict[str, dict[str, float]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Runs over whole pools with many ties (equal texts), one or many graded relevant passages."""
    queries = draw(st.integers(1, 4))
    qrels: dict[str, dict[str, int]] = {}
    run: dict[str, dict[str, float]] = {}
    for q in range(queries):
        pool = draw(st.lists(st.sampled_from("aébcdzÄ中😀"), min_size=1, max_size=9, unique=True))
        scores = st.sampled_from([0.0, 0.25, 0.5, 0.5 + 1e-9, 1.0])
        run[str(q)] = {x: draw(scores) for x in pool}
        relevant = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=9, unique=True))
        qrels[str(q)] = {x: draw(st.integers(1, 3)) for x in relevant}
    return Case(qrels, run)


def relevant_of(case: Case) -> RelevantRanks:
    ranks: list[int] = []
    grades: list[int] = []
    indptr = [0]
    for query, judged in case.qrels.items():
        ids = list(case.run[query])
        order = rank_order(ids, list(case.run[query].values()))
        place = {ids[i]: rank for rank, i in enumerate(order, 1)}
        ranks += [place[x] for x in judged]
        grades += list(judged.values())
        indptr.append(len(ranks))
    return RelevantRanks(np.array(ranks), np.array(indptr), grades=np.array(grades))


@given(cases())
@settings(max_examples=200, deadline=None)
def test_equal_to_trec_eval(case: Case) -> None:
    relevant = relevant_of(case)
    oracle = pytrec_eval.RelevanceEvaluator(case.qrels, set(NAMES.values())).evaluate(case.run)
    for ours, theirs in NAMES.items():
        expected = [oracle[query][theirs] for query in case.qrels]
        found = parse_measure(ours).per_query(relevant)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12, err_msg=ours)


@given(cases())
@settings(max_examples=50, deadline=None)
def test_mrr_with_cutoff_equals_ir_measures(case: Case) -> None:
    # Without ties: for RR with a cutoff ir_measures breaks them by id ascending, against trec_eval.
    run = {q: {x: float(i) for i, x in enumerate(scores)} for q, scores in case.run.items()}
    measure = ir_measures.parse_measure("RR@3")
    oracle = {x.query_id: x.value for x in ir_measures.iter_calc([measure], case.qrels, run)}
    found = parse_measure("mrr@3").per_query(relevant_of(Case(case.qrels, run)))
    np.testing.assert_allclose(found, [oracle[q] for q in case.qrels], rtol=0, atol=1e-12)


def test_mrr_at_10_equals_ir_measures_past_the_cutoff() -> None:
    run = {"q": {f"d{i:02}": float(-i) for i in range(20)}}
    for place in (0, 9, 10, 19):
        qrels = {"q": {f"d{place:02}": 1}}
        (oracle,) = ir_measures.iter_calc([ir_measures.parse_measure("RR@10")], qrels, run)
        found = parse_measure("mrr@10").per_query(relevant_of(Case(qrels, run)))
        assert found[0] == pytest.approx(oracle.value, abs=1e-12)


def one(ranks: list[int], **fields: Any) -> RelevantRanks:
    return RelevantRanks(np.array(ranks), np.array([0, len(ranks)]), **fields)


# Worked by hand from the definitions; relevant passages at ranks 2, 5 and 4 (in any order).
BY_HAND = {
    "map": (1 / 2 + 2 / 4 + 3 / 5) / 3,
    "recall@1": 0.0,
    "recall@4": 2 / 3,
    "precision@4": 0.5,
    "success@1": 0.0,
    "success@2": 1.0,
    "mrr@10": 0.5,
    "mrr@1": 0.0,
    "ndcg@4": (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / 2),
    "ndcg@2": (1 / math.log2(3)) / (1 + 1 / math.log2(3)),
}


@pytest.mark.parametrize(("name", "value"), BY_HAND.items())
def test_by_hand(name: str, value: float) -> None:
    assert parse_measure(name).per_query(one([2, 5, 4])) == pytest.approx(value, abs=1e-15)


def test_graded_ndcg_by_hand() -> None:
    # Grades 1 and 3 at ranks 1 and 3: DCG = 1 + 3/2, ideal = 3 + 1/log2(3).
    relevant = one([1, 3], grades=np.array([1, 3]))
    expected = 2.5 / (3 + 1 / math.log2(3))
    assert parse_measure("ndcg@10").per_query(relevant) == pytest.approx(expected, abs=1e-15)


def test_queries_without_relevant_passages_are_undefined_and_do_not_affect_others() -> None:
    # Empty first, in the middle and last.
    relevant = RelevantRanks(np.array([1, 2, 3]), np.array([0, 0, 1, 1, 3, 3]), pool_size=5)
    expected = {
        "map": [1, (1 / 2 + 2 / 3) / 2],
        "recall@2": [1, 1 / 2],
        "precision@2": [1 / 2, 1 / 2],
        "success@1": [1, 0],
        "mrr": [1, 1 / 2],
        "mrr@1": [1, 0],
        "rank_distance": [math.nan, 1],
        "scaled_rank_distance": [math.nan, 0],
    }
    for name, (second, fourth) in expected.items():
        found = parse_measure(name).per_query(relevant)
        wanted = [math.nan, second, math.nan, fourth, math.nan]
        np.testing.assert_allclose(found, wanted, rtol=1e-15, err_msg=name)


def test_no_queries_at_all() -> None:
    relevant = RelevantRanks(np.array([], dtype=np.int64), np.array([0]), pool_size=5)
    for name in [*NAMES, "mrr@10", "rank_distance"]:
        assert parse_measure(name).per_query(relevant).shape == (0,)


def test_shortcut_for_one_relevant_passage_equals_the_general_path() -> None:
    # The same query next to one with two relevant passages takes the other path through average
    # precision.
    alone = parse_measure("map").per_query(one([7]))
    beside = RelevantRanks(np.array([7, 1, 2]), np.array([0, 1, 3]))
    assert parse_measure("map").per_query(beside)[0] == alone[0] == 1 / 7


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "own language aheda",
            "unknown measure 'own language aheda'; did you mean 'own_language_p",
        ),
        ("ndgc@10", "unknown measure 'ndgc@10'; did you mean 'ndcg'"),
        ("nDGC@10", "unknown measure 'nDGC@10'; did you mean 'ndcg'"),
        ("", "unknown measure ''"),
        ("map@10", "takes no cutoff; write 'map'"),
        ("recall", "needs a cutoff, as in 'recall@10'"),
        ("recall@0", "must be a whole number above 0"),
        ("recall@-1", "must be a whole number above 0"),
        ("ndcg@", "must be a whole number above 0"),
        (f"recall@{2**31}", "has 10 digits; 9 are the most"),
        ("recall@" + "1" * 5000, "has 5000 digits"),
        ("ndcg@1.5", "must be a whole number above 0"),
    ],
)
def test_unknown_measures_say_what_would_be_right(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_measure(name)


def test_judged_by_hand() -> None:
    """Two of three judged; one of the two that a small pool has; nothing judged; no pool."""
    flags = np.array([[1, 0, 1, 0], [0, 1, -1, -1], [0, 0, 0, 1], [-1, -1, -1, -1]])
    relevant = RelevantRanks(np.array([1, 2, 5, 1]), np.arange(5), top_k_judged=flags)
    found = parse_measure("Judged@3").per_query(relevant)
    np.testing.assert_array_equal(found, [2 / 3, 1 / 2, 0.0, np.nan])
    assert parse_measure("judged@3").name == "judged@3" and parse_measure("Judged@3").better is None
