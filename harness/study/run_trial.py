"""One trial: trained, scored on every task and recorded, by any worker anywhere."""

from __future__ import annotations

import contextlib
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.base.leases import take
from harness.base.progress import Progress, Silent
from harness.errors import HarnessError, StudyError
from harness.evaluation.layout import Prepared
from harness.evaluation.options import RunOptions
from harness.evaluation.record import Record
from harness.evaluation.run import lay_out, run
from harness.evaluation.run import load as load_run
from harness.evaluation.sweep import records_of, with_options
from harness.models.base import Model, ModelOptions
from harness.study.definition import PLAIN
from harness.study.frozen_layers import FrozenLayers
from harness.study.prepared import Job, StudyOptions, Task
from harness.study.reading import Reading
from harness.study.results import (
    CELL,
    FAILED,
    KIND,
    RECORDS,
    REFERENCE,
    model_folder,
    read_whole,
    record_key,
    scores_file,
    training_file,
    write_json,
)
from harness.study.shared_vectors import SharedVectors
from harness.vectors.workers.dispatch import Answer

CLAIMS = "claims"


@dataclass(frozen=True)
class TrialWorker:
    """What a process or actor needs to run trials. Picklable."""

    tasks: tuple[Task, ...]
    options: StudyOptions
    command: tuple[str, ...] | None = None
    threads: int | None = None
    cores: int | None = None

    @property
    def device(self) -> str | None:
        """Where models are trained and scored."""
        return self.options.device

    def placed(self, *, device: str | None = None, cores: int | None = None) -> TrialWorker:
        """The same elsewhere."""
        options = self.options if device is None else replace(self.options, device=device)
        return replace(self, options=options, cores=self.cores if cores is None else cores)

    def job_runner(self) -> TrialRunner:
        """Begin."""
        return TrialRunner(self)


