"""Search with all passages in memory: one score matrix per query language."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import resident_memory
from harness.data.pool import Pool, RelevantPassages
from harness.errors import ModelError, UsageError, errors_of, quoted
from harness.search.code_products import CodedPassages, coded
from harness.search.exact import Decisions, check_lengths
from harness.search.products import Tile, multiply
from harness.search.results import SearchResult
from harness.search.tiles import ROWS, InnerProducts, Scores, rank, rank_each, worth_compiling

if TYPE_CHECKING:
    from harness.models.base import LexicalIndex, LexicalModel

__all__ = [
    "ROWS",
    "DenseScores",
    "Pool",
    "RelevantPassages",
    "Scores",
    "SearchResult",
    "check_memory",
    "index_pool",
    "index_scores",
    "rank",
    "rank_each",
    "rank_with_own_indexes",
    "tile_bytes",
    "worth_compiling",
]

WORKING_BYTES = 224 << 20
"""Measured memory of the loops' code, the matrix library's buffers and the results."""


def tile_bytes(pool_size: int) -> int:
    """Memory one tile of scores takes, in bytes."""
    return ROWS * pool_size * 4


def check_memory(pool_size: int, more: int, budget: int) -> None:
    """Raise :class:`UsageError` if search would take the process over ``budget`` (bytes).

    ``more`` is what search allocates besides a tile of scores, in bytes. The current memory of the
    process (Python, libraries, the vectors) counts: the budget is for the whole process.
    """
    import torch  # noqa: F401

    # Libraries that search loads, so that their memory is counted.
    from harness.search import cpu_loops  # noqa: F401

    need = resident_memory() + tile_bytes(pool_size) + more + WORKING_BYTES
    if need > budget:
        raise UsageError(
            f"--memory {budget // 2**20}M is too small to search a pool of {pool_size:,} passages; "
            f"at least {-(-need // 2**20)}M are needed"
        )


class DenseScores:
    """Inner products of one language's query vectors with a pool's passage vectors.

    ``passages`` is (N, d) float32 in the pool's column order. Vectors are compared as given:
    normalise them first for cosine similarity. ``rows`` is the maximum number of queries per tile.
    """

    def __init__(
        self, passages: NDArray[np.float32], device: str = "cpu", *, rows: int = ROWS
    ) -> None:
        """Raises :class:`ModelError` for vectors too long to be multiplied in float32."""
        import torch

        self._vectors = np.ascontiguousarray(passages)
        self._longest = check_lengths(self._vectors)
        self._passages = torch.from_numpy(self._vectors).to(device)
        self._shape = (rows, len(passages))
        self._codes = None
        if device == "cpu" and coded(self._vectors):
            self._codes = CodedPassages(self._vectors)
        self._own = threading.local()
        self.device = device
        self.decisions = Decisions()
        """Counts of decisions beyond float32 so far."""

    def _buffer(self) -> Any:
        """Room for one tile, another for each thread."""
        import torch

        if not hasattr(self._own, "buffer"):
            self._own.buffer = torch.empty(self._shape, dtype=torch.float32, device=self.device)
        return self._own.buffer

    def of(self, queries: NDArray[np.float32]) -> InnerProducts:
        """Scores of ``queries`` (Q, d) by tile; each valid until its thread computes the next."""
        import torch

        queries = np.ascontiguousarray(queries)
        longest = check_lengths(queries)
        rows = torch.from_numpy(queries).to(self.device)
        codes = self._codes if coded(queries) else None
        of_codes = codes and codes.products(queries)
        exact = codes is not None and 1.01 * longest * self._longest <= 2**24

        def tile(start: int, stop: int) -> Tile | Any:
            out = self._buffer()[: stop - start]
            if self.device != "cpu":
                return torch.mm(rows[start:stop], self._passages.T, out=out)
            if of_codes:
                of_codes(start, stop, out)
                return Tile.of(out.numpy())
            return multiply(rows[start:stop], self._passages, out)

        vectors = queries, self._vectors
        return InnerProducts(tile, *vectors, self._longest, self.decisions, exact=exact)


def index_pool(model: LexicalModel, passages: Sequence[str], pool: Pool) -> LexicalIndex:
    """The index over a whole pool; ``passages`` (N,) are in the pool's column order."""
    with errors_of(f"{model.name}: index"):
        return model.index(passages, languages=[pool.languages[i] for i in pool.language_of])


