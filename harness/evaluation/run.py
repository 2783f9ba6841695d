"""One readable evaluation: the stages in order, from task and model to record."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress, Silent, Stages
from harness.data.task import Role, TaskSpec
from harness.evaluation.corpus_run import corpus_entry, forget_begun, over_corpora, read_corpora
from harness.evaluation.intervals import intervals
from harness.evaluation.layout import Prepared, choose_tasks, prepare, texts_of
from harness.evaluation.options import RunOptions, with_settings
from harness.evaluation.pipeline import Pipeline, postprocessed, reranked
from harness.evaluation.postprocessing import PostProcessor, parse_postprocessors, postprocess
from harness.evaluation.provenance import document_of, folder_name
from harness.evaluation.query_rewriting import query_rewriters
from harness.evaluation.record import Record, finite
from harness.evaluation.rerank import rerank
from harness.evaluation.scores import per_query, rank_distance_by_golds, top_language_share
from harness.evaluation.search_stage import (
    Searched,
    cut,
    export_depth,
    looked_at,
    search_dense,
    search_lexical,
    without_agreement,
)
from harness.evaluation.trec_export import TrecExport
from harness.metrics.definition import digests
from harness.models import load as load_model
from harness.models import warn_untrained
from harness.models.base import DenseModel, LexicalModel, Model, for_task
from harness.models.matrix_rate import rates
from harness.models.reranker import Reranker, load_reranker
from harness.search.exact import normalised
from harness.search.results import SearchResult
from harness.stats.means import kind_means, kind_medians, setting_means
from harness.stats.per_query import PerQuery
from harness.vectors import encode as encoding
from harness.vectors.store import Store
from harness.vectors.workers.engines import check_engine

Scored = tuple[dict[str, Any], PerQuery]
"""A task's part of a record, and the table it was made from."""


READERS = 4
"""Threads that read vectors from the store."""


def is_dense(model: Model) -> TypeGuard[DenseModel]:
    """Whether a model gives vectors (else it gives scores)."""
    return hasattr(model, "encode")


def encode_task(
    model: DenseModel,
    prepared: Prepared,
    store: Store | None,
    counts: encoding.EncodingCounts,
    progress: Progress,
) -> dict[tuple[Role, str], NDArray[np.float32]]:
    """Vectors of a task's texts by (role, language), of length 1 where similarity is cosine."""
    warn_untrained(model, prepared.data.languages)
    # Queries that were written anew are in the language they were written in: what several
    # languages ask in one is encoded together, equal texts once.
    groups: dict[tuple[Role, str], list[tuple[str, Sequence[str]]]] = {}
    for role, language, batch in texts_of(prepared):
        groups.setdefault((role, prepared.encoded_in(role, language)), []).append((language, batch))
    texts = {x: [text for _, batch in held for text in batch] for x, held in groups.items()}
    distinct = sum(len(set(held)) for held in texts.values())
    progress.start(f"encode {prepared.spec.name}", distinct, "texts")
    cosine = model.similarity == "cosine"

    def read(group: tuple[Role, str]) -> tuple[encoding.Stored, bool]:
        """What is stored, and whether it is all there and of length 1 already."""
        held = encoding.look_up(model, *group, texts[group], store)
        if cosine and held.whole is not None:
            normalised(held.whole, out=held.whole)
        return held, held.whole is not None

    # Most of reading is checksums and copies, during which other threads can run.
    with ThreadPoolExecutor(READERS) as readers:
        stored = list(readers.map(read, texts))
    vectors: dict[tuple[Role, str], NDArray[np.float32]] = {}
    width: int | None = None
    for (group, batch), (held, scaled) in zip(texts.items(), stored, strict=True):
        made = encoding.encode(
            model,
            *group,
            batch,
            store=store,
            counts=counts,
            width=width,
            progress=progress.advance,
            stored=held,
        )
        width = made.shape[1]
        made = normalised(made, out=made) if cosine and not scaled else made
        ends = np.cumsum([len(part) for _, part in groups[group]])[:-1]
        for (language, _), part in zip(groups[group], np.split(made, ends), strict=True):
            vectors[group[0], language] = part
    progress.finish()
    return vectors


def remember_task(
    model: Any, prepared: Prepared, counts: encoding.EncodingCounts, progress: Progress
) -> None:
    """Have a model that gives scores encode a task's texts, where it encodes at all."""
    progress.start(f"encode {prepared.spec.name}", counts.distinct, "texts")
    begun = time.perf_counter()
    for role, _, texts in texts_of(prepared):
        counts.encoded += model.remember(texts, role=role, progress=progress.advance)
    counts.seconds += time.perf_counter() - begun
    progress.finish()


