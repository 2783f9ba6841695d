"""The search stage of fused systems: ``--model fuse:A+B``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress
from harness.data.task import Role
from harness.errors import UsageError
from harness.evaluation.fusion_tuning import check_tuning, tuned_weights
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.search_stage import (
    Keep,
    Searched,
    agreement_in,
    depths,
    export_depth,
    kept_depth,
    own_languages,
)
from harness.models.base import LexicalModel
from harness.models.fused import Fusion
from harness.search.corpus_rows import stacked
from harness.search.exact import Decisions, Encoded
from harness.search.fused import FusedSearch, ScoreSystem, System, VectorSystem
from harness.search.fusion import check_reciprocal
from harness.search.in_memory import Scores, check_memory, index_pool, index_scores
from harness.search.parts import PartTexts

TaskVectors = Mapping[tuple[Role, str], Encoded]


def check_fused(task: Prepared, fusion: Fusion, options: RunOptions) -> None:
    """Refuse, before anything is encoded, a task or options that fused systems cannot search.

    Raises:
        UsageError: passages are streamed, or a setting or the task needs the ranks of a single
            system.
    """
    if task.data.corpora or options.streamed:
        raise UsageError(
            f"--model fuse: fuses whole rankings in memory, and the passages of {task.spec.name} "
            "are streamed: take a small task, or fuse runs with harness fuse"
        )
    if any(s.kind == "pairs" for s in task.settings):
        raise UsageError(
            "--settings pairs takes ranks in the pool of two languages from the pool of all, and "
            "fused scores depend on the pool; leave pairs out"
        )
    if task.spec.source.ignore_identical_ids:
        raise UsageError(
            f"task {task.spec.name} takes each query's own passage out of its ranking, which "
            "would have changed the scores of the others before they are fused: --model fuse: "
            "cannot score it"
        )
    if fusion.tuned:
        check_tuning(task)


def search_fused(
    task: Prepared,
    fusion: Fusion,
    systems: Sequence[TaskVectors | LexicalModel],
    options: RunOptions,
    progress: Progress,
    keep: Keep,
) -> Searched:
    """Search with several systems as one; each is vectors by (role, language), or an index.

    Raises:
        ModelError: vectors are too long for float32.
        UsageError: the memory budget or the certain range of the method is too small for the pool.
    """
    pool, decisions = task.pool, Decisions()
    if fusion.method == "rrf":
        check_reciprocal(len(systems), len(pool), fusion.k)
    widths = [
        next(iter(x.values())).shape[1]
        for x in systems
        if isinstance(x, Mapping) and not isinstance(next(iter(x.values())), PartTexts)
    ]
    check_memory(len(pool), sum(widths) * len(pool) * 12 + _TILES, options.budget)
    blocks: dict[str, list[str]] = {x: [] for x in task.relevant}
    for s in task.settings:
        if s.passage_language is not None:
            blocks[s.query_language].append(s.passage_language)
    for x in own_languages(task):
        if x not in blocks[x]:
            blocks[x].append(x)
    search = FusedSearch(
        [_system(x, task, blocks, decisions) for x in systems], fusion, pool, task.relevant, blocks
    )
    queries = {x: len(r.questions) for x, r in task.relevant.items()}
    facts: dict[str, Any] = {}
    if fusion.tuned:
        progress.start(f"tune {task.spec.name}", sum(queries.values()), "queries")
        weights, facts["fusion"] = tuned_weights(search, task, progress.advance)
        progress.finish()
    else:
        given = fusion.weights_of(len(systems))
        weights = {x: np.tile(np.array(given), (n, 1)) for x, n in queries.items()}
    top, tops = depths(task, options, max(export_depth(options, pool), kept_depth(task, options)))
    progress.start(f"search {task.spec.name}", sum(queries.values()), "queries")
    found = {
        x: keep(
            task,
            search.rank(
                x, weights[x], top=top, block_tops=tops.get(x, {}), progress=progress.advance
            ),
        )
        for x in task.relevant
    }
    progress.finish()
    agreement = agreement_in(task, found, _scores_at(search, weights))
    return Searched(task, found, agreement, decisions if widths else None, facts)


_TILES = 512 << 20
"""Bytes of the tiles of two systems and of what is computed from them."""


def _system(
    system: TaskVectors | LexicalModel,
    task: Prepared,
    blocks: Mapping[str, Sequence[str]],
    decisions: Decisions,
) -> System:
    pool, sides = task.pool, task.data.passages
    if isinstance(system, Mapping):
        passages = stacked([system["passage", x] for x in sides])[pool.rows]
        queries = {x: system["query", x] for x in task.relevant}
        if isinstance(passages, PartTexts):
            return ScoreSystem({x: _products(q, passages) for x, q in queries.items()}, None, pool)
        return VectorSystem(passages, queries, pool, decisions)
    in_file_order = [t for x in sides.values() for t in x.texts]
    texts = [in_file_order[i] for i in pool.rows]
    whole = index_pool(system, texts, pool)

    def over(index: Any, passages: int) -> dict[str, Scores]:
        return {
            x: index_scores(index, task.query_texts(x), task.encoded_in("query", x), passages)
            for x in task.relevant
        }

    if not getattr(system, "pool_matters", True):
        return ScoreSystem(over(whole, len(pool)), None, pool)
    alone: dict[str, dict[str, Scores]] = {x: {} for x in task.relevant}
    for name in dict.fromkeys(y for each in blocks.values() for y in each):
        first, last = pool.block(name)
        own = over(index_pool(system, texts[first:last], pool.only(name)), last - first)
        for x, scores in own.items():
            alone[x][name] = scores
    return ScoreSystem(over(whole, len(pool)), alone, pool)


def _products(queries: PartTexts, passages: PartTexts) -> Scores:
    """Scores of sparse or multi-vector texts, in float32."""

    def tile(start: int, stop: int) -> NDArray[np.float32]:
        return queries[start:stop].products(passages)

    return tile


def _scores_at(
    search: FusedSearch, weights: Mapping[str, NDArray[np.float64]]
) -> Callable[..., NDArray[np.float32]]:
    """See :data:`harness.evaluation.agreement.ScoresAt`."""

    def at(
        rows: Mapping[str, NDArray[np.int64]],
        columns: NDArray[np.int64],
        looked_at: NDArray[np.bool_],
    ) -> NDArray[np.float32]:
        every = [search.numbers_at(x, r, columns, weights[x]) for x, r in rows.items()]
        return np.stack(every, axis=1)

    return at
