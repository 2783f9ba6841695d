"""Streamed search on any torch device: scores stay there, only candidates are copied back."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.search import streamed_cpu_loops as loops
from harness.search.candidates import QUERIES, Corpus, PassQueries, Reached
from harness.search.code_products import coded
from harness.search.corpus_rows import PIECE
from harness.search.cpu_worker import CpuWorker
from harness.search.exact import Decisions, Encoded, check_lengths


class DeviceWorker(CpuWorker):
    """Candidates and counts of a pass whose scores are computed on ``device``."""

    def __init__(
        self,
        corpus: Corpus,
        language: int,
        pass_queries: PassQueries,
        k: int,
        decisions: Decisions,
        reached: Reached,
        thread: int,
        device: str,
    ) -> None:
        super().__init__(corpus, language, pass_queries, k, decisions, reached, thread)
        self._queries = torch.from_numpy(pass_queries.queries).to(device)
        self._nth = np.arange(len(self._query_of)) - pass_queries.indptr[:-1][self._query_of]

    def _start(self) -> None:
        """Nothing: tiles and their products are on the device."""

    def search(self, vectors: Encoded, first_row: int) -> None:
        """See :meth:`CpuWorker.search`; vectors are copied as stored and widened on the device."""
        # A tile is everything a thread gets: small ones would leave a device idle.
        for start in range(0, len(vectors), PIECE):
            part = np.array(vectors[start : start + PIECE])
            tile = torch.from_numpy(part).to(self._queries.device).float()
            part = part.astype(np.float32, copy=False)
            self._lengthen(check_lengths(part))
            self._share()
            self._whole = self._coded and coded(part)
            for first in range(0, len(self._queries), QUERIES):
                last = min(first + QUERIES, len(self._queries))
                scores = torch.mm(self._queries[first:last], tile.T)
                self._keep_candidates(scores, first_row + start, first, last)
                self._count_above(scores, part, first_row + start, first, last)

    def _keep_candidates(self, scores: torch.Tensor, first_row: int, start: int, stop: int) -> None:
        """Copy back the scores that may belong to a top k."""
        if not self._k:
            return
        kth = torch.from_numpy(self._kth[start:stop]).to(scores.device)
        if scores.shape[1] >= self._k and not np.isfinite(self._kth[start:stop]).all():
            # There is no bound yet: the tile's own k-th highest score excludes most of it.
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
                self._reached.share,
                self._margin[start:stop],
                self._kth[start:stop],
                self._shared[start:stop],
                self.scores[start:stop],
                self.rows[start:stop],
                self.n_kept[start:stop],
                at,
            )
            if at == len(query):
                return
            self._finish_query(start + int(query[at]))

    def _count_above(
        self,
        scores: torch.Tensor,
        tile: NDArray[Any],
        first_row: int,
        start: int,
        stop: int,
    ) -> None:
        """Count passages above each relevant one; close comparisons are decided here."""
        pass_queries = self._pass_queries
        a, b = int(pass_queries.indptr[start]), int(pass_queries.indptr[stop])
        device = scores.device
        own = self._own - first_row
        for i in range(int(self._nth[a:b].max(initial=-1)) + 1):
            relevant = a + np.flatnonzero(self._nth[a:b] == i)
            rows = scores[torch.from_numpy(self._query_of[relevant] - start).to(device)]
            high = torch.from_numpy(self._high[relevant]).to(device)[:, None]
            low = torch.from_numpy(self._low[relevant]).to(device)[:, None]
            above = rows > high
            self.n_above[relevant] += above.sum(1).cpu().numpy()
            which, column = (
                x.cpu().numpy() for x in torch.nonzero((rows >= low) & ~above, as_tuple=True)
            )
            other = column != own[relevant[which]]
            if other.any():
                self._decide(relevant[which[other]], column[other], tile, first_row)
