"""Exact ranks: against sorting, with ties everywhere, on both kinds of loop."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_pools import as_relevant, make_pool

from harness.data.pool import Pool
from harness.errors import UsageError
from harness.search.in_memory import DenseScores, check_memory
from harness.search.products import WIDTH
from harness.search.results import SearchResult
from harness.search.tiles import ROWS, rank, rank_each


def sorted_ranks(row: np.ndarray, ids: list[str]) -> list[str]:
    """Passage ids in the stated order, by sorting: score descending, then id descending."""
    return [i for _, i in sorted(zip(row.tolist(), ids, strict=True), reverse=True)]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Pool, np.ndarray, list[list[int]]]:
    """A small pool, integer scores (so that ties are everywhere) and golds of each query."""
    languages = draw(st.permutations(["en", "de", "zh-Hant", "zh"]))
    sizes = {x: draw(st.integers(1, 40)) for x in languages}
    pool = make_pool(sizes)
    queries = draw(st.integers(1, 5))
    spread = draw(st.sampled_from([1, 3, 1000]))
    seed = draw(st.integers(0, 2**32 - 1))
    scores = np.random.default_rng(seed).integers(-spread, spread, (queries, len(pool)))
    relevant = [
        draw(st.lists(st.integers(0, len(pool) - 1), min_size=0, max_size=14, unique=True))
        for _ in range(queries)
    ]
    return pool, scores.astype(np.float32), relevant


@pytest.mark.parametrize("loops", ["cpu", "device"])
@settings(deadline=None, max_examples=60)
@given(case=cases(), k=st.integers(1, 130))
def test_ranks_and_top_k_equal_those_of_sorting(loops: str, case: tuple, k: int) -> None:
    """Ranks in the pool, in each language, and heads are what sorting all scores gives."""
    import torch

    pool, scores, relevant = case
    tile = scores if loops == "cpu" else torch.from_numpy(scores)
    found = rank(
        lambda a, b: tile[a:b],
        "en",
        as_relevant(relevant),
        pool,
        top=k,
        block_tops={"zh": k},
        compiled=True,
    )
    ids = list(pool.ids)
    at = 0
    for q, row in enumerate(relevant):
        order = sorted_ranks(scores[q], ids)
        assert [ids[c] for c in found.top_k[q]] == order[:k]
        assert found.top_k_scores[q].tolist() == [scores[q][ids.index(i)] for i in order[:k]]
        chinese = [i for i in order if i.startswith("zh:")]
        assert [ids[c] for c in found.block_top_k["zh"][0][q]] == chinese[:k]
        for column in row:
            language = ids[column].split(":")[0]
            assert found.pool_rank[at] == order.index(ids[column]) + 1
            own = [i for i in order if i.split(":")[0] == language]
            assert found.block_rank[at] == own.index(ids[column]) + 1
            above = order[: order.index(ids[column])]
            expected = [sum(i.split(":")[0] == x for i in above) for x in pool.languages]
            assert found.ranked_above[at].tolist() == expected
            at += 1
    summed = found.summed()
    assert summed.ranked_above.shape == (len(found.pool_rank), 1)
    assert summed.pool_rank.tolist() == found.pool_rank.tolist()


@pytest.mark.parametrize("k", [1, 10, 32, 33, 200])
@pytest.mark.parametrize("ties", ["none", "many", "all", "one lane"])
def test_top_k_of_long_rows(k: int, ties: str) -> None:
    """Rows much longer than the lanes they are looked at by, from no ties to nothing else."""
    rng = np.random.default_rng(k)
    width = 2_999
    scores = rng.standard_normal((3, width)).astype(np.float32)
    if ties == "many":
        scores = np.round(scores)
    elif ties == "all":
        scores[:] = 0
    elif ties == "one lane":
        scores[:, 5::256] = 9
    pool = make_pool({"en": 1_000, "de": 1_999})
    relevant = as_relevant([[5, 2_000], [], [1_500]])
    found = rank(lambda a, b: scores[a:b], "en", relevant, pool, top=k, compiled=True)
    order = np.lexsort((np.broadcast_to(np.arange(width), scores.shape), -scores))
    assert (found.top_k == order[:, :k]).all()
    place = np.argsort(order)
    assert found.pool_rank.tolist() == [place[0, 5] + 1, place[0, 2_000] + 1, place[2, 1_500] + 1]


@pytest.mark.parametrize("top", [7, 2_000])
@pytest.mark.parametrize("threads", [1, 3])
def test_languages_side_by_side_are_what_each_is_alone(top: int, threads: int) -> None:
    """Tiles of several query languages in one flow change nothing; results come in order."""
    rng = np.random.default_rng(11)
    pool = make_pool({"en": 900, "de": 1_300})
    dense = DenseScores(rng.standard_normal((len(pool), 24)).astype(np.float32))
    requested = {
        x: rng.standard_normal((n, 24)).astype(np.float32)
        for x, n in (("en", 3 * ROWS + 5), ("de", 2), ("zh", 0), ("th", ROWS))
    }
    relevant = {
        x: as_relevant([[i % len(pool), len(pool) - 1 - i % 7] for i in range(len(v))])
        for x, v in requested.items()
    }
    tops = {"en": {"de": 4}, "th": {"en": 2, "de": 1}}
    done: list[int] = []
    kept: list[str] = []

    def after(found: SearchResult) -> SearchResult:
        kept.append(found.language)
        return found

    together = rank_each(
        relevant,
        lambda x: dense.of(requested[x]),
        pool,
        top=top,
        block_tops=tops,
        threads=threads,
        progress=done.append,
        after=after,
    )
    assert kept == list(together) == list(requested)
    assert sum(done) == sum(map(len, requested.values()))
    for x, found in together.items():
        alone = rank(dense.of(requested[x]), x, relevant[x], pool, top=top, block_tops=tops.get(x))
        for name in ("ranked_above", "block_rank", "top_k", "top_k_scores"):
            assert (getattr(found, name) == getattr(alone, name)).all()
        assert found.block_top_k.keys() == alone.block_top_k.keys()
        for block in found.block_top_k:
            for a, b in zip(found.block_top_k[block], alone.block_top_k[block], strict=True):
                assert (a == b).all()


def test_an_error_in_one_tile_ends_the_search() -> None:
    """It reaches the caller, tiles that wait are dropped, torch has its threads back."""
    import torch

    pool = make_pool({"en": 40})
    relevant = {x: as_relevant([[0]] * 40 * ROWS) for x in ("en", "de")}
    requested: list[int] = []

    def broken(start: int, stop: int) -> np.ndarray:
        requested.append(start)
        if start:  # slow enough for the error to be heard of
            time.sleep(0.02)
            return np.zeros((stop - start, len(pool)), np.float32)
        raise OSError("gone")

    before = torch.get_num_threads()
    with pytest.raises(OSError, match="gone"):
        rank_each(relevant, lambda _: broken, pool, threads=2)
    assert len(requested) < 80
    assert torch.get_num_threads() == before


def test_negative_zero_ties_with_zero() -> None:
    """-0.0 and 0.0 are equal scores: the id decides, not the sign bit."""
    import torch

    pool = make_pool({"en": 4})
    scores = np.array([[0.0, -0.0, 0.0, -0.0]], np.float32)
    for tile in (scores, torch.from_numpy(scores)):
        found = rank(
            lambda a, b, t=tile: t[a:b], "en", as_relevant([[1, 3]]), pool, top=4, compiled=True
        )
        assert found.top_k.tolist() == [[0, 1, 2, 3]]
        assert found.pool_rank.tolist() == [2, 4]


def test_pool_of_languages_where_one_code_begins_another() -> None:
    """``zh`` and ``zh-Hant`` stay whole runs of columns."""
    pool = make_pool({"zh": 3, "zh-Hant": 3, "en": 2})
    assert sorted(pool.languages) == ["en", "zh", "zh-Hant"]
    for language in pool.languages:
        first, last = pool.block(language)
        assert all(i.split(":")[0] == language for i in pool.ids[first:last])
    assert len(pool) == 8


def test_equal_vectors_tie_wherever_they_stand() -> None:
    """Copies of one passage get one score, and the id decides, at any width of the matrix."""
    rng = np.random.default_rng(7)
    for size, dim in ((700, 33), (2501, 384)):
        passages = rng.standard_normal((size, dim)).astype(np.float32)
        copies = np.sort(rng.choice(size, 12, replace=False))
        passages[copies] = passages[copies[0]]
        queries = rng.standard_normal((300, dim)).astype(np.float32)
        pool = make_pool({"en": size})
        relevant = as_relevant([copies.tolist()] * len(queries))
        found = rank(DenseScores(passages).of(queries), "en", relevant, pool)
        ranks = found.pool_rank.reshape(len(queries), 12)
        assert (np.diff(ranks, axis=1) == 1).all()


def test_scores_are_inner_products() -> None:
    """The matrix is what float64 says, to float32's accuracy, in parts and as a whole."""
    rng = np.random.default_rng(3)
    passages = rng.standard_normal((2 * WIDTH + 9, 64)).astype(np.float32)
    queries = rng.standard_normal((600, 64)).astype(np.float32)
    scores = DenseScores(passages).of(queries)
    exact = queries.astype(np.float64) @ passages.astype(np.float64).T
    for start in range(0, 600, ROWS):
        stop = min(start + ROWS, 600)
        tile = scores(start, stop)
        assert tile.width < tile.columns
        np.testing.assert_allclose(tile.whole(), exact[start:stop], atol=2e-5)


def test_a_budget_that_is_too_small_says_what_is_needed() -> None:
    """The message names the flag and the least budget that would do."""
    with pytest.raises(UsageError, match=r"--memory 1M .* at least \d+M"):
        check_memory(13_014, 0, 2**20)
    check_memory(13_014, 0, 2**36)
