"""Where the shards of a corpus are encoded: here, by several processes, or on a Ray cluster.

The crews know nothing of shards: cells of a study are handed out by the same ones.

    local     in this process
    devices   one process per GPU; several on the processor where there is no GPU
    ray       actors on a Ray cluster, one per GPU, else on its processors

Whoever encodes a shard makes its batches of the shard's texts alone, and its workers compute on as
many threads as this process would: the same bytes come out of all of them. Workers read the corpus
and write the store themselves, so that only jobs and outcomes travel; on a cluster both have to lie
where every machine sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.errors import UsageError, did_you_mean
from harness.models.base import DenseModel
from harness.vectors.shard_jobs import ShardJob
from harness.vectors.workers.corpus_encoding import ModelWorker, encode_shards
from harness.vectors.workers.dispatch import Worker, Workers

ENGINES = ("local", "devices", "ray")

__all__ = ["ENGINES", "ModelWorker", "Worker", "check_engine", "encode_jobs", "workers_of"]


def check_engine(engine: str, part: tuple[int, int] | None, *, stored: bool) -> None:
    """Refuse an engine or a part that there is none of, before anything is read.

    Raises:
        UsageError: what it says.
    """
    if engine not in ENGINES:
        raise UsageError(
            f"engine {engine!r} is not one of {', '.join(ENGINES)}{did_you_mean(engine, ENGINES)}"
        )
    if part is not None:
        i, n = part
        if not 0 <= i < n:
            raise UsageError(f"--shard {i}/{n}: parts are numbered from 0/{n} to {n - 1}/{n}")
        if not stored:
            raise UsageError("--shard needs the store: the other parts' vectors meet there")


def encode_jobs(
    engine: str,
    model: DenseModel,
    worker: ModelWorker | None,
    jobs: Sequence[ShardJob],
    *,
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Do ``jobs`` and wait for those that others are at; how many were done here.

    Args:
        engine: one of :data:`ENGINES`.
        model: what encodes where the engine is ``local``.
        worker: how another process makes the same model; ``None`` where it cannot.
        jobs: what is left to do.
        workers: processes or actors; ``None``: as many as there are devices.
        progress: told how many passages are settled.

    Raises:
        ShardError: shards failed three times; all others are finished.
        UsageError: the model cannot be made by another process, or the engine is not installed.
    """
    if not jobs:
        return 0
    if engine == "local":
        from harness.vectors.workers.this_process import InProcessWorkers

        with InProcessWorkers(model, progress) as alone:
            return encode_shards(jobs, alone, None)
    if worker is None or model.fingerprint is None:
        raise UsageError(
            f"--engine {engine}: workers load the model themselves, by its name, and know by its "
            f"fingerprint that it is the same; {model.name} is an object in memory or has none"
        )
    with workers_of(engine, worker, min(workers or len(jobs), len(jobs)), workers) as crew:
        return encode_shards(jobs, crew, progress)


def workers_of(engine: str, worker: Worker, most: int, asked: int | None) -> Workers:
    """The crew of ``devices`` or ``ray``: ``asked`` workers, or one per device, at most ``most``.

    Raises:
        UsageError: the engine is not installed.
    """
    if engine == "devices":
        from harness.vectors.workers.processes import ProcessWorkers

        return ProcessWorkers(worker, most, asked)
    from harness.vectors.workers.ray_cluster import RayWorkers

    return RayWorkers(worker, most, asked)
