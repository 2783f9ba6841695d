"""Shards of a corpus as jobs: the worker with the model, and messages for abandoned shards."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from harness.base.files import write_atomically
from harness.data.task import TaskSpec
from harness.errors import HarnessError, ModelError, ShardError
from harness.models.base import DenseModel, ModelOptions, PartsModel
from harness.vectors.shard_jobs import ShardJob
from harness.vectors.workers.dispatch import TRIES, Answer, Workers, dispatch

_IDS_SHOWN = 8


@dataclass(frozen=True)
class ModelWorker:
    """How another process creates the model. Picklable."""

    model: str
    """The model's name as given by the user."""
    options: ModelOptions
    task: TaskSpec
    fingerprint: str
    threads: int
    """Threads of this process's libraries: other processes use as many, because sums depend on
    them."""
    cores: int | None = None
    """Cores that encoding may use at once; ``None``: all."""

    @property
    def device(self) -> str | None:
        """The device of the model."""
        return self.options.device

    def placed(self, *, device: str | None = None, cores: int | None = None) -> ModelWorker:
        """The same for another device or number of cores."""
        options = self.options if device is None else replace(self.options, device=device)
        return replace(self, options=options, cores=self.cores if cores is None else cores)

    def job_runner(self) -> ShardRunner:
        """Encodes shards; loads the model with the first one."""
        return ShardRunner(self)

    def load(self) -> DenseModel | PartsModel:
        """The model, bound to the task and verified to be the same one.

        Raises:
            ModelError: it cannot be loaded, or is a different one here.
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
                f"{self.model} differs on {platform.node()} from the model where the run began: "
                "its files or library versions differ; make them the same on all machines"
            )
        return cast("DenseModel | PartsModel", model)


class ShardRunner:
    """The model, loaded once, and the corpus, read sequentially from shard to shard."""

    def __init__(self, worker: ModelWorker) -> None:
        self._worker = worker
        self._model: Any = None
        self._reader: Any = None

    def do(self, job: ShardJob) -> Answer:
        """Encode one shard."""
        from harness.data.corpus import CorpusReader
        from harness.vectors.shard_jobs import encode_shard

        try:
            if self._model is None:
                self._model = self._worker.load()
        except HarnessError as error:
            return Answer(None, str(error), unable=True)
        try:
            if self._reader is None or self._reader.corpus != job.corpus:
                self._reader = CorpusReader(job.corpus)
            return Answer(encode_shard(self._model, job, reader=self._reader))
        except HarnessError as error:
            self._reader = None
            return Answer(None, str(error))
        except Exception as error:  # whatever it is, another worker may succeed
            self._reader = None
            return Answer(None, f"{type(error).__name__}: {error}")


def encode_shards(
    jobs: Sequence[ShardJob], pool: Workers, progress: Callable[[int], None] | None
) -> int:
    """Encode shards with the workers of ``pool``; returns how many they did.

    Raises:
        ShardError: shards failed repeatedly; all others are finished, unless there were many.
        ModelError: a worker cannot load the model.
    """
    outcomes: list[str] = []

    def finished(job: ShardJob, outcome: str) -> None:
        outcomes.append(outcome)
        if progress is not None:
            progress(len(job))

    lost, rest = dispatch(jobs, pool, finished)
    if lost:
        raise ShardError(
            " ".join(_given_up(job, why) for job, why in lost)
            + (f" {rest} shards were not attempted" if rest else " The others are finished")
            + "; the same command resumes from here."
        )
    return outcomes.count("encoded")


def _given_up(job: ShardJob, why: str) -> str:
    """One sentence on a shard that cannot be encoded; its passage ids are written to a file."""
    ids = [x.id for x in job.corpus.read(job.start, job.stop)]
    path = job.space.folder / f"{job.number:08d}.failed"
    content = {"error": why, "tries": TRIES, "start": job.start, "stop": job.stop, "ids": ids}
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False).encode())
    shown = ", ".join(ids[:_IDS_SHOWN]) + (", ..." if len(ids) > _IDS_SHOWN else "")
    return (
        f"Shard {job.number} of {job.language}, passages {shown} (all {len(ids)} in {path}), "
        f"failed {TRIES} times: {why}."
    )
