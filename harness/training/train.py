"""One training from settings to a model folder: read, check, train, save, report.

    OUTPUT/                    a sentence-transformers folder
    OUTPUT/training.json       the manifest, written last: the folder is complete once it exists
    OUTPUT/loss-curve.csv, .svg
    OUTPUT/training.projection.npy   of mimo: what was trained beside the model and is not in it
    OUTPUT/.training/          checkpoints, until the training has ended

The same call resumes from the last complete checkpoint, and does nothing if the folder is complete.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from harness.base.digests import digest_of
from harness.base.files import home_expanded, write_atomically
from harness.base.progress import Progress, Silent
from harness.base.reading import object_or_empty, read_object
from harness.errors import ModelError, UsageError
from harness.models.trained_folder import MANIFEST
from harness.training.pairs import DataSet, read_examples
from harness.training.settings import Settings
from harness.training.teacher import Teacher, encode_teacher
from harness.training.training_set import TrainingData, read_data

WORK = ".training"
_IDENTITY = "identity.json"
_BASE = "base.json"


@dataclass(frozen=True)
class Trained:
    """What :func:`train` returns."""

    folder: Path
    manifest: Mapping[str, Any]
    fresh: bool
    """``False``: the folder was complete already, and nothing was done."""


class Overlaps(NamedTuple):
    """The overlap check before the training."""

    tasks: Sequence[str] | None = None
    """Tasks whose questions must not be in the data; ``None``: the available small ones."""
    allowed: bool = False
    data_dir: Path | None = None
    found: Sequence[Mapping[str, Any]] | None = None
    """The result of an earlier check of the same data, used instead of a new one."""


class Machine(NamedTuple):
    """Where a training runs."""

    device: str | None
    """``None``: a GPU if there is one."""
    offline: bool


def train(
    settings: Settings,
    output: str | Path,
    *,
    device: str | None = None,
    offline: bool = False,
    overlaps: Overlaps | None = None,
    restart: bool = False,
    keep_checkpoints: bool = False,
    progress: Progress | None = None,
    command: Sequence[str] | None = None,
    read: Callable[[Path], DataSet] = read_examples,
) -> Trained:
    """Train a model, or resume where the same training was stopped.

    Args:
        settings: the recipe.
        output: folder for the model.
        device: a torch device; ``None``: a GPU if there is one.
        offline: never touch the network.
        overlaps: the overlap check; default: questions of the available small tasks.
        restart: discard what another training left in ``output``.
        keep_checkpoints: leave them below ``output``.
        progress: gets the number of steps.
        command: the command line, for the manifest.
        read: reads a file of pairs, or has it in memory.

    Raises:
        HarnessError: anything the caller can fix, in one sentence.
    """
    folder, work = Path(output), Path(output) / WORK
    progress = progress or Silent()
    _check_libraries()
    data = read_data(settings, processes=_processes(), read=read)
    identity = _identity(settings, data)
    if restart:
        _clear(folder, work, identity)
    elif (found := _whole(folder, identity)) is not None:
        _check_models(folder, settings, found["base"], found.get("teacher", {}))
        return Trained(folder, found, fresh=False)
    elif first_process():
        _check_folder(folder, work, identity)
    from harness.training.base_model import load_base

    base = load_base(settings, device=device, offline=offline)
    if not restart and any(work.glob("checkpoint-*")):
        before = object_or_empty(work / _BASE)
        _check_models(folder, settings, before, before.get("teacher", {}))
    seen = _look_for_overlap(settings, overlaps or Overlaps(), progress)
    if first_process():
        _sign(work, identity)
        of_teacher = {"teacher": {"files": _files(settings.teacher)}} if settings.teacher else {}
        files = {"files": base.facts.get("files", {})} | of_teacher
        write_atomically(work / _BASE, json.dumps(files).encode())
    started = time.time()
    machine = Machine(device, offline)
    trainer, resumed_at, teacher = _run(settings, data, base.model, work, machine, progress)
    outcome = _outcome(trainer, settings, time.time() - started, resumed_at)
    if data.silent_validation:
        outcome["said"] += (
            " The validation pairs all share ids or passages, so that no batch had two and their "
            "loss says nothing: it is 0 whatever the model; give more data, a larger --holdout, "
            "another --validation FILE, or --patience 0."
        )
    manifest = _manifest(settings, data, base.facts, seen, outcome, identity, command)
    if teacher is not None:
        manifest["teacher"] = teacher.facts | {"files": _files(settings.teacher)}
        manifest["summary"]["teacher"] = settings.teacher
    if trainer.is_world_process_zero():
        from harness.training.base_model import set_limit
        from harness.training.model_folder import write_folder

        set_limit(trainer.model, base.longest)
        write_folder(
            trainer.model,
            folder,
            work,
            manifest,
            projection=getattr(trainer.loss, "projection", None),
        )
        if not keep_checkpoints:
            shutil.rmtree(work, ignore_errors=True)
    return Trained(folder, manifest, fresh=True)


def _check_libraries() -> None:
    from importlib.util import find_spec

    for package in ("accelerate", "datasets", "matplotlib"):
        if find_spec(package) is None:
            raise UsageError(
                f"training needs the package {package}, which is not installed: "
                "pip install 'polyglot-harness[train]'"
            )


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def first_process() -> bool:
    """Whether this process is the only one, or the one of several that reads and writes."""
    return int(os.environ.get("RANK", "0")) == 0


def _identity(settings: Settings, data: TrainingData) -> dict[str, Any]:
    """The identity of a training: files by content, everything else by value."""
    chosen = settings.document()
    chosen["data"] = [x["sha256"] for x in data.files if x["role"] == "train"]
    chosen["validation"] = [x["sha256"] for x in data.files if x["role"] == "validation"]
    return {"settings": json.loads(json.dumps(chosen)), "processes": _processes()}


def _whole(folder: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The manifest of a folder if this same training has finished it.

    Raises:
        UsageError: another training has.
    """
    if not (folder / MANIFEST).exists():
        return None
    manifest = read_object(folder / MANIFEST, UsageError)
    if manifest.get("identity") == digest_of(identity):
        return manifest
    raise UsageError(
        f"--output {folder}: contains a model trained with other settings or data; give "
        "another folder, or --restart to train there again"
    )


