"""The search stage of a run: exact ranks of every query language, from vectors or from an index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress
from harness.data.pool import Pool, with_own
from harness.data.task import Role
from harness.evaluation.agreement import DEPTH as AGREEMENT_DEPTH
from harness.evaluation.agreement import (
    ScoresAt,
    dense_scores_at,
    lexical_scores_at,
    question_agreement,
)
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.scores import LANGUAGES_DEPTH
from harness.models.base import LexicalModel
from harness.search.balanced import balanced, rounds_for, rounds_in
from harness.search.corpus_rows import Shard
from harness.search.exact import Decider, Decisions, Encoded
from harness.search.in_memory import (
    DenseScores,
    check_memory,
    index_pool,
    index_scores,
    rank_with_own_indexes,
)
from harness.search.one_language import compile_loops
from harness.search.own_passages import without_own
from harness.search.results import SearchResult
from harness.search.streamed import ShardSearch
from harness.search.tiles import ROWS, rank_each, worth_compiling

Keep = Callable[[Prepared, SearchResult], SearchResult]
"""Gets a task as searched and each query language's result; returns what to keep of it."""


def keep_all(task: Prepared, found: SearchResult) -> SearchResult:
    """Keep a result unchanged."""
    return found


@dataclass(frozen=True)
class Searched:
    """The input of the measures."""

    task: Prepared
    """The task as searched: for a corpus, the pool has only relevant and top passages."""
    found: Mapping[str, SearchResult]
    """By query language."""
    agreement: Mapping[str, NDArray[np.float64]] | None
    """Query language -> (Q,) mean rank correlation; ``None`` if no measure needs it."""
    decisions: Decisions | None = None
    """Comparisons decided by more than float32 products; ``None`` for systems without vectors."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further fields of the task in the record: of approximate search, and of tuned fusion."""


def export_depth(options: RunOptions, pool: Pool) -> int:
    """The depth of exported rankings; 0 if nothing is exported."""
    return (options.trec_depth or len(pool)) if options.trec else 0


def kept_depth(prepared: Prepared, options: RunOptions) -> int:
    """Depth k within single settings that is needed after an export: for rerankers and measures."""
    cutoffs = [m.cutoff or 1 for m in prepared.measures if "top_k_judged" in m.needs]
    again = [options.rerank_top if options.rerank else 0, options.rescore or 0]
    return max([*again, *cutoffs])


def depths(
    prepared: Prepared, options: RunOptions, depth: int
) -> tuple[int, dict[str, dict[str, int]]]:
    """How deep to rank the whole pool, and each language; ``depth`` is needed in both.

    Deeper where a query's own passages, one of each language at most, will be taken out.
    """
    ignored = prepared.spec.source.ignore_identical_ids
    more = len(prepared.data.passage_counts) if ignored else 0
    top = max(looked_at(prepared, options), depth) + more
    tops = _block_tops(prepared, depth + more if depth else 0)
    if options.rerank or options.rescore:
        for x in own_languages(prepared):
            tops.setdefault(x, {}).setdefault(x, depth + more)
    return top, tops


def own_languages(prepared: Prepared) -> list[str]:
    """Query languages whose multi setting is compared with their own language's ranking.

    That one is needed, too, even if its setting is not run: a system that ranks every pool by
    itself would have no ranks in it.
    """
    if not any("own_ranks" in m.needs for m in prepared.measures):
        return []
    sides = prepared.data.passage_counts
    return [
        s.query_language
        for s in prepared.settings
        if s.kind == "multi" and s.query_language in sides
    ]


def looked_at(prepared: Prepared, options: RunOptions) -> int:
    """Number of top passages per query needed after the search."""
    if options.top_k is not None:
        return options.top_k
    of_top_k = {"top_k_languages", "top_k_judged"}
    cutoffs = [m.cutoff or 1 for m in prepared.measures if of_top_k & {*m.needs}]
    return max([LANGUAGES_DEPTH, AGREEMENT_DEPTH, *cutoffs])


def _block_tops(prepared: Prepared, depth: int) -> dict[str, dict[str, int]]:
    """Query language -> passage language -> depth of the top k within that language."""
    tops: dict[str, dict[str, int]] = {}
    for s in prepared.settings:
        if s.kind in ("mono", "cross") and s.passage_language is not None and depth:
            tops.setdefault(s.query_language, {})[s.passage_language] = depth
    return tops


def agreement_in(
    prepared: Prepared,
    found: Mapping[str, SearchResult],
    scores_at: ScoresAt,
    *,
    compiled: bool = False,
) -> dict[str, NDArray[np.float64]] | None:
    """Mean rank correlation by query language; ``None`` if no measure needs it.

    ``compiled``: by compiled loops.
    """
    if not any("rank_correlation" in m.needs for m in prepared.measures):
        return None
    threads = _threads("cpu") if compiled else 1
    return question_agreement(found, scores_at, compiled=compiled, threads=threads)