def score(prepared: Prepared, searched: Searched) -> tuple[PerQuery, dict[str, Any]]:
    """The per-query table, and the part of the record that is made from it."""
    found = searched.found
    chars = {
        x: np.fromiter(map(len, prepared.data.queries[x].texts), np.int32) for x in prepared.golds
    }
    table = per_query(
        found, prepared.pool, prepared.settings, prepared.measures, chars, searched.agreement
    )
    means = setting_means(table)
    queries = np.bincount(table.setting, minlength=len(table.settings))
    depth, shares = top_language_share(found, prepared.pool)
    pool_size = prepared.data.passage_counts
    medians = kind_medians(table, means) if prepared.data.corpora else {}
    return table, {
        "settings": [
            {
                "setting": s.name,
                "kind": s.kind,
                "query_language": s.query_language,
                "passage_language": s.passage_language,
                "queries": int(queries[i]),
                "pool": pool_size.get(s.passage_language or "", sum(pool_size.values())),
                "scores": {
                    m.name: means[m.name][i] for m in prepared.measures if s.kind in m.kinds
                },
            }
            for i, s in enumerate(table.settings)
        ],
        "means": {
            kind: {
                how: {m.name: values[m.name] for m in prepared.measures if kind in m.kinds}
                for how, values in both.items()
            }
            for kind, both in kind_means(table, means).items()
        },
        "medians": {
            kind: {m.name: medians[kind][m.name] for m in prepared.measures if kind in m.kinds}
            for kind in medians
        },
        "rank_distance_by_golds": rank_distance_by_golds(table),
        "top_languages": {"depth": depth, "share": shares},
    }


def _prepare(spec: TaskSpec, options: RunOptions, progress: Progress) -> tuple[Prepared, Stages]:
    stages = Stages()
    progress.start(f"read {spec.name}", 0, "files")
    with stages.stage("data"):
        prepared = prepare(spec, options, getattr(progress, "download", None))
    progress.finish()
    return prepared, stages


def _evaluate_task(  # noqa: C901, PLR0915 (all stages of a task in one)
    model: Model,
    prepared: Prepared,
    stages: Stages,
    options: RunOptions,
    store: Store | None,
    progress: Progress,
    treatments: Sequence[PostProcessor],
    reranker: Reranker | None,
) -> list[Scored]:
    """The task's part of the record, and of the second record where there is a reranker."""
    data, spec = prepared.data, prepared.spec
    unbound, model = model, for_task(model, spec)
    counts = encoding.EncodingCounts()
    exported: TrecExport | None = None

    def export(found: SearchResult) -> SearchResult:
        # Written language by language: whole rankings of all of them would not fit in memory.
        nonlocal exported
        if options.trec is None:
            return found
        with stages.stage("export"):
            exported = TrecExport(
                options.trec / spec.name, prepared, model.name, export_depth(options, prepared.pool)
            )
            exported.write(found)
        kept = options.rerank_top if reranker else 0
        return cut(found, max(looked_at(prepared, options), kept), kept)

    dimensions: int | None = None
    if is_dense(model) and (data.corpora or options.streamed):
        queries = partial(encode_task, model, prepared, store, counts, progress)
        prepared, searched, dimensions = over_corpora(
            model, prepared, options, store, counts, stages, progress, queries
        )
        found = {x: export(f) for x, f in searched.found.items()}
        searched = replace(searched, found=found)
    elif is_dense(model):
        with stages.stage("encode"):
            vectors = encode_task(model, prepared, store, counts, progress)
            vectors = dict(postprocess(treatments, vectors, model, store))
        dimensions = next(iter(vectors.values())).shape[1]
        balance = any(t.balances for t in treatments)
        if balance:
            prepared = without_agreement(prepared)
        with stages.stage("search"):
            searched = search_dense(
                prepared, vectors, options, progress, after=export, balance=balance
            )
    else:
        if data.corpora:
            with stages.stage("data"):
                prepared = read_corpora(prepared, options, model.name)
        counts.texts = sum(len(t) for _, _, t in texts_of(prepared))
        counts.distinct = sum(len(set(t)) for _, _, t in texts_of(prepared))
        if hasattr(model, "remember"):
            with stages.stage("encode"):
                remember_task(model, prepared, counts, progress)
        dimensions = getattr(model, "dimensions", None)
        with stages.stage("search"):
            lexical = cast(LexicalModel, model)
            searched = search_lexical(lexical, prepared, options, progress, after=export)

    def scored(searched: Searched, prepared: Prepared) -> Scored:
        with stages.stage("measures"):
            table, numbers = score(prepared, searched)
        uncertainty = None
        if options.resamples:
            with stages.stage("intervals"):
                uncertainty = intervals(table, prepared.measures, resamples=options.resamples)
        # Of a task that is scored twice each record has what was spent until then.
        spent = {"seconds": dict(stages.seconds), "peak_bytes": dict(stages.peak_bytes)}
        which = {
            "measures": [m.name for m in prepared.shown],
            "definitions": digests(prepared.measures),
        }
        close = searched.decisions and searched.decisions.summary()
        measured = {
            **entry,
            **which,
            **numbers,
            "intervals": uncertainty,
            "close_comparisons": close,
            **spent,
        }
        if not data.corpora:
            del measured["medians"]
        return finite(measured), table

    speed = rates(model, counts.work, options.model) if is_dense(model) else {}
    entry = {
        "task": spec.name,
        "title": spec.title,
        "task_digest": spec.digest,
        "data_digest": data.digest,
        "revision": spec.source.revision,
        "license": spec.license,
        "text": spec.text,
        "text_default": spec.default_text,
        "languages": list(data.languages),
        "kinds": list(dict.fromkeys(s.kind for s in prepared.settings)),
        "partial": dict(data.partial),
        "counts": {
            "questions": len({q for g in prepared.golds.values() for q in g.questions}),
            "queries": {x: len(g.questions) for x, g in prepared.golds.items()},
            "passages": data.passage_counts,
        },
        "dimensions": dimensions,
        "encoding": counts.summary() | speed,
        "trec": None if exported is None else exported.summary(),
    }
    if (usage := getattr(model, "usage", None)) is not None:
        entry["usage"] = {x: getattr(usage, x) for x in ("requests", "retries", "tokens")}
    if data.corpora:
        entry |= corpus_entry(prepared, options, dense=is_dense(model))
    if model is not unbound:
        entry["prompts"] = dict(getattr(model, "prompts", {}))
    results = [scored(searched, prepared)]
    if reranker is not None:
        with stages.stage("rerank"):
            again = rerank(searched, prepared, reranker, options.rerank_top, progress)
        entry["trec"] = None
        # Scores below the heads are the first stage's: rankings as wholes cannot be correlated.
        results.append(scored(again, without_agreement(prepared)))
    return results


