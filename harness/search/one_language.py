"""One pass over one language's passages: the top k of every query, and ranks of relevant ones.

Tiles of passages are read, multiplied with the queries and discarded. What is kept are candidates
for the top k, a bounded number per query, and one count per relevant passage. Each thread processes
whole pieces of the corpus, from reading to counting, with its own candidates, which are merged at
the end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import StoreError
from harness.search.candidates import (
    QUERIES,
    TILE,
    Corpus,
    PassQueries,
    Reached,
    ShardDecider,
    best_candidates,
    capacity,
)
from harness.search.corpus_rows import PassageRows, Piece, read_ahead, release, vectors_of
from harness.search.exact import Composite, Decisions, inner, product_error


@dataclass(frozen=True)
class Scanned:
    """The result of a pass."""

    rows: NDArray[np.int64]
    """(Q, k) best passages by row, best first."""
    scores: NDArray[np.float32]
    """(Q, k) float32 products."""
    longest: float
    """Upper bound on the lengths of the passages' vectors."""
    ranked_above: NDArray[np.int64]
    """(G,) number of passages ranked above each relevant passage."""


def scan_bytes(
    queries: int,
    width: int,
    k: int,
    threads: int,
    *,
    tile: int | None = None,
    query: int | None = None,
) -> int:
    """Memory of a pass in bytes, including its result.

    ``tile`` and ``query`` are the bytes of a tile with its products, and of a query, where they are
    not vectors of ``width`` numbers.
    """
    candidates = queries * capacity(k) * 8
    tile = TILE * width * 6 + QUERIES * TILE * 4 if tile is None else tile
    query = width * 4 if query is None else query
    # Merging: query, row and score of each remaining candidate, and their order.
    merged = queries * (k + 64) * 64
    return threads * (candidates + tile) + merged + queries * query


def scan(
    corpus: Corpus,
    language: int,
    pass_queries: PassQueries,
    k: int,
    decisions: Decisions,
    *,
    device: str = "cpu",
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Scanned:
    """Search all passages of a language, by its number in the corpus, for each query.

    The result depends on the vectors alone, not on shards, tiles, threads or device. ``k`` is
    limited to the number of passages. ``progress`` gets the number of passages of each finished
    step.
    """
    import torch

    from harness.search.worker_for_device import worker_on

    rows = corpus.languages[language]
    k = min(k, len(rows))
    lock, stopped = threading.Lock(), threading.Event()
    pieces, later = rows.pieces(), islice(rows.pieces(), threads, None)

    def taken() -> Iterator[Piece]:
        while not stopped.is_set():
            with lock:
                piece, next_one = next(pieces, None), next(later, None)
            if piece is None:
                return
            if next_one is not None:
                # The disk reads while the processor multiplies.
                _begin_to_read(next_one)
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
            # Done or failed: do not finish the corpus first.
            stopped.set()
        return worker

    reached = Reached(len(pass_queries.queries), k, threads)
    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    if threads > 1:
        torch.set_num_threads(1)
    # Reduced precision that a model may have enabled (TF32, bfloat16) exceeds the error bound.
    torch.set_float32_matmul_precision("highest")
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            workers = [
                worker_on(device, corpus, language, pass_queries, k, decisions, reached, x)
                for x in range(threads)
            ]
            try:
                done = list(pool.map(work, workers))
            finally:
                stopped.set()
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)
    return _together(corpus, language, pass_queries, k, decisions, done)


def _begin_to_read(piece: Piece) -> None:
    # If it has gone, the thread that needs it says so.
    with suppress(StoreError):
        vectors = vectors_of(piece.shard)
        mapped = isinstance(vectors, np.ndarray | Composite)
        # Vectors that are changed as they are read have no map of their own.
        if mapped:
            read_ahead(vectors[piece.start : piece.stop])


def compile_loops() -> None:
    """Compile the loops of a pass, or load what was compiled before: a first run waits for it."""
    one = np.ones((1, 1), np.float32)
    indptr = np.array([0, 1], np.int64)
    first, ties = indptr[:1], np.array([-1], np.int64)
    pass_queries = PassQueries(one, indptr, one[0].astype(np.float64), first, 1.0, ties, [b"0"])
    inner(one, one, first, first, compiled=True)
    for dtype in (np.float16, np.float32):
        rows = PassageRows([_One(one.astype(dtype))])
        rows.inner(one, first, first)
        scan(Corpus([rows]), 0, pass_queries, 1, Decisions())


@dataclass(frozen=True)
class _One:
    """A shard of one passage."""

    vectors: NDArray[Any]
    ids: tuple[bytes] = (b"0",)
    language: str = ""

    def __len__(self) -> int:
        return 1


def _together(
    corpus: Corpus,
    language: int,
    pass_queries: PassQueries,
    k: int,
    decisions: Decisions,
    workers: list[Any],
) -> Scanned:
    """The merged result of several threads."""
    queries = len(pass_queries.queries)
    longest = max(w.longest for w in workers)
    margin = 2 * product_error(pass_queries.queries, longest)
    query: list[NDArray[np.int64]] = []
    row: list[NDArray[np.int64]] = []
    score: list[NDArray[np.float32]] = []
    for q in range(queries):
        scores = np.concatenate([w.scores[q, : w.n_kept[q]] for w in workers])
        rows = np.concatenate([w.rows[q, : w.n_kept[q]] for w in workers])
        if 0 < k < len(scores):
            kth = np.partition(scores, len(scores) - k)[len(scores) - k]
            near = scores >= kth - margin[q]
            rows, scores = rows[near], scores[near]
        query.append(np.full(len(rows), q, np.int64))
        row.append(rows.astype(np.int64))
        score.append(scores)
    n_above = np.sum([w.n_above for w in workers], axis=0)
    if not queries or not k:
        empty = np.zeros((queries, k))
        return Scanned(empty.astype(np.int64), empty.astype(np.float32), longest, n_above)
    _, best, found = best_candidates(
        corpus,
        language,
        ShardDecider(pass_queries.queries, corpus, longest, decisions, len(workers)),
        margin,
        np.concatenate(query),
        np.concatenate(row),
        np.concatenate(score),
        k,
    )
    return Scanned(best.reshape(queries, k), found.reshape(queries, k), longest, n_above)