def _check_models(
    folder: Path, settings: Settings, base: Mapping[str, Any], teacher: Mapping[str, Any]
) -> None:
    """Check that folders of base and teacher have the content they had for the training there.

    Raises:
        UsageError: a file of one was changed.
    """
    for flag, name, before in (
        ("--base", settings.base, base),
        ("--teacher", settings.teacher, teacher),
    ):
        now, known = _files(name), before.get("files", {})
        changed = [x for x, digest in known.items() if now and now.get(x, digest) != digest]
        if changed:
            raise UsageError(
                f"--output {folder}: contains a training of another {flag} {name}, whose "
                f"{changed[0]} was changed since; give another folder, or --restart to train there "
                "again"
            )


def _files(model: str) -> dict[str, str]:
    """Digests of a model that is a folder; none of one that is of the hub, or built in."""
    from harness.models.fingerprint import digest_folder

    path = home_expanded(model)
    return digest_folder(path) if model and path.is_dir() else {}


def _clear(folder: Path, work: Path, identity: Mapping[str, Any]) -> None:
    """Discard what one of our trainings left in ``folder``.

    Raises:
        UsageError: it contains something else.
    """
    if not first_process():
        return
    if not (folder / MANIFEST).is_file() and not (work / _IDENTITY).is_file():
        _check_folder(folder, work, identity)
    shutil.rmtree(work, ignore_errors=True)
    # Signed before the manifest goes: killed in between, the folder is still known as ours.
    _sign(work, identity)
    (folder / MANIFEST).unlink(missing_ok=True)


