"""Reranking: reorders the top k of every ranking and updates the ranks of relevant passages.

A reranker reads a query and a passage together, so it only gets the top passages of a ranking. In
each setting the top k is ordered by the reranker's scores (ties: higher passage id first, as
everywhere); passages below it stay in place. Ranks stay exact: a relevant passage in the top k gets
a new rank, any other keeps its rank. A pair in the top k of several settings is scored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress
from harness.evaluation.layout import Prepared
from harness.evaluation.search_stage import Searched, without_agreement
from harness.models.reranker import Reranker
from harness.search.results import SearchResult

_AT_ONCE = 4096
"""Pairs passed to a reranker at a time."""

TopK = tuple[NDArray[np.int32], NDArray[np.float32]]


def rerank(searched: Searched, reranker: Reranker, top: int, progress: Progress) -> Searched:
    """``searched`` with the best ``top`` of every ranking in the reranker's order.

    Its top k, also within each language, must be ``top`` deep or as deep as the pool. The texts are
    read from the corpora again.

    Raises:
        ModelError: the reranker fails, or returns invalid scores.
        DataError: a corpus is damaged, or has changed since it was encoded.
    """
    prepared = searched.task
    known: dict[tuple[str, str], np.float32] = {}
    multi = {s.query_language for s in prepared.settings if s.kind == "multi"}
    reranked = {x: _pairs(f, top, x in multi) for x, f in searched.found.items()}
    passages = _texts(prepared, {int(c) for x in reranked.values() for row in x for c in row})
    progress.start(
        f"rerank {prepared.spec.name}", sum(len(c) for x in reranked.values() for c in x), "pairs"
    )
    found: dict[str, SearchResult] = {}
    for language, ranks in searched.found.items():
        texts = prepared.typed_texts(language)
        for first in range(0, len(texts), 64):
            part = reranked[language][first : first + 64]
            pairs = dict.fromkeys(
                (texts[first + i], passages[c]) for i, columns in enumerate(part) for c in columns
            )
            new = [pair for pair in pairs if pair not in known]
            for start in range(0, len(new), _AT_ONCE):
                batch = new[start : start + _AT_ONCE]
                known.update(zip(batch, reranker.scores(batch), strict=True))
            progress.advance(sum(len(columns) for columns in part))

        def ordered(ranked: TopK, texts: Any = texts) -> TopK:
            columns = ranked[0][:, :top]
            scores = np.array(
                [[known[texts[i], passages[c]] for c in row] for i, row in enumerate(columns)],
                np.float32,
            ).reshape(columns.shape)
            # Best first; ties go to the lower column, which has the higher passage id.
            order = np.lexsort((columns, -scores), axis=1)
            best = np.take_along_axis(columns, order, axis=1)
            # Passages below keep their place and the first stage's scores.
            return (
                np.concatenate([best, ranked[0][:, top:]], axis=1),
                np.concatenate(
                    [np.take_along_axis(scores, order, axis=1), ranked[1][:, top:]], axis=1
                ),
            )

        found[language] = with_top_k(
            ranks,
            ordered((ranks.top_k, ranks.top_k_scores)) if language in multi else None,
            {x: ordered(ranked) for x, ranked in ranks.block_top_k.items()},
            prepared,
        )
        # Another query language has other texts.
        known.clear()
    progress.finish()
    # Scores below the top k are the first stage's: whole rankings cannot be correlated.
    return Searched(without_agreement(prepared), found, None, searched.decisions)


def _pairs(found: SearchResult, top: int, multi: bool) -> list[NDArray[np.int32]]:
    """For each query the distinct columns to rerank; those of the whole pool if ``multi``."""
    top_ks = [h[0][:, :top] for h in found.block_top_k.values()]
    if multi:
        top_ks.append(found.top_k[:, :top])
    return [np.unique(row) for row in np.concatenate(top_ks, axis=1)]


def _texts(prepared: Prepared, columns: Set[int]) -> dict[int, str]:
    """Column of the pool -> its passage's text, as the first stage read it.

    A streamed search's pool has only some of the passages, so they are found by id. A corpus is
    read once, and only the requested texts are kept.
    """
    pool, data = prepared.pool, prepared.data
    needed: dict[str, dict[str, int]] = {x: {} for x in pool.languages}
    for column in columns:
        language, _, local = str(pool.ids[column]).partition(":")
        needed[language][local] = column
    found: dict[int, str] = {}
    for language, here in needed.items():
        if not here:
            continue
        held: Iterable[tuple[str, str]]
        if language in data.passages:
            texts = data.passages[language]
            held = zip(texts.ids, texts.texts, strict=True)
        else:
            held = data.corpora[language].read()
        left = len(here)
        for local, text in held:
            if local in here:
                found[here[local]] = text
                left -= 1
                if not left:
                    break
    return found


def with_top_k(
    before: SearchResult, ranked: TopK | None, block_top_k: Mapping[str, TopK], prepared: Prepared
) -> SearchResult:
    """``before`` with the reordered top k, and updated ranks of the relevant passages in it."""
    pool = prepared.pool
    n_above = before.ranked_above.copy()
    block_rank = before.block_rank.copy()
    language_of = pool.language_of
    queries = np.repeat(np.arange(len(before.relevant.questions)), np.diff(before.relevant.indptr))
    relevant = zip(queries.tolist(), before.relevant.columns.tolist(), strict=True)
    for i, (query, column) in enumerate(relevant):
        place = _place(ranked, query, column)
        if ranked is not None and place is not None:
            above = language_of[ranked[0][query, :place]]
            n_above[i] = np.bincount(above, minlength=len(pool.languages))
        place = _place(block_top_k.get(pool.languages[before.relevant_language[i]]), query, column)
        if place is not None:
            block_rank[i] = place + 1
    return replace(
        before,
        ranked_above=n_above,
        block_rank=block_rank,
        top_k=before.top_k if ranked is None else ranked[0],
        top_k_scores=before.top_k_scores if ranked is None else ranked[1],
        block_top_k=dict(block_top_k),
    )


def _place(ranked: TopK | None, query: int, column: int) -> int | None:
    """Position of ``column`` in a query's top k, from 0; ``None`` if absent."""
    if ranked is None:
        return None
    at = np.flatnonzero(ranked[0][query] == column)
    return int(at[0]) if len(at) else None
