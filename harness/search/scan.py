"""One pass over the passages of one language: the best k of every query, and what outranks a gold.

Tiles of passages are read, multiplied with the queries and forgotten. What stays are candidates for
the heads, a bounded number per query, and one count per gold. Each thread takes whole pieces of the
corpus, from reading to counting, with candidates of its own; they are put together at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.search.exact import (
    Decider,
    Decisions,
    Keys,
    exact_keys,
    inner,
    product_error,
    real_score,
)
from harness.search.shards import Piece, Rows, release, vectors_of

TILE = 1024
"""Passages per tile on a CPU: their scores stay in a core's cache."""

QUERIES = 512
"""Queries multiplied with a tile at once."""


@dataclass(frozen=True)
class Wanted:
    """The queries of a pass and the golds whose ranks it counts."""

    queries: NDArray[np.float32]
    """(Q, d)"""
    indptr: NDArray[np.int64]
    """(Q + 1,) golds of each query."""
    gold_scores: NDArray[np.float64]
    """(G,) as :func:`harness.search.exact.inner` gives them."""
    gold_rows: NDArray[np.int64]
    """(G,) numbers of the golds among all passages that are searched (:class:`Corpus`)."""
    longest: float
    """What the lengths of the golds' vectors are at most."""
    ties_win: NDArray[np.int64]
    """(G,) whether a passage that ties with the gold outranks it: 1 or 0; -1: its id decides."""
    gold_ids: list[bytes]
    """(G,) local ids; looked at where ``ties_win`` is -1."""


@dataclass(frozen=True)
class Scanned:
    """What a pass found."""

    rows: NDArray[np.int64]
    """(Q, k) best passages by row, best first."""
    scores: NDArray[np.float32]
    """(Q, k) float32 products."""
    longest: float
    """What the lengths of the passages' vectors are at most."""
    outranked_by: NDArray[np.int64]
    """(G,) passages above each gold."""


def capacity(k: int) -> int:
    """Candidates that a thread holds per query: twice the head, so that it is seldom cut back."""
    return 2 * k + 64


def scan_bytes(queries: int, width: int, k: int, threads: int) -> int:
    """Memory that a pass takes, in bytes, its result included."""
    held = queries * capacity(k) * 8
    tile = TILE * width * 6 + QUERIES * TILE * 4
    # Putting together: query, row and score of each candidate that is left, and their order.
    merged = queries * (k + 64) * 64
    return threads * (held + tile) + merged + queries * width * 4


class Corpus:
    """All passages that are searched, by number: the rows of one language after the other's."""

    def __init__(self, languages: Sequence[Rows]) -> None:
        self.languages = languages
        sizes = [len(rows) for rows in languages]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)

    def split(self, number: NDArray[np.int64]) -> Iterator[tuple[Rows, NDArray[np.int64], int]]:
        """Languages with shards, places in (n,) ``number`` and the shards' first number.

        By shard, so that no more vectors are read at a time than one shard has.
        """
        order = np.argsort(number, kind="stable")
        ordered = number[order]
        for rows, first in zip(self.languages, self.starts[:-1].tolist(), strict=True):
            bounds = np.searchsorted(ordered, rows.starts + first)
            for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
                if b > a:
                    yield rows, order[a:b], first

    def vectors(self, number: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, d) vectors of passages (n,)."""
        out: NDArray[np.float32] | None = None
        for rows, places, first in self.split(number):
            different, where = np.unique(number[places] - first, return_inverse=True)
            found = rows.vectors(different)
            if out is None:
                out = np.empty((len(number), found.shape[1]), np.float32)
            out[places] = found[where]
        return np.zeros((0, 0), np.float32) if out is None else out


class ShardDecider(Decider):
    """Decides with vectors that are read again from their shards."""

    def __init__(
        self,
        queries: NDArray[np.float32],
        corpus: Corpus,
        longest: float,
        decisions: Decisions,
    ) -> None:
        super().__init__(queries, longest, decisions)
        self._corpus = corpus

    def _parts(
        self, query: NDArray[np.int64], vector: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32], Any, Any]]:
        for rows, places, first in self._corpus.split(vector):
            different, where = np.unique(vector[places] - first, return_inverse=True)
            yield places, rows.vectors(different), query[places], where

    def scores(self, query: NDArray[np.int64], vector: NDArray[np.int64]) -> NDArray[np.float64]:
        """See :class:`harness.search.exact.Decider`."""
        out = np.empty(len(query))
        for places, vectors, q, v in self._parts(query, vector):
            out[places] = inner(self.queries, vectors, q, v, compiled=True)
        return out

    def keys(self, query: NDArray[np.int64], vector: NDArray[np.int64]) -> Keys:
        """See :class:`harness.search.exact.Decider`."""
        out = Keys(np.empty(len(query)), np.empty(len(query)), np.empty(len(query), bool))
        for places, vectors, q, v in self._parts(query, vector):
            keys = exact_keys(self.queries, vectors, q, v)
            out.high[places], out.low[places] = keys.high, keys.low
            out.whole[places] = keys.whole
        return out

    def real(self, query: int, vector: int) -> Fraction:
        """See :class:`harness.search.exact.Decider`."""
        found = self._corpus.vectors(np.array([vector], np.int64))
        return real_score(self.queries[query], found[0])


def settled(
    corpus: Corpus,
    language: int,
    decider: Decider,
    margin: NDArray[np.float32],
    query: NDArray[np.int64],
    row: NDArray[np.int64],
    score: NDArray[np.float32],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` best of each query's candidates in the total order: (query, row, score), (n,) each.

    ``query``, ``row`` and ``score`` (m,) are the candidates, rows of one language (its number in
    the corpus), with their float32 products. Ids are read where scores are equal.
    """
    order = np.lexsort((row, -score, query))
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


