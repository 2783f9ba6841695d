"""Streamed search: against brute force, the search in memory and trec_eval, whatever the shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.data.pool import Pool, RelevantPassages
from harness.data.trec import tie_order
from harness.errors import StoreError, UsageError
from harness.metrics import retrieval
from harness.search.in_memory import DenseScores
from harness.search.one_language import scan_bytes
from harness.search.streamed import WORKING_BYTES, ShardSearch, Streamed
from harness.search.tiles import rank


@dataclass(frozen=True)
class Held:
    """A shard in memory."""

    language: str
    ids: Any
    vectors: np.ndarray

    def __len__(self) -> int:
        return len(self.vectors)


def cut(corpus: Mapping[str, tuple[Sequence[str], np.ndarray]], size: int) -> dict[str, list[Held]]:
    """Corpora by language, (ids, vectors) each, as shards of ``size`` passages."""
    return {
        x: [
            Held(
                x,
                np.array([i.encode() for i in ids[a : a + size]], dtype=np.bytes_),
                vectors[a : a + size],
            )
            for a in range(0, len(ids), size)
        ]
        for x, (ids, vectors) in corpus.items()
    }


@st.composite
def cases(draw: st.DrawFn) -> tuple[Any, Any, Any]:
    """Corpora, queries and golds; whole numbers, so that scores are exact and ties everywhere."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    width = draw(st.sampled_from([1, 3, 8, 17]))
    spread = draw(st.sampled_from([2, 5]))
    dtype = draw(st.sampled_from([np.float16, np.float32]))
    languages = draw(st.permutations(["en", "zh", "zh-Hant"]))
    corpus, queries, judged = {}, {}, {}
    for x in languages:
        n = draw(st.integers(1, 60))
        ids = [f"{i}#{i % 3}" for i in rng.permutation(n)]
        corpus[x] = (ids, rng.integers(-spread, spread, (n, width)).astype(dtype))
    for x in languages[: draw(st.integers(1, 3))]:
        n = draw(st.integers(1, 4))
        queries[x] = rng.integers(-spread, spread, (n, width)).astype(np.float32)
        judged[x] = {
            f"{x}-{q}": {
                f"{y}:{corpus[y][0][i]}": int(rng.integers(1, 4))
                for y in languages
                for i in rng.choice(len(corpus[y][0]), min(len(corpus[y][0]), rng.integers(0, 4)))
            }
            for q in range(n)
        }
    return corpus, queries, judged


def brute(corpus: Any, query: np.ndarray, languages: Sequence[str]) -> list[tuple[str, float]]:
    """All passages of these languages, in the stated order, by sorting."""
    scored = [
        (float(s), f"{x}:{i}".encode())
        for x in languages
        for i, s in zip(
            corpus[x][0],
            corpus[x][1].astype(np.float64) @ query.astype(np.float64),
            strict=True,
        )
    ]
    return [(i.decode(), s) for s, i in sorted(scored, reverse=True)]


@settings(deadline=None, max_examples=80)
@given(
    case=cases(),
    size=st.integers(1, 30),
    top=st.integers(1, 70),
    threads=st.integers(1, 3),
    device=st.sampled_from(["cpu", "cpu:0"]),
)
def test_equals_sorting_whatever_the_shards(
    case: Any, size: int, top: int, threads: int, device: str
) -> None:
    """Ranks, per language and in the pool, and heads; ids decide ties across shards.

    ``cpu:0`` takes the loops for other devices.
    """
    corpus, queries, judged = case
    streamed = ShardSearch(
        cut(corpus, size),
        queries,
        judged,
        top=top,
        block_tops={x: {"zh": top} for x in queries},
        threads=threads,
        device=device,
        scored=True,
    ).run()
    pool = streamed.pool
    assert len(pool) == sum(len(ids) for ids, _ in corpus.values())
    assert list(pool.ids) == [pool.ids[i] for i in tie_order(list(pool.ids))]
    for x, found in streamed.found.items():
        at = 0
        for q, relevant in enumerate(judged[x].values()):
            order = brute(corpus, queries[x][q], list(corpus))
            heads = list(zip(pool.ids[found.top_k[q]], found.top_k_scores[q].tolist(), strict=True))
            assert heads == order[:top]
            columns, scores = found.block_top_k["zh"]
            block = list(zip(pool.ids[columns[q]], scores[q].tolist(), strict=True))
            assert block == brute(corpus, queries[x][q], ["zh"])[:top]
            names = [i for i, _ in order]
            for passage, grade in relevant.items():
                above = names[: names.index(passage)]
                assert pool.ids[found.relevant.columns[at]] == passage
                assert found.relevant.grades[at] == grade
                expected = [sum(i.split(":")[0] == y for i in above) for y in pool.languages]
                assert found.ranked_above[at].tolist() == expected
                own = pool.languages.index(passage.split(":")[0])
                assert found.block_rank[at] == expected[own] + 1
                at += 1


