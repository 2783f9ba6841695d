"""Where the shards of a corpus are encoded: here, by several processes, or on a Ray cluster.

The engines know nothing of shards: they also run the trials of a study.

    local     in this process
    devices   one process per GPU; several on the processor where there is no GPU
    ray       actors on a Ray cluster, one per GPU, else on its processors

A shard's batches contain its own texts only, and every worker computes with as many threads as this
process would, so all engines produce the same bytes. Workers read the corpus and write the store
themselves, so that only jobs and outcomes are sent; on a cluster both have to be on a shared file
system.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.errors import UsageError, did_you_mean
from harness.models.base import DenseModel, PartsModel
from harness.vectors.shard_jobs import ShardJob
from harness.vectors.workers.corpus_encoding import ModelWorker, encode_shards
from harness.vectors.workers.dispatch import Worker, Workers

ENGINES = ("local", "devices", "ray")

__all__ = ["ENGINES", "ModelWorker", "Worker", "check_engine", "encode_jobs", "workers_of"]


def check_engine(engine: str, part: tuple[int, int] | None, *, stored: bool) -> None:
    """Check the engine and the part, before anything is read.

    Raises:
        UsageError: the engine is unknown, the part is impossible, or it needs the store.
    """
    if engine not in ENGINES:
        raise UsageError(
            f"engine {engine!r} is not one of {', '.join(ENGINES)}{did_you_mean(engine, ENGINES)}"
        )
    if part is not None:
        i, n = part
        if not 0 <= i < n:
            raise UsageError(f"--shard {i}/{n}: jobs are numbered from 0/{n} to {n - 1}/{n}")
        if not stored:
            raise UsageError(
                "--shard needs the store, through which the jobs share their vectors: drop "
                "--no-store"
            )


def encode_jobs(
    engine: str,
    model: DenseModel | PartsModel,
    worker: ModelWorker | None,
    jobs: Sequence[ShardJob],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Do ``jobs`` and wait for those claimed by others; returns how many were done here.

    Args:
        engine: one of :data:`ENGINES`.
        model: the encoder of the ``local`` engine.
        worker: how another process creates the same model; ``None`` if it cannot.
        jobs: the remaining jobs.
        workers: number of processes or actors; ``None``: one per device.
        progress: gets the number of finished passages.

    Raises:
        ShardError: shards failed three times; all others are finished.
        UsageError: another process cannot create the model, or the engine is not installed.
    """
    if not jobs:
        return 0
    if engine == "local":
        from harness.vectors.workers.this_process import InProcessWorkers

        with InProcessWorkers(model, progress) as alone:
            return encode_shards(jobs, alone, None)
    if worker is None or model.fingerprint is None:
        raise UsageError(
            f"--engine {engine}: workers load the model by its name and verify by its "
            f"fingerprint that it is the same; {model.name} is an object in memory or has none"
        )
    with workers_of(engine, worker, min(workers or len(jobs), len(jobs)), workers) as pool:
        return encode_shards(jobs, pool, progress)


def workers_of(engine: str, worker: Worker, most: int, requested: int | None) -> Workers:
    """The workers of ``devices`` or ``ray``: ``requested``, or one per device, at most ``most``.

    Raises:
        UsageError: the engine is not installed.
    """
    if engine == "devices":
        from harness.vectors.workers.processes import ProcessWorkers

        return ProcessWorkers(worker, most, requested)
    from harness.vectors.workers.ray_cluster import RayWorkers

    return RayWorkers(worker, most, requested)
