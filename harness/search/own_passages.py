"""Rankings without the passage that has the query's own id: a task's ``ignore_identical_ids``.

Where queries are passages of the corpus (ArguAna, Quora), each would find itself first; BEIR and
mteb leave it out of the query's own ranking, and it stays in the others'. It is searched for like
a relevant passage, with the grade :data:`OWN`, so that its exact rank says which ranks it raised.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import OWN, RelevantPassages
from harness.search.results import SearchResult


def without_own(found: SearchResult) -> SearchResult:
    """``found`` as if no query's own passage had been searched for it.

    Every top k is shorter by the most passages that a query loses, also of queries without any.
    """
    relevant = found.relevant
    own = relevant.grades == OWN
    if not own.any():
        return found
    queries = len(relevant.questions)
    owner = np.repeat(np.arange(queries), np.diff(relevant.indptr))
    above, block_rank = found.ranked_above.copy(), found.block_rank.copy()
    pool_rank = found.pool_rank
    removed: list[set[int]] = [set() for _ in range(queries)]
    for at in np.flatnonzero(own).tolist():
        query, language = int(owner[at]), int(found.relevant_language[at])
        removed[query].add(int(relevant.columns[at]))
        span = slice(int(relevant.indptr[query]), int(relevant.indptr[query + 1]))
        above[span, language] -= pool_rank[span] > pool_rank[at]
        same = found.relevant_language[span] == language
        block_rank[span] -= same & (found.block_rank[span] > found.block_rank[at])
    kept = np.flatnonzero(~own)

    def shorter(top: NDArray[np.int32], scores: NDArray[np.float32]) -> tuple[
        NDArray[np.int32], NDArray[np.float32]
    ]:  # fmt: skip
        width = max(0, top.shape[1] - max(map(len, removed)))
        places = np.zeros((queries, width), np.int64)
        for query, gone in enumerate(removed):
            stays = [i for i, column in enumerate(top[query].tolist()) if column not in gone]
            places[query] = stays[:width]
        return np.take_along_axis(top, places, 1), np.take_along_axis(scores, places, 1)

    top_k, top_k_scores = shorter(found.top_k, found.top_k_scores)
    return replace(
        found,
        relevant=RelevantPassages(
            relevant.questions,
            np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=queries))]).astype(
                np.int64
            ),
            relevant.columns[kept],
            relevant.grades[kept],
        ),
        relevant_language=found.relevant_language[kept],
        ranked_above=above[kept],
        block_rank=block_rank[kept],
        top_k=top_k,
        top_k_scores=top_k_scores,
        block_top_k={x: shorter(t, s) for x, (t, s) in found.block_top_k.items()},
    )