def random_corpus(seed: int = 3) -> tuple[Any, Any, Any]:
    """Two languages of unit vectors, some of them copies of one another, and their golds."""
    rng = np.random.default_rng(seed)
    corpus, queries, judged = {}, {}, {}
    for x, n in (("en", 700), ("de", 431)):
        vectors = rng.standard_normal((n, 48)).astype(np.float32)
        copies = rng.choice(n, 40, replace=False)
        vectors[copies] = vectors[copies[0]]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        corpus[x] = ([f"{i // 7}#{i % 7}" for i in range(n)], vectors)
    # The same vectors in both languages: they tie across corpora too.
    corpus["de"][1][:20] = corpus["en"][1][5:25]
    for x in corpus:
        requested = rng.standard_normal((30, 48)).astype(np.float32)
        queries[x] = requested / np.linalg.norm(requested, axis=1, keepdims=True)
        judged[x] = {
            f"{x}{q}": {
                f"{y}:{corpus[y][0][int(i)]}": 1 for y in corpus for i in rng.choice(431, 3)
            }
            for q in range(30)
        }
    return corpus, queries, judged


def same(a: Streamed, b: Streamed) -> bool:
    """Whether two searches found the same, to the bit."""
    return all(
        np.array_equal(a.pool.ids[a.found[x].top_k], b.pool.ids[b.found[x].top_k])
        and np.array_equal(a.found[x].top_k_scores, b.found[x].top_k_scores)
        and np.array_equal(a.found[x].ranked_above, b.found[x].ranked_above)
        for x in a.found
    )


def test_shards_memory_threads_and_device_change_no_bit() -> None:
    """Whatever the cut and the tiles, the same scores and ranks; equal vectors tie exactly."""
    corpus, queries, judged = random_corpus()

    def search(size: int, **how: Any) -> Streamed:
        return ShardSearch(cut(corpus, size), queries, judged, top=50, scored=True, **how).run()

    reference = search(8192)
    for size in (1, 37, 500):
        assert same(reference, search(size))
    assert same(reference, search(100, threads=3))
    assert same(reference, search(100, device="cpu:0"))
    en = corpus["en"]
    values, times = np.unique(en[1], axis=0, return_counts=True)
    copies = np.flatnonzero((en[1] == values[times.argmax()]).all(1))
    assert len(copies) == 40
    relevant = {f"en:{en[0][i]}": 1 for i in copies}
    few = {"en": {q: relevant for q in judged["en"]}}
    found = ShardSearch(cut({"en": en}, 64), {"en": queries["en"]}, few, top=5).run().found["en"]
    ranks = np.sort(found.pool_rank.reshape(30, 40), axis=1)
    assert (np.diff(ranks, axis=1) == 1).all()


