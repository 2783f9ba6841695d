"""The search stage of ``--ann``: what an approximate index finds, beside the exact ranks.

Every pool (each language's passages, and the pool of all languages) has an index of its own, which
finds :data:`DEPTH` passages for each query. A relevant passage that is not among them counts as
never found, so that only measures are kept for which this makes sense. The record says what share
of the exact top k was found, by language, and how long it took.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress
from harness.data.pool import OWN, RelevantPassages
from harness.data.task import KINDS, Role
from harness.errors import UsageError
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.search_stage import Searched, search_dense, without_agreement
from harness.metrics.ranks import NEVER
from harness.search.approximate import (
    IndexKind,
    import_faiss,
    in_total_order,
    one_thread,
)
from harness.search.results import SearchResult

DEPTH = 100
"""Passages that are searched for."""

CUTOFFS = (10, 100)
"""Depths k at which the share of the exact top k is measured."""

Found = tuple[NDArray[np.float32], NDArray[np.int64]]


def search_approximate(
    task: Prepared,
    vectors: Mapping[tuple[Role, str], NDArray[np.float32]],
    kind: IndexKind,
    options: RunOptions,
    progress: Progress,
) -> Searched:
    """Search with vectors by (role, language) in approximate indexes.

    Raises:
        ModelError: faiss is not installed.
        UsageError: it cannot build the index, the index finds too little, or no measure is left.
    """
    task = only_found(task, kind)
    pool, sides = task.pool, task.data.passages
    own = {x: _own_passages(r) for x, r in task.relevant.items()}
    passages = np.concatenate([vectors["passage", x] for x in sides])[pool.rows]
    seconds = dict.fromkeys(("build", "search", "exact_search"), 0.0)
    with one_thread():
        begun = time.perf_counter()
        # Deep in every ranking, as for rescoring.
        deep = replace(options, top_k=DEPTH, rescore=DEPTH)
        exact = search_dense(task, vectors, deep, progress)
        seconds["exact_search"] = time.perf_counter() - begun
        needed: dict[str | None, list[str]] = {None: list(task.relevant)}
        for s in task.settings:
            if s.passage_language is not None:
                needed.setdefault(s.passage_language, []).append(s.query_language)
        found: dict[str, dict[str | None, Found]] = {x: {} for x in task.relevant}
        progress.start(f"approximate {task.spec.name}", sum(map(len, needed.values())), "searches")
        for block, languages in needed.items():
            first, last = (0, len(pool)) if block is None else pool.block(block)
            begun = time.perf_counter()
            index = kind.build(np.ascontiguousarray(passages[first:last]))
            seconds["build"] += time.perf_counter() - begun
            for x in languages:
                begun = time.perf_counter()
                queries = np.ascontiguousarray(vectors["query", x])
                depth = min(DEPTH + own[x].shape[1], last - first)
                scores, columns = index.search(queries, depth)
                seconds["search"] += time.perf_counter() - begun
                columns = np.where(columns < 0, -1, columns + first)
                found[x][block] = _without(own[x], *in_total_order(scores, columns))
                progress.advance(1)
        progress.finish()
    multi = any(s.kind == "multi" for s in task.settings)
    facts = {
        "index": kind.name,
        "library": f"faiss {import_faiss().__version__}",
        "depth": DEPTH,
        "threads": 1,
        "recall": _recall(exact.found, found, multi=multi),
        "seconds": seconds,
    }
    results = {x: _result(exact.found[x], found[x], kind, task) for x in task.relevant}
    return Searched(task, results, None, exact.decisions, {"approximate": facts})


def _own_passages(relevant: RelevantPassages) -> NDArray[np.int64]:
    """(Q, n) columns of each query's own passages, which its rankings leave out; else -2."""
    own = relevant.grades == OWN
    query = np.repeat(np.arange(len(relevant.questions)), np.diff(relevant.indptr))[own]
    each = np.bincount(query, minlength=len(relevant.questions))
    out = np.full((len(each), int(each.max(initial=0))), -2, np.int64)
    out[np.arange(out.shape[1]) < each[:, None]] = relevant.columns[own]
    return out


