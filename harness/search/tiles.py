"""The tiles of a search: each is done by one thread, several query languages in sequence."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import Pool, RelevantPassages
from harness.search.exact import (
    Decisions,
    Open,
    VectorDecider,
    Vectors,
    largest_product,
    product_error,
    products_are_exact,
    sum_error,
)
from harness.search.products import Tile
from harness.search.results import SearchResult

ROWS = 320
"""Queries per tile, at most. Ranks do not depend on it."""

SHALLOW = 1000
"""Largest k for which tiles of two query languages are processed at once."""

WORTH_COMPILING = 2**25
"""Number of comparisons with relevant passages' scores from which the compiled loops are used:
about a second's work for torch's."""


def worth_compiling(relevant: RelevantPassages, pool: Pool) -> bool:
    """Whether the compiled loops pay for one language's queries."""
    return len(relevant.columns) * len(pool) > WORTH_COMPILING


Scores = Callable[[int, int], "NDArray[np.float32] | Any"]
"""(first row, last row) -> scores of those queries against a pool, C-contiguous float32: (R, N),
on any device, or a :class:`.Tile`.

They are compared directly, except those of :class:`InnerProducts`, which come with vectors."""


class InnerProducts:
    """Scores of query vectors (Q, d) against passage vectors (N, d), by tiles of float32 products.

    What the products leave open is decided by :mod:`harness.search.exact`.
    """

    def __init__(
        self,
        tile: Scores,
        queries: NDArray[np.float32],
        passages: NDArray[np.float32],
        longest: float,
        decisions: Decisions,
        *,
        exact: bool = False,
    ) -> None:
        """``tile`` computes the products; ``longest`` is a passage vector's greatest length.

        ``exact``: it is known that no product is rounded.
        """
        self._tile = tile
        self._given = queries, passages, longest, decisions
        self.error = product_error(queries, longest)
        """(Q,) error bounds of products; 0 for all queries if none is rounded."""
        if exact or products_are_exact(queries, passages, longest):
            self.error[:] = 0
        self.largest = largest_product(queries, longest)
        """(Q,) bounds on the products' absolute values."""
        self.error64 = sum_error(queries, longest)
        """(Q,) error bounds of float64 scores."""

    def __call__(self, start: int, stop: int) -> Tile | Any:
        """Products of some queries with all passages."""
        return self._tile(start, stop)

    @property
    def margin(self) -> NDArray[np.float32]:
        """(Q,) distance beyond which the order of two products is certain."""
        return 2 * self.error

    def decider(self, compiled: bool) -> VectorDecider:
        """The decider; ``compiled``: uses compiled loops."""
        return VectorDecider(*self._given, compiled=compiled)


