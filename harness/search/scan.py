"""One pass over the passages of one language: the best k of every query, and what outranks a gold.

Tiles of passages are read, multiplied with the queries and forgotten. What stays are candidates for
the heads, a bounded number per query, and one count per gold. Each thread takes whole pieces of the
corpus, from reading to counting, with candidates of its own; they are put together at the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.search.shards import Piece, Rows, release, vectors_of

TILE = 1024
"""Passages per tile on a CPU: their scores stay in a core's cache."""

QUERIES = 512
"""Queries multiplied with a tile at once."""

_UNIT = 2.0**-24
"""Rounding error of float32, relative."""


@dataclass(frozen=True)
class Wanted:
    """The queries of a pass and the golds whose ranks it counts."""

    queries: NDArray[np.float32]
    """(Q, d)"""
    indptr: NDArray[np.int64]
    """(Q + 1,) golds of each query."""
    gold_scores: NDArray[np.float32]
    """(G,)"""
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
    """(Q, k)"""
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


def reach(queries: NDArray[np.float32], longest: float) -> NDArray[np.float32]:
    """(Q,) how far a matrix kernel's score may be from the inner product, in any order of sums.

    The usual bound (Higham 2002, section 3.1): d roundings of at most 2**-24 relative to the sum of
    absolute products, which is at most the product of both lengths. ``longest`` is the greatest
    length of a passage's vector. A hundredth more covers the roundings of the bound itself.
    """
    d = queries.shape[1]
    growth = (d + 2) * _UNIT / (1 - (d + 2) * _UNIT)
    lengths = np.sqrt(np.einsum("ij,ij->i", queries, queries, dtype=np.float64))
    far: NDArray[np.float32] = (1.01 * growth * longest * lengths + 1e-37).astype(np.float32)
    return far


def scores_of(
    rows: Rows,
    queries: NDArray[np.float32],
    query: NDArray[np.int64],
    row: NDArray[np.int64],
) -> NDArray[np.float32]:
    """(n,) scores of the pairs (``query[i]``, ``row[i]``): what every comparison ends with."""
    from harness.search.stream_cpu import inner

    order = np.argsort(row, kind="stable")
    query, row = query[order], row[order]
    score = np.empty(len(row), np.float32)
    bounds = np.searchsorted(row, rows.starts)
    for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if b > a:
            different, vector = np.unique(row[a:b], return_inverse=True)
            score[order[a:b]] = inner(queries, rows.vectors(different), query[a:b], vector)
    return score


def settled(
    rows: Rows,
    queries: NDArray[np.float32],
    query: NDArray[np.int64],
    row: NDArray[np.int64],
    k: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The ``k`` best of each query's candidates in the total order: (query, row, score), (n,) each.

    ``query`` and ``row`` (m,) are the candidates. Vectors are read again, in the order of rows; ids
    are where scores tie.
    """
    score = scores_of(rows, queries, query, row)
    order = np.lexsort((-score, query))
    query, row, score = query[order], row[order], score[order]
    same = (np.diff(query) == 0) & (np.diff(score) == 0)
    if same.any():
        place = np.arange(len(row))
        first = np.flatnonzero(same & ~np.concatenate([[False], same[:-1]]))
        last = np.flatnonzero(same & ~np.concatenate([same[1:], [False]])) + 2
        tied = np.unique(np.concatenate([row[a:b] for a, b in zip(first, last, strict=True)]))
        ids = dict(zip(tied.tolist(), rows.ids(tied), strict=True))
        for a, b in zip(first.tolist(), last.tolist(), strict=True):
            place[a:b] = sorted(place[a:b], key=lambda i: ids[int(row[i])], reverse=True)
        row = row[place]
    start = np.searchsorted(query, query)
    keep = np.arange(len(query)) - start < k
    return query[keep], row[keep], score[keep]


def scan(
    rows: Rows,
    wanted: Wanted,
    k: int,
    *,
    device: str = "cpu",
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Scanned:
    """Search all ``rows`` for each query.

    The result depends on the vectors alone: not on shards, tiles, threads or device. ``k`` is cut
    to the passages there are. ``progress`` is told how many passages each step settled.
    """
    import torch

    from harness.search.workers import worker_on

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
    # What a model may have allowed itself (tf32, bfloat16) is not within reach of the product.
    torch.set_float32_matmul_precision("highest")
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            workers = [worker_on(device, rows, wanted, k) for _ in range(threads)]
            try:
                done = list(pool.map(work, workers))
            finally:
                stopped.set()
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)
    return _together(rows, wanted, k, done)


def compile_loops() -> None:
    """Compile the loops of a pass, or load what was compiled before: a first run waits for it."""
    one = np.ones((1, 1), np.float32)
    golds = np.array([0, 1], np.int64)
    wanted = Wanted(one, golds, one[0], np.array([-1], np.int64), [b"0"])
    scan(Rows([_One()]), wanted, 1)


class _One:
    """A shard of one passage."""

    language = ""
    ids: ClassVar[list[bytes]] = [b"0"]
    vectors = np.ones((1, 1), np.float32)

    def __len__(self) -> int:
        return 1


def _together(rows: Rows, wanted: Wanted, k: int, workers: list[Any]) -> Scanned:
    """What several threads found, as one."""
    queries = len(wanted.queries)
    margin = 2 * reach(wanted.queries, max(w.longest for w in workers))
    query: list[NDArray[np.int64]] = []
    row: list[NDArray[np.int64]] = []
    for q in range(queries):
        scores = np.concatenate([w.scores[q, : w.held[q]] for w in workers])
        held = np.concatenate([w.rows[q, : w.held[q]] for w in workers])
        if 0 < k < len(scores):
            kth = np.partition(scores, len(scores) - k)[len(scores) - k]
            held = held[scores >= kth - margin[q]]
        query.append(np.full(len(held), q, np.int64))
        row.append(held.astype(np.int64))
    outranked = np.sum([w.outranked for w in workers], axis=0)
    if not queries or not k:
        empty = np.zeros((queries, k))
        return Scanned(empty.astype(np.int64), empty.astype(np.float32), outranked)
    _, best, score = settled(rows, wanted.queries, np.concatenate(query), np.concatenate(row), k)
    return Scanned(best.reshape(queries, k), score.reshape(queries, k), outranked)
