"""One process per device, each with the model and one job at a time."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

from harness.environment import cores
from harness.executors.crew import Report, Worker
from harness.jobs import ShardJob

if TYPE_CHECKING:
    from multiprocessing.context import SpawnProcess

_CORES_EACH = 8
"""Cores per process where there is no GPU: more threads would wait for Python's lock."""


def devices_of(worker: Worker, asked: int | None) -> list[Worker]:
    """One worker per GPU; on the processor at least two that share its cores.

    ``asked`` workers, if given: several on a GPU, or more on the processor.
    """
    device = worker.options.device
    count_gpus = gpus() if device in (None, "cuda") else 0
    if not count_gpus:
        count = asked or max(2, cores() // _CORES_EACH)
        share = max(1, cores() // count)
        return [replace(worker, cores=share) for _ in range(count)]
    return [
        replace(worker, options=replace(worker.options, device=f"cuda:{i % count_gpus}"))
        for i in range(asked or count_gpus)
    ]


def gpus() -> int:
    """GPUs of this machine that torch can use."""
    import torch

    return int(torch.cuda.device_count())


class ProcessCrew:
    """Processes that are started afresh (not forked: a GPU's state does not survive that)."""

    def __init__(self, worker: Worker, most: int, asked: int | None) -> None:
        self._plans = devices_of(worker, asked)[:most]
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, SpawnProcess] = {}
        self._pipes: dict[int, Connection] = {}

    def __enter__(self) -> ProcessCrew:
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

    def give(self, worker: int, job: ShardJob) -> None:
        """Send it; a worker that died is noticed in :meth:`wait`."""
        with contextlib.suppress(OSError):
            self._pipes[worker].send(job)

    def wait(self, seconds: float) -> list[Report]:
        """Answers, and the ends of processes."""
        numbers = {pipe: number for number, pipe in self._pipes.items()}
        found = []
        for pipe in wait(list(numbers), timeout=seconds):
            number = numbers[pipe]  # type: ignore[index]
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
        """Start a process in this place."""
        if worker in self._pipes:
            self._pipes[worker].close()
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(self._plans[worker], theirs), daemon=True, name=f"encode-{worker}"
        )
        process.start()
        theirs.close()
        self._processes[worker], self._pipes[worker] = process, ours


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {signal.Signals(-code).name}"
    return f"exit code {code}"


def _work(worker: Worker, pipe: Connection) -> None:
    """What a process does until nobody asks any more: jobs in, outcomes or errors out."""
    # Ctrl-C reaches all processes of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    bench = Bench(worker)
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        answer = bench.do(job)
        try:
            pipe.send(answer)
        except OSError:
            return


class Bench:
    """A worker's side: the model, loaded once, and the corpus, read on from shard to shard."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._model: Any = None
        self._reader: Any = None

    def do(self, job: ShardJob) -> tuple[str | None, str | None, bool]:
        """The outcome, or else what went wrong; and whether that goes for all jobs."""
        from harness.data.corpus import CorpusReader
        from harness.errors import HarnessError
        from harness.jobs import encode_shard

        try:
            if self._model is None:
                self._model = self._worker.load()
        except HarnessError as error:
            return None, str(error), True
        try:
            if self._reader is None or self._reader.corpus != job.corpus:
                self._reader = CorpusReader(job.corpus)
            return encode_shard(self._model, job, reader=self._reader), None, False
        except HarnessError as error:
            self._reader = None
            return None, str(error), False
        except Exception as error:  # whatever it is, the shard gets another try elsewhere
            self._reader = None
            return None, f"{type(error).__name__}: {error}", False