def _tiles(queries: int, rows: int) -> Iterator[tuple[int, int]]:
    """Tiles of about equal height, at most ``rows``, so that no thread waits long for another.

    Their number is even, because most machines have an even number of cores.
    """
    tiles = -(-queries // rows)
    tiles += tiles % 2 if tiles > 1 else 0
    height = -(-queries // max(1, tiles))
    for start in range(0, queries, max(1, height)):
        yield start, min(start + height, queries)


@contextmanager
def _workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that each multiply alone; pending work is dropped if the block ends early.

    Each tile is one thread's work from its product to its ranks: there are no barriers, and the
    number of threads cannot change a bit.
    """
    import torch

    before, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    if threads > 1:
        torch.set_num_threads(1)
    # Reduced precision that a model may have enabled (TF32, bfloat16) exceeds the error bound.
    torch.set_float32_matmul_precision("highest")
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield pool
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(before)
        torch.set_float32_matmul_precision(precision)


def _for_loops(scores: NDArray[np.float32] | Tile | Any, compiled: bool) -> Tile | Any:
    """A tile in the form that the loops need: a tensor, (R, N), except for compiled ones."""
    tile = Tile.of(scores) if isinstance(scores, np.ndarray) else scores
    if compiled or not isinstance(tile, Tile):
        return tile
    import torch

    return torch.from_numpy(tile.whole())


class _Ranking:
    """The state of one query language's rankings while its tiles are processed."""

    def __init__(
        self,
        scores: Scores,
        language: str,
        relevant: RelevantPassages,
        pool: Pool,
        top: int,
        block_tops: Mapping[str, int],
        compiled: bool | None,
        scored: bool,
    ) -> None:
        self._scores, self._language, self._relevant, self._pool = scores, language, relevant, pool
        self._compiled = worth_compiling(relevant, pool) if compiled is None else compiled
        self._scored = scored
        self._certain: _Certain | None = None
        if isinstance(scores, InnerProducts) and scores.error.any():
            self._certain = _Certain(scores, pool, self._compiled)
        self.queries = len(relevant.questions)
        self._ranked_above = np.zeros((len(relevant.columns), len(pool.languages)), np.int32)
        top = min(top, len(pool))
        self._top_k = np.zeros((self.queries, top), np.int32)
        self._top_scores = np.zeros((self.queries, top), np.float32)
        self._blocks: dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]] = {}
        for x, k in block_tops.items():
            first, last = pool.block(x)
            shape = (self.queries, min(k, last - first))
            self._blocks[x] = (np.zeros(shape, np.int32), np.zeros(shape, np.float32))

    def process(self, start: int, stop: int) -> int:
        """Process some queries; returns how many."""
        relevant, pool = self._relevant, self._pool
        tile = _for_loops(self._scores(start, stop), self._compiled)
        loops: Any
        if isinstance(tile, Tile):
            from harness.search import cpu_loops as loops
        else:
            from harness.search import torch_loops as loops
        a, b = relevant.indptr[start], relevant.indptr[stop]
        indptr, columns = relevant.indptr[start : stop + 1] - a, relevant.columns[a:b]
        here = slice(start, stop)
        blocks = [(*pool.block(x), *best) for x, best in self._blocks.items()]
        if self._certain is None:
            self._ranked_above[a:b], self._top_k[here], self._top_scores[here] = (
                loops.count_and_top_k(tile, indptr, columns, pool.starts, self._top_k.shape[1])
            )
            for first, last, best, scores in blocks:
                best[here], scores[here] = loops.top_k(tile, first, last, best.shape[1])
            return stop - start
        whole = (0, len(pool), self._top_k, self._top_scores)
        self._certain.fill(
            loops, tile, start, indptr, columns, pool.starts, self._ranked_above[a:b], *whole
        )
        none = np.zeros(0, np.int64)
        for block in blocks:
            nothing = np.zeros((0, 1), np.int32)
            self._certain.fill(
                loops, tile, start, np.zeros_like(indptr), none, pool.starts[:2], nothing, *block
            )
        if self._scored:
            for _, _, best, scores in (whole, *blocks):
                scores[here] = self._certain.scores_of(start, best[here])
        return stop - start

    def found(self) -> SearchResult:
        """The result, once every tile is done."""
        relevant_language = self._pool.language_of[self._relevant.columns]
        own_block = self._ranked_above[np.arange(len(self._ranked_above)), relevant_language] + 1
        return SearchResult(
            language=self._language,
            relevant=self._relevant,
            relevant_language=relevant_language,
            ranked_above=self._ranked_above,
            block_rank=own_block.astype(np.int32),
            top_k=self._top_k,
            top_k_scores=self._top_scores,
            block_top_k=self._blocks,
        )


class _Certain:
    """Counts and top k of one query language, with open comparisons decided."""

    def __init__(self, scores: InnerProducts, pool: Pool, compiled: bool) -> None:
        self._decider = scores.decider(compiled)
        self._margin = scores.margin
        self._vectors = Vectors(
            self._decider.queries,
            self._decider.vectors,
            pool.language_of,
            scores.error,
            scores.error64,
            scores.largest,
        )

    def fill(
        self,
        loops: Any,
        tile: Tile | Any,
        at: int,
        indptr: NDArray[np.int64],
        columns: NDArray[np.int64],
        starts: NDArray[np.int64],
        n_above: NDArray[np.int32],
        first: int,
        last: int,
        top: NDArray[np.int32],
        scores: NDArray[np.float32],
    ) -> None:
        """Work on a tile whose first row is query ``at``; fill ``n_above`` (G, L) and ``top``."""
        k = top.shape[1]
        for found in loops.certain(
            tile, self._vectors, at, indptr, columns, starts, first, last, k
        ):
            self._decider.decisions.add(float64=found.float64)
            n_above[indptr[found.start] : indptr[found.stop]] = found.above
            if len(found.near_column):
                self._count(found, at, indptr, columns, n_above)
            here = slice(at + found.start, at + found.stop)
            top[here], scores[here] = found.top, found.top_scores
            if len(found.row):
                row = at + found.row
                order, _ = self._decider.order(row, found.column, found.score, self._margin)
                queries = np.unique(row)
                best = order[np.searchsorted(row, queries)[:, None] + np.arange(k)]
                top[queries], scores[queries] = found.column[best], found.score[best]

    def _count(
        self,
        found: Open,
        at: int,
        indptr: NDArray[np.int64],
        columns: NDArray[np.int64],
        n_above: NDArray[np.int32],
    ) -> None:
        """Add the passages that turn out to be above a relevant one."""
        relevant, near = found.near_relevant, found.near_column
        query, own = at + np.searchsorted(indptr, relevant, side="right") - 1, columns[relevant]
        sign = self._decider.signs(query, near, own)
        # Of two equal scores the lower column ranks higher.
        wins = (sign > 0) | ((sign == 0) & (near < own))
        np.add.at(n_above, (relevant[wins], self._vectors.block_of[near[wins]]), 1)

    def scores_of(self, at: int, top: NDArray[np.int32]) -> NDArray[np.float32]:
        """Scores of ``top`` (n, k), best first, whose float32 order is the exact one."""
        query = np.repeat(np.arange(at, at + len(top)), top.shape[1])
        column = top.reshape(-1).astype(np.int64)
        return in_order(self._decider.scores(query, column).reshape(top.shape), top)


