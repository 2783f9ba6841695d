"""A study from its file to a folder with every trial trained and scored."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.environment import cores, versions
from harness.base.files import locked
from harness.base.progress import Progress, Silent
from harness.console import numbers
from harness.errors import StudyError, UsageError
from harness.study.definition import Study
from harness.study.prepared import Job, Ready, StudyOptions, check_study, make_ready
from harness.study.reading import Reading
from harness.study.results import (
    CELL,
    FAILED,
    FORMAT,
    REFERENCE,
    STUDY,
    read_head,
    read_whole,
    write_json,
)
from harness.study.run_trial import TrialRunner, TrialWorker, remove_model
from harness.vectors.workers.dispatch import Workers, dispatch
from harness.vectors.workers.engines import check_engine, workers_of
from harness.vectors.workers.this_process import InProcessRunner

Tell = Callable[[str], None]


@dataclass
class Ran:
    """The result of a call."""

    folder: Path
    trials: int
    """Number of trials of the study."""
    before: int
    """Number of trials and references finished before."""
    done: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    """Name -> reason."""
    seconds: float = 0.0


def run_study(
    study: Study,
    options: StudyOptions,
    *,
    progress: Progress | None = None,
    tell: Tell | None = None,
    command: Sequence[str] | None = None,
) -> Ran:
    """Train and score every trial that is not finished yet.

    Args:
        study: at the chosen scale.
        options: output folder, engine and workers.
        progress: notified of stages; those of trials only if they run in this process.
        tell: called with a line for each finished trial.
        command: the command line, for records.

    Raises:
        StudyError: the study is impossible, or the folder belongs to another; nothing was trained.
        UsageError: an unknown engine.
    """
    progress, tell = progress or Silent(), tell or _nobody
    options = options.absolute()
    check_engine(options.engine, None, stored=False)
    if options.engine == "local" and (options.workers or 1) > 1:
        raise UsageError("--workers is for --engine devices or ray; local is this process")
    check_folder(study, options.output)
    from harness.training.trainer_arguments import quiet_libraries

    checked, reading = check_study(study, options), Reading()
    with alone_in(options.output):
        check_folder(study, options.output)  # another study may have begun there meanwhile
        if not (options.output / STUDY).is_file():
            write_json(options.output / STUDY, _head(study, None))
        with quiet_libraries():
            ready = make_ready(study, options, progress, checked, reading)
        write_json(options.output / STUDY, _head(study, ready))
    jobs = [job for job in ready.jobs if not _whole(job)]
    if not options.keep_models:
        for job in ready.jobs:
            if _whole(job):
                remove_model(options.output, job.key)
    ran = Ran(options.output, len(ready.trials), len(ready.jobs) - len(jobs))
    if jobs:
        _work(ready, reading, jobs, options, ran, progress, tell, command)
    return ran


def check_folder(study: Study, output: Path) -> None:
    """Check that the folder is new, or is this study's at this scale.

    Raises:
        StudyError: it is neither.
    """
    if (output / STUDY).is_file():
        head = read_head(output)
        present = head["study"].get("name"), head["scale"]
        if present != (study.name, study.scale):
            raise StudyError(
                f"--output {output}: contains the study {present[0]!r} at scale {present[1]}, "
                f"and this is {study.name!r} at scale {study.scale}; give another folder"
            )
    elif output.exists() and (
        not output.is_dir() or any(x.name != _LOCK for x in output.iterdir())
    ):
        raise StudyError(
            f"--output {output}: is not empty and contains no study; give a new folder"
        )


_LOCK = ".lock"


@contextmanager
def alone_in(output: Path) -> Iterator[None]:
    """A lock: one process makes pairs and writes the study, others wait and find it done."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StudyError(f"--output {output}: cannot be made ({error.strerror})") from error
    with locked(output / _LOCK):
        yield


def _nobody(line: str) -> None:
    pass


def _head(study: Study, ready: Ready | None) -> dict[str, Any]:
    jobs = () if ready is None else ready.jobs
    return {
        "format": FORMAT,
        "study": study.document,
        "digest": study.digest,
        "scale": study.scale,
        "scales": list(study.scales),
        "harness": versions().get("polyglot-harness"),
        "cells": [x.name for x in ready.trials] if ready else [],
        "digests": {x.trial.name: x.digest for x in jobs if x.trial is not None},
        "references": {
            model: {"folder": job.folder.name, "digest": job.digest}
            for model, job in zip(
                study.references, [x for x in jobs if x.trial is None], strict=False
            )
        },
        "data": {} if ready is None else ready.data,
        "pairs": {} if ready is None else ready.pairs,
        "steps": {} if ready is None else ready.steps,
    }


def _whole(job: Job) -> bool:
    last = CELL if job.trial else REFERENCE
    return read_whole(job.folder / last, job.digest) is not None


def _work(
    ready: Ready,
    reading: Reading,
    jobs: Sequence[Job],
    options: StudyOptions,
    ran: Ran,
    progress: Progress,
    tell: Tell,
    command: Sequence[str] | None,
) -> None:
    begun = time.perf_counter()
    total = len(jobs)
    unfinished = {x.key for x in jobs}

    def report(job: Job, outcome: str) -> None:
        unfinished.discard(job.key)
        if options.engine != "local":
            progress.advance(1)
        line = f"{total - len(unfinished)}/{total} {job.key}"
        if outcome == "failed":
            why = read_whole(job.folder / FAILED, job.digest) or {}
            ran.failed[job.key] = str(why.get("error", "it failed"))
            tell(f"{line}: failed: {ran.failed[job.key]}")
            return
        ran.done += outcome == "done"
        whole = read_whole(job.folder / (CELL if job.trial else REFERENCE), job.digest) or {}
        tell(f"{line}: {_spent(whole.get('seconds', {}))}")

    worker = TrialWorker(
        tasks=ready.tasks,
        options=options,
        command=None if command is None else tuple(command),
        threads=_threads(options),
    )
    # In this process every stage of a trial has its own progress bar.
    if options.engine != "local":
        progress.start("trials", total, "trials")
    with _workers(worker, options, total, progress, reading) as workers:
        lost, rest = dispatch(jobs, workers, report)
    progress.finish()
    for job, why in lost:
        ran.failed[job.key] = why
        tell(f"{job.key}: failed: {why}")
        unfinished.discard(job.key)
    for name in sorted(unfinished) if rest else ():
        ran.failed[name] = "not attempted, because too many workers died"
    ran.seconds = time.perf_counter() - begun


def _spent(seconds: Mapping[str, float]) -> str:
    whole = sum(seconds.values())
    return f"{numbers.seconds(whole)} ({', '.join(f'{k} {v:.1f}' for k, v in seconds.items())})"


def _threads(options: StudyOptions) -> int | None:
    """Threads per worker: last bits depend on their number."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given):
        return int(given)
    if options.engine == "local":
        return None
    return max(1, cores() // (options.workers or 2))


@contextmanager
def _workers(
    worker: TrialWorker, options: StudyOptions, total: int, progress: Progress, reading: Reading
) -> Iterator[Workers]:
    if options.engine == "local":
        job_runner = TrialRunner(worker, progress, reading)
        try:
            with InProcessRunner(job_runner) as one:
                yield one
        finally:
            job_runner.close()
        return
    with workers_of(options.engine, worker, total, options.workers) as workers:
        yield workers
