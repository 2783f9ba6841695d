"""Streamed search: against brute force, the search in memory and trec_eval, whatever the shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.rankings import tie_order
from harness.search.stream import search_shards


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
    streamed = search_shards(
        cut(corpus, size),
        queries,
        judged,
        top=top,
        block_tops={x: {"zh": top} for x in queries},
        threads=threads,
        device=device,
    )
    pool = streamed.pool
    assert len(pool) == sum(len(ids) for ids, _ in corpus.values())
    assert list(pool.ids) == [pool.ids[i] for i in tie_order(list(pool.ids))]
    for x, found in streamed.found.items():
        at = 0
        for q, golds in enumerate(judged[x].values()):
            order = brute(corpus, queries[x][q], list(corpus))
            heads = list(zip(pool.ids[found.head[q]], found.head_scores[q].tolist(), strict=True))
            assert heads == order[:top]
            columns, scores = found.block_heads["zh"]
            block = list(zip(pool.ids[columns[q]], scores[q].tolist(), strict=True))
            assert block == brute(corpus, queries[x][q], ["zh"])[:top]
            names = [i for i, _ in order]
            for passage, grade in golds.items():
                above = names[: names.index(passage)]
                assert pool.ids[found.golds.columns[at]] == passage
                assert found.golds.grades[at] == grade
                assert found.gold_scores[at] == order[len(above)][1]
                expected = [sum(i.split(":")[0] == y for i in above) for y in pool.languages]
                assert found.outranked_by[at].tolist() == expected
                own = pool.languages.index(passage.split(":")[0])
                assert found.block_rank[at] == expected[own] + 1
                at += 1
