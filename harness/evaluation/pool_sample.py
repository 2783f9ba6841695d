"""A pool of N passages in each language that stands for the whole: relevant ones and the hardest.

``--sample-passages N`` keeps every passage that is relevant to a scored question, and of the others
those that a first stage ranks highest: first what it finds first for any query in the language,
then what it finds second, and so on, ties by passage id. In a language without queries of its own
all queries count. What is left is a small task, also of a corpus that is streamed.

Scores are too high, because the passages left out are not there to outrank anything, and higher for
systems that find other passages than the first stage does. So a sampled pool is never compared with
the whole: the record says that it is one, and ``benchmarks/sampled_pools.py`` measures how far the
order of systems is from that of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress, Stages
from harness.data.pool import Pool, RelevantPassages
from harness.data.task import Kind, Setting
from harness.data.task_data import TaskData, Texts
from harness.errors import UsageError
from harness.evaluation.corpus_run import with_passages
from harness.evaluation.encode_stage import TaskRun, encode
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.search_stage import keep_all
from harness.models import load as load_model
from harness.models.base import Model, ModelOptions, for_task
from harness.vectors.store import Store


def sample_passages(
    task: Prepared, options: RunOptions, store: Store | None, progress: Progress
) -> Prepared:
    """``task`` with at most ``options.sample_passages`` passages of each language.

    Returns ``task`` itself if no language has more, or no such number is set.

    Raises:
        UsageError: a language has more relevant passages than that.
        HarnessError: the first stage cannot be loaded or fails.
    """
    size, data = options.sample_passages, task.data
    if size is None or all(n <= size for n in data.passage_counts.values()):
        return task
    relevant = _relevant(data)
    for language, names in relevant.items():
        if len(names) > size:
            raise UsageError(
                f"--sample-passages {size}: {len(names):,} passages in {language} are relevant to "
                f"the questions, and all are kept; take {len(names)} or more, or fewer questions "
                "with --sample"
            )
    named = options.sample_by
    first = load_model(named, ModelOptions(device=options.model.device, offline=options.offline))
    search = _FirstStage(for_task(first, task.spec), options, store, progress)
    texts = {}
    for x, n in data.passage_counts.items():
        names = dict.fromkeys(relevant.get(x, ()))
        for name in search.hardest(task, x, size) if n > size else ():
            if len(names) < size:
                names.setdefault(name)
        texts[x] = _taken(data, x, names if n > size else None)
    about = {
        "passages": size,
        "by": first.name,
        "of": dict(data.passage_counts),
        "whole": data.digest,
    }
    part = replace(data, corpora={}, partial={**data.partial, "sample_passages": about})
    return with_passages(replace(task, data=part), texts)


def _relevant(data: TaskData) -> dict[str, dict[str, None]]:
    """Passage language -> local ids of the passages relevant to any question."""
    found: dict[str, dict[str, None]] = {}
    for judged in data.qrels.values():
        for passage, grade in judged.items():
            language, _, local = passage.partition(":")
            if grade > 0:
                found.setdefault(language, {})[local] = None
    return found


def _taken(data: TaskData, language: str, names: Mapping[str, None] | None) -> Texts:
    """The passages of a language with these local ids, in file order; ``None``: all."""
    if language in data.passages:
        texts = data.passages[language]
        if names is None:
            return texts
        return texts.take([at for at, name in enumerate(texts.ids) if name in names])
    found = [x for x in data.corpora[language].read() if names is None or x.id in names]
    return Texts(tuple(x.id for x in found), tuple(x.text for x in found))


class _FirstStage:
    """The system that says which passages are hard."""

    def __init__(
        self, model: Model, options: RunOptions, store: Store | None, progress: Progress
    ) -> None:
        self._model, self._store, self._progress = model, store, progress
        self._options = RunOptions(
            named=options.sample_by,
            memory=options.memory,
            shard_size=options.shard_size,
            store_dtype=options.store_dtype,
            offline=options.offline,
            model=ModelOptions(device=options.model.device, offline=options.offline),
        )

    def hardest(self, task: Prepared, language: str, size: int) -> list[str]:
        """Local ids of a language's passages, the hardest first; ``size`` of any query's."""
        depth = min(size, task.data.passage_counts[language])
        alone = _only(task, language)
        run = TaskRun(alone, self._model, Stages())
        with encode(run, self._options, self._store, self._progress) as texts:
            options = replace(self._options, top_k=depth)
            searched = texts.search(options, self._progress, keep_all)
        pool = searched.task.pool
        best = np.full(len(pool.ids), depth, np.int64)
        for found in searched.found.values():
            place: NDArray[np.int64] = np.arange(found.top_k.shape[1])
            np.minimum.at(best, found.top_k, np.broadcast_to(place, found.top_k.shape))
        order = np.argsort(best, kind="stable")
        return [str(pool.ids[i]).partition(":")[2] for i in order[best[order] < depth]]


def _only(task: Prepared, language: str) -> Prepared:
    """The search of one language's passages with its own queries, or with all if it has none."""
    data, queries = task.data, list(task.relevant)
    queries = [language] if language in queries else queries
    part = replace(
        data,
        queries={x: data.queries[x] for x in queries},
        passages={x: y for x, y in data.passages.items() if x == language},
        corpora={x: y for x, y in data.corpora.items() if x == language},
    )
    ids = {language: list(_relevant(data).get(language, ()))}
    pool = Pool.of_ids(ids) if part.corpora else Pool.of(part)
    kinds: list[Kind] = ["mono" if x == language else "cross" for x in queries]
    return Prepared(
        data=part,
        pool=pool,
        settings=tuple(Setting(kind, x, language) for kind, x in zip(kinds, queries, strict=True)),
        relevant={x: RelevantPassages.of(part, x, pool) for x in queries},
        shown=(),
        measures=(),
    )
