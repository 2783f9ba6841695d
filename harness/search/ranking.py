"""The tiles of a search: each settled by one thread, several query languages in one flow."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.search.pool import Golds, Pool
from harness.search.results import Found

ROWS = 256
"""Queries per tile. A matrix kernel's last bit can depend on the shape it is called with, so every
search takes this many; another number is for measuring what that does (:mod:`harness.noise`)."""

SHALLOW = 1000
"""Depth of heads up to which tiles of two query languages are worked on at once."""

WORTH_COMPILING = 2**25
"""Comparisons of a score with a gold's from which on the compiled loops are used: about a second's
work for torch's."""


def worth_compiling(golds: Golds, pool: Pool) -> bool:
    """Whether the compiled loops pay for one language's queries."""
    return len(golds.columns) * len(pool) > WORTH_COMPILING


Scores = Callable[[int, int], "NDArray[np.float32] | Any"]
"""(first row, last row) -> scores of those queries against a pool, C-contiguous float32."""


def _tiles(queries: int, rows: int) -> Iterator[tuple[int, int]]:
    """Tiles of about equal heights, ``rows`` at most, so that no thread waits long for another's.

    An even number of them, whatever the number of threads: bits can depend on a tile's height.
    """
    tiles = -(-queries // rows)
    tiles += tiles % 2 if tiles > 1 else 0
    height = -(-queries // max(1, tiles))
    for start in range(0, queries, max(1, height)):
        yield start, min(start + height, queries)


@contextmanager
def _workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that each multiply alone; what waits is dropped where the block ends early.

    Each tile is one thread's work from its product to its ranks: nobody waits at barriers, and how
    many threads there are cannot change a bit.
    """
    import torch

    before = torch.get_num_threads()
    if threads > 1:
        torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield pool
            finally:
                pool.shutdown(cancel_futures=True)
    finally:
        torch.set_num_threads(before)


def _as_tensor(tile: NDArray[np.float32] | Any, compiled: bool) -> NDArray[np.float32] | Any:
    """A tile on the CPU as the loops that are to work on it want it."""
    if compiled or not isinstance(tile, np.ndarray):
        return tile
    import torch

    return torch.from_numpy(tile)


class _Ranking:
    """What is known of one query language's rankings while its tiles are being worked on."""

    def __init__(
        self,
        scores: Scores,
        language: str,
        golds: Golds,
        pool: Pool,
        top: int,
        block_tops: Mapping[str, int],
        compiled: bool | None,
    ) -> None:
        self._scores, self._language, self._golds, self._pool = scores, language, golds, pool
        self._compiled = worth_compiling(golds, pool) if compiled is None else compiled
        self.queries = len(golds.questions)
        self._outranked = np.zeros((len(golds.columns), len(pool.languages)), np.int32)
        self._gold_scores = np.zeros(len(golds.columns), np.float32)
        top = min(top, len(pool))
        self._head = np.zeros((self.queries, top), np.int32)
        self._head_scores = np.zeros((self.queries, top), np.float32)
        self._blocks: dict[str, tuple[NDArray[np.int32], NDArray[np.float32]]] = {}
        for x, k in block_tops.items():
            first, last = pool.block(x)
            shape = (self.queries, min(k, last - first))
            self._blocks[x] = (np.zeros(shape, np.int32), np.zeros(shape, np.float32))

    def settle(self, start: int, stop: int) -> int:
        """Find all there is to find of some queries; returns how many they were."""
        golds, pool = self._golds, self._pool
        tile = _as_tensor(self._scores(start, stop), self._compiled)
        loops: Any
        if isinstance(tile, np.ndarray):
            from harness.search import cpu as loops
        else:
            from harness.search import device as loops
        a, b = golds.indptr[start], golds.indptr[stop]
        indptr, columns = golds.indptr[start : stop + 1] - a, golds.columns[a:b]
        here = slice(start, stop)
        self._outranked[a:b], self._head[here], self._head_scores[here] = loops.count_and_heads(
            tile, indptr, columns, pool.starts, self._head.shape[1]
        )
        own = tile[np.repeat(np.arange(stop - start), np.diff(indptr)), columns]
        self._gold_scores[a:b] = own if isinstance(own, np.ndarray) else own.cpu().numpy()
        for name, (best, best_scores) in self._blocks.items():
            best[here], best_scores[here] = loops.heads(tile, *pool.block(name), best.shape[1])
        return stop - start

    def found(self) -> Found:
        """The result, once every tile is settled."""
        gold_language = self._pool.language_of[self._golds.columns]
        own_block = self._outranked[np.arange(len(self._outranked)), gold_language] + 1
        return Found(
            language=self._language,
            golds=self._golds,
            gold_language=gold_language,
            gold_scores=self._gold_scores,
            outranked_by=self._outranked,
            block_rank=own_block.astype(np.int32),
            head=self._head,
            head_scores=self._head_scores,
            block_heads=self._blocks,
        )


def rank(
    scores: Scores,
    language: str,
    golds: Golds,
    pool: Pool,
    *,
    top: int = 100,
    block_tops: Mapping[str, int] | None = None,
    compiled: bool | None = None,
    threads: int = 1,
) -> Found:
    """Exact gold ranks and heads for the queries of one language: :func:`rank_each` of one."""
    return rank_each(
        {language: golds},
        lambda _: scores,
        pool,
        top=top,
        block_tops={language: block_tops or {}},
        compiled=compiled,
        threads=threads,
    )[language]


def rank_each(
    golds: Mapping[str, Golds],
    scores: Callable[[str], Scores],
    pool: Pool,
    *,
    top: int = 100,
    block_tops: Mapping[str, Mapping[str, int]] | None = None,
    rows: int = ROWS,
    compiled: bool | None = None,
    threads: int = 1,
    progress: Callable[[int], None] | None = None,
    after: Callable[[Found], Found] = lambda found: found,
) -> dict[str, Found]:
    """Exact gold ranks and heads by query language; ``golds`` and ``scores`` are by it too.

    ``compiled`` chooses the loops for scores on a CPU, which give the same results: numba's or
    torch's; ``None`` takes numba's where the work is worth the seconds they take to compile.
    ``block_tops`` maps query and passage language to the depth of the head wanted among the
    latter's passages alone. Tiles hold ``rows`` queries; ``threads`` of them are worked on at once.
    ``progress`` is told how many queries each tile held. ``after`` is handed each language's result
    as soon as it is whole and returns what is kept of it.
    """
    found: dict[str, Found] = {}
    begun: deque[tuple[str, list[Future[int]]]] = deque()
    rankings: dict[str, _Ranking] = {}
    waiting = iter(golds)

    with _workers(threads) as workers:

        def begin() -> None:
            for x in waiting:
                tops = (block_tops or {}).get(x, {})
                ranking = _Ranking(scores(x), x, golds[x], pool, top, tops, compiled)
                rankings[x] = ranking
                tiles = _tiles(ranking.queries, rows)
                begun.append((x, [workers.submit(ranking.settle, *tile) for tile in tiles]))
                return

        begin()
        while begun:
            language, tiles = begun.popleft()
            # The next language's tiles follow at once, so that no thread waits for the last of
            # this one's; not where heads are so deep that two languages' would take much memory.
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