def scan(
    corpus: Corpus,
    language: int,
    wanted: Wanted,
    k: int,
    decisions: Decisions,
    *,
    device: str = "cpu",
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Scanned:
    """Search all passages of a language, by its number in the corpus, for each query.

    The result depends on the vectors alone: not on shards, tiles, threads or device. ``k`` is cut
    to the passages there are. ``progress`` is told how many passages each step settled.
    """
    import torch

    from harness.search.workers import worker_on

    rows = corpus.languages[language]
    k = min(k, len(rows))
    lock, stopped = threading.Lock(), threading.Event()
    pieces = rows.pieces()

    def taken() -> Iterator[Piece]:
        while not stopped.is_set():
            with lock:
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def work(worker: Any) -> Any:
        try:
            for piece in taken():
                vectors = vectors_of(piece.shard)
                worker.search(vectors[piece.start : piece.stop], piece.first_row)
                release(vectors)
                if progress is not None:
                    with lock:
                        progress(piece.stop - piece.start)
        finally:
            # Done, or failed: then nobody has to finish the corpus first.
            stopped.set()
        return worker

    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    if threads > 1:
        torch.set_num_threads(1)
    # What a model may have allowed itself (TF32, bfloat16) is not within the bound on errors.
    torch.set_float32_matmul_precision("highest")
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            workers = [
                worker_on(device, corpus, language, wanted, k, decisions) for _ in range(threads)
            ]
            try:
                done = list(pool.map(work, workers))
            finally:
                stopped.set()
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)
    return _together(corpus, language, wanted, k, decisions, done)


def compile_loops() -> None:
    """Compile the loops of a pass, or load what was compiled before: a first run waits for it."""
    one = np.ones((1, 1), np.float32)
    golds = np.array([0, 1], np.int64)
    first, ties = golds[:1], np.array([-1], np.int64)
    wanted = Wanted(one, golds, one[0].astype(np.float64), first, 1.0, ties, [b"0"])
    inner(one, one, first, first, compiled=True)
    scan(Corpus([Rows([_One()])]), 0, wanted, 1, Decisions())


class _One:
    """A shard of one passage."""

    language = ""
    ids: ClassVar[list[bytes]] = [b"0"]
    vectors = np.ones((1, 1), np.float32)

    def __len__(self) -> int:
        return 1


def _together(
    corpus: Corpus,
    language: int,
    wanted: Wanted,
    k: int,
    decisions: Decisions,
    workers: list[Any],
) -> Scanned:
    """What several threads found, as one."""
    queries = len(wanted.queries)
    longest = max(w.longest for w in workers)
    margin = 2 * product_error(wanted.queries, longest)
    query: list[NDArray[np.int64]] = []
    row: list[NDArray[np.int64]] = []
    score: list[NDArray[np.float32]] = []
    for q in range(queries):
        scores = np.concatenate([w.scores[q, : w.held[q]] for w in workers])
        held = np.concatenate([w.rows[q, : w.held[q]] for w in workers])
        if 0 < k < len(scores):
            kth = np.partition(scores, len(scores) - k)[len(scores) - k]
            near = scores >= kth - margin[q]
            held, scores = held[near], scores[near]
        query.append(np.full(len(held), q, np.int64))
        row.append(held.astype(np.int64))
        score.append(scores)
    outranked = np.sum([w.outranked for w in workers], axis=0)
    if not queries or not k:
        empty = np.zeros((queries, k))
        return Scanned(empty.astype(np.int64), empty.astype(np.float32), longest, outranked)
    _, best, found = settled(
        corpus,
        language,
        ShardDecider(wanted.queries, corpus, longest, decisions),
        margin,
        np.concatenate(query),
        np.concatenate(row),
        np.concatenate(score),
        k,
    )
    return Scanned(best.reshape(queries, k), found.reshape(queries, k), longest, outranked)