def evaluate(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None = None,
    *,
    options: RunOptions | None = None,
    output: str | Path | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
    **settings: Any,
) -> Record:
    """Score a model on tasks; each text is encoded once, whatever number of settings uses it.

    Args:
        model: a name as ``harness run --model`` takes it, or any object with
            ``encode(texts, *, role, language) -> (n, d) array``.
        tasks: task names, paths of task files or specs; default:
            :func:`harness.data.task.default_tasks`.
        options: how to run; ``settings`` are its fields given by name (``limit=50``,
            ``languages=("en", "de")``), or those of its ``model`` options (``batch_size=8``).
        output: folder for the record and its tables; ``None`` writes nothing. With ``rerank`` the
            record is that of both stages as one system, and its ``before`` that of the first.
        progress: told of each stage; default silent.
        command: the command line, for the record.
        **settings: see ``options``.

    Raises:
        HarnessError: anything the caller can mend, in one sentence.
    """
    options = with_settings(options or RunOptions(), settings)
    progress = progress or Silent()
    options = replace(options, named=model if isinstance(model, str) else None)
    check_engine(options.engine, options.shard, stored=options.store)
    specs = choose_tasks(tasks, options.text)
    loaded = load_model(model, options.model)
    store = Store(dtype=options.store_dtype) if options.store else None
    reranker = None
    if options.rerank is not None:
        reranker = load_reranker(options.rerank, options.model)
    results: list[list[Scored]] = []
    # All tasks are read before the first text is encoded: what is wrong with the last of them is
    # not found out hours later.
    ready = [_prepare(spec, options, progress) for spec in specs]
    treatments = parse_postprocessors(options.treatments, loaded, [p for p, _ in ready])
    of_queries = query_rewriters(
        options.translate_queries,
        options.into,
        options.expand_queries,
        options.expand_url,
        options.model,
    )
    for prepared, stages in ready:
        for treatment in of_queries:
            with stages.stage("queries"):
                prepared = treatment.apply(prepared, progress)
        results.append(
            _evaluate_task(loaded, prepared, stages, options, store, progress, treatments, reranker)
        )
    record: Record | None = None
    systems: list[Model | Pipeline] = [postprocessed(loaded, [*of_queries, *treatments])]
    if reranker is not None:
        systems.append(reranked(systems[0], reranker, options.rerank_top))
    for system, scored in zip(systems, zip(*results, strict=True), strict=True):
        entries = [entry for entry, _ in scored]
        tables = {str(entry["task"]): table for entry, table in scored}
        document = document_of(system, entries, options, command, store)
        record = Record(document, tables, before=record)
        if output is not None:
            record.save(Path(output) / folder_name(record))
    assert record is not None
    for prepared, _ in ready:
        bound = for_task(loaded, prepared.spec)
        if is_dense(bound):
            forget_begun(bound, prepared, store, options)
    return record