def test_agrees_with_the_search_in_memory() -> None:
    """The same ranks and scores, to the bit."""
    corpus, queries, judged = random_corpus()
    streamed = ShardSearch(cut(corpus, 100), queries, judged, top=20, scored=True).run()
    pool = Pool.of_ids({x: ids for x, (ids, _) in corpus.items()})
    passages = np.concatenate([vectors for _, vectors in corpus.values()])[pool.rows]
    assert pool.languages == streamed.pool.languages
    for x, found in streamed.found.items():
        columns = [pool.column[p] for relevant in judged[x].values() for p in relevant]
        indptr = np.cumsum([0, *map(len, judged[x].values())])
        relevant = RelevantPassages(
            tuple(judged[x]), indptr, np.array(columns), np.ones(len(columns), np.int64)
        )
        held = rank(DenseScores(passages).of(queries[x]), x, relevant, pool, top=20, scored=True)
        np.testing.assert_array_equal(found.top_k_scores, held.top_k_scores)
        np.testing.assert_array_equal(found.pool_rank, held.pool_rank)
        np.testing.assert_array_equal(found.block_rank, held.block_rank)
        np.testing.assert_array_equal(found.ranked_above, held.ranked_above)
        np.testing.assert_array_equal(streamed.pool.ids[found.top_k], pool.ids[held.top_k])


