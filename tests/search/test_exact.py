"""Ranks are those of real numbers: against rational arithmetic, where float32 and float64 fail."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_pools import as_relevant, make_pool

from harness.data.pool import Pool
from harness.errors import ModelError
from harness.search import tiles as ranking_module
from harness.search.exact import (
    Decisions,
    VectorDecider,
    exact_keys,
    inner,
    inner_error,
    length_bounds,
    lengths,
    product_error,
    products_are_exact,
    real_score,
    step,
    sum_error,
)
from harness.search.in_memory import DenseScores
from harness.search.inner_loops import relevant_scores
from harness.search.products import WIDTH
from harness.search.results import SearchResult
from harness.search.streamed import ShardSearch, Streamed
from harness.search.tiles import in_order, rank

Vectors = np.ndarray


def integers(rng: np.random.Generator, n: int, d: int) -> Vectors:
    """Small whole numbers: most scores tie."""
    return rng.integers(-2, 3, (n, d)).astype(np.float32)


def signs(rng: np.random.Generator, n: int, d: int) -> Vectors:
    """A sketch of signs, of length 1: ties of numbers that float32 rounds."""
    out: Vectors = (rng.choice([-1.0, 1.0], (n, d)) / np.sqrt(d)).astype(np.float32)
    return out


def near_copies(rng: np.random.Generator, n: int, d: int) -> Vectors:
    """A few vectors, copied, some with the last bit of one number changed."""
    out: Vectors = rng.standard_normal((3, d)).astype(np.float32)[rng.integers(0, 3, n)]
    for row in rng.choice(n, n // 2, replace=False):
        column = rng.integers(d)
        out[row, column] = np.nextafter(out[row, column], np.float32(9))
    return out


def wide(rng: np.random.Generator, n: int, d: int) -> Vectors:
    """Numbers of 60 powers of two beside each other, and zeros: no two float64 hold their sums."""
    sizes = 2.0 ** rng.integers(-60, 1, (n, d))
    out: Vectors = (rng.choice([-1, 0, 1], (n, d)) * sizes).astype(np.float32)
    out[: n // 2] = out[0]
    out[: n // 4, 0] += np.float32(2.0**-60)
    return out


def unit(rng: np.random.Generator, n: int, d: int) -> Vectors:
    """What encoders give."""
    out = rng.standard_normal((n, d)).astype(np.float32)
    scaled: Vectors = out / np.linalg.norm(out, axis=1, keepdims=True)
    return scaled


KINDS: tuple[Callable[[np.random.Generator, int, int], Vectors], ...] = (
    integers,
    signs,
    near_copies,
    wide,
    unit,
)


def real_order(query: Vectors, passages: Vectors) -> list[int]:
    """Columns by their real scores, best first, of equal ones the lower."""
    scores = [real_score(query, p) for p in passages]
    return sorted(range(len(passages)), key=lambda c: (-scores[c], c))


def check(found: SearchResult, pool: Pool, queries: Vectors, passages: Vectors) -> None:
    """Ranks, counts and heads are those of the real scores."""
    language_of = pool.language_of
    for q, query in enumerate(queries):
        order = real_order(query, passages)
        assert found.top_k[q].tolist() == order[: found.top_k.shape[1]]
        for x, (best, _) in found.block_top_k.items():
            own = [c for c in order if pool.languages[language_of[c]] == x]
            assert best[q].tolist() == own[: best.shape[1]]
        for g in range(found.relevant.indptr[q], found.relevant.indptr[q + 1]):
            above = order[: order.index(found.relevant.columns[g])]
            counts = np.bincount(language_of[above], minlength=len(pool.languages))
            assert found.ranked_above[g].tolist() == counts.tolist()
            assert found.block_rank[g] == counts[found.relevant_language[g]] + 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("compiled", [True, False])
@settings(deadline=None, max_examples=12)
@given(data=st.data())
def test_ranks_are_those_of_real_numbers(kind: Any, compiled: bool, data: st.DataObject) -> None:
    """In every kind of loop, on vectors whose scores tie, nearly tie and cannot be told by sums."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    d = data.draw(st.sampled_from([1, 2, 3, 7, 24, 65]))
    pool = make_pool({"en": data.draw(st.integers(4, 30)), "de": data.draw(st.integers(1, 30))})
    passages, queries = kind(rng, len(pool), d), kind(rng, 4, d)
    relevant = as_relevant([rng.choice(len(pool), 3, replace=False).tolist() for _ in queries])
    k = data.draw(st.integers(1, 50))
    found = rank(
        DenseScores(passages).of(queries),
        "en",
        relevant,
        pool,
        top=k,
        block_tops={"de": k},
        compiled=compiled,
        scored=True,
    )
    check(found, pool, queries, passages)
    # What an export holds gives the same order to trec_eval, which reads float32.
    score, column = found.top_k_scores, found.top_k
    assert ((score[:, 1:] < score[:, :-1]) | (column[:, 1:] > column[:, :-1])).all()


