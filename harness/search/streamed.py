"""Exact search of corpora that are larger than memory, streamed from their shards.

One pass over each language's shards gives the rank of every relevant passage and the top k of every
ranking, in a bounded amount of memory. The relevant passages' scores are computed first; a pass
then only counts the passages above them. There is no approximate index, because it would be the
index that is measured.

The order is that of :mod:`harness.search.in_memory`: score descending, then global passage id
descending. Ids are read only for ties; a corpus's ids are never all in memory. What float32
products leave open is decided by :mod:`harness.search.exact`, so that shards, memory, threads and
device cannot change a rank, and results are identical to those of the in-memory search.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import resident_memory
from harness.data.pool import Pool, RelevantPassages
from harness.errors import UsageError
from harness.search.candidates import ColumnDecider, Corpus, PassQueries, ShardDecider
from harness.search.code_products import coded
from harness.search.corpus_rows import PassageRows, Shard, distinct
from harness.search.exact import (
    Composite,
    Decider,
    Decisions,
    Encoded,
    check_lengths,
    inner,
    product_error,
)
from harness.search.one_language import Scanned, scan, scan_bytes
from harness.search.results import SearchResult
from harness.search.streamed_queries import AllQueries, Judged, TopPassages, language_of
from harness.search.tiles import in_order

__all__ = ["Judged", "Shard", "ShardSearch", "Streamed"]

TOP = 1000
"""Default number of passages per ranking."""

WORKING_BYTES = 160 << 20
"""Memory of compiled loops, the matrix library's buffers and the shards being read."""


@dataclass(frozen=True)
class Streamed:
    """The results, in a pool that lists only the passages that matter."""

    pool: Pool
    """Relevant passages and top k; ``len()`` and ``sizes`` count everything that was searched."""
    found: Mapping[str, SearchResult]
    """By query language."""
    vectors: Callable[[NDArray[np.int64]], Encoded]
    """Vectors (n, d) of columns (n,), read again from their shards."""
    decisions: Decisions
    """Counts of decisions beyond float32 so far."""
    decider: Callable[[str], tuple[Decider, NDArray[np.float32]]]
    """For columns and a query language's queries, with their margins (Q,)."""


