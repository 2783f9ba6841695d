"""The cost of a study: trials, texts, hours, disk; extrapolated from a few texts."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.base.environment import cores
from harness.base.progress import Progress, Silent
from harness.study.definition import Study
from harness.study.prepared import Job, Ready, StudyOptions, Task, check_study, make_ready
from harness.study.reading import Reading
from harness.study.results import (
    CELL,
    REFERENCE,
    STUDY,
    model_folder,
    read_head,
    read_whole,
    scores_file,
    training_file,
)
from harness.study.run import alone_in, check_folder
from harness.training.settings import Settings
from harness.training.training_set import read_data

SAMPLE = 200
"""Number of training texts encoded for the measurement."""
BACKWARD = 3
"""Cost of a training step per text, in encodings: one forward, two backward."""
_VALUE_BYTES = 0.5
"""Compressed bytes of a record's table per query, setting and measure: .44 to .66 in the studies
that come with the harness, where a task has many settings."""
_RECORD_BYTES = 25_000
"""Bytes of the record itself."""
_COPIES = 4
"""Copies of a model's weights during training: two checkpoints, one being written, the result."""


@dataclass(frozen=True)
class StudyPlan:
    """What remains to be done."""

    study: Study
    trials: int
    finished: int
    references: int
    trainings: int
    """Texts that training encodes, over all remaining trials, with repeats."""
    scored: int
    """Texts that scoring encodes."""
    distinct: int
    """Texts that each process encodes only once."""
    first: float
    """Seconds to encode a text for the first time."""
    again: float
    """The same text again: where only a head is trained, the output of the layers below is
    cached."""
    like: int
    """Finished trials that the time is estimated from; 0: estimated from encoding alone."""
    workers: int
    seconds: float
    """Seconds until all parallel workers are done."""
    disk: int
    """Bytes that remain on disk."""
    passing: int
    """Temporary bytes of models and checkpoints during training."""


def plan_study(study: Study, options: StudyOptions, progress: Progress | None = None) -> StudyPlan:
    """Check all that a run would check and estimate its cost; trains nothing, writes no results.

    Raises:
        StudyError: as :func:`harness.study.run.run_study`.
    """
    from harness.training.trainer_arguments import quiet_libraries

    progress = progress or Silent()
    options = options.absolute()
    check_folder(study, options.output)
    checked = check_study(study, options)
    with tempfile.TemporaryDirectory() as aside:
        # Pairs must be made to be counted, unless a run has made the same ones already; a run that
        # goes on may be reading others.
        there = (options.output / STUDY).is_file()
        there = there and read_head(options.output)["study"].get("data") == study.document["data"]
        place = options if there else replace(options, output=Path(aside))
        reading = Reading()
        with alone_in(place.output), quiet_libraries():
            ready = make_ready(study, place, progress, checked, reading)
            return _plan(ready, reading, options, progress)


def _plan(ready: Ready, reading: Reading, options: StudyOptions, progress: Progress) -> StudyPlan:
    left = [x for x in ready.jobs if _finished(x, options) is None]
    trials = [x for x in left if x.trial is not None]
    trained = sum(_texts_of(ready, x) for x in trials if not _is_trained(x, options))
    of_tasks = sum(x.texts for x in ready.tasks)
    pairs = sum(
        2 * int(x["rows"]) * (len(x["study"]["languages"]) if x["form"] == "parallel" else 1)
        for x in ready.data.values()
    )
    workers = _workers(options)
    first = again = 0.0
    size = 0
    if trials:
        first, again, size = _measure(trials[0], reading, options, progress)
    scored = sum(x.texts for job in left for x in ready.tasks if not _is_scored(job, x, options))
    distinct = min(pairs, trained) + min(of_tasks, scored)
    there = [
        sum(document["seconds"].values())
        for job in ready.jobs
        if job.trial is not None and (document := _finished(job, options)) is not None
    ]
    if there and trials:
        seconds = sum(there) / len(there) * len(left) / workers
    else:
        new = distinct * max(0.0, first - again)
        seconds = ((trained * BACKWARD + scored) * again + new) / workers
    values = sum(x.rows * len(x.facts["measures"]) * len(x.steps) for x in ready.tasks)
    kept = size * len(trials) if options.keep_models else 0
    return StudyPlan(
        study=ready.study,
        trials=len(ready.trials),
        finished=len(ready.trials) - len(trials),
        references=len(left) - len(trials),
        trainings=trained,
        scored=scored,
        distinct=distinct,
        first=first,
        again=again,
        like=len(there),
        workers=workers,
        seconds=seconds,
        disk=round((values * _VALUE_BYTES + len(ready.tasks) * _RECORD_BYTES) * len(left)) + kept,
        passing=0 if options.keep_models else size * workers * _COPIES,
    )


