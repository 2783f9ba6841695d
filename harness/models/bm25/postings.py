"""The inner loop of BM25: postings added up, compiled. Imported only when an index is scored."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.base.jit import compiled


@compiled(nogil=True)
def add_postings(
    starts: NDArray[np.int64],
    terms: NDArray[np.int64],
    data: NDArray[np.float32],
    indices: NDArray[np.int32],
    indptr: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> None:
    """Add the weights of each query's terms to its row of ``scores``, in the order of the terms.

    Args:
        starts: int64 (queries + 1,): query ``i`` has the terms ``terms[starts[i]:starts[i + 1]]``.
        terms: int64: term numbers.
        data: float32: weights of all postings, term after term.
        indices: int32: passage of each posting.
        indptr: int64 (terms + 1,): postings of term ``t`` are ``indptr[t]:indptr[t + 1]``.
        scores: float32 (queries, passages): zeros, filled in place.
    """
    # Each row is added up in float32 in one order, so the result does not depend on blocks and
    # equals bm25s's own, bit for bit. Threads work on blocks of queries, above this loop.
    for query in range(len(starts) - 1):
        for position in range(starts[query], starts[query + 1]):
            term = terms[position]
            for posting in range(indptr[term], indptr[term + 1]):
                scores[query, indices[posting]] += data[posting]
