"""One process per device, each with one job at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, TypeVar

from harness.base.environment import cores
from harness.vectors.workers.dispatch import Report, Worker

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_CORES_EACH = 8
"""Cores per process without a GPU: more threads would wait for Python's lock."""

W = TypeVar("W", bound=Worker)


def devices_of(worker: W, requested: int | None) -> list[W]:
    """One worker per GPU; without a GPU at least two that share the cores.

    ``requested`` workers, if given: several per GPU, or more on the CPU.
    """
    count_gpus = gpus() if worker.device in (None, "cuda") else 0
    if not count_gpus:
        count = requested or max(2, cores() // _CORES_EACH)
        share = max(1, cores() // count)
        return [worker.placed(cores=share) for _ in range(count)]
    return [worker.placed(device=f"cuda:{i % count_gpus}") for i in range(requested or count_gpus)]


def gpus() -> int:
    """Number of GPUs on this machine that torch can use."""
    import torch

    return int(torch.cuda.device_count())


class ProcessWorkers:
    """Spawned processes (not forked: a GPU's state does not survive that)."""

    def __init__(self, worker: Worker, most: int, requested: int | None) -> None:
        self._plans = devices_of(worker, requested)[:most]
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, SpawnProcess] = {}
        self._pipes: dict[int, Connection] = {}
        self._busy: set[int] = set()
        """Workers with a job: one that dies without one is noticed when it gets the next."""

    def __enter__(self) -> ProcessWorkers:
        for number in range(len(self._plans)):
            self.replace(number)
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in self._pipes.values():
            pipe.close()  # an idle worker ends by itself
        for process in self._processes.values():
            if error[0] is None:
                process.join(10)
            process.kill()
            process.join()

    def workers(self) -> list[int]:
        """As many as there are devices."""
        return list(self._processes)

    def give(self, worker: int, job: Any) -> None:
        """Send it; a worker that died is noticed in :meth:`wait`."""
        self._busy.add(worker)
        with contextlib.suppress(OSError):
            self._pipes[worker].send(job)

    def wait(self, seconds: float) -> list[Report]:
        """Answers, and the ends of processes with a job."""
        numbers: dict[Any, int] = {self._pipes[number]: number for number in self._busy}
        found = []
        for pipe in wait(list(numbers), timeout=seconds):
            number = numbers[pipe]
            self._busy.discard(number)
            try:
                outcome, error, unable = self._pipes[number].recv()
                found.append(Report(number, outcome, error, unable=unable))
            except (EOFError, OSError):
                self._processes[number].join()
                code = self._processes[number].exitcode
                why = f"its worker died ({_ended(code)})"
                found.append(Report(number, error=why, died=True))
        return found

    def replace(self, worker: int) -> None:
        """Start a process in its place."""
        if worker in self._pipes:
            self._pipes[worker].close()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(self._plans[worker], theirs), daemon=True, name=f"worker-{worker}"
        )
        with _environment(self._plans[worker].threads):
            process.start()
        theirs.close()
        self._processes[worker], self._pipes[worker] = process, ours


@contextlib.contextmanager
def _environment(threads: int | None) -> Iterator[None]:
    """Processes started within the block have libraries with this number of threads."""
    before = os.environ.get("OMP_NUM_THREADS")
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        if threads is not None:
            os.environ.pop("OMP_NUM_THREADS")
            if before is not None:
                os.environ["OMP_NUM_THREADS"] = before


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _work(worker: Worker, pipe: Connection) -> None:
    """The main loop of a process: jobs in, outcomes or errors out."""
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    job_runner = worker.job_runner()
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        answer = job_runner.do(job)
        try:
            pipe.send(answer)
        except OSError:
            return
