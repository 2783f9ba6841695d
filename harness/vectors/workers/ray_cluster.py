"""Ray Core actors, one per GPU of a cluster, otherwise on its CPUs."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from harness.errors import UsageError
from harness.vectors.workers.dispatch import Answer, Report, Worker

_CORES_EACH = 8
"""Cores per actor on machines without a GPU."""


def resources() -> tuple[int, int]:
    """GPUs and processors of the cluster.

    Raises:
        UsageError: Ray is not installed.
    """
    ray = _import()
    own = _connect(ray)
    try:
        return _counted(ray)
    finally:
        if own:
            ray.shutdown()


def _import() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "--engine ray needs Ray, which is not installed: pip install 'polyglot-harness[ray]'"
        ) from error
    return ray


def _connect(ray: Any) -> bool:
    """Connect to the cluster unless connected; returns whether this call connected."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    if ray.is_initialized():
        return False
    ray.init(log_to_driver=False, logging_level="error")
    return True


def _counted(ray: Any) -> tuple[int, int]:
    found = ray.cluster_resources()
    return int(found.get("GPU", 0)), int(found.get("CPU", 1))


class Seat:
    """An actor: it creates its worker where it runs."""

    def __init__(self, worker: Worker) -> None:
        self._job_runner = worker.job_runner()

    def do(self, job: Any) -> Answer:
        """One job."""
        return self._job_runner.do(job)


class RayWorkers:
    """Actors on the cluster that RAY_ADDRESS or ``ray start`` names, or on a local one."""

    def __init__(self, worker: Worker, most: int, requested: int | None) -> None:
        self._ray = _import()
        self._worker, self._most, self._requested = worker, most, requested
        self._own = False
        self._actors: dict[int, Any] = {}
        self._running: dict[Any, int] = {}
        self._needs: dict[str, float] = {}

    def __enter__(self) -> RayWorkers:
        self._own = _connect(self._ray)
        try:
            self._start()
        except BaseException:
            self.__exit__()  # which Python calls only for those that were entered
            raise
        return self

    def _start(self) -> None:
        gpus, processors = _counted(self._ray)
        if gpus and self._worker.device in (None, "cuda"):
            count = self._requested or gpus
            self._needs = {"num_gpus": min(1.0, gpus / count), "num_cpus": 1}
            self._worker = self._worker.placed(device="cuda")
        else:
            count = self._requested or max(min(2, processors), processors // _CORES_EACH)
            if count > processors:
                raise UsageError(
                    f"--workers {count}: the Ray cluster has {processors} CPUs, and an actor needs "
                    "one"
                )
            share = max(1, processors // count)
            self._needs = {"num_gpus": 0, "num_cpus": share}
            self._worker = self._worker.placed(cores=share)
        for number in range(min(count, self._most)):
            self.replace(number)

    def __exit__(self, *error: object) -> None:
        for actor in self._actors.values():
            with contextlib.suppress(Exception):
                self._ray.kill(actor)
        if self._own:
            self._ray.shutdown()

    def workers(self) -> list[int]:
        """As many as the cluster has devices."""
        return list(self._actors)

    def give(self, worker: int, job: Any) -> None:
        """Call the actor."""
        self._running[self._actors[worker].do.remote(job)] = worker

    def wait(self, seconds: float) -> list[Report]:
        """Answers, and the ends of actors."""
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
        found = []
        for reference in ready:
            number = self._running.pop(reference)
            try:
                outcome, error, unable = self._ray.get(reference)
                found.append(Report(number, outcome, error, unable=unable))
            except self._ray.exceptions.RayActorError:
                found.append(Report(number, error="its actor died", died=True))
        return found

    def replace(self, worker: int) -> None:
        """Start an actor in its place."""
        # Ray would give an actor as many threads as it reserves cores, and sums depend on them.
        threads = self._worker.threads
        environment = {} if threads is None else {"env_vars": {"OMP_NUM_THREADS": str(threads)}}
        actor = self._ray.remote(Seat).options(
            **self._needs, max_restarts=0, runtime_env=environment
        )
        self._actors[worker] = actor.remote(self._worker)
