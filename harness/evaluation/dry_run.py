"""What a run would do, without doing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.data.task import TaskSpec
from harness.evaluation.corpus_run import unfinished
from harness.evaluation.encode_stage import is_dense
from harness.evaluation.layout import choose_tasks, prepare, texts_of
from harness.evaluation.options import RunOptions
from harness.models import load as load_model
from harness.models.base import Model, for_task
from harness.vectors import encode as encoding
from harness.vectors.store import Store


@dataclass(frozen=True)
class Plan:
    """What a run would do for one task, without loading the model."""

    task: str
    settings: Mapping[str, int]
    texts: int
    distinct: int
    missing: int
    queries: int
    pool: int


def plan(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None = None,
    *,
    options: RunOptions | None = None,
) -> tuple[Model, list[Plan]]:
    """What :func:`harness.evaluate` would encode and search (``--dry-run``)."""
    options = options or RunOptions()
    loaded = load_model(model, options.model)
    store = Store(dtype=options.store_dtype) if options.store else None
    plans = []
    for spec in choose_tasks(tasks, options.text):
        prepared = prepare(spec, options)
        bound = for_task(loaded, spec)
        distinct = absent = 0
        for role, language, texts in texts_of(prepared):
            if is_dense(bound):
                d, m = encoding.missing(bound, role, language, texts, store)
            else:
                d, m = len(set(texts)), 0
            distinct, absent = distinct + d, absent + m
        passages = sum(len(corpus) for corpus in prepared.data.corpora.values())
        lacking = unfinished(bound, prepared, store, options) if is_dense(bound) else 0
        kinds = [s.kind for s in prepared.settings]
        plans.append(
            Plan(
                task=spec.name,
                settings={k: kinds.count(k) for k in dict.fromkeys(kinds)},
                texts=sum(len(t) for _, _, t in texts_of(prepared)) + passages,
                distinct=distinct + passages,
                missing=absent + lacking,
                queries=sum(len(g.questions) for g in prepared.relevant.values()),
                pool=sum(prepared.data.passage_counts.values()),
            )
        )
    return loaded, plans
