"""How passages in other languages push down a query's own: full pool versus same language.

If questions are answered in their own language only (as in MIRACL), a pool of several languages
adds passages that can only be wrong. Both measures compare a relevant passage's rank in that pool
with its rank among the passages of its own language; layout as in :mod:`harness.metrics.bias`.
Vectors give both ranks from the same scores, a lexical system from the index of each pool. Relevant
passages in other languages than the query's do not count.
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
    relevant_languages: IntArray,
    query_languages: IntArray,
) -> FloatArray:
    """Mean over own-language relevant passages of pool rank minus own-language rank; ``(Q,)``.

    This is how many passages in other languages are ranked above a relevant one on average: 0 at
    best, their number at worst. NaN without an own-language relevant passage.
    """
    own = relevant_languages == query_languages[owners(indptr)]
    pushed = np.where(own, ranks - own_ranks, 0)
    return divide(segment_sum(pushed, indptr), segment_sum(own, indptr))


def ndcg_drop(
    ranks: IntArray,
    own_ranks: IntArray,
    indptr: IntArray,
    relevant_languages: IntArray,
    query_languages: IntArray,
    k: int | None = None,
    grades: NDArray[Any] | None = None,
) -> FloatArray:
    """nDCG@k within the query's language minus nDCG@k in the pool; ``(Q,)``, 0 at best.

    In both, only own-language relevant passages count. NaN without any.
    """
    alone, pooled = (
        own_language_ndcg(x, indptr, relevant_languages, query_languages, k, grades)
        for x in (own_ranks, ranks)
    )
    return alone - pooled
