"""The input of a pass, and how its candidates are reduced to the top k of every query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.search.code_products import coded
from harness.search.corpus_rows import PassageRows, stacked
from harness.search.exact import (
    Decider,
    Decisions,
    Encoded,
    EqualVectors,
    Keys,
    by_group,
    exact_keys,
    inner,
    real_score,
)

TILE = 1024
"""Passages per tile on a CPU: their scores stay in a core's cache."""

QUERIES = 512
"""Queries multiplied with a tile at once."""


@dataclass(frozen=True)
class PassQueries:
    """The queries of a pass and the relevant passages whose ranks it counts."""

    queries: Encoded
    """(Q, d)"""
    indptr: NDArray[np.int64]
    """(Q + 1,) bounds of each query's relevant passages."""
    relevant_scores: NDArray[np.float64]
    """(G,) as :func:`harness.search.exact.inner` gives them."""
    relevant_rows: NDArray[np.int64]
    """(G,) numbers of the relevant passages among all searched ones (:class:`Corpus`)."""
    longest: float
    """Upper bound on the lengths of the relevant passages' vectors."""
    ties_win: NDArray[np.int64]
    """(G,) whether a passage with an equal score is ranked above: 1 or 0; -1: its id decides."""
    relevant_ids: list[bytes]
    """(G,) local ids; used where ``ties_win`` is -1."""
    relevant_coded: bool = False
    """Whether the vectors of all relevant passages are known to be codes."""


def capacity(k: int) -> int:
    """Candidates that a thread keeps per query: twice k, so that they are seldom reduced."""
    return 2 * k + 64


