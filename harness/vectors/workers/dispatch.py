"""Distribute jobs to free workers, retrying failed ones a limited number of times.

:class:`Workers` do one job each at a time; the loop in :func:`dispatch` knows nothing else. A
:class:`Worker` defines what a job is and how to do it: shards of a corpus
(:mod:`harness.vectors.workers.corpus_encoding`), trials of a study.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from harness.errors import ModelError
from harness.vectors.shard_jobs import POLL

TRIES = 3
"""Attempts before a job is abandoned."""

MOST_LOST = 10
"""Abandoned jobs after which the rest is abandoned too: the fault is then not in the jobs."""


class Job(Protocol):
    """A unit of work. Picklable, and harmless to do twice."""

    @property
    def key(self) -> Hashable:
        """A key, unique among all jobs."""


class Answer(NamedTuple):
    """A worker's answer to a job."""

    outcome: str | None
    """``claimed``: another process is doing it; ``None``: it failed and may be retried."""
    error: str | None = None
    """Why there is no outcome."""
    unable: bool = False
    """Whether this worker cannot do any job."""


class JobRunner(Protocol):
    """The worker's side: keeps what it has loaded from job to job."""

    def do(self, job: Any) -> Answer:
        """Do one job; errors are in the answer."""


class Worker(Protocol):
    """What a new process needs to start. Picklable."""

    @property
    def device(self) -> str | None:
        """A torch device; ``None``: a GPU if there is one."""

    @property
    def threads(self) -> int | None:
        """Threads of numerical libraries; ``None``: their default."""

    def placed(self, *, device: str | None = None, cores: int | None = None) -> Self:
        """The same for another device, or another number of cores."""

    def job_runner(self) -> JobRunner:
        """Start, in the process that will do the jobs."""


@dataclass(frozen=True)
class Report:
    """The result of a job."""

    worker: int
    outcome: str | None = None
    error: str | None = None
    """Why there is no outcome."""
    died: bool = False
    """Whether the worker has died."""
    unable: bool = False
    """Whether no job can be done: the model cannot be loaded."""


class Workers(Protocol):
    """Workers by number."""

    def __enter__(self) -> Workers:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all workers immediately."""

    def workers(self) -> list[int]:
        """Their numbers; all are free."""

    def give(self, worker: int, job: Any) -> None:
        """Start a job on a free worker."""

    def wait(self, seconds: float) -> list[Report]:
        """Available results, waiting at most ``seconds`` for the first."""

    def replace(self, worker: int) -> None:
        """Replace a worker that died."""


J = TypeVar("J", bound=Job)


def dispatch(
    jobs: Sequence[J], pool: Workers, finished: Callable[[J, str], None]
) -> tuple[list[tuple[J, str]], int]:
    """Do ``jobs`` with ``pool``; ``finished`` is called with each finished one and its outcome.

    A job whose worker died or failed is redone, by another worker if possible. One that another
    process has claimed is retried until it is finished or the claim has expired.

    Returns:
        Jobs that failed :data:`TRIES` times, with the last reason; and how many were not attempted
        because there were :data:`MOST_LOST` of those.

    Raises:
        ModelError: a worker can do no job at all.
    """
    waiting = deque(jobs)
    free = deque(pool.workers())
    busy: dict[int, J] = {}
    later: list[tuple[float, J]] = []
    tries: Counter[Hashable] = Counter()
    lost: list[tuple[J, str]] = []
    while waiting or busy or later:
        now = time.monotonic()
        waiting.extend(job for due, job in later if due <= now)
        later = [(due, job) for due, job in later if due > now]
        while free and waiting:
            worker, job = free.popleft(), waiting.popleft()
            pool.give(worker, job)
            busy[worker] = job
        if not busy:
            time.sleep(POLL)
            continue
        for report in pool.wait(POLL):
            if report.unable:
                raise ModelError(report.error or "the model cannot be loaded")
            job = busy.pop(report.worker)
            if report.died:
                pool.replace(report.worker)
            free.append(report.worker)
            if report.outcome == "claimed":
                later.append((time.monotonic() + POLL, job))
            elif report.outcome is not None:
                finished(job, report.outcome)
            else:
                tries[job.key] += 1
                if tries[job.key] < TRIES:
                    waiting.append(job)
                else:
                    lost.append((job, report.error or "its worker died"))
        if len(lost) >= MOST_LOST:
            break
    return lost, len(waiting) + len(busy) + len(later)