def test_trec_eval_agrees() -> None:
    """Whole rankings scored by trec_eval give the measures that follow from the ranks."""
    import pytrec_eval

    corpus, queries, judged = random_corpus()
    streamed = ShardSearch(cut(corpus, 100), queries, judged, top=2000, scored=True).run()
    for x, found in streamed.found.items():
        run = {
            q: dict(zip(streamed.pool.ids[head], scores.tolist(), strict=True))
            for q, head, scores in zip(judged[x], found.top_k, found.top_k_scores, strict=True)
        }
        assert all(len(ranking) == len(streamed.pool) for ranking in run.values())
        evaluator = pytrec_eval.RelevanceEvaluator(judged[x], {"map", "ndcg_cut_10", "recall_100"})
        theirs = evaluator.evaluate(run)
        ranks, indptr = found.pool_rank, found.relevant.indptr
        for name, ours in (
            ("map", retrieval.average_precision(ranks, indptr)),
            ("ndcg_cut_10", retrieval.ndcg(ranks, indptr, 10)),
            ("recall_100", retrieval.recall(ranks, indptr, 100)),
        ):
            expected = [theirs[q][name] for q in judged[x]]
            np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_more_queries_than_fit_take_several_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget decides how often the shards are read, not what is found."""
    corpus, queries, judged = random_corpus()
    reference = ShardSearch(cut(corpus, 100), queries, judged, top=50, scored=True).run()
    monkeypatch.setattr("harness.search.streamed.resident_memory", lambda: 0)
    each = scan_bytes(1, 48, 50, 1) - scan_bytes(0, 48, 50, 1)
    memory = WORKING_BYTES + scan_bytes(0, 48, 50, 1) + 60 * 50 * 14 + 7 * each
    search = ShardSearch(cut(corpus, 100), queries, judged, top=50, memory=memory, scored=True)
    assert search.passages == 9 * (700 + 431)
    steps: list[int] = []
    assert same(reference, search.run(steps.append))
    assert sum(steps) == search.passages
    with pytest.raises(UsageError, match=r"--memory 1M is too small .* at least \d+M are needed"):
        ShardSearch(cut(corpus, 100), queries, judged, memory=2**20).run()


def test_thousands_of_ties_are_broken_by_id() -> None:
    """More passages tie at the end of the head than there is room for candidates."""
    rng = np.random.default_rng(1)
    vectors = np.tile(rng.standard_normal((1, 8)).astype(np.float32), (3000, 1))
    ids = [f"{i:04d}" for i in rng.permutation(3000)]
    query = vectors[:1]
    for device in ("cpu", "cpu:0"):
        found = ShardSearch(
            cut({"en": (ids, vectors)}, 256),
            {"en": query},
            {"en": {"q": {"en:0007": 1}}},
            top=10,
            device=device,
        ).run()
        best = found.pool.ids[found.found["en"].top_k[0]].tolist()
        assert best == [f"en:{i:04d}" for i in range(2999, 2989, -1)]
        assert found.found["en"].pool_rank.tolist() == [3000 - 7]


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_shard_of_codes_says_nothing_of_a_passage_elsewhere(size: int, device: str) -> None:
    """1 + 2**-60 is above 1, but not in float64: the passage of codes alone must not tie with it.

    A tie would go to the higher id.
    """
    vectors = np.array([[1, 2.0**-60], [1, 0]], np.float32)
    shards = cut({"en": (["a", "b"], vectors)}, size)
    query = {"en": np.array([[1, 1]], np.float32)}
    found = ShardSearch(shards, query, {"en": {"q": {"en:a": 1}}}, top=2, device=device).run()
    assert found.found["en"].block_rank.tolist() == [1]
    assert found.pool.ids[found.found["en"].top_k[0]].tolist() == ["en:a", "en:b"]


def test_a_relevant_passage_that_was_not_encoded_has_no_rank() -> None:
    """It is left to the measures, which count it as never found; no other rank changes."""
    corpus, queries, judged = random_corpus()
    before = ShardSearch(cut(corpus, 100), queries, judged).run().found["en"]
    judged["en"]["en3"] = {**judged["en"]["en3"], "de:nowhere": 1}
    after = ShardSearch(cut(corpus, 100), queries, judged).run().found["en"]
    np.testing.assert_array_equal(after.relevant.indptr, before.relevant.indptr)
    np.testing.assert_array_equal(after.pool_rank, before.pool_rank)


def test_only_what_a_query_searches_counts() -> None:
    """Monolingual queries are put to their own corpus alone."""
    corpus, queries, judged = random_corpus()
    own = {x: (x,) for x in corpus}
    streamed = ShardSearch(cut(corpus, 100), queries, judged, own, top=5).run()
    for x, found in streamed.found.items():
        alone = ShardSearch(
            cut({x: corpus[x]}, 90), {x: queries[x]}, {x: judged[x]}, own, top=5
        ).run()
        ids = [streamed.pool.ids[c] for c in found.relevant.columns]
        assert all(i.startswith(f"{x}:") for i in ids)
        np.testing.assert_array_equal(found.block_rank, alone.found[x].block_rank)
        np.testing.assert_array_equal(found.pool_rank, alone.found[x].pool_rank)
        assert all(i.startswith(f"{x}:") for i in streamed.pool.ids[found.top_k].reshape(-1))


def test_vectors_of_the_passages_that_were_found() -> None:
    """Read again from their shards, in whatever order they are asked for."""
    corpus, queries, judged = random_corpus()
    streamed = ShardSearch(cut(corpus, 100), queries, judged, top=10).run()
    vectors = {
        f"{x}:{i}": v for x, (ids, vs) in corpus.items() for i, v in zip(ids, vs, strict=True)
    }
    columns = np.random.default_rng(0).permutation(len(streamed.pool.ids))
    expected = np.array([vectors[i] for i in streamed.pool.ids[columns]])
    np.testing.assert_array_equal(streamed.vectors(columns), expected)


def test_a_shard_that_goes_away_ends_the_search_at_once() -> None:
    """No thread works on to the end of the corpus, and the sentence says what to do."""
    corpus, queries, judged = random_corpus()

    class Gone:
        language, ids = "en", [b"x"]

        def __len__(self) -> int:
            return 1

        @property
        def vectors(self) -> np.ndarray:
            raise FileNotFoundError("no such file")

    shards: Any = cut(corpus, 10)
    shards["en"].insert(3, Gone())
    steps: list[int] = []
    with pytest.raises(StoreError, match=r"a shard of en disappeared .* start the run again"):
        ShardSearch(shards, queries, {x: {q: {} for q in judged[x]} for x in judged}).run(
            steps.append
        )
    # "en" comes first in the order of ties; three shards of ten lie before the gap.
    assert sum(steps) == 30


def test_queries_that_are_codes_do_not_make_passages_codes() -> None:
    """Float64 sums lose what tells these passages apart, so that more has to decide."""
    far = 2.0**40
    passages = np.array([[far, -far, 0, 0], [far, -far, 2.0**-20, 0]], np.float32)
    search = ShardSearch(
        cut({"en": (["b", "a"], passages)}, 2),
        {"en": np.ones((1, 4), np.float32)},
        {"en": {"q": {"en:b": 1}}},
        top=2,
    )
    streamed = search.run()
    found = streamed.found["en"]
    assert found.block_rank.tolist() == [2]
    assert streamed.pool.ids[found.top_k[0]].tolist() == ["en:a", "en:b"]
