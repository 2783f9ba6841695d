"""Rescoring: the top k by compressed vectors in the order of the full vectors.

The first N of every ranking are ordered by the real inner products of the vectors before
compression (ties: higher passage id first, as everywhere); passages below stay in place. Ranks stay
exact, as with a reranker.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import Pool
from harness.evaluation.layout import Prepared
from harness.evaluation.rerank import TopK, with_top_k
from harness.evaluation.search_stage import Keep
from harness.search.exact import Decisions, VectorDecider, check_lengths
from harness.search.results import SearchResult

VectorsOf = Callable[[Pool, NDArray[np.int64]], NDArray[np.float32]]
"""(pool, (n,) columns, ascending) -> (n, d) full vectors of these passages."""


@dataclass(frozen=True)
class Rescoring:
    """Orders the first ``top`` passages of every ranking by full vectors."""

    top: int
    queries: Mapping[str, NDArray[np.float32]]
    """Query language -> (Q, d) full vectors."""
    passages: VectorsOf
    decisions: Decisions = field(default_factory=Decisions)

    def before(self, keep: Keep) -> Keep:
        """``keep`` of rescored results."""
        return lambda task, found: keep(task, self.rescored(task, found))

    def rescored(self, task: Prepared, found: SearchResult) -> SearchResult:
        """One query language's result in the new order."""
        pooled = any(
            s.kind == "multi" and s.query_language == found.language for s in task.settings
        )
        rankings = dict(found.block_top_k)
        heads = [columns[:, : self.top] for columns, _ in rankings.values()]
        if pooled:
            heads.append(found.top_k[:, : self.top])
        needed = np.unique(np.concatenate([x.ravel() for x in heads])).astype(np.int64)
        vectors = self.passages(task.pool, needed)
        queries = np.ascontiguousarray(self.queries[found.language])
        decider = VectorDecider(
            queries, vectors, check_lengths(vectors), self.decisions, compiled=True
        )

        def ordered(ranked: TopK) -> TopK:
            return self._ordered(ranked, decider, needed)

        return with_top_k(
            found,
            ordered((found.top_k, found.top_k_scores)) if pooled else None,
            {x: ordered(ranked) for x, ranked in rankings.items()},
            task,
        )

    def _ordered(self, ranked: TopK, decider: VectorDecider, needed: NDArray[np.int64]) -> TopK:
        columns, scores = ranked[0].copy(), ranked[1].copy()
        head = columns[:, : self.top].astype(np.int64)
        query = np.repeat(np.arange(len(head)), head.shape[1])
        vector = np.searchsorted(needed, head.ravel())
        # All of a query are closer than the margin, so that none is ordered by float32 scores.
        margin = np.full(len(head), np.inf, np.float32)
        order, _ = decider.order(query, vector, np.zeros(len(query), np.float32), margin)
        columns[:, : self.top] = head.ravel()[order].reshape(head.shape)
        scores[:, : self.top] = decider.scores(query, vector)[order].reshape(head.shape)
        return columns, scores
