"""One evaluation, from a model and tasks to a record: load, lay out, encode, search, score, write.

Each stage is a function here, in the order in which they run; the modules they call do the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from harness.base.progress import Progress, Silent, Stages
from harness.data.task import TaskSpec
from harness.evaluation.announcement import announce
from harness.evaluation.corpus_run import forget_begun
from harness.evaluation.encode_stage import Searchable, TaskRun, encode, postprocess
from harness.evaluation.layout import Prepared, choose_tasks, prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.pipeline import postprocessed, reranked
from harness.evaluation.pool_sample import sample_passages
from harness.evaluation.postprocessing.apply import fit_for
from harness.evaluation.postprocessing.specs import steps_of
from harness.evaluation.provenance import check_words, document_of, folder_name
from harness.evaluation.query_conditions import query_conditions
from harness.evaluation.query_rewriting import query_rewriters
from harness.evaluation.record import Record
from harness.evaluation.reproduction import name_of
from harness.evaluation.rerank import rerank
from harness.evaluation.search_stage import Searched
from harness.evaluation.setup import Setup
from harness.evaluation.task_entry import Scored, describe, entry_of, measure
from harness.evaluation.trec_export import Exporter, raise_first
from harness.models import load as load_model
from harness.models.base import for_task
from harness.models.reranker import load_reranker
from harness.vectors.store import Store
from harness.vectors.workers.engines import check_engine


def run(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None,
    options: RunOptions,
    output: str | Path | None = None,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
    prepared: Sequence[Prepared] = (),
) -> Record:
    """Score a model on ``tasks``, or on tasks that are ``prepared`` already."""
    setup = load(model, options, progress or Silent())
    # All tasks are read before any text is encoded, so that an error in the last shows at once.
    runs = [lay_out(setup, x) for x in prepared or choose_tasks(tasks, options.text)]
    announce(runs, setup.store, setup.progress, by_default=tasks is None and not prepared)
    setup = replace(setup, postprocessors=steps_of(options, setup.model, [r.task for r in runs]))
    results = list(map(partial(evaluate_task, setup), runs))
    record = write(setup, results, output, command, [name_of(r.task.spec) for r in runs])
    for r in runs:
        forget_begun(r.model, r.task, setup.store, options)
    raise_first(setup.export_problems, output)
    return record


def load(model: str | object, options: RunOptions, progress: Progress) -> Setup:
    """Load what the run needs besides data; weights are read on first use."""
    check_engine(options.engine, options.shard, stored=options.store)
    options = replace(options, named=model if isinstance(model, str) else None)
    check_words(options)
    return Setup(
        model=load_model(model, options.model),
        options=options,
        store=Store(dtype=options.store_dtype) if options.store else None,
        rewriters=[*query_conditions(options), *query_rewriters(options)],
        reranker=load_reranker(options.rerank, options.model) if options.rerank else None,
        progress=progress,
    )


def lay_out(setup: Setup, task: TaskSpec | Prepared) -> TaskRun:
    """Read a task's data; lay out its pool, settings and relevant passages."""
    stages = Stages()
    with stages.stage("data"):
        if not isinstance(task, Prepared):
            setup.progress.start(f"read {task.name}", 0, "files")
            task = prepare(task, setup.options, getattr(setup.progress, "download", None))
            setup.progress.finish()
            task = sample_passages(task, setup.options, setup.store, setup.progress)
    return TaskRun(task, for_task(setup.model, task.spec), stages)


def evaluate_task(setup: Setup, run: TaskRun) -> list[Scored]:
    """A task's part of the record, and of the second record if there is a reranker."""
    for rewriter in setup.rewriters:
        with run.stages.stage("queries"):
            run = replace(run, task=rewriter.apply(run.task, setup.progress))
    with encode(run, setup.options, setup.store, setup.progress) as texts:
        texts = postprocess(texts, run, setup.postprocessors, fit_for(run.model, setup.store))
        searched = search(setup, run, texts)
    return score(setup, run, texts.dimensions, searched)


def search(setup: Setup, run: TaskRun, texts: Searchable) -> Searched:
    """Rank every query's passages; rankings are exported language by language as they come."""
    with run.stages.stage("search"):
        return texts.search(setup.options, setup.progress, exporter(setup, run))


def exporter(setup: Setup, run: TaskRun) -> Exporter:
    """The writer of runs and qrels for trec_eval, if requested."""
    return Exporter(setup.options, run.model.name, run.stages, setup.export_problems)


def score(setup: Setup, run: TaskRun, dimensions: int | None, searched: Searched) -> list[Scored]:
    """Compute the measures from ranks, and again from reranked ones if there is a reranker."""
    described = describe(run, setup.options, dimensions, bound=run.model is not setup.model)
    described["trec"] = exporter(setup, run).summary(searched.task)
    scored = [entry_of(described, measure(run, searched, setup.options))]
    if setup.reranker is not None:
        with run.stages.stage("rerank"):
            again = rerank(searched, setup.reranker, setup.options.rerank_top, setup.progress)
        scored.append(entry_of({**described, "trec": None}, measure(run, again, setup.options)))
    return scored


def write(
    setup: Setup,
    results: Sequence[Sequence[Scored]],
    output: str | Path | None,
    command: Sequence[str] | None,
    tasks: Sequence[str],
) -> Record:
    """The record of the model with all that was added to it; with a reranker, of both stages."""
    systems = [postprocessed(setup.model, [*setup.rewriters, *setup.postprocessors])]
    if setup.reranker is not None:
        systems.append(reranked(systems[0], setup.reranker, setup.options.rerank_top))
    record: Record | None = None
    for system, scored in zip(systems, zip(*results, strict=True), strict=True):
        document = document_of(
            system, [entry for entry, _ in scored], setup.options, command, setup.store, tasks
        )
        # The name is that of the whole; the first stage of two keeps the model's.
        if setup.options.name is not None and system is systems[-1]:
            document["model"]["name"] = setup.options.name
        record = Record(document, {str(x["task"]): table for x, table in scored}, before=record)
        if output is not None:
            record.save(Path(output) / folder_name(record))
    return cast("Record", record)  # there is always a first system