@settings(deadline=None, max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    relevant=st.integers(1, 8),
    far=st.integers(0, 22),
    near=st.integers(0, 22),
    center=st.sampled_from([0, 1, 2**22]),
)
def test_many_passages_in_whole_numbers(
    seed: int, relevant: int, far: int, near: int, center: int
) -> None:
    """Pools of several chunks, against int64: the same counts however the scores are spread.

    All equal, in a few clusters, closer than float32 can show, or far outside the relevant
    passages' range.
    """
    rng = np.random.default_rng(seed)
    pool = make_pool({"en": 4200, "de": 1, "el": 900})
    passages = np.stack([rng.integers(-(2**x), 2**x + 1, len(pool)) for x in (far, near)], 1)
    passages[rng.random(len(pool)) < 0.3] = passages[0]
    passages[:, 0] += center
    passages[rng.random(len(pool)) < 0.5, 0] = center
    queries = np.array([[1, 0], [0, 1], [3, 5], [2**20, -(2**20 + 1)], [0, 0]])
    rels = as_relevant([rng.choice(len(pool), relevant, replace=False).tolist() for _ in queries])
    dense = DenseScores(passages.astype(np.float32))
    found = rank(dense.of(queries.astype(np.float32)), "en", rels, pool, compiled=True)
    columns = np.arange(len(pool))
    for q, score in enumerate(queries @ passages.T):
        for i in range(rels.indptr[q], rels.indptr[q + 1]):
            own = rels.columns[i]
            above = (score > score[own]) | ((score == score[own]) & (columns < own))
            counts = np.bincount(pool.language_of[above], minlength=3)
            assert found.ranked_above[i].tolist() == counts.tolist()


def test_near_copies_in_other_parts_of_a_language() -> None:
    """Passages whose copies, changed in a last bit, are hundreds of columns away."""
    rng = np.random.default_rng(11)
    pool = make_pool({"en": 700, "de": 40})
    passages = unit(rng, len(pool), 24)
    passages[350:700] = passages[:350]
    for row, column in enumerate(rng.integers(0, 24, 350)):
        passages[row, column] = np.nextafter(passages[row, column], np.float32(9))
    queries = unit(rng, 3, 24)
    # With the best ones among them, the parts' best scores differ, and so does their order.
    relevant = as_relevant([[*real_order(q, passages)[:700:90]] for q in queries])
    found = rank(DenseScores(passages).of(queries), "en", relevant, pool, top=20, compiled=True)
    check(found, pool, queries, passages)


def test_a_pool_of_several_parts() -> None:
    """Passages are multiplied some at a time, the last of them fewer: every column in its place."""
    rng = np.random.default_rng(17)
    pool = make_pool({"en": WIDTH, "de": WIDTH + 9})
    passages, queries = unit(rng, len(pool), 6), unit(rng, 3, 6)
    relevant = as_relevant([[0, WIDTH - 1, len(pool) - 1]] * 3)
    found = rank(DenseScores(passages).of(queries), "en", relevant, pool, top=20, compiled=True)
    check(found, pool, queries, passages)


def test_a_thousand_dimensions_and_a_last_bit() -> None:
    """Scores that differ by less than float32 shows: every one in its place, with few asked."""
    rng = np.random.default_rng(5)
    base = unit(rng, 1, 1024)[0]
    passages = np.tile(base, (100, 1))
    for row in range(100):
        passages[row, row] = np.nextafter(passages[row, row], np.float32(row % 3 - 1))
    queries = unit(rng, 3, 1024)
    pool = make_pool({"en": 40, "de": 60})
    relevant = as_relevant([[0, 50, 99]] * 3)
    for compiled in (True, False):
        dense = DenseScores(passages)
        found = rank(dense.of(queries), "en", relevant, pool, top=100, compiled=compiled)
        check(found, pool, queries, passages)
    assert dense.decisions.float64 > 0


