"""What one thread of a streamed search does with the passages it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.search import stream_cpu as loops
from harness.search.scan import QUERIES, TILE, Wanted, capacity, reach, settled
from harness.search.shards import Rows


class Worker:
    """Candidates and counts of one thread; scores on a CPU, in compiled loops."""

    def __init__(self, rows: Rows, wanted: Wanted, k: int, tile: int = TILE) -> None:
        queries, width = wanted.queries.shape
        self.longest = 0.0
        """Greatest length of a passage's vector so far."""
        self.scores = np.empty((queries, capacity(k)), np.float32)
        self.rows = np.empty((queries, capacity(k)), np.uint32)
        self.held = np.zeros(queries, np.int64)
        self.outranked = np.zeros(len(wanted.gold_scores), np.int64)
        self._corpus, self._wanted, self._k, self._tile = rows, wanted, k, tile
        self._kth = np.full(queries, -np.inf, np.float32)
        self._reach = np.zeros(queries, np.float32)
        self._vectors = torch.empty((tile, width), dtype=torch.float32)
        self._raw: torch.Tensor | None = None
        self._margin = np.zeros(queries, np.float32)
        self._start()

    def _start(self) -> None:
        most = int(np.diff(self._wanted.indptr).max(initial=0))
        room = max(loops.TIES, most * self._tile)
        self._tied_gold = np.empty(room, np.int64)
        self._tied_row = np.empty(room, np.int64)
        self._queries = torch.from_numpy(self._wanted.queries)
        self._out = torch.empty((min(QUERIES, len(self._queries)), self._tile))

    def search(self, vectors: NDArray[Any], first_row: int) -> None:
        """Take ``vectors`` (n, d), float16 or float32, the first of them row ``first_row``."""
        for start in range(0, len(vectors), self._tile):
            tile = self._read(vectors[start : start + self._tile])
            self._lengthen(tile)
            self._settle(tile, first_row + start)

    def _lengthen(self, tile: torch.Tensor) -> None:
        """Scores may be as far off as the longest vector so far lets them."""
        longest = float(torch.linalg.vector_norm(tile, dim=1).max())
        if longest > self.longest:
            self.longest = longest
            self._reach = reach(self._wanted.queries, longest)
            self._margin = 2 * self._reach

    def _read(self, part: NDArray[Any]) -> torch.Tensor:
        """``part`` as float32, in memory that is used again."""
        if self._raw is None:
            dtype = torch.float16 if part.dtype == np.float16 else torch.float32
            self._raw = torch.empty(self._vectors.shape, dtype=dtype)
        if part.dtype != np.float16:
            np.copyto(self._vectors.numpy()[: len(part)], part)
        else:
            np.copyto(self._raw.numpy()[: len(part)], part)
            self._vectors[: len(part)].copy_(self._raw[: len(part)])
        return self._vectors[: len(part)]

    def _settle(self, tile: torch.Tensor, first_row: int) -> None:
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
                self.held[here],
                r,
                j,
            )
            if r == stop - start:
                return
            self._settle_query(start + r)

    def _settle_query(self, q: int) -> None:
        """Cut a query's candidates to its head by what decides in the end."""
        held = self.rows[q, : self.held[q]].astype(np.int64)
        query = np.full(len(held), q, np.int64)
        _, row, score = settled(self._corpus, self._wanted.queries, query, held, self._k)
        self.rows[q, : len(row)] = row
        self.scores[q, : len(row)] = score
        self.held[q] = len(row)
        self._kth[q] = score[-1]

    def _count(
        self,
        flat: NDArray[np.float32],
        tile: NDArray[np.float32],
        first_row: int,
        start: int,
        stop: int,
    ) -> None:
        wanted = self._wanted
        a, b = wanted.indptr[start], wanted.indptr[stop]
        if a == b:
            return
        r = 0
        while r < stop - start:
            r, ties = loops.count(
                flat,
                len(tile),
                first_row,
                wanted.queries[start:stop],
                tile,
                wanted.indptr[start : stop + 1] - a,
                wanted.gold_scores[a:b],
                self._reach[start:stop],
                wanted.ties_win[a:b],
                self.outranked[a:b],
                self._tied_gold,
                self._tied_row,
                r,
            )
            if ties:
                self._decide(self._tied_gold[:ties] + a, self._tied_row[:ties])

    def _decide(self, gold: NDArray[np.int64], row: NDArray[np.int64]) -> None:
        """Count the passages that tie with a gold and have the higher id."""
        different, at = np.unique(row, return_inverse=True)
        ids = self._corpus.ids(different)
        for g, i in zip(gold.tolist(), at.tolist(), strict=True):
            self.outranked[g] += ids[i] > self._wanted.gold_ids[g]


def worker_on(device: str, rows: Rows, wanted: Wanted, k: int) -> Worker:
    """The worker for a device as torch names it; ``cpu:0`` takes torch's loops on the CPU."""
    if device == "cpu":
        return Worker(rows, wanted, k)
    from harness.search.device_worker import DeviceWorker

    return DeviceWorker(rows, wanted, k, device)
