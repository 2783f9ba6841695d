"""What a search gives: ranks of golds, and heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import RelevantPassages


@dataclass(frozen=True)
class SearchResult:
    """What search found for the queries of one language."""

    language: str
    golds: RelevantPassages
    gold_language: NDArray[np.int16]
    """(G,) index into the pool's languages."""
    ranked_above: NDArray[np.int32]
    """(G, L) how many passages of each language rank above the gold in the whole pool."""
    block_rank: NDArray[np.int32]
    """(G,) rank among the passages of the gold's own language: the mono and cross settings."""
    head: NDArray[np.int32]
    """(Q, k) best columns of the pool, best first."""
    head_scores: NDArray[np.float32]
    """(Q, k) as trec_eval reads them: where float32 would put two passages in another order than
    their scores do, the lower one's is a step less. Plain products where nobody asked for them."""
    block_top_k: Mapping[str, tuple[NDArray[np.int32], NDArray[np.float32]]]
    """Language -> head among its passages alone, where asked for (exports)."""

    @property
    def pool_rank(self) -> NDArray[np.int64]:
        """(G,) rank in the whole pool."""
        ranks: NDArray[np.int64] = 1 + self.ranked_above.sum(1, dtype=np.int64)
        return ranks