class Shard:
    """Passages of one language in memory."""

    def __init__(self, language: str, ids: list[bytes], vectors: Vectors) -> None:
        self.language, self.ids, self.vectors = language, ids, vectors

    def __len__(self) -> int:
        return len(self.ids)


def streamed(
    pool: Pool, passages: Vectors, queries: Vectors, relevant: Any, **how: Any
) -> Streamed:
    """The same search from shards of ``size`` passages."""
    size = how.pop("size", 7)
    shards: dict[str, list[Shard]] = {}
    for x in pool.languages:
        first, last = pool.block(x)
        ids = [str(i).partition(":")[2].encode() for i in pool.ids[first:last]]
        vectors = passages[first:last]
        shards[x] = [
            Shard(x, ids[i : i + size], vectors[i : i + size]) for i in range(0, len(ids), size)
        ]
    judged = {
        q: {
            str(pool.ids[c]): 1
            for c in relevant.columns[relevant.indptr[i] : relevant.indptr[i + 1]]
        }
        for i, q in enumerate(relevant.questions)
    }
    return ShardSearch(shards, {"en": queries}, {"en": judged}, scored=True, **how).run()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(deadline=None, max_examples=8)
@given(data=st.data())
def test_streamed_and_in_memory_are_equal_to_the_bit(kind: Any, data: st.DataObject) -> None:
    """Whatever the shards, threads and device: ranks, heads and scores of the search in memory."""
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    d = data.draw(st.sampled_from([2, 24, 65]))
    pool = make_pool({"en": 40, "de": 31})
    passages, queries = kind(rng, len(pool), d), kind(rng, 5, d)
    relevant = as_relevant([rng.choice(len(pool), 3, replace=False).tolist() for _ in queries])
    k = data.draw(st.integers(1, 80))
    held = rank(DenseScores(passages).of(queries), "en", relevant, pool, top=k, scored=True)
    check(held, pool, queries, passages)
    got = streamed(
        pool,
        passages,
        queries,
        relevant,
        top=k,
        size=data.draw(st.integers(1, 50)),
        threads=data.draw(st.integers(1, 3)),
        device=data.draw(st.sampled_from(["cpu", "cpu:0"])),
    )
    found = got.found["en"]
    assert (got.pool.ids[found.top_k] == pool.ids[held.top_k]).all()
    assert (found.top_k_scores == held.top_k_scores).all()
    assert (found.ranked_above == held.ranked_above).all()
    assert (found.block_rank == held.block_rank).all()


@pytest.mark.parametrize("compiled", [True, False])
def test_equal_vectors_are_scored_once(monkeypatch: pytest.MonkeyPatch, compiled: bool) -> None:
    """What a tokenizer does not know becomes the same vector a thousand times."""
    rng = np.random.default_rng(4)
    pool = make_pool({"en": 200, "de": 300})
    passages, queries = unit(rng, 500, 24), unit(rng, 3, 24)
    # No two float64 hold its scores.
    passages[50:450] = passages[50] * (2.0 ** rng.integers(-60, 1, 24)).astype(np.float32)
    relevant = as_relevant([[60, 300, 499]] * 3)
    expected = rank(
        DenseScores(passages).of(queries), "en", relevant, pool, top=90, compiled=compiled
    )
    check(expected, pool, queries, passages)

    computed = 0

    def counted(query: Vectors, vector: Vectors) -> Fraction:
        nonlocal computed
        computed += 1
        return real_score(query, vector)

    monkeypatch.setattr("harness.search.exact.real_score", counted)
    passages[:50], passages[450:] = unit(rng, 50, 24), unit(rng, 50, 24)
    shards = {"size": 40, "threads": 2}
    held = rank(DenseScores(passages).of(queries), "en", relevant, pool, top=90, compiled=compiled)
    got = streamed(pool, passages, queries, relevant, top=90, **shards)
    assert (got.found["en"].ranked_above == held.ranked_above).all()
    # Once or so for a query, language and search, not for each of 400 passages.
    assert computed <= 3 * 2 * 2 * 4


def test_equal_vectors_tie_without_being_scored() -> None:
    """In compiled loops a score is computed for each relevant passage, and for what differs."""
    rng = np.random.default_rng(6)
    pool = make_pool({"en": 200, "de": 300})
    passages, queries = unit(rng, len(pool), 24), unit(rng, 5, 24)
    # Opposite to all queries, so that neither a top k nor any other passage comes near them.
    passages[50:450] = -queries.mean(0)
    relevant = as_relevant([[60, 300, 440]] * 5)
    dense = DenseScores(passages)
    found = rank(dense.of(queries), "en", relevant, pool, top=1, compiled=True)
    check(found, pool, queries, passages)
    assert dense.decisions.summary() == {"float64": 3 * len(queries), "exact": 0}
    # Elsewhere float64 finds what is near, but no equal vectors are scored exactly.
    dense = DenseScores(passages)
    found = rank(dense.of(queries), "en", relevant, pool, top=500, compiled=False)
    check(found, pool, queries, passages)
    assert dense.decisions.exact == 0


