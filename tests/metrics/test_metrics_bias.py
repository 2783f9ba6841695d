"""Measures of language bias: worked by hand, by brute force, at the edges, and in closed form."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.metrics import RelevantRanks, parse_measure
from harness.metrics.bias import (
    expected_rank_distance,
    language_ndcg,
    spread,
)
from harness.metrics.ranks import NEVER
from harness.stats.resampling import cluster_bootstrap

NAN = math.nan


def value(name: str, ranks: list[int], languages: list[int], own: int, **fields: Any) -> float:
    """One query in a pool of three languages and 20 passages."""
    relevant = RelevantRanks(
        np.array(ranks),
        np.array([0, len(ranks)]),
        pool_size=20,
        relevant_languages=np.array(languages, dtype=np.int16),
        query_languages=np.array([own]),
        n_languages=3,
        **fields,
    )
    (found,) = parse_measure(name).per_query(relevant)
    return float(found)


def discount(*ranks: int) -> float:
    return sum(1 / math.log2(r + 1) for r in ranks)


# One query in language 0 with relevant passages in languages 0, 1, 2 at ranks 2, 1, 7; and the same
# question asked in language 2. Worked by hand from the definitions.
BY_HAND = [
    ("rank_distance", 6, 6),
    ("scaled_rank_distance", (6 - 2) / (20 - 3), (6 - 2) / (20 - 3)),
    ("max_rank", 7, 7),
    ("scaled_max_rank", (7 - 3) / (20 - 3), (7 - 3) / (20 - 3)),
    ("complete@6", 0, 0),
    ("complete@7", 1, 1),
    ("own_language_first", 0, 0),
    ("own_language_pairs", 1 / 2, 0),
    ("own_language_ndcg@10", discount(2), discount(7)),
    ("own_language_ndcg@5", discount(2), 0),
    (
        "language_aware_ndcg@5",
        (discount(2) + 0.5 * discount(1)) / (1 + 0.5 * discount(2, 3)),
        (0.5 * discount(1, 2)) / (1 + 0.5 * discount(2, 3)),
    ),
    # Without the relevant passage at 2: 1 and 6; without the one at 7: 1 and 2.
    ("map_without_own", (1 + 2 / 6) / 2, 1),
    ("map_change_without_own", (1 + 2 / 6) / 2 - (1 + 1 + 3 / 7) / 3, 1 - (1 + 1 + 3 / 7) / 3),
    ("other_language_recall@1", 1 / 2, 1 / 2),
    ("other_language_recall@2", 1 / 2, 1),
    ("language_ndcg_spread@10", 1 - discount(7), 1 - discount(7)),
    ("language_ndcg_spread@5", 1, 1),
]


@pytest.mark.parametrize(("name", "asked_in_0", "asked_in_2"), BY_HAND)
def test_by_hand(name: str, asked_in_0: float, asked_in_2: float) -> None:
    assert value(name, [2, 1, 7], [0, 1, 2], 0) == pytest.approx(asked_in_0, abs=1e-15)
    assert value(name, [2, 1, 7], [0, 1, 2], 2) == pytest.approx(asked_in_2, abs=1e-15)


EDGES = [
    # name, one relevant passage (own), one relevant passage (other), own language without relevant
    # passage, relevant passages in own only
    ("rank_distance", NAN, NAN, 3, 3),
    ("scaled_rank_distance", NAN, NAN, 2 / 18, 2 / 18),
    ("max_rank", 4, 4, 4, 4),
    ("scaled_max_rank", 3 / 19, 3 / 19, 2 / 18, 2 / 18),
    ("complete@3", 0, 0, 0, 0),
    ("complete@4", 1, 1, 1, 1),
    ("own_language_first", NAN, NAN, NAN, NAN),
    ("own_language_pairs", NAN, NAN, NAN, NAN),
    ("own_language_ndcg", discount(4), NAN, NAN, discount(1, 4) / discount(1, 2)),
    ("language_aware_ndcg", discount(4), discount(4), discount(1, 4) / discount(1, 2), None),
    ("map_without_own", NAN, NAN, NAN, NAN),
    ("map_change_without_own", NAN, NAN, NAN, NAN),
    ("other_language_recall@3", NAN, 0, 1 / 2, NAN),
    ("language_ndcg_spread", NAN, NAN, 1 - discount(4), NAN),
]


@pytest.mark.parametrize(("name", "one_own", "one_other", "none_own", "all_own"), EDGES)
def test_edges(
    name: str, one_own: float, one_other: float, none_own: float, all_own: float | None
) -> None:
    all_own = none_own if all_own is None else all_own
    for ranks, languages, expected in (
        ([4], [0], one_own),
        ([4], [1], one_other),
        ([4, 1], [1, 2], none_own),
        ([4, 1], [0, 0], all_own),
    ):
        found = value(name, ranks, languages, 0)
        assert found == pytest.approx(expected, abs=1e-15, nan_ok=True)


def test_several_relevant_passages_per_language() -> None:
    # Own relevant passages at 1 and 6, others at 3 and 9: pairs won are (1,3), (1,9), (6,9) of
    # four.
    assert value("own_language_pairs", [6, 3, 9, 1], [0, 1, 2, 0], 0) == 3 / 4
    assert value("own_language_first", [6, 3, 9, 1], [0, 1, 2, 0], 0) == 1
    # Without 1 and 6 the others stand at 2 and 7.
    assert value("map_without_own", [6, 3, 9, 1], [0, 1, 2, 0], 0) == (1 / 2 + 2 / 7) / 2


def test_pool_of_relevant_passages_only_has_no_scaled_distance() -> None:
    relevant = RelevantRanks(np.array([1, 2]), np.array([0, 2]), pool_size=2)
    assert np.isnan(parse_measure("scaled_rank_distance").per_query(relevant)).all()
    assert parse_measure("rank_distance").per_query(relevant).tolist() == [1]


@settings(max_examples=25, deadline=None)
@given(st.sets(st.integers(1, 20), min_size=1, max_size=5), st.integers(1, 20))
def test_reach_agrees_with_recall_and_rank_distance(at: set[int], k: int) -> None:
    ranks, m = sorted(at), len(at)
    found = {
        name: value(name, ranks, [x % 3 for x in range(m)], 0)
        for name in ("max_rank", "scaled_max_rank", f"complete@{k}", f"recall@{k}", "rank_distance")
    }
    assert found[f"complete@{k}"] == (found[f"recall@{k}"] == 1) == (found["max_rank"] <= k)
    assert 0 <= found["scaled_max_rank"] <= 1
    assert (found["scaled_max_rank"] == 0) == (ranks == list(range(1, m + 1)))
    if m > 1:
        assert found["max_rank"] - min(at) == found["rank_distance"]


def test_a_passage_that_the_corpus_lacks_leaves_a_query_incomplete() -> None:
    relevant = RelevantRanks(np.array([1, NEVER]), np.array([0, 2]), pool_size=20)
    assert parse_measure("complete@10").per_query(relevant).tolist() == [0]
    # A rank that does not exist has no place in a mean of ranks.
    assert parse_measure("max_rank").per_query(relevant).tolist() == [1]


def test_reach_is_undefined_without_relevant_passages() -> None:
    for name in ("max_rank", "scaled_max_rank", "complete@10"):
        assert math.isnan(value(name, [], [], 0))


def test_scaled_distance_runs_from_0_to_1() -> None:
    relevant = RelevantRanks(
        np.array([4, 5, 6, 1, 2, 20]), np.array([0, 3, 6]), pool_size=np.array([9, 20])
    )
    assert parse_measure("scaled_rank_distance").per_query(relevant).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rank", "top", "expected"),
    [(1, 0, "right_own"), (1, 1, "right_other"), (2, 0, "wrong_own"), (2, 1, "wrong_other")],
)
def test_four_way_split_of_the_top_passage(rank: int, top: int, expected: str) -> None:
    head = np.array([[top, 2, 2]])
    for name in ("right_own", "right_other", "wrong_own", "wrong_other"):
        found = value(f"top_{name}", [rank, 9], [top, 2], 0, top_k_languages=head)
        assert found == (name == expected)


def test_four_way_split_needs_a_relevant_passage() -> None:
    assert math.isnan(value("top_wrong_own", [], [], 0, top_k_languages=np.array([[0]])))


def test_language_ndcg_by_language() -> None:
    found = language_ndcg(
        np.array([2, 9, 1, 3]), np.array([0, 2, 2, 4]), np.array([2, 0, 1, 1]), 3, 5
    )
    expected = [[0, NAN, discount(2)], [NAN] * 3, [NAN, discount(1, 3) / discount(1, 2), NAN]]
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_spread_leaves_out_what_is_undefined() -> None:
    rows = np.array([[0.5, NAN, 0.2], [NAN, NAN, 0.4], [NAN, NAN, NAN], [0.3, 0.3, 0.3]])
    np.testing.assert_allclose(spread(rows), [0.3, NAN, NAN, 0.0])
    assert spread(rows[0]) == pytest.approx(0.3)


@st.composite
def queries(draw: st.DrawFn) -> RelevantRanks:
    """Queries with zero to six relevant passages in up to three languages, pool of 12."""
    ranks: list[int] = []
    indptr = [0]
    for _ in range(draw(st.integers(1, 5))):
        ranks += draw(st.lists(st.integers(1, 12), max_size=6, unique=True))
        indptr.append(len(ranks))
    language = st.integers(0, 2)
    return RelevantRanks(
        np.array(ranks, dtype=np.int64),
        np.array(indptr),
        pool_size=12,
        relevant_languages=np.array([draw(language) for _ in ranks], dtype=np.int64),
        query_languages=np.array([draw(language) for _ in indptr[1:]]),
        n_languages=3,
    )


@given(queries())
@settings(max_examples=150, deadline=None)
def test_equal_to_one_query_at_a_time(relevant: RelevantRanks) -> None:
    """Against plain Python that follows the definitions word by word."""
    assert relevant.relevant_languages is not None and relevant.query_languages is not None
    found = {
        name: parse_measure(name).per_query(relevant)
        for name in ("own_language_first", "own_language_pairs", "map_without_own")
    }
    for q in range(relevant.queries):
        part = slice(relevant.indptr[q], relevant.indptr[q + 1])
        pairs = zip(relevant.ranks[part], relevant.relevant_languages[part], strict=True)
        by_rank = sorted((int(rank), int(language)) for rank, language in pairs)
        own = [r for r, x in by_rank if x == relevant.query_languages[q]]
        other = [r for r, x in by_rank if x != relevant.query_languages[q]]
        expected = dict.fromkeys(found, NAN)
        if own and other:
            expected["own_language_first"] = float(by_rank[0][0] in own)
            won = [a < b for a in own for b in other]
            expected["own_language_pairs"] = sum(won) / len(won)
            left = [r - sum(x < r for x in own) for r in other]
            precisions = [i / r for i, r in enumerate(left, 1)]
            expected["map_without_own"] = sum(precisions) / len(precisions)
        for name, column in found.items():
            assert column[q] == pytest.approx(expected[name], abs=1e-12, nan_ok=True), name


def random_rankings(queries: int, pool: int, m: int, seed: int) -> RelevantRanks:
    """Golds of m languages, one each, at random places; query languages in turn."""
    rng = np.random.default_rng(seed)
    ranks = np.stack([rng.choice(pool, m, replace=False) + 1 for _ in range(queries)])
    return RelevantRanks(
        ranks.ravel(),
        np.arange(0, queries * m + 1, m),
        pool_size=pool,
        relevant_languages=np.tile(np.arange(m), queries),
        query_languages=np.arange(queries) % m,
        n_languages=m,
    )


@pytest.mark.parametrize(("pool", "m"), [(300, 2), (300, 4), (1301, 11)])
def test_random_rankings_meet_the_closed_forms(pool: int, m: int) -> None:
    relevant = random_rankings(1100, pool, m, seed=3)
    assert relevant.query_languages is not None and relevant.relevant_languages is not None
    expected = {
        "rank_distance": float(expected_rank_distance(m, pool)),
        "own_language_first": 1 / m,
        "own_language_pairs": 1 / 2,
    }
    for name, truth in expected.items():
        found = cluster_bootstrap(
            parse_measure(name).per_query(relevant),
            np.arange(relevant.queries),
            relevant.query_languages,
            m,
            seed=1,
            resamples=2000,
            level=0.999,
        )
        low, high = found.macro.percentile[0]
        assert low <= truth <= high, name
        assert high - low < 0.2 * truth + 0.1, name  # an interval that could fail


def test_expected_rank_distance_of_xquad_r() -> None:
    # metrics: m = 11 relevant passages in a pool of 13,014 passages give 10,846.
    assert round(float(expected_rank_distance(11, 13014))) == 10846
    assert expected_rank_distance(1, 100) == 0
    np.testing.assert_allclose(expected_rank_distance(np.array([2, 3]), 11), [4.0, 6.0])


def test_a_pool_of_one_language() -> None:
    relevant = RelevantRanks(
        np.array([1, 3]),
        np.array([0, 2]),
        pool_size=5,
        relevant_languages=np.array([0, 0]),
        query_languages=np.array([0]),
        top_k_languages=np.zeros((1, 5), dtype=np.int64),
        n_languages=1,
    )
    expected = {
        "own_language_first": NAN,
        "own_language_ndcg": discount(1, 3) / discount(1, 2),
        "own_language_share@5": 1,
        "rank_fairness@5": 1,
        "language_ndcg_spread": NAN,
        "top_right_own": 1,
        "peer": NAN,
    }
    for name, wanted in expected.items():
        (found,) = parse_measure(name).per_query(relevant)
        assert found == pytest.approx(wanted, nan_ok=True), name


def test_the_top_k_must_be_as_deep_as_the_cutoff() -> None:
    with pytest.raises(
        UsageError, match="only the top 3 of each ranking was kept; a cutoff of 10 needs more"
    ):
        value("own_language_share@10", [1], [0], 0, top_k_languages=np.array([[0, 1, 2]]))
