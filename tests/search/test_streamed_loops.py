"""The loops of streamed search, each against numpy or by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_search_stream import Held, cut

from harness.search import streamed_cpu_loops as loops
from harness.search.candidates import Reached
from harness.search.corpus_rows import PassageRows, distinct
from harness.search.exact import by_group, check_lengths, inner
from harness.search.stored_loops import inner_of_stored, widen
from harness.search.streamed import ShardSearch


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_top_k_and_ranks_of_thousands_are_those_of_sorting(dtype: Any) -> None:
    """Candidates are reduced many times, in threads that share what they know."""
    rng = np.random.default_rng(5)
    vectors = rng.standard_normal((6000, 40)).astype(dtype)
    queries = rng.standard_normal((30, 40)).astype(np.float32)
    ids = [str(i) for i in range(6000)]
    chosen = rng.integers(0, 6000, (30, 2))
    judged = {f"q{i}": {f"en:{x}": 1 for x in row} for i, row in enumerate(chosen.tolist())}
    scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
    order = np.argsort(-scores, axis=1)
    ranks = 1 + (scores[:, None, :] > np.take_along_axis(scores, chosen, 1)[:, :, None]).sum(2)
    for threads in (1, 3):
        shards = cut({"en": (ids, vectors)}, 1100)
        found = ShardSearch(shards, {"en": queries}, {"en": judged}, top=20, threads=threads).run()
        best = found.pool.ids[found.found["en"].top_k]
        assert best.tolist() == [[f"en:{i}" for i in row] for row in order[:, :20].tolist()]
        assert found.found["en"].pool_rank.tolist() == ranks.reshape(-1).tolist()


def test_what_all_threads_reach_together() -> None:
    """Two threads, k = 4: the best four are above what one has four of, or both have two of."""
    reached = Reached(3, 4, 2)
    assert reached.share == 2
    nothing = np.full(3, -np.inf, np.float32)
    first = np.array([0.5, 0.1, -1], np.float32), np.array([0.7, 0.6, 0.9], np.float32)
    # The other thread has not said anything.
    assert reached.learn(0, *first).tolist() == first[0].tolist()
    assert reached.learn(1, nothing, np.array([0.4, 0.3, -2], np.float32)).tolist() == (
        np.array([0.5, 0.3, -1], np.float32).tolist()
    )


@pytest.mark.parametrize("k", [1, 16, 100, 300])
def test_a_number_that_k_scores_reach(k: int) -> None:
    """Never more than the k-th highest, and little less unless scores are equal."""
    rng = np.random.default_rng(k)
    for scores in (
        rng.standard_normal(300).astype(np.float32),
        -rng.random(300).astype(np.float32),
        rng.integers(-2, 3, 300).astype(np.float32),
        np.zeros(300, np.float32),
        np.where(np.arange(300) % 2, np.float32(-0.0), np.float32(1e-45)),
    ):
        bound = loops._reached(scores, 300, k)
        assert bound <= np.sort(scores)[-k]
        above = np.sort(scores)[::-1][: k + k // 16]
        assert (scores > np.nextafter(bound, np.float32(np.inf))).sum() <= len(above)


def test_looking_goes_on_where_it_stopped() -> None:
    """With room for few open pairs, and candidates that are too close, nothing is lost."""
    rng = np.random.default_rng(0)
    queries, width, k, room = 5, 130, 3, 24
    scores = rng.standard_normal((queries, width)).astype(np.float32)
    # Always too close to be reduced: it stops at column 24, the best one, at 45 and so on.
    scores[1] = np.arange(width)
    scores[1, 24] = width
    margin = np.array([0, 200, 0, 0, 0], np.float32)
    indptr = np.array([0, 2, 2, 3, 7, 8])
    relevant = rng.standard_normal(8).astype(np.float32)
    high, low = relevant + np.float32(0.4), relevant - np.float32(0.4)
    own = 1000 + rng.integers(0, width, 8)
    kth, shared = np.full((2, queries), -np.inf, np.float32)
    kept, rows = np.zeros((queries, room), np.float32), np.zeros((queries, room), np.uint32)
    n_kept, n_above = np.zeros(queries, np.int64), np.zeros(8, np.int64)
    open_relevant, open_column = np.zeros((2, 4 * width), np.int64)
    pairs, stops, q, j = set(), set(), 0, 0
    while q < queries:
        q, j, n = loops.look(
            scores.reshape(-1), width, 1000, 0, k, k, margin, kth, shared, kept, rows, n_kept,
            indptr, high, low, own, n_above, open_relevant, open_column, q, j,
        )  # fmt: skip
        pairs |= set(zip(open_relevant[:n].tolist(), open_column[:n].tolist(), strict=True))
        stops.add("all" if q == queries else "pairs" if j == width else "candidates")
        if q < queries and j < width:
            best = np.argsort(-kept[q])[:k]
            kept[q, :k], rows[q, :k], n_kept[q] = kept[q, best], rows[q, best], k
    assert stops == {"all", "pairs", "candidates"}
    query_of = np.repeat(np.arange(queries), np.diff(indptr))
    of = scores[query_of]
    np.testing.assert_array_equal(n_above, (of > high[:, None]).sum(1))
    near = (of >= low[:, None]) & (of <= high[:, None])
    expected = {(g, c) for g, c in np.argwhere(near).tolist() if 1000 + c != own[g]}
    assert pairs == expected
    for q in range(queries):
        best = np.argsort(-scores[q], kind="stable")[:k] + 1000
        assert set(best.tolist()) <= set(rows[q, : n_kept[q]].tolist())


def test_rows_of_ids_are_those_of_a_dictionary() -> None:
    """In shards of any width, as bytes or text; ids that begin like a name are not it."""
    rng = np.random.default_rng(0)
    ids = [f"{i}#{'é' * (i % 4)}" for i in rng.permutation(9000).tolist()]
    shards = [Held("en", np.array([x.encode() for x in ids[:3000]]), np.zeros((3000, 1)))]
    shards += [Held("en", ids[3000:7000], np.zeros((4000, 1)))]
    shards += [Held("en", np.array([b"7", b"123", b"12345678"]), np.zeros((3, 1)))]
    shards += [Held("en", np.array([x.encode() for x in ids[7000:]]), np.zeros((2000, 1)))]
    row = {x.encode(): i for i, x in enumerate([*ids[:7000], "7", "123", "12345678", *ids[7000:]])}
    names = {x.encode() for x in ids[::2]} | {b"123", b"12345678", b"nowhere", b"12345678-9", b"1"}
    found = PassageRows(shards).find(names)
    assert found == {x: row[x] for x in names if x in row}
    assert len(found) == 4502


def test_every_float16_is_widened_as_numpy_does() -> None:
    """All 65,536 of them, and float32 as it is; the squares are those of the longest row."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(-1, 64)
    out = np.empty(every.shape, np.float32)
    widen(every, out)
    np.testing.assert_array_equal(out, every.astype(np.float32))
    vectors = np.random.default_rng(0).standard_normal((50, 37))
    for stored in (vectors.astype(np.float16), vectors.astype(np.float32)):
        out = np.empty(stored.shape, np.float32)
        squares = widen(stored, out)
        np.testing.assert_array_equal(out, stored.astype(np.float32))
        assert squares == pytest.approx(float((out.astype(np.float64) ** 2).sum(1).max()))
        assert np.sqrt(squares) <= check_lengths(out)


