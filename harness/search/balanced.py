"""Balanced retrieval: every language gets an equal share of a multilingual ranking.

The best passage of each language comes first, then the second best of each, and so on; within such
a round passages are ordered by score. The order within each language stays, so monolingual and
cross-lingual settings do not change.

This needs no sorting: a passage's round is its rank within its own language, and the passage of
that round in another language is ranked above it if at least as many of that language's passages
are ranked above it in the plain ranking.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import Pool
from harness.search.exact import Decider
from harness.search.results import SearchResult


def rounds_for(pool: Pool, k: int) -> int:
    """Depth of each language's top k that the top ``k`` of a balanced ranking needs."""
    return rounds_in(pool.sizes, k)


def rounds_in(sizes: NDArray[np.int64], k: int) -> int:
    """:func:`rounds_for` a pool with so many passages of each language."""
    rounds = 0
    while np.minimum(sizes, rounds).sum() < min(k, sizes.sum()):
        rounds += 1
    return rounds


def balanced(
    found: SearchResult, pool: Pool, decider: Decider, margin: NDArray[np.float32], k: int
) -> SearchResult:
    """``found`` with the counts and the top ``k`` of the balanced ranking of the full pool.

    Its per-language top k must be :func:`rounds_for` deep in every language. ``decider`` and
    ``margin`` (Q,) are those of the query language (:meth:`harness.search.exact.Decider.order`).
    Scores of the top k are negated positions: the best passage has 0.
    """
    rounds = found.block_rank[:, None].astype(np.int64)
    n_above = np.minimum(pool.sizes, rounds - 1) + (found.ranked_above >= rounds)
    own = np.arange(len(n_above)), found.relevant_language
    n_above[own] = rounds[:, 0] - 1
    top_k = _top_k(found, pool, decider, margin, min(k, len(pool)))
    places = -np.arange(top_k.shape[1], dtype=np.float32)
    return replace(
        found,
        ranked_above=n_above.astype(np.int32),
        top_k=top_k,
        top_k_scores=np.broadcast_to(places, top_k.shape).copy(),
    )


def _top_k(
    found: SearchResult, pool: Pool, decider: Decider, margin: NDArray[np.float32], k: int
) -> NDArray[np.int32]:
    depth = rounds_for(pool, k)
    queries = len(found.relevant.questions)
    parts = [found.block_top_k[x] for x in pool.languages]
    column = np.concatenate([c[:, :depth] for c, _ in parts], axis=1).astype(np.int64)
    score = np.concatenate([s[:, :depth] for _, s in parts], axis=1)
    turn = np.concatenate([np.arange(min(depth, c.shape[1])) for c, _ in parts])
    query = np.repeat(np.arange(queries), column.shape[1])
    group = query * depth + np.tile(turn, queries)
    column, score = column.reshape(-1), score.reshape(-1)
    first = np.lexsort((column, -score, group))
    order, _ = decider.order(query[first], column[first], score[first], margin, group=group[first])
    best = column[first][order].reshape(queries, -1)[:, :k]
    return best.astype(np.int32)