class Reached:
    """What a query's k-th best passage certainly reaches, as the threads of a pass find out.

    Lower bounds on inner products, not on a thread's float32 products, whose error depends on the
    vectors that the thread has seen. Threads read them without a lock: each writes its own row
    alone, and a bound that is read too early is a bound.
    """

    def __init__(self, queries: int, k: int, threads: int) -> None:
        self.share = -(-k // threads)
        """Passages that all threads together need of each: together they are k or more."""
        self._whole = np.full((threads, queries), -np.inf, np.float32)
        self._share = np.full((threads, queries), -np.inf, np.float32)

    def learn(
        self, thread: int, whole: NDArray[np.float32], share: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(Q,) what k passages of all threads reach.

        ``whole`` (Q,) is what k passages of this ``thread`` reach, ``share`` (Q,) what
        :attr:`share` of them do.
        """
        self._whole[thread], self._share[thread] = whole, share
        reached: NDArray[np.float32] = np.maximum(self._whole.max(axis=0), self._share.min(axis=0))
        return reached


class Corpus:
    """All searched passages by number: the rows of one language after another."""

    def __init__(self, languages: Sequence[PassageRows]) -> None:
        self.languages = languages
        sizes = [len(rows) for rows in languages]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)

    def split(
        self, number: NDArray[np.int64]
    ) -> Iterator[tuple[PassageRows, NDArray[np.int64], int]]:
        """Languages with shards, positions in (n,) ``number`` and the shards' first number.

        By shard, so that at most one shard's vectors are read at a time.
        """
        order = np.argsort(number, kind="stable")
        ordered = number[order]
        for rows, first in zip(self.languages, self.starts[:-1].tolist(), strict=True):
            bounds = np.searchsorted(ordered, rows.starts + first)
            for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
                if b > a:
                    yield rows, order[a:b], first

    def vectors(self, number: NDArray[np.int64]) -> Encoded:
        """(n, d) vectors of passages (n,), or texts of several parts."""
        found: list[Encoded] = []
        order = [np.zeros(0, np.int64)]
        for rows, places, first in self.split(number):
            different, where = np.unique(number[places] - first, return_inverse=True)
            found.append(rows.vectors(different)[where])
            order.append(places)
        return stacked(found)[np.argsort(np.concatenate(order))]


class ShardDecider(Decider):
    """A decider that rereads vectors from their shards, with several ``threads`` at once."""

    def __init__(
        self,
        queries: Encoded,
        corpus: Corpus,
        longest: float,
        decisions: Decisions,
        threads: int = 1,
    ) -> None:
        super().__init__(queries, longest, decisions)
        self._corpus, self._threads = corpus, threads
        self._equal = EqualVectors()
        self._coded = isinstance(queries, np.ndarray) and coded(queries)

    def same(self, vector: NDArray[np.int64]) -> NDArray[np.int64]:
        """See :class:`harness.search.exact.Decider`."""
        if isinstance(self.queries, np.ndarray):
            return self._equal.numbers(vector, lambda some: self._corpus.vectors(self._rows(some)))
        return vector

    def _rows(self, vector: NDArray[np.int64]) -> NDArray[np.int64]:
        """Numbers of passages in the corpus."""
        return vector

    def _parts(
        self, query: NDArray[np.int64], vector: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], Encoded, Any, Any]]:
        for rows, places, first in self._corpus.split(vector):
            different, where = np.unique(vector[places] - first, return_inverse=True)
            yield places, rows.vectors(different), query[places], where

    def scores(self, query: NDArray[np.int64], vector: NDArray[np.int64]) -> NDArray[np.float64]:
        """See :class:`harness.search.exact.Decider`."""
        number, out = self._rows(vector), np.empty(len(query))

        def fill(part: tuple[PassageRows, NDArray[np.int64], int]) -> None:
            rows, places, first = part
            out[places] = rows.inner(self.queries, query[places], number[places] - first)

        parts = self._corpus.split(number)
        if self._threads == 1:
            for part in parts:
                fill(part)
            return out
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(fill, parts))
        return out

    def keys(self, query: NDArray[np.int64], vector: NDArray[np.int64]) -> Keys:
        """See :class:`harness.search.exact.Decider`."""
        out = Keys(np.empty(len(query)), np.empty(len(query)), np.empty(len(query), bool))
        for places, vectors, q, v in self._parts(query, vector):
            if self._coded and coded(vectors):
                # Whole numbers: float64 has them.
                whole = inner(self.queries, vectors, q, v, compiled=True)
                keys = Keys(whole + 0.0, np.zeros(len(q)), np.ones(len(q), bool))
            else:
                keys = exact_keys(self.queries, vectors, q, v)
            out.high[places], out.low[places] = keys.high, keys.low
            out.whole[places] = keys.whole
        return out

    def real(self, query: int, vector: int) -> Fraction:
        """See :class:`harness.search.exact.Decider`."""
        found = self._corpus.vectors(np.array([vector], np.int64))
        return real_score(self.queries[query], found[0])


class ColumnDecider(ShardDecider):
    """A decider for the columns of a pool; ``number_of`` (C,) are their passages."""

    def __init__(
        self,
        queries: Encoded,
        corpus: Corpus,
        longest: float,
        decisions: Decisions,
        number_of: NDArray[np.int64],
    ) -> None:
        super().__init__(queries, corpus, longest, decisions)
        self._number_of = number_of

    def _parts(
        self, query: NDArray[np.int64], vector: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], Encoded, Any, Any]]:
        return super()._parts(query, self._number_of[vector])

    def _rows(self, vector: NDArray[np.int64]) -> NDArray[np.int64]:
        """See :class:`ShardDecider`."""
        return self._number_of[vector]

    def real(self, query: int, vector: int) -> Fraction:
        """See :class:`harness.search.exact.Decider`."""
        return super().real(query, int(self._number_of[vector]))


def best_candidates(
    corpus: Corpus,
    language: int,
    decider: Decider,
    margin: NDArray[np.float32],
    query: NDArray[np.int64],
    row: NDArray[np.int64],
    score: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The top ``k`` of each query's candidates in the total order: (query, row, score), (n,) each.

    ``query``, ``row`` and ``score`` (m,) are the candidates, rows of one language (its number in
    the corpus), with their float32 products. Ids are read only for equal scores.
    """
    order = by_group(query, score)
    query, row, score = query[order], row[order], score[order]
    order, level = decider.order(query, row + corpus.starts[language], score, margin)
    query, row, score = query[order], row[order], score[order]
    if level.any():
        rows = corpus.languages[language]
        place = np.arange(len(row))
        first = np.flatnonzero(level & ~np.concatenate([[False], level[:-1]])) - 1
        last = np.flatnonzero(level & ~np.concatenate([level[1:], [False]])) + 1
        tied = np.unique(np.concatenate([row[a:b] for a, b in zip(first, last, strict=True)]))
        ids = dict(zip(tied.tolist(), rows.ids(tied), strict=True))
        for a, b in zip(first.tolist(), last.tolist(), strict=True):
            place[a:b] = sorted(place[a:b], key=lambda i: ids[int(row[i])], reverse=True)
        row, score = row[place], score[place]
    start = np.searchsorted(query, query)
    keep = np.arange(len(query)) - start < k
    return query[keep], row[keep], score[keep]
