"""What passages in other languages do to a query's own: one pool of all, against one's own alone.

Where a question is answered in its own language only (MIRACL's), a pool of several languages adds
passages that can only be wrong. Both measures compare a gold's rank in that pool with its rank
among the passages of its own language; layout as in :mod:`harness.metrics.bias`. Vectors give both
ranks from the same scores, a lexical system from the index of each pool. Golds in other languages
than the query's do not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.metrics.bias import own_language_ndcg
from harness.stats.ragged import FloatArray, IntArray, divide, owners, segment_sum


def intrusion(
    ranks: IntArray,
    own_ranks: IntArray,
    indptr: IntArray,
    gold_languages: IntArray,
    query_languages: IntArray,
) -> FloatArray:
    """Mean over own-language golds of rank in the pool less rank among their language; ``(Q,)``.

    So many foreign passages stand above a gold on average: 0 at best, their number at worst. NaN
    without own-language gold.
    """
    own = gold_languages == query_languages[owners(indptr)]
    pushed = np.where(own, ranks - own_ranks, 0)
    return divide(segment_sum(pushed, indptr), segment_sum(own, indptr))


def ndcg_drop(
    ranks: IntArray,
    own_ranks: IntArray,
    indptr: IntArray,
    gold_languages: IntArray,
    query_languages: IntArray,
    k: int | None = None,
    grades: NDArray[Any] | None = None,
) -> FloatArray:
    """nDCG@k among the own language's passages less nDCG@k in the pool; ``(Q,)``, 0 at best.

    In both, own-language golds alone count. NaN without own-language gold.
    """
    alone, pooled = (
        own_language_ndcg(x, indptr, gold_languages, query_languages, k, grades)
        for x in (own_ranks, ranks)
    )
    return alone - pooled
