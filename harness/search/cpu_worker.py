"""One thread of a streamed search, on a CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.search import streamed_cpu_loops as loops
from harness.search.candidates import (
    QUERIES,
    TILE,
    Corpus,
    PassQueries,
    ShardDecider,
    best_candidates,
    capacity,
)
from harness.search.code_products import coded
from harness.search.corpus_rows import stacked
from harness.search.exact import (
    Decisions,
    Encoded,
    VectorDecider,
    check_lengths,
    inner,
    inner_error,
    product_error,
)


class CpuWorker:
    """Candidates and counts of one thread; scores on a CPU, in compiled loops."""

    def __init__(
        self,
        corpus: Corpus,
        language: int,
        pass_queries: PassQueries,
        k: int,
        decisions: Decisions,
        floor: NDArray[np.float32],
    ) -> None:
        """``floor`` (Q,) is shared by the threads of a pass (:meth:`_share`), at first -inf."""
        queries = len(pass_queries.queries)
        self.longest = 0.0
        """Upper bound on the lengths of the passages' vectors so far."""
        self.scores = np.empty((queries, capacity(k)), np.float32)
        self.rows = np.empty((queries, capacity(k)), np.uint32)
        self.n_kept = np.zeros(queries, np.int64)
        self.n_above = np.zeros(len(pass_queries.relevant_scores), np.int64)
        self._corpus, self._language, self._pass_queries = corpus, language, pass_queries
        self._decisions, self._k = decisions, k
        self._kth = np.full(queries, -np.inf, np.float32)
        self._floor = floor
        vectors = pass_queries.queries
        self._coded = isinstance(vectors, np.ndarray) and coded(vectors)
        self._whole = False
        """Whether all products with the tile are whole numbers."""
        self._query_of = np.repeat(np.arange(queries), np.diff(pass_queries.indptr))
        self._high = np.zeros(len(self._query_of), np.float32)
        self._low = np.zeros(len(self._query_of), np.float32)
        self._margin = np.zeros(queries, np.float32)
        most = int(np.diff(self._pass_queries.indptr).max(initial=0))
        room = max(loops.OPEN, most * TILE)
        self._open_relevant = np.empty(room, np.int64)
        self._open_column = np.empty(room, np.int64)
        self._start()

    def _start(self) -> None:
        """Room for the tiles of vectors and their products."""
        width = self._pass_queries.queries.shape[1]
        self._vectors = torch.empty((TILE, width), dtype=torch.float32)
        self._raw: torch.Tensor | None = None
        self._queries = torch.from_numpy(self._pass_queries.queries)
        self._out = torch.empty((min(QUERIES, len(self._queries)), TILE))

    def search(self, vectors: Encoded, first_row: int) -> None:
        """Take ``vectors`` (n, d), float16 or float32, the first of them row ``first_row``."""
        for start in range(0, len(vectors), TILE):
            tile = self._read(vectors[start : start + TILE])
            self._begin(tile.numpy())
            self._finish(tile, first_row + start)

    def _begin(self, tile: Encoded) -> None:
        """Adapt to a tile of passages before its products are looked at."""
        self._lengthen(check_lengths(tile))
        self._share()
        self._whole = self._coded and coded(tile)

    def _lengthen(self, longest: float) -> None:
        """Adapt the error bound of products to the longest vector so far."""
        if longest <= self.longest:
            return
        self.longest, pass_queries = longest, self._pass_queries
        error = product_error(pass_queries.queries, longest)
        self._margin = 2 * error
        far = error[self._query_of].astype(np.float64)
        # Rounded outward. What float64 is off by is far less than the bound has to spare.
        up, down = np.float32(np.inf), np.float32(-np.inf)
        self._high = np.nextafter((pass_queries.relevant_scores + far).astype(np.float32), up)
        self._low = np.nextafter((pass_queries.relevant_scores - far).astype(np.float32), down)
        self._float64 = 2 * inner_error(pass_queries.queries, max(longest, pass_queries.longest))

    def _share(self) -> None:
        """Learn from other threads, and tell them, what a query's k-th best passage reaches.

        The floor is a lower bound on its inner product, not on a thread's product, whose error
        depends on the vectors that the thread has seen. Without a lock: an update that is lost
        leaves a lower bound.
        """
        if not self._k:
            return
        error, down = self._margin / 2, np.float32(-np.inf)
        reached = np.nextafter(self._kth - error, down)
        np.maximum(self._floor, reached, out=self._floor)
        np.maximum(self._kth, np.nextafter(self._floor + error, down), out=self._kth)

    def _read(self, part: NDArray[Any]) -> torch.Tensor:
        """``part`` as float32, in a reused buffer."""
        if self._raw is None:
            dtype = torch.float16 if part.dtype == np.float16 else torch.float32
            self._raw = torch.empty(self._vectors.shape, dtype=dtype)
        if part.dtype != np.float16:
            np.copyto(self._vectors.numpy()[: len(part)], part)
        else:
            np.copyto(self._raw.numpy()[: len(part)], part)
            self._vectors[: len(part)].copy_(self._raw[: len(part)])
        return self._vectors[: len(part)]

    def _finish(self, tile: torch.Tensor, first_row: int) -> None:
        for start in range(0, len(self._queries), QUERIES):
            stop = min(start + QUERIES, len(self._queries))
            # A fixed width of the buffer's rows would leave gaps; a shorter tile gets its own.
            out = self._out.view(-1)[: (stop - start) * len(tile)].view(stop - start, len(tile))
            torch.mm(self._queries[start:stop], tile.T, out=out)
            flat = out.numpy().reshape(-1)
            self._collect(flat, len(tile), first_row, start, stop)
            self._count(flat, tile.numpy(), first_row, start, stop)

    def _collect(
        self, flat: NDArray[np.float32], width: int, first_row: int, start: int, stop: int
    ) -> None:
        here = slice(start, stop)
        r = j = 0
        while self._k:
            r, j = loops.collect(
                flat,
                width,
                first_row,
                self._k,
                self._margin[here],
                self._kth[here],
                self.scores[here],
                self.rows[here],
                self.n_kept[here],
                r,
                j,
            )
            if r == stop - start:
                return
            self._finish_query(start + r)

    def _finish_query(self, q: int) -> None:
        """Reduce a query's candidates to its top k by exact decisions."""
        rows = self.rows[q, : self.n_kept[q]].astype(np.int64)
        query = np.full(len(rows), q, np.int64)
        _, row, score = best_candidates(
            self._corpus,
            self._language,
            ShardDecider(self._pass_queries.queries, self._corpus, self.longest, self._decisions),
            self._margin,
            query,
            rows,
            self.scores[q, : len(rows)],
            self._k,
        )
        self.rows[q, : len(row)] = row
        self.scores[q, : len(row)] = score
        self.n_kept[q] = len(row)
        self._kth[q] = score[-1]

    def _count(
        self,
        flat: NDArray[np.float32],
        tile: Encoded,
        first_row: int,
        start: int,
        stop: int,
    ) -> None:
        pass_queries = self._pass_queries
        a, b = pass_queries.indptr[start], pass_queries.indptr[stop]
        if a == b:
            return
        own = pass_queries.relevant_rows[a:b] - self._corpus.starts[self._language] - first_row
        r = 0
        while r < stop - start:
            r, n = loops.count(
                flat,
                len(tile),
                pass_queries.indptr[start : stop + 1] - a,
                self._high[a:b],
                self._low[a:b],
                own,
                self.n_above[a:b],
                self._open_relevant,
                self._open_column,
                r,
            )
            if n:
                self._decide(self._open_relevant[:n] + a, self._open_column[:n], tile, first_row)

    def _decide(
        self,
        relevant: NDArray[np.int64],
        column: NDArray[np.int64],
        tile: Encoded,
        first_row: int,
    ) -> None:
        """Count the passages ``column`` (n,) of a tile that rank above ``relevant`` (n,)."""
        pass_queries, query = self._pass_queries, self._query_of[relevant]
        self._decisions.add(float64=len(relevant))
        difference = inner(pass_queries.queries, tile, query, column, compiled=True)
        difference -= pass_queries.relevant_scores[relevant]
        # Products of codes are whole numbers, which float64 has: equal ones are equal.
        unsure = difference == 0 if self._whole else np.abs(difference) <= self._float64[query]
        np.add.at(self.n_above, relevant[(difference > 0) & ~unsure], 1)
        if not unsure.any():
            return
        relevant, column, query = relevant[unsure], column[unsure], query[unsure]
        sign = np.zeros(len(relevant), np.int8)
        if not self._whole:
            sign = self._signs(query, column, relevant, tile)
        wins = (sign > 0) | ((sign == 0) & (pass_queries.ties_win[relevant] == 1))
        np.add.at(self.n_above, relevant[wins], 1)
        tied = (sign == 0) & (pass_queries.ties_win[relevant] < 0)
        if tied.any():
            different, at = np.unique(column[tied], return_inverse=True)
            ids = self._corpus.languages[self._language].ids(different + first_row)
            for g, i in zip(relevant[tied].tolist(), at.tolist(), strict=True):
                self.n_above[g] += ids[i] > pass_queries.relevant_ids[g]

    def _signs(
        self,
        query: NDArray[np.int64],
        column: NDArray[np.int64],
        relevant: NDArray[np.int64],
        tile: Encoded,
    ) -> NDArray[np.int8]:
        """(n,) whether passages ``column`` have a higher score (1) than ``relevant`` or a lower."""
        pass_queries = self._pass_queries
        row, at = np.unique(pass_queries.relevant_rows[relevant], return_inverse=True)
        near, where = np.unique(column, return_inverse=True)
        vectors = stacked([tile[near], self._corpus.vectors(row)])
        longest = max(self.longest, pass_queries.longest)
        decider = VectorDecider(
            pass_queries.queries, vectors, longest, self._decisions, compiled=True
        )
        return decider.signs(query, where, len(near) + at)
