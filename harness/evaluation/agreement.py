"""Does a question retrieve the same passages in every language? Scores beyond the top k.

Mean rank correlation compares two rankings over the union of their top k, so it needs the scores of
each language's query for the other languages' top k. These are a few passages per question, scored
after the search; the score matrix is not computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.metrics.consistency import mean_rank_correlation, rank_correlations
from harness.search.corpus_rows import stacked
from harness.search.exact import (
    Decider,
    Decisions,
    Encoded,
    VectorDecider,
    check_lengths,
    product_error,
)
from harness.search.in_memory import scores_of_index
from harness.search.parts import PartTexts
from harness.search.results import SearchResult
from harness.search.tiles import ROWS

if TYPE_CHECKING:
    from harness.models.base import LexicalIndex

DEPTH = 10
"""k of each top k in the union, the cutoff of the other measures."""

ScoresAt = Callable[
    [Mapping[str, NDArray[np.int64]], NDArray[np.int64], NDArray[np.bool_]], NDArray[np.float32]
]
"""(language -> (n,) query rows, columns (n, C), which of them are looked at (n, C)) -> (n, L, C)
numbers in the order of the scores, languages in that order; equal for equal scores."""


def dense_scores_at(
    queries: Mapping[str, Encoded],
    vectors: Encoded | Callable[[NDArray[np.int64]], Encoded],
    decisions: Decisions,
    *,
    compiled: bool = False,
    threads: int = 1,
) -> ScoresAt:
    """Places in the order of the inner products, negated, so that the best passage has the most.

    ``vectors`` are those of the pool (N, d), or give those (n, d) of columns (n,), which are
    ascending. ``compiled``: multiply and decide in compiled loops. ``threads`` of them take a few
    questions each.
    """
    longest = None if callable(vectors) else check_lengths(vectors)

    def at(
        rows: Mapping[str, NDArray[np.int64]],
        columns: NDArray[np.int64],
        looked_at: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        # A chunk of gathered vectors stays in cache.
        width = next(iter(queries.values())).shape[1]
        step = max(1, (8 << 20) // max(1, columns.shape[1] * width * 4))
        out = np.zeros((len(columns), len(rows), columns.shape[1]), np.float32)

        def fill(start: int) -> None:
            part = slice(start, start + step)
            passages, number, far = vectors, columns[part], longest
            if callable(vectors):
                # The lower number is the lower column, which wins ties.
                different, number = np.unique(number, return_inverse=True)
                number = number.reshape(columns[part].shape)
                passages = vectors(different)
            far = check_lengths(passages) if far is None else far
            flat = _by_question([queries[x][r[part]] for x, r in rows.items()])
            out[part] = _places(
                _products(flat, passages, number, looked_at[part], compiled),
                number,
                looked_at[part],
                VectorDecider(flat, passages, far, decisions, compiled=compiled),
                2 * product_error(flat, far),
            )

        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(fill, range(0, len(columns), step)):
                pass
        return out

    return at


def _by_question(texts: Sequence[Encoded]) -> Encoded:
    """Queries of a few questions, given by language, as those of one question after another."""
    order = np.arange(len(texts) * len(texts[0])).reshape(len(texts), -1)
    return stacked(texts)[order.T.reshape(-1)]


def _products(
    flat: Encoded,
    passages: Encoded,
    columns: NDArray[np.int64],
    looked_at: NDArray[np.bool_],
    compiled: bool,
) -> NDArray[np.float32]:
    """(n, L, C) float32 scores of L queries of each of n questions with columns (n, C).

    Those that are not looked at may be anything.
    """
    each = len(flat) // len(columns)
    if isinstance(flat, PartTexts):
        found = [
            flat[i * each : (i + 1) * each].products(passages[c]) for i, c in enumerate(columns)
        ]
        return np.stack(found)
    if compiled:
        from harness.search.inner_loops import fill_products

        out = np.zeros((len(columns), each, columns.shape[1]), np.float32)
        width = flat.shape[1]
        fill_products(flat.reshape(-1), passages.reshape(-1), width, columns, looked_at, out)
        return out
    import torch

    products: NDArray[np.float32] = torch.bmm(
        torch.from_numpy(flat.reshape(len(columns), each, -1)),
        torch.from_numpy(passages[columns]).transpose(1, 2),
    ).numpy()
    return products


def _places(
    products: NDArray[np.float32],
    columns: NDArray[np.int64],
    looked_at: NDArray[np.bool_],
    decider: Decider,
    margin: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(n, L, C) for scores (n, L, C) and columns (n, C); 0 for unused entries."""
    _, languages, width = products.shape
    # Every query with the passages of its question, query by query, best first; unused ones last.
    first = np.argsort(np.where(looked_at[:, None], -products, np.inf), axis=2)
    used = looked_at.sum(axis=1)
    place = first[np.broadcast_to((np.arange(width) < used[:, None])[:, None], first.shape)]
    of_query = np.repeat(used, languages)
    query = np.repeat(np.arange(len(of_query)), of_query)
    column = columns[query // languages, place]
    score = products.reshape(-1, width)[query, place]
    order, level = decider.order(query, column, score, margin)
    out = np.zeros(products.shape, np.float32)
    out.reshape(-1, width)[query, place[order]] = -np.cumsum(~level, dtype=np.int64)
    return out


def lexical_scores_at(
    index: LexicalIndex, queries: Mapping[str, tuple[str, Sequence[str]]], passages: int
) -> ScoresAt:
    """Scores on demand of a system that scores whole pools.

    ``index`` is over the whole pool of so many ``passages``; ``queries`` are by query language: the
    language that their texts are in, and these.
    """

    def at(
        rows: Mapping[str, NDArray[np.int64]],
        columns: NDArray[np.int64],
        looked_at: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        out = np.zeros((len(columns), len(rows), columns.shape[1]), np.float32)
        for i, (x, row) in enumerate(rows.items()):
            language, own = queries[x]
            for start in range(0, len(columns), ROWS):
                part = slice(start, start + ROWS)
                texts = [own[r] for r in row[part]]
                scores = scores_of_index(index, texts, language, passages)
                out[part, i] = np.take_along_axis(scores, columns[part], axis=1)
        return out

    return at


def question_agreement(
    found: Mapping[str, SearchResult],
    scores_at: ScoresAt,
    depth: int = DEPTH,
    *,
    compiled: bool = False,
    threads: int = 1,
) -> dict[str, NDArray[np.float64]]:
    """Query language -> (Q,) mean rank correlation of each query with its translations.

    NaN for a question with a query in only one language. ``compiled``: the same from compiled
    loops, in ``threads``.
    """
    numbers: dict[str, int] = {}
    for ranks in found.values():
        for question in ranks.relevant.questions:
            numbers.setdefault(question, len(numbers))
    depth = min([depth, *(f.top_k.shape[1] for f in found.values())])
    rows = {x: np.full(len(numbers), -1, np.int64) for x in found}
    top_k = np.zeros((len(numbers), len(found), depth), np.int64)
    for i, (language, ranks) in enumerate(found.items()):
        at = np.array([numbers[q] for q in ranks.relevant.questions], np.int64)
        rows[language][at] = np.arange(len(at))
        top_k[at, i] = ranks.top_k[:, :depth]
    has_query = np.stack([r >= 0 for r in rows.values()], axis=1)
    flat = top_k.reshape(len(numbers), -1)
    places = _first_places(flat)
    local = places.reshape(top_k.shape)
    once = places == np.arange(places.shape[1])
    scores = scores_at({x: np.maximum(r, 0) for x, r in rows.items()}, flat, once)
    if compiled:
        from harness.metrics import consistency_loops

        correlations = consistency_loops.rank_correlations(local, has_query, scores, threads)
    else:
        correlations = rank_correlations(
            local, has_query, lambda i, places: np.take_along_axis(scores[:, i], places, axis=1)
        )
    means = mean_rank_correlation(correlations)
    return {
        x: means[[numbers[q] for q in found[x].relevant.questions], i] for i, x in enumerate(found)
    }


def _first_places(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each value's first occurrence in its row: equal passages get equal numbers."""
    order = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=1)
    new = np.ones(values.shape, bool)
    new[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    # Stable: the first of equal values is the one that comes first in the row.
    start = np.maximum.accumulate(np.where(new, np.arange(values.shape[1]), 0), axis=1)
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.take_along_axis(order, start, axis=1), axis=1)
    return places