def _compile(progress: Progress, compile_loops: Callable[[], None]) -> None:
    """Show a progress line while the inner loops are compiled, which takes a first run seconds."""
    progress.start("inner loops (compiled by the first run)", 0, "")
    compile_loops()
    progress.finish()


def _threads(device: str) -> int:
    """Number of tiles processed in parallel: torch's threads on the CPU, one on other devices."""
    import torch

    return torch.get_num_threads() if device == "cpu" else 1


def needs_counts(prepared: Prepared, options: RunOptions) -> bool:
    """Whether anything after the search looks at counts by language of what is ranked above."""
    return bool(options.rerank) or any(s.kind == "pairs" for s in prepared.settings)


def cut(found: SearchResult, depth: int, block_top_k: int) -> SearchResult:
    """``found`` with the top k truncated to these depths, to save memory."""
    blocks = {
        x: (h[:, :block_top_k], s[:, :block_top_k]) for x, (h, s) in found.block_top_k.items()
    }
    return replace(
        found,
        top_k=found.top_k[:, :depth],
        top_k_scores=found.top_k_scores[:, :depth],
        block_top_k=blocks if block_top_k else {},
    )


def without_agreement(prepared: Prepared) -> Prepared:
    """``prepared`` without the measures that need scores of whole rankings."""
    measures, shown = (
        tuple(m for m in of if "rank_correlation" not in m.needs)
        for of in (prepared.measures, prepared.shown)
    )
    return replace(prepared, measures=measures, shown=shown)


def search_dense(
    prepared: Prepared,
    vectors: Mapping[tuple[Role, str], NDArray[np.float32]],
    options: RunOptions,
    progress: Progress,
    keep: Keep = keep_all,
    *,
    rows: int = ROWS,
    balance: bool = False,
) -> Searched:
    """Search with vectors by (role, language), compared by inner product.

    ``rows`` is the most queries of one block of scores; results do not depend on it. With
    ``balance`` rankings of several languages are balanced (:mod:`harness.search.balanced`); then no
    scores remain to correlate across query languages.

    Raises:
        ModelError: vectors are too long for float32.
        UsageError: the memory budget is too small for the pool.
    """
    pool = prepared.pool
    width = next(iter(vectors.values())).shape[1]
    # The pool in column order, and for the agreement of languages the queries side by side.
    more = (len(pool) + sum(len(g.questions) for g in prepared.relevant.values())) * width * 4
    # Codes are searched as 8-bit integers, at most.
    more += len(pool) * width if options.bits != "float32" else 0
    check_memory(len(pool), more, options.budget)
    passages = np.empty((len(pool), width), np.float32)
    column_of = np.empty(len(pool), np.int64)
    column_of[pool.rows] = np.arange(len(pool))
    at = 0
    for x, texts in prepared.data.passages.items():
        passages[column_of[at : at + len(texts)]] = vectors["passage", x]
        at += len(texts)
    depth = max(export_depth(options, pool), kept_depth(prepared, options))
    top, tops = depths(prepared, options, depth)
    dense = DenseScores(passages, options.model.device or "cpu", rows=rows)
    scores = {x: dense.of(vectors["query", x]) for x in prepared.relevant}
    compiled = dense.device == "cpu" and any(
        worth_compiling(g, pool) for g in prepared.relevant.values()
    )

    by_language = needs_counts(prepared, options)

    def finished(found: SearchResult) -> SearchResult:
        if balance:
            own = scores[found.language]
            found = _balanced(found, pool, own.decider(compiled), own.margin, top, tops)
        kept = keep(prepared, without_own(found))
        return kept if by_language else kept.summed()

    queries = sum(len(g.questions) for g in prepared.relevant.values())
    if compiled:
        from harness.search import cpu_loops

        _compile(progress, cpu_loops.compile_loops)
    rounds = max(depth, rounds_for(pool, top)) if balance else 0
    progress.start(f"search {prepared.spec.name}", queries, "queries")
    found = rank_each(
        prepared.relevant,
        lambda x: scores[x],
        pool,
        top=top,
        block_tops={x: dict.fromkeys(pool.languages, rounds) for x in scores} if balance else tops,
        rows=rows,
        threads=_threads(dense.device),
        scored=depth > 0,
        progress=progress.advance,
        after=finished,
    )
    progress.finish()
    if balance:
        return Searched(prepared, found, None, dense.decisions)
    query_vectors = {x: vectors["query", x] for x in prepared.relevant}
    threads = _threads("cpu")
    scores_at = dense_scores_at(
        query_vectors, passages, dense.decisions, compiled=compiled, threads=threads
    )
    agreement = agreement_in(prepared, found, scores_at, compiled=compiled)
    return Searched(prepared, found, agreement, dense.decisions)


