"""A post-processing step at several strengths: texts are encoded once, each value is searched once.

Every value has a record of its own, the same that a run with that value would write; the table that
lays them side by side shows quality beside bias, never bias alone.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from harness.base.progress import Progress, Silent
from harness.console import numbers
from harness.console.tables import Grid, Item
from harness.data.task import Kind, TaskSpec
from harness.errors import UsageError
from harness.evaluation import run as one_run
from harness.evaluation.corpus_run import Vectors, forget_begun
from harness.evaluation.encode_stage import TaskRun, encode, encode_task, postprocess
from harness.evaluation.layout import choose_tasks
from harness.evaluation.options import RunOptions
from harness.evaluation.postprocessing.apply import fit_for
from harness.evaluation.postprocessing.specs import (
    steps_of,
    swept,
    with_number,
    written,
)
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Task
from harness.evaluation.reproduction import command_line, name_of
from harness.evaluation.setup import Setup
from harness.evaluation.task_entry import Scored
from harness.models.base import DenseModel, for_task
from harness.vectors.encode import EncodingCounts

BESIDE_QUALITY = (
    "rank_distance", "own_language_first", "own_language_share@10", "other_language_recall@10",
    "intrusion",
)  # fmt: skip
"""The measures of bias that a sweep's table shows, of those that the task has."""


@dataclass(frozen=True)
class Sweep:
    """Records by value, in the order of the values."""

    step: str
    """The step as it was named, without its number."""
    values: tuple[float, ...]
    records: tuple[Record, ...]

    def tables(self) -> list[Grid]:
        """A table for each task: a row for each value."""
        tasks = self.records[0].contents.tasks
        return [_table(self, number, task) for number, task in enumerate(tasks)]


def sweep(
    model: str | object,
    tasks: Sequence[str | TaskSpec] | None,
    options: RunOptions,
    values: Sequence[float],
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Score a model with one of its post-processing steps at each of ``values``.

    Arguments are those of :func:`harness.evaluation.run.run`; ``options.treatments`` has one step
    that takes a number.

    Raises:
        HarnessError: as :func:`harness.evaluate`; there is no such step, or a value occurs twice.
    """
    if options.trec or options.rerank:
        raise UsageError("--sweep writes no TREC files and has no reranker; run one value alone")
    if options.name is not None:
        raise UsageError("--sweep writes a record for each value: --name would call all alike")
    if not values or len(set(values)) < len(values) or not all(map(math.isfinite, values)):
        raise UsageError("--sweep needs numbers, each once, as 0,0.5,1")
    at = swept(options.treatments)
    setup = one_run.load(model, options, progress or Silent())
    runs = [one_run.lay_out(setup, x) for x in choose_tasks(tasks, options.text)]
    setups = []
    for value in values:
        treatments = [*options.treatments]
        treatments[at] = with_number(treatments[at], value)
        setups.append(
            with_options(setup, replace(setup.options, treatments=tuple(treatments)), runs)
        )
    records = records_of(setups, runs, output)
    return Sweep(options.treatments[at].partition(":")[0], tuple(values), records)


def with_options(setup: Setup, options: RunOptions, runs: Sequence[TaskRun]) -> Setup:
    """``setup`` with the post-processing that ``options`` name."""
    added = steps_of(options, setup.model, [r.task for r in runs])
    return replace(setup, options=options, postprocessors=added)


def records_of(
    setups: Sequence[Setup], runs: Sequence[TaskRun], output: str | Path | None
) -> tuple[Record, ...]:
    """A record for each of ``setups``, which differ in post-processing, or in query prompts.

    Passages are encoded once, queries once for each model.
    """
    scored = [_of_task(setups, run) for run in runs]
    names = [name_of(r.task.spec) for r in runs]
    records = tuple(
        one_run.write(one, results, output, command_line(one.options, names), names)
        for one, results in zip(setups, zip(*scored, strict=True), strict=True)
    )
    for r in runs:
        forget_begun(r.model, r.task, setups[0].store, setups[0].options)
    return records


def _of_task(setups: Sequence[Setup], run: TaskRun) -> list[list[Scored]]:
    """A task's part of each value's record."""
    setup = setups[0]
    for rewriter in setup.rewriters:
        with run.stages.stage("queries"):
            run = replace(run, task=rewriter.apply(run.task, setup.progress))
    found = []
    with encode(run, setup.options, setup.store, setup.progress) as texts:
        fit = fit_for(run.model, setup.store)
        for one in setups:
            # What was spent before belongs to every value, what follows to one.
            own = replace(run, stages=copy.deepcopy(run.stages))
            ready, own_fit = texts, fit
            if one.model is not setup.model:
                own = _with_model(one, own)
                ready = texts.with_queries(_queries(one, own))
                own_fit = fit_for(own.model, one.store)
            ready = postprocess(ready, own, one.postprocessors, own_fit)
            searched = one_run.search(one, own, ready)
            found.append(one_run.score(one, own, ready.dimensions, searched))
    return found


def _with_model(one: Setup, run: TaskRun) -> TaskRun:
    """``run`` with the model of ``one``, which has encoded nothing yet."""
    return replace(run, model=for_task(one.model, run.task.spec), counts=EncodingCounts())


def _queries(one: Setup, run: TaskRun) -> Vectors:
    """The task's queries as the run's model encodes them."""
    model = cast("DenseModel", run.model)
    with run.stages.stage("encode"):
        return encode_task(model, run.task, one.store, run.counts, one.progress, ("query",))


def _table(sweep: Sweep, number: int, task: Task) -> Grid:
    quality = "map" if "map" in task.measures else task.measures[0]
    columns: list[tuple[Kind, str]] = [(kind, quality) for kind in task.means]
    pooled = task.means.get("multi")
    if pooled is not None:
        columns += [("multi", x) for x in BESIDE_QUALITY if x in pooled.macro]
    rows: list[list[Item | str]] = []
    for value, record in zip(sweep.values, sweep.records, strict=True):
        own = record.contents.tasks[number]
        rows.append([written(value), *(_cell(own, kind, x) for kind, x in columns)])
    over = [("", 1), *((kind, 1) for kind, _ in columns)]
    heads = [sweep.step, *(numbers.label(x) for _, x in columns)]
    return Grid(task.title, heads, rows, over=over, align="l")


def _cell(task: Task, kind: Kind, measure: str) -> Item:
    means = task.intervals.means.get(kind, {}) if task.intervals is not None else {}
    ends = numbers.interval(measure, *means[measure].bca) if measure in means else None
    return Item(numbers.value(measure, task.means[kind].macro.get(measure)), interval=ends)
