"""Streamed search on any device torch knows: scores stay there, what may matter comes back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.search import stream_cpu as loops
from harness.search.scan import QUERIES, Wanted
from harness.search.shards import PIECE, Rows
from harness.search.workers import Worker


class DeviceWorker(Worker):
    """Candidates and counts of a pass whose scores are computed on ``device``."""

    def __init__(self, rows: Rows, wanted: Wanted, k: int, device: str) -> None:
        super().__init__(rows, wanted, k)
        # A tile is all that a thread is handed: small ones would leave a device idle.
        self._tile = PIECE
        self._queries = self._queries.to(device)
        golds = np.diff(wanted.indptr)
        self._query_of = np.repeat(np.arange(len(golds)), golds)
        self._nth = np.arange(len(self._query_of)) - np.repeat(wanted.indptr[:-1], golds)

    def search(self, vectors: NDArray[Any], first_row: int) -> None:
        """See :meth:`Worker.search`; vectors travel as they are stored and widen over there."""
        for start in range(0, len(vectors), self._tile):
            part = np.array(vectors[start : start + self._tile])
            tile = torch.from_numpy(part).to(self._queries.device).float()
            self._lengthen(tile)
            for first in range(0, len(self._queries), QUERIES):
                last = min(first + QUERIES, len(self._queries))
                scores = torch.mm(self._queries[first:last], tile.T)
                self._hold(scores, first_row + start, first, last)
                self._weigh(scores, part, first_row + start, first, last)

    def _hold(self, scores: torch.Tensor, first_row: int, start: int, stop: int) -> None:
        """Bring back the scores that may belong to a head."""
        if not self._k:
            return
        kth = torch.from_numpy(self._kth[start:stop]).to(scores.device)
        if scores.shape[1] >= self._k and not np.isfinite(self._kth[start:stop]).all():
            # There is no bound yet: the tile's own k-th highest score keeps most of it away.
            kth = torch.maximum(kth, torch.topk(scores, self._k, dim=1).values[:, -1])
        margin = torch.from_numpy(self._margin[start:stop]).to(scores.device)
        query, column = torch.nonzero(scores >= (kth - margin)[:, None], as_tuple=True)
        found = scores[query, column].cpu().numpy()
        query, column = query.cpu().numpy(), column.cpu().numpy()
        at = 0
        while True:
            at = loops.collect_listed(
                query,
                column,
                found,
                first_row,
                self._k,
                self._margin[start:stop],
                self._kth[start:stop],
                self.scores[start:stop],
                self.rows[start:stop],
                self.held[start:stop],
                at,
            )
            if at == len(query):
                return
            self._settle_query(start + int(query[at]))

    def _weigh(
        self,
        scores: torch.Tensor,
        tile: NDArray[Any],
        first_row: int,
        start: int,
        stop: int,
    ) -> None:
        """Count what outranks each gold; scores too near a gold's are computed again here."""
        wanted = self._wanted
        a, b = int(wanted.indptr[start]), int(wanted.indptr[stop])
        own = wanted.gold_scores[a:b].astype(np.float64)
        off = self._reach[self._query_of[a:b]].astype(np.float64)
        up = np.nextafter((own + off).astype(np.float32), np.float32(np.inf))
        down = np.nextafter((own - off).astype(np.float32), np.float32(-np.inf))
        for i in range(int(self._nth[a:b].max(initial=-1)) + 1):
            gold = a + np.flatnonzero(self._nth[a:b] == i)
            rows = scores[torch.from_numpy(self._query_of[gold] - start).to(scores.device)]
            high = torch.from_numpy(up[gold - a]).to(scores.device)[:, None]
            low = torch.from_numpy(down[gold - a]).to(scores.device)[:, None]
            above = rows > high
            self.outranked[gold] += above.sum(1).cpu().numpy()
            which, column = torch.nonzero((rows >= low) & ~above, as_tuple=True)
            self._compare(gold[which.cpu().numpy()], column.cpu().numpy(), tile, first_row)

    def _compare(
        self,
        gold: NDArray[np.int64],
        column: NDArray[np.int64],
        tile: NDArray[Any],
        first_row: int,
    ) -> None:
        wanted = self._wanted
        if not len(gold):
            return
        different, at = np.unique(column, return_inverse=True)
        near = np.ascontiguousarray(tile[different], np.float32)
        score = loops.inner(wanted.queries, near, self._query_of[gold], at)
        own = wanted.gold_scores[gold]
        wins = (score > own) | ((score == own) & (wanted.ties_win[gold] == 1))
        np.add.at(self.outranked, gold[wins], 1)
        tied = (score == own) & (wanted.ties_win[gold] < 0)
        if tied.any():
            self._decide(gold[tied], column[tied] + first_row)