@given(data=st.data())
@settings(deadline=None, max_examples=20)
def test_real_scores_are_sums_of_fractions(data: st.DataObject) -> None:
    numbers = st.lists(st.floats(width=32, min_value=-(2.0**60), max_value=2.0**60), max_size=12)
    first = data.draw(numbers)
    second = data.draw(numbers)
    pairs = list(zip(first, second, strict=False))
    one, other = (np.array([p[i] for p in pairs], np.float32) for i in range(2))
    exact = sum((Fraction(a) * Fraction(b) for a, b in pairs), Fraction(0))
    assert real_score(one, other) == exact


def test_a_kernel_that_errs_as_far_as_it_may_changes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Products are moved at random within the bound, which no real processor reaches."""
    rng = np.random.default_rng(2)
    pool = make_pool({"en": 300, "de": 400})
    passages, queries = unit(rng, 700, 96), unit(rng, 12, 96)
    passages[100:200] = passages[0] + rng.standard_normal((100, 96)).astype(np.float32) * 1e-6
    passages[200:300] = passages[300:400]
    relevant = as_relevant([[0, 5, 150, 250, 650]] * 12)
    plain = rank(DenseScores(passages).of(queries), "en", relevant, pool, top=40, compiled=True)
    before = ranking_module.InnerProducts.__call__
    error = product_error(queries, float(length_bounds(passages).max()))

    def noisy(self: Any, start: int, stop: int) -> np.ndarray:
        exact = queries[start:stop].astype(np.float64) @ passages.T.astype(np.float64)
        # Rounding to float32 comes on top.
        far = rng.choice([-1, 1], exact.shape) * error[start:stop, None] * 0.99
        return np.ascontiguousarray(exact + far, np.float32)

    monkeypatch.setattr(ranking_module.InnerProducts, "__call__", noisy)
    for compiled in (True, False):
        found = rank(
            DenseScores(passages).of(queries), "en", relevant, pool, top=40, compiled=compiled
        )
        assert (found.ranked_above == plain.ranked_above).all()
        assert (found.top_k == plain.top_k).all()
    monkeypatch.setattr(ranking_module.InnerProducts, "__call__", before)


@pytest.mark.parametrize("d", [1, 2, 5, 8, 31, 384])
def test_float64_is_the_same_compiled_and_not(d: int) -> None:
    """To the bit, and within its bound of the real number; summed in any order, within another."""
    rng = np.random.default_rng(d)
    a, b = rng.standard_normal((6, d)).astype(np.float32), rng.standard_normal((9, d))
    b = b.astype(np.float32)
    query, vector = (x.reshape(-1) for x in np.mgrid[0:6, 0:9])
    plain = inner(a, b, query, vector)
    assert (plain == inner(a, b, query, vector, compiled=True)).all()
    longest = float(length_bounds(b).max())
    error, any_order = inner_error(a, longest), sum_error(a, longest)
    indptr, fast = np.searchsorted(query, np.arange(len(a) + 1)), np.empty(len(query))
    relevant_scores(a.reshape(-1), 0, b.reshape(-1), d, indptr, vector, fast)
    for i, (q, v) in enumerate(zip(query, vector, strict=True)):
        assert abs(Fraction(plain[i]) - real_score(a[q], b[v])) <= Fraction(error[q])
        assert abs(Fraction(fast[i]) - real_score(a[q], b[v])) <= Fraction(any_order[q])


def test_float32_products_stay_within_their_bound() -> None:
    """On vectors as encoders give them, and on ones where every rounding goes the same way."""
    rng = np.random.default_rng(0)
    same_way = np.full((4, 300), 1 + 2.0**-23, np.float32)
    for queries, passages in ((unit(rng, 20, 384), unit(rng, 50, 384)), (same_way, same_way)):
        products = queries @ passages.T
        error = product_error(queries, float(length_bounds(passages).max()))
        exact = queries.astype(np.float64) @ passages.T.astype(np.float64)
        assert (np.abs(products - exact) <= error[:, None]).all()


@settings(deadline=None, max_examples=200)
@given(
    a=st.lists(st.floats(width=32, min_value=-1e9, max_value=1e9), min_size=1, max_size=9),
    b=st.lists(st.floats(width=32, min_value=-1e9, max_value=1e9), min_size=9, max_size=9),
)
def test_exact_keys_are_the_score(a: list[float], b: list[float]) -> None:
    """The sum of both parts is the score where they say so; else it is rounded twice."""
    left, right = np.array([a], np.float32), np.array([b[: len(a)]], np.float32)
    one = np.zeros(1, np.int64)
    keys = exact_keys(left, right, one, one)
    real = real_score(left[0], right[0])
    assert keys.high[0] == float(real)
    assert keys.low[0] == float(real - Fraction(keys.high[0]))
    if keys.whole[0]:
        assert Fraction(keys.high[0]) + Fraction(keys.low[0]) == real


def test_scores_beyond_the_precision_of_two_floats_are_ordered() -> None:
    """1 + 2**-70 + 2**-140 against 1 + 2**-70: equal keys, other scores; integers decide."""
    vectors = np.array([[1, 2.0**-70, 0], [1, 2.0**-70, 2.0**-140], [1, 2.0**-70, 0]], np.float32)
    query = np.ones((1, 3), np.float32)
    decider = VectorDecider(query, vectors, 2.0, Decisions())
    none = np.zeros(2, np.int64)
    assert decider.signs(none, np.array([0, 0]), np.array([1, 2])).tolist() == [-1, 0]
    order, level = decider.order(
        np.zeros(3, np.int64), np.arange(3), np.ones(3, np.float32), np.ones(1, np.float32)
    )
    assert order.tolist() == [1, 0, 2]
    assert level.tolist() == [False, False, True]


def test_whole_numbers_need_no_second_look() -> None:
    """Where no product can be rounded, float32 decides everything, and ties are ties."""
    rng = np.random.default_rng(1)
    passages, queries = integers(rng, 500, 64), integers(rng, 20, 64)
    assert products_are_exact(queries, passages, float(length_bounds(passages).max()))
    pool = make_pool({"en": 500})
    dense = DenseScores(passages)
    found = rank(dense.of(queries), "en", as_relevant([[3, 77]] * 20), pool)
    check(found, pool, queries, passages)
    assert dense.decisions.summary() == {"float64": 0, "exact": 0}
    assert not products_are_exact(queries / 3, passages, 100.0)
    assert not products_are_exact(queries * 4096 + 1, passages * 4096 + 1, 1e5)


def test_steps_by_hand() -> None:
    """The greatest power of two that all numbers are multiples of."""
    assert step(np.array([[3, -5, 0]], np.float32)) == 0
    assert step(np.array([[12, 0.75]], np.float32)) == -2
    assert step(np.array([[1024]], np.float32)) == 10
    assert step(np.array([[2.0**-149]], np.float32)) == -149
    assert step(np.zeros((2, 2), np.float32)) is None


def test_lengths_are_bounded_by_what_float32_says() -> None:
    """The bound holds where squares are too small for float32, and where it overflows."""
    rows = np.array([[3, 4], [1e-30, 1e-30], [0, 0], [1, 2.0**-20]], np.float32)
    assert lengths(rows)[0] == 5
    assert (length_bounds(rows) >= lengths(rows)).all()
    assert np.isinf(length_bounds(np.full((1, 2), 1e30, np.float32)))


def test_vectors_too_long_for_float32_are_refused() -> None:
    """Their scores would be infinite, and infinite scores all tie."""
    with pytest.raises(ModelError, match=r"a vector has the length inf; .* scale the vectors"):
        DenseScores(np.full((2, 3), 1e30, np.float32))
    with pytest.raises(ModelError, match=r"takes lengths up to 1\.15e"):
        DenseScores(np.ones((2, 3), np.float32)).of(np.full((1, 3), 2e18, np.float32))


def test_scores_in_order_by_hand() -> None:
    """A tie in float32 that ids would break the wrong way becomes a step; others stay."""
    low = np.nextafter(np.float32(1), np.float32(0))
    scores = np.array([[1 + 1e-12, 1.0, 1 - 1e-12, 0.5]])
    assert in_order(scores, np.array([[4, 7, 2, 0]])).tolist() == [[1, 1, low, 0.5]]
    assert in_order(scores, np.array([[1, 2, 3, 0]])).tolist() == [[1, 1, 1, 0.5]]