def search_shards(
    prepared: Prepared,
    vectors: Mapping[tuple[Role, str], Encoded],
    shards: Mapping[str, Sequence[Shard]],
    options: RunOptions,
    progress: Progress,
    keep: Keep = keep_all,
    *,
    balance: bool = False,
) -> Searched:
    """Search corpora as they are stored in shards, with query vectors by (role, language).

    With ``balance`` as :func:`search_dense`.

    Raises:
        UsageError: the memory budget is too small.
    """
    device = options.model.device or "cpu"
    whole = sum(len(s) for held in shards.values() for s in held)
    exported = (options.trec_depth or whole) if options.trec else 0
    depth = max(exported, kept_depth(prepared, options))
    searches: dict[str, set[str]] = {x: set() for x in prepared.relevant}
    for s in prepared.settings:
        searches[s.query_language] |= (
            {s.passage_language}
            if s.kind in ("mono", "cross") and s.passage_language is not None
            else set(shards)
        )
    top, tops = depths(prepared, options, depth)
    pooled = {s.query_language for s in prepared.settings if s.kind in ("multi", "pairs")}
    sizes = np.array([sum(map(len, held)) for held in shards.values()])
    if balance:
        rounds = dict.fromkeys(shards, max(depth, rounds_in(sizes, top)))
        searched_tops = tops | dict.fromkeys(pooled, rounds)
    search = ShardSearch(
        shards,
        {x: vectors["query", x] for x in prepared.relevant},
        {
            x: {q: with_own(prepared.data, x, q, shards) for q in relevant.questions}
            for x, relevant in prepared.relevant.items()
        },
        searches,
        top=top,
        block_tops=searched_tops if balance else tops,
        memory=options.budget,
        device=device,
        threads=_threads(device),
        scored=depth > 0,
    )
    _compile(progress, compile_loops)
    progress.start(f"search {prepared.spec.name}", search.passages, "passages")
    streamed = search.run(progress.advance)
    progress.finish()
    relevant = {x: f.relevant for x, f in streamed.found.items()}
    laid_out = replace(prepared, pool=streamed.pool, relevant=relevant)
    if balance:
        found = {
            x: _balanced(f, streamed.pool, *streamed.decider(x), top, tops) if x in pooled else f
            for x, f in streamed.found.items()
        }
        kept = {x: keep(laid_out, without_own(f)) for x, f in found.items()}
        return Searched(laid_out, kept, None, streamed.decisions)
    query_vectors = {x: vectors["query", x] for x in prepared.relevant}
    scores_at = dense_scores_at(query_vectors, streamed.vectors, streamed.decisions, compiled=True)
    agreement = agreement_in(prepared, streamed.found, scores_at, compiled=True)
    found = {x: keep(laid_out, without_own(f)) for x, f in streamed.found.items()}
    return Searched(laid_out, found, agreement, streamed.decisions)


def _balanced(
    found: SearchResult,
    pool: Pool,
    decider: Decider,
    margin: NDArray[np.float32],
    top: int,
    tops: Mapping[str, Mapping[str, int]],
) -> SearchResult:
    """``found`` balanced; of single languages it keeps only as deep a top k as ``tops`` says."""
    plain = balanced(found, pool, decider, margin, top)
    kept = {
        y: (plain.block_top_k[y][0][:, :k], plain.block_top_k[y][1][:, :k])
        for y, k in tops.get(found.language, {}).items()
    }
    return replace(plain, block_top_k=kept)


def search_lexical(
    model: LexicalModel,
    prepared: Prepared,
    options: RunOptions,
    progress: Progress,
    keep: Keep = keep_all,
) -> Searched:
    """Search with a system that scores with an index: one per pool, or one for all if equivalent.

    Raises:
        UsageError: the memory budget is too small for the pool.
    """
    pool, data = prepared.pool, prepared.data
    check_memory(len(pool), 0, options.budget)
    in_file_order = [t for x in data.passages.values() for t in x.texts]
    passages = [in_file_order[i] for i in pool.rows]
    texts = {
        x: (prepared.encoded_in("query", x), prepared.query_texts(x)) for x in prepared.relevant
    }
    depth = max(export_depth(options, pool), kept_depth(prepared, options))
    queries = sum(len(g.questions) for g in prepared.relevant.values())
    apart = getattr(model, "pool_matters", True)
    passes = 1 + len(pool.languages) if apart else 1
    progress.start(f"search {prepared.spec.name}", queries * passes, "queries")
    whole = index_pool(model, passages, pool)
    top, tops = depths(prepared, options, depth)
    if apart:
        found = rank_with_own_indexes(
            model,
            whole,
            passages,
            texts,
            prepared.relevant,
            pool,
            top=top,
            block_tops=tops,
            threads=_threads("cpu"),
            progress=progress.advance,
        )
    else:
        found = rank_each(
            prepared.relevant,
            lambda x: index_scores(whole, texts[x][1], texts[x][0], len(pool)),
            pool,
            top=top,
            block_tops=tops,
            threads=_threads("cpu"),
            progress=progress.advance,
        )
    progress.finish()
    found = {x: keep(prepared, without_own(f)) for x, f in found.items()}
    agreement = agreement_in(prepared, found, lexical_scores_at(whole, texts, len(pool)))
    return Searched(prepared, found, agreement)