@pytest.mark.parametrize("d", [1, 7, 64, 100])
def test_stored_vectors_have_the_same_scores_as_widened_ones(d: int) -> None:
    """To the bit, also where a row is asked for twice."""
    rng = np.random.default_rng(d)
    queries = rng.standard_normal((9, d)).astype(np.float32)
    query, vector = rng.integers(0, 9, 40), np.sort(rng.integers(0, 20, 40))
    for dtype in (np.float16, np.float32):
        stored = rng.standard_normal((20, d)).astype(dtype)
        expected = inner(queries, stored.astype(np.float32), query, vector)
        assert inner_of_stored(queries, stored, query, vector).tobytes() == expected.tobytes()


def test_orders_that_numpy_gives_more_slowly() -> None:
    """By group and score, equal ones as given; and the different ones of some numbers."""
    rng = np.random.default_rng(2)
    group = rng.integers(0, 9, 500)
    for score in (rng.standard_normal(500), rng.integers(-2, 3, 500).astype(np.float32)):
        np.testing.assert_array_equal(by_group(group, score), np.lexsort((-score, group)))
    numbers = rng.integers(0, 100, 300)
    np.testing.assert_array_equal(distinct(numbers), np.unique(numbers))
    assert len(distinct(numbers[:0])) == 0