def _check_folder(folder: Path, work: Path, identity: Mapping[str, Any]) -> None:
    """Check that the folder is new, or has this very training, or one without a checkpoint.

    Raises:
        UsageError: it contains something else.
    """
    path = work / _IDENTITY
    if path.is_file():
        before = read_object(path, UsageError)
        if before != identity and any(work.glob("checkpoint-*")):
            names = [
                name
                for name, value in identity["settings"].items()
                if before.get("settings", {}).get(name) != value
            ]
            raise UsageError(
                f"--output {folder}: contains checkpoints of a training with other settings "
                f"({', '.join(names) or 'number of processes'}); give another folder, or "
                "--restart to throw them away"
            )
        return
    present = [x.name for x in folder.iterdir()] if folder.is_dir() else []
    if [x for x in present if x != WORK]:
        raise UsageError(
            f"--output {folder}: is not empty and is not a training of the harness "
            f"({sorted(present)[0]}, ...); give a new folder"
        )


def _sign(work: Path, identity: Mapping[str, Any]) -> None:
    text = json.dumps(identity, indent=1, ensure_ascii=False)
    write_atomically(work / _IDENTITY, text.encode())


def _look_for_overlap(
    settings: Settings, overlaps: Overlaps, progress: Progress
) -> list[dict[str, Any]]:
    """Refuse evaluation questions in the training data; returns the findings for the manifest."""
    if not first_process():
        return []
    if overlaps.found is not None:
        return [dict(x) for x in overlaps.found]
    from harness.training.overlap.detection import require_unseen
    from harness.training.overlap.pair_files import check_at_hand, check_files

    if overlaps.tasks is None:
        found = check_at_hand(settings.data, data_dir=overlaps.data_dir, progress=progress)
    elif not overlaps.tasks:
        return []
    else:
        found = check_files(
            settings.data, overlaps.tasks, data_dir=overlaps.data_dir, progress=progress
        )
    require_unseen(found, allowed=overlaps.allowed)
    return [x.document() | {"sentences": x.sentences()} for x in found]


def planned_steps(settings: Settings, data: TrainingData) -> int:
    """Optimiser steps without early stopping."""
    if settings.steps:
        return settings.steps
    each = len(data.train.plan) // _processes()
    updates = math.ceil(each / settings.accumulation)
    return math.ceil(settings.epochs * updates)


def _teacher(
    settings: Settings,
    data: TrainingData,
    machine: Machine,
    progress: Progress,
) -> Teacher | None:
    """The vectors of the recipe's teacher, if it has one."""
    if not settings.teacher:
        return None
    sides = [data.train] if data.validation is None else [data.train, data.validation]
    examples = [x for side in sides for x in side.pairs.examples]
    return encode_teacher(
        settings.teacher,
        examples,
        device=machine.device,
        offline=machine.offline,
        progress=progress,
    )


def _run(
    settings: Settings,
    data: TrainingData,
    model: Any,
    work: Path,
    machine: Machine,
    progress: Progress,
) -> tuple[Any, int, Teacher | None]:
    """Train to the end; returns the trainer, the step it resumed from, and the teacher."""
    from transformers import EarlyStoppingCallback, set_seed

    from harness.training.batches import HybridBatchSampler, PairCollator
    from harness.training.losses.for_recipe import loss_of
    from harness.training.trainer import (
        Checkpoints,
        ProgressCallback,
        RecipeTrainer,
        Stages,
        last_whole,
    )
    from harness.training.trainer_arguments import arguments, quiet_libraries

    steps = planned_steps(settings, data)
    validated = data.validation is not None
    with quiet_libraries():
        args = arguments(
            settings,
            model,
            work,
            steps,
            validated=validated,
            processes=_processes(),
            device=machine.device,
        )
    # Of several processes the first encodes, and the others find its vectors in the store.
    with args.main_process_first(local=False, desc="teacher"):
        teacher = _teacher(settings, data, machine, progress)
    # After the teacher, whose weights may be drawn before they are read: the same seed is the same
    # training, whether the store has the teacher's vectors or not.
    set_seed(settings.seed)
    loss = loss_of(settings, model, teacher)
    callbacks: list[Any] = [ProgressCallback(progress, steps, validated=validated), Checkpoints()]
    if settings.recipe == "mimo":
        callbacks.append(Stages(loss, round(settings.alignment * steps)))
    if validated and settings.patience:
        callbacks.append(EarlyStoppingCallback(settings.patience))
    with quiet_libraries():
        trainer = RecipeTrainer(
            model=model,
            args=args,
            train_dataset=data.train.pairs,
            eval_dataset=data.validation.pairs if data.validation else None,
            train_sampler=HybridBatchSampler(data.train.plan),
            eval_sampler=HybridBatchSampler(data.validation.plan) if data.validation else None,
            loss=loss,
            data_collator=PairCollator(model.preprocess, settings, teacher),
            callbacks=callbacks,
        )
        checkpoint = last_whole(work)
        try:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        except RuntimeError as error:
            if "out of memory" not in str(error):
                raise
            raise ModelError(
                "the device is out of memory; give a smaller --batch-size, or --cache-batch 16, "
                "which keeps only so many texts in memory at once"
            ) from error
    return trainer, int(checkpoint.name.split("-")[1]) if checkpoint else 0, teacher