class TrialRunner:
    """Runs trials one after the other, keeping what they share: texts read, trunks computed.

    ``reading`` is this process's cache of what was read.
    """

    def __init__(
        self,
        worker: TrialWorker,
        progress: Progress | None = None,
        reading: Reading | None = None,
    ) -> None:
        self._worker = worker
        self._progress = progress or Silent()
        self._reading = reading or Reading()
        self._vectors = SharedVectors(worker.tasks, worker.options, self._reading, self._progress)
        self._layers = FrozenLayers()
        self._shared = contextlib.ExitStack()
        self._begun = False

    def close(self) -> None:
        """Called after the last trial."""
        self._shared.close()

    def do(self, job: Job) -> Answer:
        """Run a trial or a reference, unless it is finished or another process is running it.

        Errors are recorded in its folder and are an outcome like any other; a failed trial is
        repeated when the study is run again.
        """
        self._begin()
        last = CELL if job.trial else REFERENCE
        if read_whole(job.folder / last, job.digest) is not None:
            return Answer("finished")
        claim = take(self._worker.options.output / CLAIMS / job.folder.name)
        if claim is None:
            return Answer("claimed")
        with claim:
            if read_whole(job.folder / last, job.digest) is not None:
                return Answer("finished")
            try:
                found = self._trial(job) if job.trial else self._reference(job)
            except HarnessError as error:
                return self._failed(job, str(error), None)
            except Exception as error:  # whatever the error, the other trials continue
                why = f"{type(error).__name__}: {error}"
                return self._failed(job, why, traceback.format_exc())
            write_json(job.folder / last, {**self._head(job), **found})
            (job.folder / FAILED).unlink(missing_ok=True)
            if not self._worker.options.keep_models:
                remove_model(self._worker.options.output, job.key)
        return Answer("done")

    def _begin(self) -> None:
        if self._begun:
            return
        import torch

        from harness.training.trainer_arguments import quiet_libraries

        if self._worker.threads is not None:
            self._shared.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(self._worker.threads)
        with contextlib.suppress(ImportError):
            from harness.models.use_m3.module import shared_trunk

            self._shared.enter_context(shared_trunk())
        self._shared.enter_context(quiet_libraries())
        self._begun = True

    def _head(self, job: Job) -> dict[str, Any]:
        head: dict[str, Any] = {"format": KIND, "name": job.key, "digest": job.digest}
        if job.trial is not None:
            trial = job.trial
            head |= {"arm": trial.arm, "values": dict(trial.values), "seed": trial.seed}
        return head

    def _failed(self, job: Job, why: str, trace: str | None) -> Answer:
        write_json(job.folder / FAILED, {**self._head(job), "error": why, "traceback": trace})
        return Answer("failed", why)

    def _trial(self, job: Job) -> dict[str, Any]:
        from harness.models import load
        from harness.models.sentence_transformer import LoadedEncoder
        from harness.training.train import Overlaps, train

        assert job.settings is not None
        options = self._worker.options
        self._vectors.precompute(job.settings)
        model = _clean_place(options.output, job)
        if "seconds" not in (read_whole(training_file(model), job.training) or {}):
            # Also of weights that an earlier call finished, and was killed before it said so.
            _discard_scores(job)
        self._check_pairs(job)
        begun, used = time.perf_counter(), time.process_time()
        trained = train(
            job.settings,
            model,
            device=options.device,
            offline=options.offline,
            overlaps=Overlaps((), found=job.overlap),
            progress=self._progress,
            command=self._worker.command,
            read=self._reading.pairs,
        )
        spent = {
            "seconds": round(time.perf_counter() - begun, 2),
            "processor_seconds": round(time.process_time() - used, 2),
        }
        known = {} if trained.fresh else read_whole(training_file(model), job.training) or {}
        if "seconds" in known:
            spent = {x: known[x] for x in spent}
        else:
            if not trained.fresh:  # whoever ended the training was killed before it said so
                spent = dict.fromkeys(spent, float(trained.manifest["outcome"]["seconds"]))
            write_json(training_file(model), {"digest": job.training, **spent})
        seconds = {"train": spent["seconds"]}
        processor = {"train": spent["processor_seconds"]}
        loaded = load(str(model), ModelOptions(device=options.device, offline=options.offline))
        if isinstance(loaded, LoadedEncoder):
            self._layers.attach(loaded.model, model, job.settings, offline=options.offline)
        if trained.fresh:
            _discard_scores(job)
        records = self._scored(job, loaded, seconds, processor)
        return {
            "training": _outcome(trained.manifest, job.overlap),
            "records": records,
            "seconds": seconds,
            "processor_seconds": processor,
            "threads": self._threads(),
        }

    def _check_pairs(self, job: Job) -> None:
        """Check that the pairs are those that the trial was planned with.

        Raises:
            StudyError: another process has made others of the same name since.
        """
        assert job.settings is not None
        for file, digest in zip(job.settings.data, job.pairs, strict=False):
            if self._reading.pairs(Path(file)).digest != digest:
                raise StudyError(
                    f"{file}: was changed since this run began, by another one with another study "
                    "file or data; run the study again"
                )

    def _reference(self, job: Job) -> dict[str, Any]:
        from harness.models import load

        options = self._worker.options
        loaded = load(job.model, ModelOptions(device=options.device, offline=options.offline))
        seconds: dict[str, float] = {}
        processor: dict[str, float] = {}
        records = self._scored(job, loaded, seconds, processor)
        return {
            "records": records,
            "seconds": seconds,
            "processor_seconds": processor,
            "threads": self._threads(),
        }

    def _scored(
        self, job: Job, model: Model, seconds: dict[str, float], processor: dict[str, float]
    ) -> dict[str, str]:
        """Score on every task; paths of records below the job's folder, by record.

        A task that these same weights were scored on before, by an interrupted run or before
        another task was added, is not scored again. ``seconds`` and ``processor`` get the time of
        each task: of the clock, and of all cores.
        """
        found: dict[str, str] = {}
        for task in self._worker.tasks:
            name = task.scored.name
            place = scores_file(job.folder, name)
            scores = read_whole(place, job.scores[name])
            if scores is None:
                scores = {"digest": job.scores[name], **self._scores(job, task, model)}
                write_json(place, scores)
            found |= scores["records"]
            seconds[name] = scores["seconds"]
            processor[name] = scores["processor_seconds"]
        return found

    def _scores(self, job: Job, task: Task, model: Model) -> dict[str, Any]:
        begun, used = time.perf_counter(), time.process_time()
        prepared = self._reading.task(task.scored.name, task.spec, task.options)
        found = {}
        for name, record in self._records(task, prepared, model).items():
            key = record_key(task.scored.name, name)
            place = Path(RECORDS) / key.replace(" ", "")
            record.save(job.folder / place)
            found[key] = place.as_posix()
        return {
            "records": found,
            "seconds": round(time.perf_counter() - begun, 2),
            "processor_seconds": round(time.process_time() - used, 2),
        }

    def _records(self, task: Task, prepared: Prepared, model: Model) -> dict[str, Record]:
        """A record for each way to score the model, by name; its texts are encoded once."""
        options = self._placed(task.options)
        # Models without vectors are scored as they are.
        if len(task.steps) == 1 or not hasattr(model, "encode"):
            record = run(
                model,
                None,
                options,
                progress=self._progress,
                command=self._worker.command,
                prepared=[prepared],
            )
            return {PLAIN: record}
        setup = load_run(model, options, self._progress)
        runs = [lay_out(setup, prepared)]
        setups = [
            with_options(setup, replace(setup.options, treatments=x), runs)
            for x in task.steps.values()
        ]
        return dict(zip(task.steps, records_of(setups, runs, None), strict=True))

    def _placed(self, options: RunOptions) -> RunOptions:
        return replace(options, model=replace(options.model, device=self._worker.options.device))

    def _threads(self) -> int:
        import torch

        return int(torch.get_num_threads())


