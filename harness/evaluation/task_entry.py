"""The part of a record about one task: what was run, and the numbers made from its ranks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import numpy as np

from harness.data.task import Setting
from harness.evaluation.absent import with_absent
from harness.evaluation.corpus_run import corpus_entry
from harness.evaluation.encode_stage import TaskRun, is_dense
from harness.evaluation.intervals import intervals
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.partial import sampled_pool
from harness.evaluation.record import finite
from harness.evaluation.scores import per_query, rank_distance_by_golds, top_language_share
from harness.evaluation.search_stage import Searched
from harness.metrics.definition import digests
from harness.stats.means import kind_means, kind_medians, setting_means
from harness.stats.per_query import PerQuery

Scored = tuple[dict[str, Any], PerQuery]
"""A task's part of a record, and its per-query table."""


def describe(
    run: TaskRun, options: RunOptions, dimensions: int | None, *, bound: bool
) -> dict[str, Any]:
    """What was run: task, data, languages, counts, and the cost of encoding.

    ``bound``: whether the model has prompts of its own for this task.
    """
    task, spec, data, model = run.task, run.task.spec, run.task.data, run.model
    speed = run.counts.work.facts() if is_dense(model) else {}
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
        "kinds": list(dict.fromkeys(s.kind for s in task.settings)),
        "partial": dict(data.partial),
        "counts": {
            "questions": len({q for g in task.relevant.values() for q in g.questions}),
            "queries": {x: len(g.questions) for x, g in task.relevant.items()},
            "passages": data.passage_counts,
        },
        "dimensions": dimensions,
        "encoding": run.counts.summary() | speed,
    }
    if (usage := getattr(model, "usage", None)) is not None:
        entry["usage"] = {x: getattr(usage, x) for x in ("requests", "retries", "tokens")}
    if task.conditions:
        entry["query_conditions"] = {x: dict(y) for x, y in task.conditions.items()}
    if data.corpora:
        entry |= corpus_entry(task, options, model)
    if (part := data.partial.get("sample_passages")) is not None:
        # Said like a sample of the corpus, and with it: whatever refuses or marks one takes both.
        entry["sampled"] = sampled_pool(cast("dict[str, Any]", part))
    if bound:
        entry["prompts"] = dict(getattr(model, "prompts", {}))
    return entry


def measure(run: TaskRun, searched: Searched, options: RunOptions) -> Scored:
    """Every number of a task, with intervals, and the time of its stages so far."""
    task = searched.task
    with run.stages.stage("measures"):
        table, numbers = score(task, searched)
    uncertainty = None
    if options.resamples:
        with run.stages.stage("intervals"):
            uncertainty = intervals(table, task.measures, resamples=options.resamples)
    if not task.data.corpora:
        del numbers["medians"]
    numbers |= searched.facts
    return {
        "measures": [m.name for m in task.shown],
        "definitions": digests(task.measures),
        **numbers,
        "intervals": uncertainty,
        "close_comparisons": searched.decisions and searched.decisions.summary(),
        # If a task is scored twice, each record has the time spent until then.
        "seconds": dict(run.stages.seconds),
        "peak_bytes": dict(run.stages.peak_bytes),
    }, table


def _pool_languages(setting: Setting, languages: Iterable[str]) -> Iterable[str]:
    """The languages of a setting's passages, of the task's ``languages``."""
    if setting.passage_language is None:
        return languages
    both = setting.kind == "pairs"
    return (setting.query_language,) * both + (setting.passage_language,)


def entry_of(described: dict[str, Any], scored: Scored) -> Scored:
    """Both parts of the record's entry, and the table."""
    return finite({**described, **scored[0]}), scored[1]


def score(prepared: Prepared, searched: Searched) -> tuple[PerQuery, dict[str, Any]]:
    """The per-query table, and the part of the record computed from it."""
    found = searched.found
    chars = {
        x: np.fromiter(map(len, prepared.data.queries[x].texts), np.int32)
        for x in prepared.relevant
    }
    table = per_query(
        with_absent(prepared, found),
        prepared.pool,
        prepared.settings,
        prepared.measures,
        chars,
        searched.agreement,
        prepared.data.qrels,
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
                "pool": sum(pool_size[x] for x in _pool_languages(s, pool_size)),
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