def _without(
    own: NDArray[np.int64], scores: NDArray[np.float32], columns: NDArray[np.int64]
) -> Found:
    """A ranking without ``own`` (Q, n), as :func:`.without_own` leaves an exact one."""
    gone = (columns[:, :, None] == own[:, None]).any(2)
    order = np.argsort(gone, axis=1, kind="stable")[:, : max(0, columns.shape[1] - own.shape[1])]
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(columns, order, axis=1)


def only_found(task: Prepared, kind: IndexKind) -> Prepared:
    """``task`` with the measures for which a passage that is not found is a rank of its own.

    Raises:
        UsageError: none is left to show.
    """
    plain = without_agreement(task)
    measures, shown = (
        tuple(m for m in of if m.family.counts_absent) for of in (plain.measures, plain.shown)
    )
    if not shown:
        raise UsageError(
            f"--ann {kind.name} finds {DEPTH} passages for each query, and "
            f"{', '.join(m.name for m in plain.shown)} need ranks of all; measure recall@10, "
            "ndcg@10, mrr@10 or map"
        )
    return replace(plain, measures=measures, shown=shown)


def _recall(
    exact: Mapping[str, SearchResult],
    found: Mapping[str, Mapping[str | None, Found]],
    *,
    multi: bool,
) -> dict[str, dict[str, dict[str, float]]]:
    """Kind of setting -> query language -> k -> mean share of the exact top k that was found."""
    shares: dict[str, dict[str, dict[int, list[float]]]] = {}
    for x, by_block in found.items():
        for block, (_, columns) in by_block.items():
            if block is None and not multi:
                continue
            kind = "multi" if block is None else "mono" if block == x else "cross"
            truth = exact[x].top_k if block is None else exact[x].block_top_k[block][0]
            for k in CUTOFFS:
                n = min(k, truth.shape[1])
                same = (truth[:, :n, None] == columns[:, None, :n]).any(2).mean()
                shares.setdefault(kind, {}).setdefault(x, {}).setdefault(k, []).append(float(same))
    return {
        kind: {
            x: {str(k): float(np.mean(values)) for k, values in by_k.items()}
            for x, by_k in shares[kind].items()
        }
        for kind in KINDS
        if kind in shares
    }


def _result(
    exact: SearchResult, found: Mapping[str | None, Found], kind: IndexKind, task: Prepared
) -> SearchResult:
    """Ranks of the relevant passages among what was found; the rest was never found."""
    scores, columns = found[None]
    least = int((columns >= 0).sum(axis=1).min(initial=columns.shape[1]))
    if least < min(10, columns.shape[1]):
        raise UsageError(
            f"--ann {kind.name} finds only {least} passages for a query; let it look at more, as "
            "with @nprobe=16 or @efSearch=128"
        )
    relevant, pool = exact.relevant, task.pool
    # Of all languages together, as SearchResult.summed leaves them.
    above = np.full((len(relevant.columns), 1), NEVER - 1, np.int32)
    block_rank = np.full_like(exact.block_rank, NEVER)
    owner = np.repeat(np.arange(len(relevant.questions)), np.diff(relevant.indptr))
    pairs = zip(owner.tolist(), relevant.columns.tolist(), strict=True)
    for i, (query, column) in enumerate(pairs):
        place = np.flatnonzero(columns[query] == column)
        if len(place):
            above[i] = place[0]
        own = found.get(pool.languages[exact.relevant_language[i]])
        if own is not None:
            place = np.flatnonzero(own[1][query] == column)
            if len(place):
                block_rank[i] = 1 + place[0]
    return replace(
        exact,
        ranked_above=above,
        block_rank=block_rank,
        top_k=columns[:, :least].astype(np.int32),
        top_k_scores=scores[:, :least],
        block_top_k={},
    )
