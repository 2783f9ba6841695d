"""Jobs handed to whoever is free, again where a worker died, and not for ever.

A crew is a number of workers that each do one job at a time: :class:`Crew` is all that the loop in
:func:`dispatch` knows of them.
"""

from __future__ import annotations

import json
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from harness.errors import ModelError, ShardError
from harness.jobs import POLL, Outcome, ShardJob
from harness.models.base import DenseModel, ModelOptions
from harness.store import write_atomically
from harness.task import TaskSpec

TRIES = 3
"""Times a shard is begun before it is given up."""

MOST_LOST = 10
"""Shards that are given up before the run is: what fails everywhere is not the shards' fault."""

_IDS_SHOWN = 8


@dataclass(frozen=True)
class Worker:
    """How another process makes the model. Picklable."""

    model: str
    """As the user named it."""
    options: ModelOptions
    task: TaskSpec
    fingerprint: str
    threads: int
    """Threads that this process's libraries compute on: others use as many, as sums depend on
    them."""
    cores: int | None = None
    """Cores that encoding may use at once; ``None``: all."""

    def load(self) -> DenseModel:
        """The model, bound to the task, once it is sure to be the same one.

        Raises:
            ModelError: it cannot be loaded, or is another here.
        """
        import os
        import platform

        from harness.models import load
        from harness.models.base import for_task

        if self.cores is not None:
            os.environ["HARNESS_CORES"] = str(self.cores)
        model = for_task(load(self.model, self.options), self.task)
        if getattr(model, "fingerprint", None) != self.fingerprint:
            raise ModelError(
                f"{self.model} is another model on {platform.node()} than where the run began: its "
                "files or library versions differ; make them the same on all machines"
            )
        return model  # type: ignore[return-value]


@dataclass(frozen=True)
class Report:
    """What came of a job."""

    worker: int
    outcome: Outcome | None = None
    error: str | None = None
    """Why there is no outcome."""
    died: bool = False
    """Whether the worker is gone."""
    unable: bool = False
    """Whether no job can be done: the model cannot be loaded."""


class Crew(Protocol):
    """Workers by number."""

    def __enter__(self) -> Crew:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all workers, at once."""

    def workers(self) -> list[int]:
        """Their numbers; all are free."""

    def give(self, worker: int, job: ShardJob) -> None:
        """Have a free worker begin a job."""

    def wait(self, seconds: float) -> list[Report]:
        """What came in, waiting at most so long for the first."""

    def replace(self, worker: int) -> None:
        """Start a new worker in the place of one that died."""


def dispatch(jobs: Sequence[ShardJob], crew: Crew, progress: Callable[[int], None] | None) -> int:
    """Have ``crew`` do ``jobs``; how many of them it encoded.

    A job whose worker died or failed is done again, by another where there is one. What somebody
    else has claimed is asked for again until it is finished, or its claim has expired.

    Raises:
        ShardError: shards failed :data:`TRIES` times; all others are finished, unless there were
            :data:`MOST_LOST` of them.
        ModelError: a worker cannot load the model.
    """
    waiting = deque(jobs)
    free = deque(crew.workers())
    busy: dict[int, ShardJob] = {}
    later: list[tuple[float, ShardJob]] = []
    tries: Counter[tuple[str, int]] = Counter()
    lost: list[tuple[ShardJob, str]] = []
    done = 0
    while waiting or busy or later:
        now = time.monotonic()
        waiting.extend(job for due, job in later if due <= now)
        later = [(due, job) for due, job in later if due > now]
        while free and waiting:
            worker, job = free.popleft(), waiting.popleft()
            crew.give(worker, job)
            busy[worker] = job
        if not busy:
            time.sleep(POLL)
            continue
        for report in crew.wait(POLL):
            if report.unable:
                raise ModelError(report.error or "the model cannot be loaded")
            job = busy.pop(report.worker)
            if report.died:
                crew.replace(report.worker)
            free.append(report.worker)
            if report.outcome == "claimed":
                later.append((time.monotonic() + POLL, job))
            elif report.outcome is not None:
                done += report.outcome == "encoded"
                if progress is not None:
                    progress(len(job))
            else:
                key = (job.language, job.number)
                tries[key] += 1
                if tries[key] < TRIES:
                    waiting.append(job)
                else:
                    lost.append((job, report.error or "its worker died"))
        if len(lost) >= MOST_LOST:
            break
    if lost:
        rest = len(waiting) + len(busy) + len(later)
        raise ShardError(
            " ".join(_given_up(job, why) for job, why in lost)
            + (f" {rest} shards were not tried any more" if rest else " The others are finished")
            + "; the same command goes on from here."
        )
    return done


def _given_up(job: ShardJob, why: str) -> str:
    """One sentence on a shard that cannot be encoded; all its passages' ids go to a file."""
    ids = [x.id for x in job.corpus.read(job.start, job.stop)]
    path = job.space.folder / f"{job.number:08d}.failed"
    content = {"error": why, "tries": TRIES, "start": job.start, "stop": job.stop, "ids": ids}
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False).encode())
    shown = ", ".join(ids[:_IDS_SHOWN]) + (", ..." if len(ids) > _IDS_SHOWN else "")
    return (
        f"Shard {job.number} of {job.language}, passages {shown} (all {len(ids)} in {path}), "
        f"failed {TRIES} times: {why}."
    )
