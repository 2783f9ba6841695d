"""The result of a search: ranks of relevant passages, and the top k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import RelevantPassages


@dataclass(frozen=True)
class SearchResult:
    """The search results for the queries of one language."""

    language: str
    relevant: RelevantPassages
    relevant_language: NDArray[np.int16]
    """(G,) index into the pool's languages."""
    ranked_above: NDArray[np.int32]
    """(G, L) number of passages of each language ranked above the relevant passage in the pool; of
    all languages together, (G, 1), once they are :meth:`summed`."""
    block_rank: NDArray[np.int32]
    """(G,) rank within the relevant passage's own language: the mono and cross settings."""
    top_k: NDArray[np.int32]
    """(Q, k) best columns of the pool, best first."""
    top_k_scores: NDArray[np.float32]
    """(Q, k) for trec_eval: where float32 would order two passages differently from their exact
    scores, the lower one's is one step less. Plain products if scores were not requested."""
    block_top_k: Mapping[str, tuple[NDArray[np.int32], NDArray[np.float32]]]
    """Language -> top k within that language, if requested (exports)."""

    @property
    def pool_rank(self) -> NDArray[np.int64]:
        """(G,) rank in the full pool."""
        ranks: NDArray[np.int64] = 1 + self.ranked_above.sum(1, dtype=np.int64)
        return ranks

    def summed(self) -> SearchResult:
        """Itself without the counts by language, which are most of the memory with many languages.

        Rankings of two languages, balanced rankings and rerankers need them.
        """
        return replace(self, ranked_above=(self.pool_rank - 1).astype(np.int32)[:, None])