def _outcome(trainer: Any, settings: Settings, seconds: float, resumed_at: int) -> dict[str, Any]:
    state = trainer.state
    # Without patience nothing goes back to them, though the trainer notes the best weights.
    best = state.best_global_step if settings.patience else None
    early = state.global_step < state.max_steps
    evaluated = [x for x in state.log_history if "eval_loss" in x]
    if early:
        said = (
            f"Stopped early at step {state.global_step:,} of {state.max_steps:,}: the validation "
            f"loss did not improve in {settings.patience} consecutive validations; the weights are "
            f"those of step {best:,}, where it was lowest."
        )
    elif best and best != state.global_step:
        said = (
            f"Ran all {state.max_steps:,} steps; the weights are those of step {best:,}, where the "
            "validation loss was lowest."
        )
    else:
        said = f"Ran all {state.max_steps:,} steps; the weights are those of the last."
    return {
        "steps": state.global_step,
        "planned_steps": state.max_steps,
        "weights_of_step": best or state.global_step,
        "stopped_early": early,
        "said": said,
        "validations": len(evaluated),
        "epochs": state.epoch,
        "seconds": round(seconds, 1),
        "resumed_at_step": resumed_at or None,
        "curve": _curve(state.log_history),
    }


def _curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One point per logged step: training loss since the last, validation loss, learning rate."""
    points: dict[int, dict[str, Any]] = {}
    names = {"loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate"}
    for entry in history:
        for theirs, ours in names.items():
            if theirs in entry:
                point = points.setdefault(int(entry["step"]), {"step": int(entry["step"])})
                point["epoch"] = round(float(entry["epoch"]), 4)
                point[ours] = float(entry[theirs])
    return [points[step] for step in sorted(points)]


def _manifest(
    settings: Settings,
    data: TrainingData,
    base: Mapping[str, Any],
    overlap: list[dict[str, Any]],
    outcome: dict[str, Any],
    identity: Mapping[str, Any],
    command: Sequence[str] | None,
) -> dict[str, Any]:
    from datetime import UTC, datetime

    from harness.base.environment import environment
    from harness.training.settings import sources

    sampler = settings.sampler()
    plan = data.train.plan
    return {
        "version": 1,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command) if command else None,
        "identity": digest_of(identity),
        "summary": {
            "recipe": settings.recipe,
            "alpha": sampler["alpha"],
            "cross_batches": settings.cross_batches
            if settings.recipe in ("hybrid", "cross")
            else None,
            "base": base["name"],
            "languages": list(data.languages),
            "seed": settings.seed,
            "steps": outcome["weights_of_step"],
            "pairs": sum(len(s.rows) for s in plan.strata),
        },
        "settings": settings.document()
        | {
            name: [Path(x).name for x in getattr(settings, name)] for name in ("data", "validation")
        },
        "sources": sources(settings),
        "sampler": sampler | {"batches_an_epoch": len(plan), "processes": _processes()},
        "base": dict(base),
        "data": data.files,
        "overlap": overlap,
        "outcome": outcome,
        "environment": environment(),
    }
