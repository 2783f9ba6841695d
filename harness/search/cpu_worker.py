"""One thread of a streamed search, on a CPU."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from harness.search import streamed_cpu_loops as loops
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
from harness.search.code_products import coded
from harness.search.corpus_rows import stacked
from harness.search.exact import (
    Decisions,
    Encoded,
    VectorDecider,
    bounds_of_squares,
    check_length,
    inner,
    inner_error,
    product_error,
)
from harness.search.stored_loops import widen


class CpuWorker:
    """Candidates and counts of one thread; scores on a CPU, in compiled loops."""

    def __init__(
        self,
        corpus: Corpus,
        language: int,
        pass_queries: PassQueries,
        k: int,
        decisions: Decisions,
        reached: Reached,
        thread: int,
    ) -> None:
        """``reached`` is shared by the threads of a pass, of which this is number ``thread``."""
        queries = len(pass_queries.queries)
        self.longest = 0.0
        """Upper bound on the lengths of the passages' vectors so far."""
        self.scores = np.empty((queries, capacity(k)), np.float32)
        self.rows = np.empty((queries, capacity(k)), np.uint32)
        self.n_kept = np.zeros(queries, np.int64)
        self.n_above = np.zeros(len(pass_queries.relevant_scores), np.int64)
        self._corpus, self._language, self._pass_queries = corpus, language, pass_queries
        self._decisions, self._k = decisions, k
        # No score reaches infinity: with k = 0 nothing is collected.
        self._kth = np.full(queries, -np.inf if k else np.inf, np.float32)
        self._shared = np.full(queries, -np.inf, np.float32)
        self._reached, self._thread = reached, thread
        vectors = pass_queries.queries
        of_codes = isinstance(vectors, np.ndarray) and pass_queries.relevant_coded
        self._coded = of_codes and coded(vectors)
        """Whether the scores of the relevant passages are whole numbers, which float64 has."""
        self._whole = False
        """Whether all products with the tile are whole numbers too."""
        self._query_of = np.repeat(np.arange(queries), np.diff(pass_queries.indptr))
        self._high = np.zeros(len(self._query_of), np.float32)
        self._low = np.zeros(len(self._query_of), np.float32)
        self._margin = np.zeros(queries, np.float32)
        self._own = pass_queries.relevant_rows - corpus.starts[language]
        most = int(np.diff(pass_queries.indptr).max(initial=0))
        room = max(loops.OPEN, most * TILE)
        self._open_relevant = np.empty(room, np.int64)
        self._open_column = np.empty(room, np.int64)
        self._start()

    def _start(self) -> None:
        """Room for a tile of vectors and its products with a block of queries."""
        queries = self._pass_queries.queries
        self._vectors = torch.empty((TILE, queries.shape[1]))
        self._products = torch.empty(min(QUERIES, len(queries)) * TILE)
        self._squares = -1.0
        """The greatest sum of the squares of a vector so far, in float32."""
        self._fit(TILE)

    def _fit(self, size: int) -> None:
        """Take tiles of ``size`` passages: made once, torch's views cost nothing for each tile."""
        self._tile = self._vectors[:size].numpy()
        self._passages = self._vectors[:size].T
        queries = torch.from_numpy(self._pass_queries.queries)
        self._blocks = []
        """First query, queries, their products (n, size) with a tile, and these end to end."""
        for start in range(0, len(queries), QUERIES):
            block = queries[start : start + QUERIES]
            # A fixed width of the buffer's rows would leave gaps.
            flat = self._products[: len(block) * size]
            self._blocks.append((start, block, flat.view(len(block), size), flat.numpy()))

    def search(self, vectors: Encoded, first_row: int) -> None:
        """Take ``vectors`` (n, d), float16 or float32, the first of them row ``first_row``."""
        self._share()
        # Without the memory map's own Python for each slice.
        vectors = np.asarray(vectors)
        for start in range(0, len(vectors), TILE):
            part = vectors[start : start + TILE]
            if len(part) != len(self._tile):
                self._fit(len(part))
            squares = widen(part, self._tile)
            if squares > self._squares:
                self._squares = squares
                self._lengthen(float(bounds_of_squares(np.array(squares), part.shape[1])))
            self._whole = self._coded and coded(self._tile)
            for first, queries, out, scores in self._blocks:
                torch.mm(queries, self._passages, out=out)
                self._look(scores, self._tile, first_row + start, first)

    def _lengthen(self, longest: float) -> None:
        """Adapt the error bound of products to ``longest``, that of a tile's longest vector."""
        if longest <= self.longest:
            return
        self.longest, pass_queries = check_length(longest), self._pass_queries
        error = product_error(pass_queries.queries, longest)
        self._margin = 2 * error
        far = error[self._query_of].astype(np.float64)
        # Rounded outward. What float64 is off by is far less than the bound has to spare.
        up, down = np.float32(np.inf), np.float32(-np.inf)
        self._high = np.nextafter((pass_queries.relevant_scores + far).astype(np.float32), up)
        self._low = np.nextafter((pass_queries.relevant_scores - far).astype(np.float32), down)
        self._float64 = 2 * inner_error(pass_queries.queries, max(longest, pass_queries.longest))

    def _share(self) -> None:
        """Learn from other threads, and tell them, what a query's k-th best passage reaches."""
        if not self._k:
            return
        error, down = self._margin / 2, np.float32(-np.inf)
        own = (np.nextafter(x - error, down) for x in (self._kth, self._shared))
        bound = self._reached.learn(self._thread, *own)
        np.maximum(self._kth, np.nextafter(bound + error, down), out=self._kth)

    def _look(self, scores: NDArray[np.float32], tile: Encoded, first_row: int, first: int) -> None:
        """Look at the ``scores`` of a tile with the queries from ``first`` on, end to end."""
        width, pass_queries = len(tile), self._pass_queries
        q, j, stop = first, 0, first + len(scores) // width
        while q < stop:
            q, j, n = loops.look(
                scores,
                width,
                first_row,
                first,
                self._k,
                self._reached.share,
                self._margin,
                self._kth,
                self._shared,
                self.scores,
                self.rows,
                self.n_kept,
                pass_queries.indptr,
                self._high,
                self._low,
                self._own,
                self.n_above,
                self._open_relevant,
                self._open_column,
                q,
                j,
            )
            if n:
                self._decide(self._open_relevant[:n], self._open_column[:n], tile, first_row)
            if q < stop and j < width:
                self._finish_query(q)

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
        self._kth[q] = max(self._kth[q], score[-1])

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
