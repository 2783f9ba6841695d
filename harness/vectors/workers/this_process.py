"""Jobs one after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.data.corpus import CorpusReader
from harness.errors import HarnessError
from harness.models.base import DenseModel, PartsModel
from harness.vectors.shard_jobs import ShardJob, encode_shard
from harness.vectors.workers.dispatch import JobRunner, Report


class InProcessWorkers:
    """One worker, which is this process; bugs in it are raised, not reported."""

    def __init__(
        self, model: DenseModel | PartsModel, progress: Callable[[int], None] | None
    ) -> None:
        self._model, self._progress = model, progress
        self._reader: CorpusReader | None = None
        self._job: ShardJob | None = None
        self._reported = 0
        """Passages of the current job that progress counts already."""

    def __enter__(self) -> InProcessWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def workers(self) -> list[int]:
        """Worker 0."""
        return [0]

    def give(self, worker: int, job: ShardJob) -> None:
        """Keeps the job until :meth:`wait`."""
        self._job = job

    def wait(self, seconds: float) -> list[Report]:
        """Do the job."""
        job, self._job = self._job, None
        assert job is not None
        if self._reader is None or self._reader.corpus != job.corpus:
            self._reader = CorpusReader(job.corpus)  # one corpus is open at a time
        self._reported = 0
        try:
            outcome = encode_shard(self._model, job, reader=self._reader, progress=self._report)
        except HarnessError as error:
            self._reader = None
            self._report(-self._reported)
            return [Report(0, error=str(error))]
        if outcome == "finished":
            self._report(len(job))
        return [Report(0, outcome)]

    def _report(self, passages: int) -> None:
        self._reported += passages
        if self._progress is not None:
            self._progress(passages)

    def replace(self, worker: int) -> None:
        """Never called: this process cannot die alone."""


class InProcessRunner:
    """One worker, which is this process, for any kind of job."""

    def __init__(self, job_runner: JobRunner) -> None:
        self._job_runner = job_runner
        self._job: Any = None

    def __enter__(self) -> InProcessRunner:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def workers(self) -> list[int]:
        """Worker 0."""
        return [0]

    def give(self, worker: int, job: Any) -> None:
        """Keeps the job until :meth:`wait`."""
        self._job = job

    def wait(self, seconds: float) -> list[Report]:
        """Do the job."""
        outcome, error, unable = self._job_runner.do(self._job)
        return [Report(0, outcome, error, unable=unable)]

    def replace(self, worker: int) -> None:
        """Never called: this process cannot die alone."""
