"""Sparse and token vectors, streamed: ranks of the real scores, whatever the shards and tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import UsageError
from harness.models.base import Parts
from harness.models.sparse_late_interaction import terms_of, tokens_of
from harness.search import parts as kernel
from harness.search.exact import inner
from harness.search.parts import PartTexts, texts_of_parts
from harness.search.streamed import ShardSearch, Streamed

KINDS = ("sparse", "multi-vector")
WIDTH = 24


def texts(kind: str, count: int, seed: int, *, steps: int = 3) -> PartTexts:
    """Texts of whole numbers / 4 (many ties) and, every third, of ordinary floats."""
    rng = np.random.default_rng(seed)
    if kind == "sparse":
        rows = rng.integers(0, steps, (count, WIDTH)) * (rng.random((count, WIDTH)) < 0.2) / 4
        rows[::3] *= rng.random((len(rows[::3]), WIDTH))
        return texts_of_parts(terms_of(rows.astype(np.float32)))
    tokens = [rng.integers(-steps, steps, (int(n), WIDTH)) / 4 for n in rng.integers(1, 6, count)]
    tokens = [x * rng.random(x.shape) if i % 3 == 0 else x for i, x in enumerate(tokens)]
    return texts_of_parts(tokens_of(tokens))


def real(query: PartTexts, passage: PartTexts) -> Fraction:
    """The score by definition, in rational arithmetic."""
    a, b = query.parts, passage.parts
    if a.terms is not None and b.terms is not None:
        own = dict(zip(a.terms.tolist(), a.values.tolist(), strict=True))
        other = dict(zip(b.terms.tolist(), b.values.tolist(), strict=True))
        return sum((Fraction(w) * Fraction(other.get(t, 0)) for t, w in own.items()), Fraction(0))
    return sum(
        (
            max(
                sum((Fraction(x) * Fraction(y) for x, y in zip(q, p, strict=True)), Fraction(0))
                for p in b.values.tolist()
            )
            for q in a.values.tolist()
        ),
        Fraction(0),
    )


@dataclass(frozen=True)
class Held:
    language: str
    ids: list[str]
    vectors: Any

    def __len__(self) -> int:
        return len(self.ids)


def shards(language: str, passages: PartTexts, size: int) -> list[Held]:
    ids = [f"p{i:02d}" for i in range(len(passages))]
    return [
        Held(language, ids[a : a + size], passages[a : a + size])
        for a in range(0, len(passages), size)
    ]


JUDGED = {f"q{i}": {f"x:p{i:02d}": 1, f"y:p{(3 * i) % 40:02d}": 1} for i in range(12)}


def search(kind: str, size: int, **how: Any) -> Streamed:
    pools = {x: texts(kind, 40, seed) for x, seed in (("x", 1), ("y", 2))}
    # Equal passages under other ids, in one language and across both.
    pools = {
        x: held[np.array([*range(30), *range(10)])] if x == "x" else held
        for x, held in pools.items()
    }
    found = ShardSearch(
        {x: shards(x, held, size) for x, held in pools.items()},
        {"x": texts(kind, 12, 3)},
        {"x": JUDGED},
        top=15,
        **how,
    )
    return found.run()


def by_definition(kind: str) -> tuple[list[list[str]], dict[tuple[str, str], int]]:
    """Whole rankings, and the rank of each relevant passage."""
    pools = {x: texts(kind, 40, seed) for x, seed in (("x", 1), ("y", 2))}
    pools["x"] = pools["x"][np.array([*range(30), *range(10)])]
    queries = texts(kind, 12, 3)
    rankings = []
    for i in range(12):
        scored = [
            (real(queries[i], held[j]), f"{x}:p{j:02d}")
            for x, held in pools.items()
            for j in range(len(held))
        ]
        rankings.append([name for _, name in sorted(scored, reverse=True)])
    ranks = {
        (q, name): rankings[i].index(name) + 1
        for i, (q, judged) in enumerate(JUDGED.items())
        for name in judged
    }
    return rankings, ranks


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_and_top_k_are_those_of_real_scores(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rankings, ranks = by_definition(kind)
    for size, tokens, threads in ((40, 2048, 1), (7, 1, 2), (11, 9, 1)):
        monkeypatch.setattr(kernel, "_TOKENS", tokens)
        streamed = search(kind, size, threads=threads)
        found = streamed.found["x"]
        names = streamed.pool.ids
        assert [[names[c] for c in row] for row in found.top_k] == [r[:15] for r in rankings]
        owner = np.repeat(np.arange(12), np.diff(found.relevant.indptr))
        got = {
            (f"q{q}", names[c]): int(rank)
            for q, c, rank in zip(owner, found.relevant.columns, found.pool_rank, strict=True)
        }
        assert got == ranks
    assert streamed.decisions.exact > 0  # there were scores that only exact numbers tell apart


@pytest.mark.parametrize("kind", KINDS)
def test_few_queries_at_a_time_change_nothing(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once = search(kind, 40).found["x"]
    monkeypatch.setattr(ShardSearch, "_at_once", 5)
    again = search(kind, 9).found["x"]
    assert np.array_equal(once.ranked_above, again.ranked_above)
    assert once.top_k_scores.shape == again.top_k_scores.shape
    with pytest.raises(UsageError, match="too small to search 80 passages"):
        monkeypatch.undo()
        search(kind, 40, memory=1 << 20)


@pytest.mark.parametrize("kind", KINDS)
def test_products_are_within_their_bound_of_the_real_score(kind: str) -> None:
    queries, passages = texts(kind, 6, 5, steps=9), texts(kind, 9, 6, steps=9)
    products = queries.products(passages)
    longest = passages.longest()
    error, fine = queries.product_error(longest), queries.inner_error(longest)
    every = np.indices(products.shape).reshape(2, -1).astype(np.int64)
    sums = queries.inner(passages, *every).reshape(products.shape)
    keys = queries.exact_keys(passages, *every)
    for i, j in np.ndindex(products.shape):
        score = real(queries[i], passages[j])
        assert abs(Fraction(float(products[i, j])) - score) <= Fraction(float(error[i]))
        assert abs(Fraction(float(sums[i, j])) - score) <= Fraction(float(fine[i]))
        n = i * len(passages) + j
        assert Fraction(float(keys.high[n])) + Fraction(float(keys.low[n])) == score
        assert queries[i].real_score(passages[j]) == score
    assert error.max() < 1e-4 * products.max()  # or anything would be within it


@pytest.mark.parametrize(("width", "threads"), [(24, 1), (7, 2)])
def test_close_scores_are_sums_of_largest_products_in_their_fixed_order(
    width: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same bits on every machine: tokens that float32 cannot tell apart are decided."""
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    rng = np.random.default_rng(width)
    queries, passages = (
        [rng.standard_normal((int(n), width)).astype(np.float32) for n in rng.integers(1, 9, 30)]
        for _ in range(2)
    )
    for x in passages:  # nearly the first token again, within a rounding
        x[-1] = np.nextafter(x[0], np.float32(9))
    pairs = [x.reshape(-1) for x in np.indices((30, 30))]
    found = texts_of_parts(tokens_of(queries)).inner(texts_of_parts(tokens_of(passages)), *pairs)
    for q, p, score in zip(*pairs, found, strict=True):
        a, b = queries[q], passages[p]
        every = inner(a, b, *(x.reshape(-1) for x in np.indices((len(a), len(b)))))
        assert score == math.fsum(every.reshape(len(a), len(b)).max(1))


def test_maxsim_by_hand() -> None:
    """Two query tokens (1, 0) and (0, 1): the largest first and second coordinates, added."""
    query = np.eye(2, dtype=np.float32)
    one = np.array([[0.2, 0.5], [0.4, -1.0]], np.float32)  # 0.4 + 0.5
    two = np.array([[-3.0, -2.0]], np.float32)  # -3 - 2
    # Of `one` as a query: with itself 0.29 + 1.16, with `two` -1.6 + 0.8.
    found = texts_of_parts(tokens_of([query, one])).products(texts_of_parts(tokens_of([one, two])))
    np.testing.assert_allclose(found, [[0.9, -5.0], [1.45, -0.8]], rtol=1e-6)


def test_a_text_without_terms_has_the_score_0_with_all() -> None:
    nothing = texts_of_parts(
        Parts(np.zeros(3, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int32), 4)
    )
    some = texts_of_parts(terms_of(np.eye(2, 4, dtype=np.float32)))
    assert not nothing.products(some).any() and not some.products(nothing).any()
    at = np.array([0, 1])
    assert not some.inner(nothing, at, at).any() and not nothing.exact_keys(some, at, at).high.any()