def _discard_scores(job: Job) -> None:
    """Forget what earlier weights of a trial scored: not every device repeats them bit by bit."""
    for task in job.scores:
        scores_file(job.folder, task).unlink(missing_ok=True)


def remove_model(output: Path, name: str) -> None:
    """Remove a trial's model and the rest of its training."""
    model = model_folder(output, name)
    shutil.rmtree(model, ignore_errors=True)
    training_file(model).unlink(missing_ok=True)


def _clean_place(output: Path, job: Job) -> Path:
    """The folder of a trial's model: new, or with what this same training left.

    A file next to it identifies the training: one with other settings or data is discarded. What
    the model is scored on is no part of that, so that a kept model can be scored on more tasks.
    """
    model = model_folder(output, job.key)
    if read_whole(training_file(model), job.training) is None:
        remove_model(output, job.key)
        write_json(training_file(model), {"digest": job.training})
    return model


def _outcome(manifest: Mapping[str, Any], overlap: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a trial keeps of its training's manifest.

    ``overlap`` is of all tasks, also of those that were added after the training.
    """
    outcome, summary = manifest["outcome"], manifest["summary"]
    curve: Sequence[Mapping[str, Any]] = outcome["curve"]
    at = outcome["weights_of_step"]
    losses = [x["loss"] for x in curve if "loss" in x]
    held_out = {x["step"]: x["validation_loss"] for x in curve if "validation_loss" in x}
    kept = ("steps", "planned_steps", "weights_of_step", "stopped_early", "said", "epochs",
            "seconds")  # fmt: skip
    return {
        **{name: outcome[name] for name in kept},
        "loss": losses[-1] if losses else None,
        "validation_loss": held_out.get(at),
        "recipe": summary["recipe"],
        "alpha": summary["alpha"],
        "pairs": summary["pairs"],
        "languages": list(summary["languages"]),
        "overlap": list(overlap),
    }