def in_order(scores: NDArray[np.float64], columns: NDArray[np.int32]) -> NDArray[np.float32]:
    """``scores`` (n, k) of passages in order, best first, rounded to float32 that keep the order.

    Where two become equal in float32 and the ids of their passages (the lower of ``columns`` (n, k)
    first) would put them the other way round, or where they were decided by more than float64, the
    later one's is the next lower number.
    """
    out: NDArray[np.float32] = scores.astype(np.float32)
    less = np.float32(-np.inf)
    # Equal passages in the order of their columns are what most rows have at most.
    wrong = (out[:, 1:] > out[:, :-1]) | (
        (out[:, 1:] == out[:, :-1]) & (columns[:, 1:] < columns[:, :-1])
    )
    for i in np.flatnonzero(wrong.any(1)).tolist():
        for j in range(1, out.shape[1]):
            highest = out[i, j - 1]
            if columns[i, j] < columns[i, j - 1]:
                highest = np.nextafter(highest, less)
            out[i, j] = min(out[i, j], highest)
    return out


def rank(
    scores: Scores,
    language: str,
    relevant: RelevantPassages,
    pool: Pool,
    *,
    top: int = 100,
    block_tops: Mapping[str, int] | None = None,
    compiled: bool | None = None,
    threads: int = 1,
    scored: bool = False,
) -> SearchResult:
    """Exact ranks and top k for the queries of one language: :func:`rank_each` of one."""
    return rank_each(
        {language: relevant},
        lambda _: scores,
        pool,
        top=top,
        block_tops={language: block_tops or {}},
        compiled=compiled,
        threads=threads,
        scored=scored,
    )[language]


def rank_each(
    relevant: Mapping[str, RelevantPassages],
    scores: Callable[[str], Scores],
    pool: Pool,
    *,
    top: int = 100,
    block_tops: Mapping[str, Mapping[str, int]] | None = None,
    rows: int = ROWS,
    compiled: bool | None = None,
    threads: int = 1,
    scored: bool = False,
    progress: Callable[[int], None] | None = None,
    after: Callable[[SearchResult], SearchResult] = lambda found: found,
) -> dict[str, SearchResult]:
    """Exact ranks and top k by query language, as are ``relevant`` and ``scores``.

    ``compiled`` chooses the loops for scores on a CPU, which give the same results: numba's or
    torch's; ``None`` takes numba's where the work is worth the seconds they take to compile.
    ``block_tops`` maps query and passage language to k within the latter alone. Tiles have ``rows``
    queries; ``threads`` of them are processed at once. ``scored``: exact scores of the top k are
    computed too (exports); otherwise float32 products are returned. ``progress`` gets the number of
    queries of each finished tile. ``after`` gets each language's result as soon as it is complete
    and returns what is kept of it.
    """
    found: dict[str, SearchResult] = {}
    begun: deque[tuple[str, list[Future[int]]]] = deque()
    rankings: dict[str, _Ranking] = {}
    waiting = iter(relevant)

    with _workers(threads) as workers:

        def begin() -> None:
            for x in waiting:
                tops = (block_tops or {}).get(x, {})
                ranking = _Ranking(scores(x), x, relevant[x], pool, top, tops, compiled, scored)
                rankings[x] = ranking
                tiles = _tiles(ranking.queries, rows)
                begun.append((x, [workers.submit(ranking.process, *tile) for tile in tiles]))
                return

        begin()
        while begun:
            language, tiles = begun.popleft()
            # The next language's tiles follow at once, so that no thread waits for the last of
            # this one's; not if k is so large that two languages' top k would take much memory.
            deep = max(top, *(sum(x.values()) for x in (block_tops or {}).values()), 0)
            if deep <= SHALLOW:
                begin()
            for tile in tiles:
                done = tile.result()
                if progress is not None:
                    progress(done)
            found[language] = after(rankings.pop(language).found())
            if not begun:
                begin()
    return found
