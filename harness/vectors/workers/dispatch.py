"""Jobs handed to whoever is free, again where a worker died, and not for ever.

A crew is a number of workers that each do one job at a time: :class:`Workers` is all that the loop
in :func:`dispatch` knows of them. What a job is, and how a worker does it, is a :class:`Worker`'s
to say: shards of a corpus (:mod:`harness.vectors.workers.corpus_encoding`), cells of a study.
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
"""Times a job is begun before it is given up."""

MOST_LOST = 10
"""Jobs that are given up before all are: what fails everywhere is not the jobs' fault."""


class Job(Protocol):
    """A unit of work. Picklable, and doing it twice does no harm."""

    @property
    def key(self) -> Hashable:
        """Its own among all jobs."""


class Answer(NamedTuple):
    """What a bench says of a job."""

    outcome: str | None
    """``claimed``: somebody else is at it; ``None``: it failed, and may be tried again."""
    error: str | None = None
    """Why there is no outcome."""
    unable: bool = False
    """Whether no job can be done here."""


class JobRunner(Protocol):
    """A worker's side: whatever it loads once, kept from job to job."""

    def do(self, job: Any) -> Answer:
        """Do one job; what goes wrong is in the answer."""


class Worker(Protocol):
    """What another process needs to begin. Picklable."""

    @property
    def device(self) -> str | None:
        """As torch names it; ``None``: a GPU where there is one."""

    @property
    def threads(self) -> int | None:
        """Threads that libraries compute on; ``None``: their own choice."""

    def placed(self, *, device: str | None = None, cores: int | None = None) -> Self:
        """The same on another device, or with so many cores of its own."""

    def job_runner(self) -> JobRunner:
        """Begin, in the process that will do the jobs."""


@dataclass(frozen=True)
class Report:
    """What came of a job."""

    worker: int
    outcome: str | None = None
    error: str | None = None
    """Why there is no outcome."""
    died: bool = False
    """Whether the worker is gone."""
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
        """End all workers, at once."""

    def workers(self) -> list[int]:
        """Their numbers; all are free."""

    def give(self, worker: int, job: Any) -> None:
        """Have a free worker begin a job."""

    def wait(self, seconds: float) -> list[Report]:
        """What came in, waiting at most so long for the first."""

    def replace(self, worker: int) -> None:
        """Start a new worker in the place of one that died."""


J = TypeVar("J", bound=Job)


def dispatch(
    jobs: Sequence[J], crew: Workers, settled: Callable[[J, str], None]
) -> tuple[list[tuple[J, str]], int]:
    """Have ``crew`` do ``jobs``; ``settled`` is told of each that is done, and its outcome.

    A job whose worker died or failed is done again, by another where there is one. What somebody
    else has claimed is asked for again until it is finished, or its claim has expired.

    Returns:
        Jobs that failed :data:`TRIES` times, with the last reason; and how many were not tried any
        more, as there were :data:`MOST_LOST` of those.

    Raises:
        ModelError: a worker can do no job at all.
    """
    waiting = deque(jobs)
    free = deque(crew.workers())
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
                settled(job, report.outcome)
            else:
                tries[job.key] += 1
                if tries[job.key] < TRIES:
                    waiting.append(job)
                else:
                    lost.append((job, report.error or "its worker died"))
        if len(lost) >= MOST_LOST:
            break
    return lost, len(waiting) + len(busy) + len(later)
