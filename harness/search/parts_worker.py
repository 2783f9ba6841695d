"""One thread of a streamed search of sparse or multi-vector texts, on a CPU."""

from __future__ import annotations

import numpy as np

from harness.search.candidates import QUERIES, TILE
from harness.search.cpu_worker import CpuWorker
from harness.search.exact import Encoded, check_lengths
from harness.search.parts import PartTexts


class PartsWorker(CpuWorker):
    """Candidates and counts of one thread; scores are those of :mod:`harness.search.parts`."""

    def _start(self) -> None:
        queries: PartTexts = self._pass_queries.queries
        self._query_blocks = [(a, queries[a:b]) for a, b in queries.tiles(QUERIES)]

    def search(self, vectors: Encoded, first_row: int) -> None:
        """Take the texts ``vectors``, the first of them row ``first_row``."""
        for start, stop in vectors.tiles(TILE):
            tile = vectors[start:stop].widened()
            self._lengthen(check_lengths(tile))
            self._share()
            for first, queries in self._query_blocks:
                flat = np.ascontiguousarray(queries.products(tile)).reshape(-1)
                self._look(flat, tile, first_row + start, first)