def _folder(job: Job, options: StudyOptions) -> Path:
    """Where a run keeps the job's results: a plan's own folders can be temporary ones."""
    return options.output / job.folder.parent.name / job.folder.name


def _finished(job: Job, options: StudyOptions) -> dict[str, Any] | None:
    last = CELL if job.trial else REFERENCE
    return read_whole(_folder(job, options) / last, job.digest)


def _is_trained(job: Job, options: StudyOptions) -> bool:
    """Whether a trial's model was kept: its file says what the training took only at its end."""
    beside = training_file(model_folder(options.output, job.key))
    return "seconds" in (read_whole(beside, job.training) or {})


def _is_scored(job: Job, task: Task, options: StudyOptions) -> bool:
    place = scores_file(_folder(job, options), task.scored.name)
    return read_whole(place, job.scores[task.scored.name]) is not None


def _texts_of(ready: Ready, job: Job) -> int:
    assert job.settings is not None and job.trial is not None
    steps = ready.steps[job.trial.name] * job.settings.accumulation
    return steps * job.settings.batch_size * 2  # a query and a passage


def _workers(options: StudyOptions) -> int:
    if options.engine == "local":
        return 1
    if options.workers:
        return options.workers
    if options.engine == "devices":
        from harness.vectors.workers.processes import gpus

        return gpus() or max(2, cores() // 8)
    from harness.vectors.workers.ray_cluster import resources

    document, processors = resources()
    return document or max(2, processors // 8)


def _measure(
    job: Job, reading: Reading, options: StudyOptions, progress: Progress
) -> tuple[float, float, int]:
    """Seconds per text the first time and again, and the model's size in bytes."""
    import contextlib

    import torch

    from harness.training.base_model import load_base

    assert job.settings is not None
    settings = job.settings
    texts = _sample(settings, reading)
    timed = texts[8:] or texts
    base = load_base(settings, device=options.device, offline=options.offline)
    progress.start("measure", 0, "texts")
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            from harness.models.use_m3.module import shared_trunk

            stack.enter_context(shared_trunk())
        with torch.no_grad():
            base.model.encode(texts[:8], batch_size=8, show_progress_bar=False)
            begun = time.perf_counter()
            base.model.encode(timed, batch_size=64, show_progress_bar=False)
            between = time.perf_counter()
            base.model.encode(timed, batch_size=64, show_progress_bar=False)
            ended = time.perf_counter()
    progress.finish()
    count = len(timed)
    size = 4 * sum(p.numel() for p in base.model.parameters())
    frozen_trunk = base.facts["trained_parameters"] < base.facts["parameters"]
    first = (between - begun) / count
    return first, (ended - between) / count if frozen_trunk else first, size


def _sample(settings: Settings, reading: Reading) -> Sequence[str]:
    pairs = read_data(settings, read=reading.pairs).train.pairs
    found: list[str] = []
    step = max(1, len(pairs.examples) // SAMPLE)
    for example in pairs.examples[::step]:
        found += [next(iter(example.query.values())), next(iter(example.passage.values()))]
    return found[: SAMPLE + 8]