def index_scores(index: LexicalIndex, texts: Sequence[str], language: str, passages: int) -> Scores:
    """Scores of ``texts``, queries in one language, against an index of so many passages."""

    def tile(start: int, stop: int) -> NDArray[np.float32]:
        return scores_of_index(index, texts[start:stop], language, passages)

    return tile


def scores_of_index(
    index: LexicalIndex, texts: Sequence[str], language: str, passages: int
) -> NDArray[np.float32]:
    """(n, passages) float32, C-contiguous, of ``texts`` (n,), queries in one language.

    Raises:
        ModelError: the index fails, or returns something else, or NaN, which has no rank.
    """
    with errors_of("the index of the model: score"):
        scores = np.ascontiguousarray(index.score(texts, language=language), np.float32)
    if scores.shape != (len(texts), passages):
        raise ModelError(
            f"the index of the model: score returned an array of shape {scores.shape} for "
            f"{len(texts)} queries and {passages} passages; {(len(texts), passages)} is needed"
        )
    # The least of numbers with NaN among them is NaN.
    if scores.size and np.isnan(scores.min()):
        text = texts[int(np.isnan(scores).any(axis=1).argmax())]
        raise ModelError(f"the index of the model: score returned NaN for {quoted(text)}")
    return scores


def rank_with_own_indexes(
    model: LexicalModel,
    whole: LexicalIndex,
    passages: Sequence[str],
    queries: Mapping[str, tuple[str, Sequence[str]]],
    relevant: Mapping[str, RelevantPassages],
    pool: Pool,
    *,
    top: int = 100,
    block_tops: Mapping[str, Mapping[str, int]] | None = None,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
) -> dict[str, SearchResult]:
    """Ranks of relevant passages and top k of a system that uses an index: one index per pool.

    Word statistics belong to a pool, so the multi settings use an index of all passages and the
    mono and cross settings one of that language's passages alone: each number is the one a separate
    run over that pool would give. ``whole`` is the index of all passages (:func:`index_pool`),
    ``passages`` (N,) their texts in the pool's column order; ``queries`` (the language that
    they are in, and texts) and ``relevant`` are by query language. Returns what :func:`rank` would,
    by query language.
    """
    found = rank_each(
        relevant,
        lambda x: index_scores(whole, queries[x][1], queries[x][0], len(pool)),
        pool,
        top=top,
        threads=threads,
        progress=progress,
    )
    block_rank = {x: np.zeros(len(relevant[x].columns), np.int32) for x in queries}
    block_top_k: dict[str, dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]]]
    block_top_k = {x: {} for x in queries}
    for name in pool.languages:
        first, last = pool.block(name)
        alone = pool.only(name)
        index = index_pool(model, passages[first:last], alone)
        for x, (spoken, texts) in queries.items():
            here = found[x].relevant_language == pool.languages.index(name)
            k = (block_tops or {}).get(x, {}).get(name, 0)
            own = rank(
                index_scores(index, texts, spoken, len(alone)),
                x,
                relevant[x].within(first, last),
                alone,
                top=k,
                threads=threads,
            )
            block_rank[x][here] = own.block_rank
            if k:
                block_top_k[x][name] = (own.top_k + np.int32(first), own.top_k_scores)
            if progress is not None:
                progress(len(texts))
    return {
        x: replace(found[x], block_rank=block_rank[x], block_top_k=block_top_k[x]) for x in queries
    }
