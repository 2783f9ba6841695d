"""Exact ranks of several systems as one: their scores over a pool, fused tile by tile.

A fused score belongs to a pool: ranks, least and greatest scores and means are those of the pool
that is searched. So every language's passages, and the pool of all languages, are fused by
themselves, and each number is the one that a separate run over that pool would give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import Pool, RelevantPassages
from harness.models.fused import Fusion
from harness.search.exact import Decisions, VectorDecider, check_lengths, length_bounds
from harness.search.fusion import (
    Numbers,
    Ranks,
    normalised_scores,
    ranks_in,
    ranks_of,
    reciprocal_ranks,
    weighted,
)
from harness.search.in_memory import Scores
from harness.search.results import SearchResult
from harness.search.tiles import in_order

_TILE = 2**22
"""Scores of one system at a time."""


class Side(Protocol):
    """One system's scores of some queries over one pool."""

    @property
    def scores(self) -> NDArray[np.float32]:
        """Scores (R, N)."""

    @property
    def ranks(self) -> Ranks:
        """Ranks (R, N), see :mod:`harness.search.fusion`."""


class System(Protocol):
    """One of the systems."""

    def tile(self, language: str, start: int, stop: int) -> Callable[[str | None], Side]:
        """Some queries of a language; the result gives them over one language, or the pool."""


@dataclass(frozen=True)
class GivenScores:
    """Scores as a system gives them."""

    scores: NDArray[np.float32]

    @cached_property
    def ranks(self) -> Ranks:
        """See :class:`Side`."""
        return ranks_of(-self.scores)


@dataclass(frozen=True)
class Products:
    """Inner products of vectors, certainly ordered and rounded."""

    queries: NDArray[np.float32]
    """(R, d)"""
    vectors: NDArray[np.float32]
    """(N, d)"""
    float64: NDArray[np.float64]
    """(R, N) products in float64, summed in any order."""
    error: NDArray[np.float64]
    """(R,) bounds on their errors."""
    longest: float
    decisions: Decisions

    @property
    def _decider(self) -> VectorDecider:
        return VectorDecider(
            self.queries, self.vectors, self.longest, self.decisions, compiled=True
        )

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The real products, rounded to float64 and then to float32."""
        found = self.float64.astype(np.float32)
        error = self.error[:, None]
        apart = (self.float64 - error).astype(np.float32) != (self.float64 + error).astype(
            np.float32
        )
        query, vector = np.nonzero(apart)
        if len(query):
            self.decisions.add(exact=len(query))
            found[query, vector] = self._decider.keys(query, vector).high
        return found

    @cached_property
    def ranks(self) -> Ranks:
        """See :class:`Side`."""
        order = np.argsort(-self.float64, axis=1)
        query = np.repeat(np.arange(len(order)), order.shape[1])
        flat = order.reshape(-1)
        ordered = np.take_along_axis(self.float64, order, axis=1).reshape(-1)
        score, margin = cast("Any", ordered), cast("Any", 2.01 * self.error)
        places, level = self._decider.order(query, flat, score, margin)
        return ranks_in(flat[places].reshape(order.shape), level.reshape(order.shape))


@dataclass(frozen=True)
class Part:
    """A range of the columns of another side, whose scores do not depend on the pool."""

    whole: Side
    columns: slice

    @property
    def scores(self) -> NDArray[np.float32]:
        """See :class:`Side`."""
        return self.whole.scores[:, self.columns]

    @cached_property
    def ranks(self) -> Ranks:
        """See :class:`Side`."""
        return ranks_of(self.whole.ranks[:, self.columns])


class VectorSystem:
    """A system of vectors: ``passages`` (N, d) in the pool's order, queries (Q, d) by language."""

    def __init__(
        self,
        passages: NDArray[np.float32],
        queries: Mapping[str, NDArray[np.float32]],
        pool: Pool,
        decisions: Decisions,
    ) -> None:
        """Raises :class:`ModelError` for vectors too long to be multiplied in float32."""
        import torch

        self._vectors, self._queries, self._pool = passages, queries, pool
        self._longest = check_lengths(passages)
        self._transposed = torch.from_numpy(passages).double().T
        self._decisions = decisions

    def tile(self, language: str, start: int, stop: int) -> Callable[[str | None], Side]:
        """See :class:`System`."""
        import torch

        queries = np.ascontiguousarray(self._queries[language][start:stop])
        products = torch.mm(torch.from_numpy(queries).double(), self._transposed).numpy()
        # Any order of summation (Higham, section 3.1), as in harness.search.exact.product_error.
        error = 1.01 * (queries.shape[1] + 1) * 2.0**-53 * self._longest * length_bounds(queries)
        whole = Products(queries, self._vectors, products, error, self._longest, self._decisions)
        return lambda block: _part(whole, self._pool, block)


@dataclass(frozen=True)
class ScoreSystem:
    """A system that gives scores, over the whole pool and, if they differ, over each language."""

    whole: Mapping[str, Scores]
    """By query language."""
    alone: Mapping[str, Mapping[str, Scores]] | None
    """By query and passage language; ``None``: a passage's score is the same in every pool."""
    pool: Pool

    def tile(self, language: str, start: int, stop: int) -> Callable[[str | None], Side]:
        """See :class:`System`."""
        whole: list[Side] = []

        def of(block: str | None) -> Side:
            if block is not None and self.alone is not None:
                return GivenScores(self.alone[language][block](start, stop))
            if not whole:
                whole.append(GivenScores(self.whole[language](start, stop)))
            return _part(whole[0], self.pool, block)

        return of


def _part(whole: Side, pool: Pool, block: str | None) -> Side:
    return whole if block is None else Part(whole, slice(*pool.block(block)))


