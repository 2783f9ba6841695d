"""The folder of a study: which study it is, and its finished trials.

OUT/study.json                     which study this is, and the names of its trials in order
OUT/data/NAME.jsonl.gz             its pairs, with a file on where they come from
OUT/cells/CELL/cell.json           written last: the trial is finished once it exists
OUT/cells/CELL/failed.json         instead: why it failed; it is retried
OUT/cells/CELL/records/TASK/       what :func:`harness.evaluate` writes
OUT/cells/CELL/records/TASK.json   written after it: the trial is scored on this task once it exists
OUT/models/CELL, CELL.json         its model, where models are kept, and which training made it
OUT/references/MODEL/reference.json, records/TASK/, records/TASK.json
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.base.reading import object_or_empty, read_object
from harness.errors import StudyError
from harness.evaluation.record import Record
from harness.study.definition import PLAIN, Study
from harness.study.file import study_from
from harness.study.trials import Trial, trials_of

FORMAT = 1
STUDY, CELL, FAILED, REFERENCE = "study.json", "cell.json", "failed.json", "reference.json"
KIND = "harness study cell"
CELLS, DATA, MODELS, RECORDS, REFERENCES = "cells", "data", "models", "records", "references"


@dataclass(frozen=True)
class TrialResult:
    """A finished trial."""

    trial: Trial
    training: Mapping[str, Any]
    """``steps``, ``weights_of_step``, ``said``, ``seconds``, ``validation_loss``, ``pairs``,
    ``languages`` and ``overlap`` of the training."""
    records: Mapping[str, Record]
    """Records by name of ``study.scored``."""
    seconds: Mapping[str, float]
    """Stage -> seconds."""
    processor_seconds: Mapping[str, float] = field(default_factory=dict)
    """The same of all processor cores together: what does not depend on who else is computing."""


@dataclass(frozen=True)
class Results:
    """The results of a study."""

    study: Study
    trials: tuple[TrialResult, ...]
    """Finished trials, in the study's order."""
    references: Mapping[str, Mapping[str, Record]]
    """Model -> scored task -> record, in the study's order."""
    missing: tuple[Trial, ...]
    """Trials that are unfinished or failed."""
    failed: Mapping[str, str]
    """Name of a trial -> why it failed."""
    data: Mapping[str, Mapping[str, Any]]
    """Data set -> its ``.about.json``: rows, where it comes from, overlap, languages."""
    folder: Path
    harness: str
    """Version of the harness that last ran the study."""


def load_results(folder: str | Path) -> Results:
    """Read the folder of a study, finished or not.

    Raises:
        StudyError: it contains no study, or its contents cannot be read.
        RecordError: a record is damaged.
    """
    folder = Path(folder)
    head = read_head(folder)
    _check(folder / STUDY, head, _HEAD)
    for entry in head["references"].values():
        _check(folder / STUDY, entry, {"folder": str, "digest": str})
    scales = head.get("scales")
    study = study_from(
        head["study"],
        str(folder / STUDY),
        folder,
        head["scale"],
        scales if isinstance(scales, list) else (),
    )
    digests: Mapping[str, str] = head["digests"]
    found, missing, failed = [], [], {}
    for trial in trials_of(study):
        place = folder / CELLS / trial.name
        document = read_whole(place / CELL, digests.get(trial.name))
        if document is None:
            missing.append(trial)
            if (why := read_whole(place / FAILED, digests.get(trial.name))) is not None:
                failed[trial.name] = str(why["error"])
            continue
        _check(place / CELL, document, _TRIAL)
        found.append(
            TrialResult(
                trial,
                document["training"],
                _records(place, document["records"]),
                document["seconds"],
                document.get("processor_seconds", {}),
            )
        )
    references = {}
    for model, entry in head["references"].items():
        place = folder / REFERENCES / entry["folder"]
        document = read_whole(place / REFERENCE, entry["digest"])
        if document is not None:
            _check(place / REFERENCE, document, {"records": dict})
            references[model] = _records(place, document["records"])
    return Results(
        study=study,
        trials=tuple(found),
        references=references,
        missing=tuple(missing),
        failed=failed,
        data=head["data"],
        folder=folder,
        harness=str(head.get("harness")),
    )


def _records(place: Path, paths: Mapping[str, Any]) -> dict[str, Record]:
    return {name: Record.load(place / str(path)) for name, path in paths.items()}


def read_head(folder: Path) -> dict[str, Any]:
    """``study.json``.

    Raises:
        StudyError: it is missing, or has another format.
    """
    path = folder / STUDY
    if not path.is_file():
        raise StudyError(
            f"{folder}: contains no study (no {STUDY}); give the folder that `harness study run` "
            "wrote to"
        )
    head = read_object(path, StudyError)
    if head.get("format") != FORMAT:
        raise StudyError(
            f"{path}: has format {head.get('format')}, this harness reads {FORMAT}; run the study "
            "into another folder"
        )
    _check(path, head, {"study": dict, "scale": str})
    return head


_HEAD = {"digests": dict, "references": dict, "data": dict}
_TRIAL = {"training": dict, "records": dict, "seconds": dict}


def _check(path: Path, document: Any, keys: Mapping[str, type]) -> None:
    """Check that a file that a run writes has what is read of it.

    Raises:
        StudyError: it does not.
    """
    for key, kind in keys.items():
        if not isinstance(document, dict) or not isinstance(document.get(key), kind):
            raise StudyError(
                f"{path}: is damaged: {key!r} is not there, or not as `harness study run` writes "
                "it; run the study again"
            )


def read_whole(path: Path, digest: str | None) -> dict[str, Any] | None:
    """The result of a trial or reference with this ``digest``; ``None`` if there is none."""
    found = object_or_empty(path)
    return found if digest is not None and found.get("digest") == digest else None


def record_key(task: str, step: str) -> str:
    """Key of a task's record, with the post-processing of this name."""
    return task if step == PLAIN else f"{task} + {step}"


def scores_file(folder: Path, task: str) -> Path:
    """The file that is written once a trial or reference was scored on a task."""
    return folder / RECORDS / f"{task.replace(' ', '')}.json"


def model_folder(output: Path, name: str) -> Path:
    """Where a trial's model is, while it is needed or if it is kept."""
    return output / MODELS / name


def training_file(model: Path) -> Path:
    """The file next to a trial's model: which training made it, and what that took."""
    return model.with_name(f"{model.name}.json")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write JSON atomically.

    Raises:
        StoreError: the folder cannot be written.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())