class ShardSearch:
    """A search for exact ranks of relevant passages and top k, from shards on disk.

    Args:
        shards: passage language -> its shards, in order.
        queries: query language -> (Q, d) float32, or texts of several parts
            (:mod:`harness.search.parts`), as the shards' passages are.
        judged: query language -> question -> {global passage id: grade}; in the order of the
            vectors. Relevant passages in a language that the query does not search are left out,
            and so are those that are not among the passages.
        searches: query language -> the passage languages searched with its queries; together they
            are its pool. Default: every language.
        top: k in that pool.
        block_tops: query language -> passage language -> k within that language alone, at most
            ``top``.
        memory: bytes that the process may use; queries that do not fit go into further passes.
        device: a torch device.
        threads: pieces of a corpus processed at once, on a CPU.
        scored: also compute the scores of the top k, for exports.
    """

    def __init__(
        self,
        shards: Mapping[str, Sequence[Shard]],
        queries: Mapping[str, Encoded],
        judged: Mapping[str, Judged],
        searches: Mapping[str, Collection[str]] | None = None,
        *,
        top: int = TOP,
        block_tops: Mapping[str, Mapping[str, int]] | None = None,
        memory: int | None = None,
        device: str = "cpu",
        threads: int = 1,
        scored: bool = False,
    ) -> None:
        import torch  # noqa: F401

        # The memory of libraries counts towards the budget.
        from harness.search import cpu_worker  # noqa: F401

        self._searches = searches or {x: tuple(shards) for x in judged}
        self._queries = AllQueries.of(queries, judged, self._searches)
        # Languages in the order of ties: of equal scores the first language's rank higher.
        self.languages = tuple(sorted(shards, key=lambda x: f"{x}:".encode(), reverse=True))
        self._rows = [PassageRows(shards[x]) for x in self.languages]
        self._corpus = Corpus(self._rows)
        self._scored = scored
        self._decisions = Decisions()
        self._top, self._block_tops = top, block_tops or {}
        check_lengths(self._queries.vectors)
        self._longest = 0.0
        """Upper bound on the lengths of the passages' vectors read so far."""
        self._device = device
        # On another device one thread reads while another's scores are computed.
        self._threads = threads if device == "cpu" else 2
        self._memory = memory

    @property
    def passages(self) -> int:
        """Number of passages to read, those of a corpus once per pass over it."""
        read = 0
        for x, rows in zip(self.languages, self._rows, strict=True):
            read += len(rows) * sum(1 for _ in self._passes(x))
        return read

    def _passes(self, language: str) -> Iterator[NDArray[np.int64]]:
        """The queries to search for in a language's passages, as many at once as fit."""
        spans = [
            self._queries.span(x) for x in self._queries.languages if language in self._searches[x]
        ]
        query = np.concatenate(
            [np.zeros(0, np.int64), *(np.arange(s.start, s.stop) for s in spans)]
        )
        most = self._at_once
        for start in range(0, len(query), most):
            yield query[start : start + most].astype(np.int64)

    @cached_property
    def _at_once(self) -> int:
        """Queries that fit into the memory budget."""
        vectors: Any = self._queries.vectors
        queries = len(vectors)
        if self._memory is None or not queries:
            return max(1, queries)
        k = min(self._top, max(map(len, self._rows)))
        sizes = {}
        if isinstance(vectors, Composite):
            sizes = {"tile": vectors.tile_bytes(), "query": vectors.largest_bytes()}
        fixed = scan_bytes(0, vectors.shape[1], k, self._threads, **sizes)
        each = scan_bytes(1, vectors.shape[1], k, self._threads, **sizes) - fixed
        # The top k of all queries are kept until the end.
        kept = queries * k * 14
        free = self._memory - WORKING_BYTES - resident_memory() - fixed - kept
        if free < each:
            need = self._memory + each - free
            raise UsageError(
                f"--memory {self._memory // 2**20}M is too small to search "
                f"{sum(map(len, self._rows)):,} passages with {queries:,} queries; at least "
                f"{-(-need // 2**20)}M are needed"
            )
        return int(free) // int(each)

    def run(self, progress: Callable[[int], None] | None = None) -> Streamed:
        """Search; ``progress`` gets the number of :attr:`passages` of each finished step.

        Raises:
            UsageError: the memory budget is too small for a single query.
        """
        relevant_language, relevant_row = self._locate()
        queries = self._queries
        number = self._corpus.starts[relevant_language] + relevant_row
        query_of = np.repeat(np.arange(len(queries.vectors)), np.diff(queries.indptr))
        relevant_scores, longest, relevant_coded = self._score(query_of, number)
        local = [p.partition(":")[2].encode() for p in queries.passages]
        n_above = np.zeros((len(relevant_row), len(self.languages)), np.int64)
        top_k: dict[str, TopPassages] = {}
        blocks: dict[str, dict[str, TopPassages]] = {x: {} for x in queries.languages}
        for i, language in enumerate(self.languages):
            ties_win = np.where(relevant_language == i, -1, relevant_language > i)
            found: list[tuple[NDArray[np.int64], Scanned]] = []
            for query in self._passes(language):
                indptr, relevant = queries.relevant_of(query)
                pass_queries = PassQueries(
                    queries.vectors[query],
                    indptr,
                    relevant_scores[relevant],
                    number[relevant],
                    longest,
                    ties_win[relevant].astype(np.int64),
                    [local[g] for g in relevant.tolist()],
                    relevant_coded,
                )
                scanned = scan(
                    self._corpus,
                    i,
                    pass_queries,
                    self._top,
                    self._decisions,
                    device=self._device,
                    threads=self._threads,
                    progress=progress,
                )
                n_above[relevant, i] = scanned.ranked_above
                self._longest = max(self._longest, scanned.longest)
                found.append((query, scanned))
            self._keep(language, i, found, top_k, blocks)
        return self._laid_out(relevant_language, relevant_row, n_above, top_k, blocks)

    def _score(
        self, query: NDArray[np.int64], number: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], float, bool]:
        """(n,) float64 scores of relevant passages, the bound on their lengths; if all are codes.

        A tile of codes says nothing of the relevant passages, which may be in another.
        """
        scores, longest, all_coded = np.empty(len(query)), 0.0, True
        for rows, places, first in self._corpus.split(number):
            different, where = np.unique(number[places] - first, return_inverse=True)
            vectors = rows.vectors(different)
            longest = max(longest, check_lengths(vectors))
            all_coded = all_coded and isinstance(vectors, np.ndarray) and coded(vectors)
            scores[places] = inner(
                self._queries.vectors, vectors, query[places], where, compiled=True
            )
        return scores, longest, all_coded

    def _locate(self) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Language number and row of each relevant passage; those not there are left out."""
        queries = self._queries
        place = {x: i for i, x in enumerate(self.languages)}
        language = np.array([place[language_of(p)] for p in queries.passages], np.int16)
        row = np.full(len(language), -1)
        for number, rows in enumerate(self._rows):
            here = np.flatnonzero(language == number)
            local = [queries.passages[g].partition(":")[2].encode() for g in here.tolist()]
            found = rows.find(set(local))
            for g, name in zip(here.tolist(), local, strict=True):
                row[g] = found.get(name, -1)
        there = row >= 0
        self._queries = queries.only(there)
        return language[there], row[there]

    def _keep(
        self,
        language: str,
        number: int,
        found: Sequence[tuple[NDArray[np.int64], Scanned]],
        top_k: dict[str, TopPassages],
        blocks: dict[str, dict[str, TopPassages]],
    ) -> None:
        """Merge the results of a language's passes into each query language's top k."""
        if not found:
            return
        query = np.concatenate([q for q, _ in found])
        row = np.concatenate([s.rows for _, s in found])
        score = np.concatenate([s.scores for _, s in found])
        for x in self._queries.languages:
            if language not in self._searches[x]:
                continue
            span = self._queries.span(x)
            first = int(np.searchsorted(query, span.start))
            own = slice(first, first + span.stop - span.start)
            top = TopPassages(np.full(row[own].shape, number, np.int16), row[own], score[own])
            depth = self._block_tops.get(x, {}).get(language, 0)
            if depth:
                cut = slice(0, depth)
                blocks[x][language] = TopPassages(
                    top.language[:, cut], top.row[:, cut], top.score[:, cut]
                )
            if x in top_k:
                numbers = np.arange(span.start, span.stop)
                top = top_k[x].merged(
                    top, self._top, numbers, self._corpus.starts, self._decider, self._margin
                )
            top_k[x] = top

    @property
    def _decider(self) -> ShardDecider:
        vectors = self._queries.vectors
        return ShardDecider(vectors, self._corpus, self._longest, self._decisions, self._threads)

    @property
    def _margin(self) -> NDArray[np.float32]:
        margin: NDArray[np.float32] = 2 * product_error(self._queries.vectors, self._longest)
        return margin

    def _scores_of(
        self, top: TopPassages, first: int, columns: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Scores of the top k of queries from ``first`` on, for exports."""
        if not self._scored:
            return top.score
        query = first + np.repeat(np.arange(len(top.row)), top.row.shape[1])
        number = (self._corpus.starts[top.language] + top.row).reshape(-1)
        scores = self._decider.scores(query, number).reshape(top.row.shape)
        return in_order(scores, columns.astype(np.int32))

    def _laid_out(
        self,
        relevant_language: NDArray[np.int16],
        relevant_row: NDArray[np.int64],
        n_above: NDArray[np.int64],
        top_k: Mapping[str, TopPassages],
        blocks: Mapping[str, Mapping[str, TopPassages]],
    ) -> Streamed:
        """Everything as columns of a pool that lists relevant passages and top k."""
        queries = self._queries
        every = [*top_k.values(), *(h for own in blocks.values() for h in own.values())]
        known: list[NDArray[np.int64]] = []
        ids: dict[str, list[str]] = {}
        for number, (language, rows) in enumerate(zip(self.languages, self._rows, strict=True)):
            seen = [relevant_row[relevant_language == number]]
            seen += [top.row[top.language == number] for top in every]
            known.append(distinct(np.concatenate(seen)))
            ids[language] = [x.decode() for x in rows.ids(known[-1])]
        pool = Pool.of_ids(ids)
        # pool.rows: the position of each column in the concatenation of ``ids``.
        column_of = np.empty(len(pool.rows), np.int64)
        column_of[pool.rows] = np.arange(len(pool.rows))
        offset = np.concatenate([[0], np.cumsum([len(k) for k in known])])

        def columns(language: NDArray[np.int16], row: NDArray[np.int64]) -> NDArray[np.int64]:
            out = np.zeros(row.shape, np.int64)
            for number, rows in enumerate(known):
                here = language == number
                out[here] = column_of[offset[number] + np.searchsorted(rows, row[here])]
            return out

        pool = replace(
            pool,
            languages=self.languages,
            starts=offset.astype(np.int64),
            searched=np.array([len(rows) for rows in self._rows], np.int64),
        )
        relevant_columns = columns(relevant_language, relevant_row)
        found = {}
        for x in queries.languages:
            span = queries.span(x)
            a, b = int(queries.indptr[span.start]), int(queries.indptr[span.stop])
            relevant = RelevantPassages(
                queries.questions[span],
                queries.indptr[span.start : span.stop + 1] - a,
                relevant_columns[a:b],
                queries.grades[a:b],
            )
            top = top_k.get(x)
            if top is None:
                nothing = np.zeros((span.stop - span.start, 0), np.int64)
                top = TopPassages(nothing.astype(np.int16), nothing, nothing.astype(np.float32))
            own = n_above[np.arange(a, b), relevant_language[a:b]] + 1
            best = columns(top.language, top.row)
            found[x] = SearchResult(
                language=x,
                relevant=relevant,
                relevant_language=relevant_language[a:b],
                ranked_above=n_above[a:b].astype(np.int32),
                block_rank=own.astype(np.int32),
                top_k=best.astype(np.int32),
                top_k_scores=self._scores_of(top, span.start, best),
                block_top_k={
                    y: (c.astype(np.int32), self._scores_of(h, span.start, c))
                    for y, h in blocks[x].items()
                    for c in [columns(h.language, h.row)]
                },
            )
        row_of = np.concatenate(known)[pool.rows]
        number_of = self._corpus.starts[pool.language_of] + row_of

        def vectors(columns: NDArray[np.int64]) -> Encoded:
            return self._corpus.vectors(number_of[columns])

        def decider(language: str) -> tuple[Decider, NDArray[np.float32]]:
            of_language = queries.vectors[queries.span(language)]
            of_columns = ColumnDecider(
                of_language, self._corpus, self._longest, self._decisions, number_of
            )
            return of_columns, 2 * product_error(of_language, self._longest)

        return Streamed(pool, found, vectors, self._decisions, decider)