def fused(sides: Sequence[Side], fusion: Fusion, weights: Numbers) -> Numbers:
    """(R, N) numbers in the order of the fused scores; ``weights`` (R, systems)."""
    if fusion.method == "rrf":
        return reciprocal_ranks([x.ranks for x in sides], fusion.k)
    return weighted([normalised_scores(x.scores, fusion.method) for x in sides], weights)


@dataclass(frozen=True)
class FusedSearch:
    """The search of one task."""

    systems: Sequence[System]
    fusion: Fusion
    pool: Pool
    relevant: Mapping[str, RelevantPassages]
    blocks: Mapping[str, Sequence[str]]
    """Query language -> passage languages that are searched alone."""

    def tiles(self, language: str) -> Sequence[tuple[int, int]]:
        """First query and the one after the last of each tile."""
        queries = len(self.relevant[language].questions)
        rows = max(1, min(256, _TILE // max(1, len(self.pool))))
        return [(x, min(x + rows, queries)) for x in range(0, queries, rows)]

    def sides(self, language: str, start: int, stop: int) -> Callable[[str | None], list[Side]]:
        """All systems' scores over one language, or the pool."""
        tiles = [x.tile(language, start, stop) for x in self.systems]
        return lambda block: [tile(block) for tile in tiles]

    def rank(
        self,
        language: str,
        weights: Numbers,
        *,
        top: int,
        block_tops: Mapping[str, int],
        progress: Callable[[int], None],
    ) -> SearchResult:
        """The result for the queries of one language; ``weights`` (Q, systems)."""
        relevant, pool = self.relevant[language], self.pool
        result = _Result(relevant, pool, top, block_tops)
        for start, stop in self.tiles(language):
            sides = self.sides(language, start, stop)
            own = weights[start:stop]
            for block in (None, *self.blocks[language]):
                result.add(start, fused(sides(block), self.fusion, own), block)
            progress(stop - start)
        return SearchResult(
            language=language,
            relevant=relevant,
            relevant_language=pool.language_of[relevant.columns],
            ranked_above=result.above,
            block_rank=result.block_rank,
            top_k=result.top_k,
            top_k_scores=result.top_scores,
            block_top_k=result.blocks,
        )

    def numbers_at(
        self, language: str, rows: NDArray[np.int64], columns: NDArray[np.int64], weights: Numbers
    ) -> NDArray[np.float32]:
        """(n, C) ranks in the whole pool, negated, of ``columns`` (n, C) for queries ``rows`` (n,).

        Equal fused scores have equal ranks.
        """
        out = np.zeros(columns.shape, np.float32)
        for start, stop in self.tiles(language):
            here = np.flatnonzero((rows >= start) & (rows < stop))
            if len(here):
                found = fused(
                    self.sides(language, start, stop)(None), self.fusion, weights[start:stop]
                )
                ranks = ranks_of(-found)[rows[here] - start]
                out[here] = -np.take_along_axis(ranks, columns[here], axis=1)
        return out


class _Result:
    """The arrays of a search result while tiles are added."""

    def __init__(
        self, relevant: RelevantPassages, pool: Pool, top: int, block_tops: Mapping[str, int]
    ) -> None:
        self._relevant, self._pool = relevant, pool
        queries, top = len(relevant.questions), min(top, len(pool))
        self.above = np.zeros((len(relevant.columns), len(pool.languages)), np.int32)
        self.block_rank = np.ones(len(relevant.columns), np.int32)
        self.top_k = np.zeros((queries, top), np.int32)
        self.top_scores = np.zeros((queries, top), np.float32)
        self.blocks: dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]] = {}
        for x, k in block_tops.items():
            first, last = pool.block(x)
            shape = (queries, min(k, last - first))
            self.blocks[x] = (np.zeros(shape, np.int32), np.zeros(shape, np.float32))

    def add(self, start: int, found: Numbers, block: str | None) -> None:
        """Add a tile of fused scores over the pool, or over one language."""
        first, last = (0, len(self._pool)) if block is None else self._pool.block(block)
        relevant = self._relevant
        for i, row in enumerate(found):
            a, b = relevant.indptr[start + i : start + i + 2].tolist()
            at = np.arange(a, b)
            columns = relevant.columns[a:b]
            here = (columns >= first) & (columns < last)
            at, columns = at[here], columns[here] - first
            if not len(at):
                continue
            above = ranked_above(row, columns)
            if block is None:
                self.above[at] = np.add.reduceat(above, self._pool.starts[:-1], axis=1)
            else:
                self.block_rank[at] = 1 + above.sum(axis=1)
        best, scores = (
            (self.top_k, self.top_scores) if block is None else self.blocks.get(block, (None, None))
        )
        if best is None or scores is None or not best.shape[1]:
            return
        rows = slice(start, start + len(found))
        top = top_columns(found, best.shape[1])
        best[rows] = top + first
        scores[rows] = in_order(np.take_along_axis(found, top, axis=1), best[rows])


def ranked_above(row: Numbers, columns: NDArray[np.int64]) -> NDArray[np.int32]:
    """(G, N) 1 where a column of ``row`` (N,) ranks above each of ``columns`` (G,), else 0."""
    own = row[columns][:, None]
    above = row > own
    level = row == own
    for i, column in enumerate(columns.tolist()):
        above[i, :column] |= level[i, :column]
    return above.astype(np.int32)


def top_columns(found: Numbers, k: int) -> NDArray[np.int32]:
    """(R, k) best columns of (R, N), best first; of equal ones the lower first."""
    best = np.empty((len(found), k), np.int32)
    least = np.partition(found, found.shape[1] - k, axis=1)[:, found.shape[1] - k]
    for i, row in enumerate(found):
        near = np.flatnonzero(row >= least[i])
        best[i] = near[np.argsort(-row[near], kind="stable")[:k]]
    return best
