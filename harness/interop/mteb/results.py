"""Records as mteb's result files, and mteb's result files as rows for our boards.

    FOLDER/results/ORG__NAME/REVISION/TASK.json        as mteb's ResultCache lays them out
    FOLDER/results/ORG__NAME/REVISION/model_meta.json

Scores keep all their digits (mteb's own writer rounds to six, its evaluator to five). Measures that
mean the same go under mteb's names; the rest, mAP over whole rankings and the bias suite among
them, stand beside them under ours, which mteb's loaders carry along.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.base.reading import object_or_empty
from harness.data.task import Setting, find_task, list_tasks
from harness.errors import RecordError
from harness.evaluation.record import Record
from harness.interop.imported import Imported
from harness.interop.mteb.tasks import MAIN_SCORE, SPLIT, mteb_name, subset_languages
from harness.metrics import families

_SAME = {"ndcg": "ndcg_at_", "recall": "recall_at_", "mrr": "mrr_at_"}
"""Families of ours that mteb computes too -> what mteb calls them before the cutoff."""
_THEIR_NAME = re.compile(r"(ndcg|recall|mrr)_at_([0-9]+)")
_HF_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def their_name(measure: str) -> str:
    """``ndcg_at_10`` of ``ndcg@10``; a measure that mteb does not have keeps its name."""
    base, at, cutoff = measure.partition("@")
    return f"{_SAME[base]}{cutoff}" if at and base in _SAME else measure


def our_name(key: str) -> str:
    """The other way round."""
    match = _THEIR_NAME.fullmatch(key)
    return f"{match[1]}@{match[2]}" if match else key


def to_result(record: Record, task: str) -> Any:
    """One task of a record as mteb's ``TaskResult``.

    Raises:
        RecordError: the record has no such task, none of the measures that mteb could rank by, or
            was made on a sample of the corpus.
    """
    from mteb.results import TaskResult

    entry = record.task(task)
    if entry.sampled:
        raise RecordError(
            f"task {task!r}: {entry.sampled}; mteb's result files cannot say so, so it is not "
            "exported"
        )
    scores: list[dict[str, Any]] = []
    for row in entry.settings:
        setting = Setting(row.kind, row.query_language, row.passage_language)
        values = {k: v for k, v in row.scores.items() if v is not None}
        named = {their_name(k): v for k, v in values.items()}
        if MAIN_SCORE not in named:
            raise RecordError(
                f"the record of {record.model} on {task} lacks ndcg@10, the main score of the "
                "task in mteb; run it with --measure ndcg@10 too"
            )
        of_kind = entry.means[row.kind].macro
        means = {
            f"{row.kind}_mean_{their_name(k) if their_name(k) == MAIN_SCORE else k}": v
            for k, v in of_kind.items()
            if v is not None
        }
        scores.append(
            {
                **values,
                **named,
                **means,
                "main_score": named[MAIN_SCORE],
                "hf_subset": setting.name,
                "languages": subset_languages(setting, entry.languages),
            }
        )
    return TaskResult(
        dataset_revision=entry.data_digest,
        task_name=_name_of(task),
        mteb_version=version("mteb"),
        scores={SPLIT: scores},
        evaluation_time=sum(entry.seconds.values()),
        date=datetime.datetime.fromisoformat(record.contents.created),
    )


def _name_of(task: str) -> str:
    known = {t.name: t for t in list_tasks()}
    return mteb_name(known[task]) if task in known else f"Harness-{task}"


def write_results(record: Record, folder: Path) -> list[Path]:
    """Write every task of a record where mteb's ``ResultCache(folder)`` finds it.

    Returns:
        The files written; one of the same model, revision and task is replaced.

    Raises:
        RecordError: see :func:`to_result`.
        StoreError: the folder cannot be written.
    """
    from mteb import ResultCache

    results = [to_result(record, t.task) for t in record.tasks]
    meta = _meta(record)
    cache = ResultCache(folder)
    written = []
    for result in results:
        path = cache.get_task_result_path(result.task_name, meta)
        document = result.model_dump(mode="json")
        document["date"] = result.date.timestamp()  # as mteb's own writer has it
        write_atomically(path, json.dumps(document, indent=2, allow_nan=False).encode())
        written.append(path)
    about = json.dumps(meta.to_dict(), default=str, indent=4)
    write_atomically(written[0].parent / "model_meta.json", about.encode())
    return written


def _meta(record: Record) -> Any:
    """The model as mteb describes one; a name without an organisation gets ours."""
    from mteb.models import ModelMeta

    model = record.contents.model
    name = model.name
    pinned = model.facts.get("revision")
    dimensions = {t.dimensions for t in record.tasks} - {None}
    return ModelMeta.create_empty(
        {
            "name": name if _HF_NAME.fullmatch(name) else f"polyglot-harness/{_slug(name)}",
            "revision": pinned or str(model.fingerprint or "no_revision_available")[:40],
            "n_parameters": model.parameters,
            "embed_dim": dimensions.pop() if len(dimensions) == 1 else None,
            "similarity_fn_name": _scoring(model.similarity),
        }
    )


def _scoring(similarity: str | None) -> Any:
    from mteb.models.model_meta import ScoringFunction

    return None if similarity is None else ScoringFunction(similarity)


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"


def from_results(path: Path) -> list[Imported]:
    """Read result files of our tasks that mteb wrote, or that were written for it.

    ``path`` is one file, or a folder in which all result files of our tasks are taken; files of
    other tasks in a folder are passed over.

    Raises:
        RecordError: there is no such file, it is no result file, it is of a task that is not ours,
            or a folder holds none that is.
    """
    if path.is_dir():
        found = [x for x in map(_read, _result_files(path)) if x is not None]
        if not found:
            raise RecordError(
                f"{path}: holds no mteb result of {', '.join(sorted(_ours()))}; name the file, or "
                "the folder that mteb's ResultCache was given"
            )
        return found
    one = _read(path)
    if one is None:
        raise RecordError(
            f"{path}: is not of a task of the harness; known are {', '.join(sorted(_ours()))}"
        )
    return [one]


def _result_files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*.json")):
        if file.stem in _ours():
            yield file


def _ours() -> dict[str, str]:
    """Name in mteb -> task of ours."""
    return {mteb_name(t): t.name for t in list_tasks()}


def _read(path: Path) -> Imported | None:
    from mteb.results import TaskResult

    try:
        result = TaskResult.from_disk(path)
    except (OSError, ValueError, KeyError, AttributeError) as problem:
        reason = str(problem).strip().split("\n")[0] or type(problem).__name__
        raise RecordError(f"{path}: cannot be read as an mteb result file: {reason}") from problem
    task = _ours().get(result.task_name)
    if task is None:
        return None
    settings = {s.name: s for s in find_task(task).settings()}
    scores: dict[Setting, dict[str, float]] = {}
    for row in result.scores.get(SPLIT, []):
        setting = settings.get(row["hf_subset"])
        if setting is None:
            raise RecordError(f"{path}: task {task} has no setting {row['hf_subset']!r}")
        scores[setting] = _values(row)
    if not scores:
        raise RecordError(f"{path}: holds no scores of the {SPLIT} split")
    model, revision = _model_of(path)
    return Imported(
        task=task,
        model=model,
        revision=revision,
        data_digest=result.dataset_revision,
        origin=f"mteb {result.mteb_version or 'of an unknown version'}",
        scores=scores,
    )


def _values(row: Mapping[str, Any]) -> dict[str, float]:
    """Measures by our names. Where both names are there, ours has all digits."""
    found: dict[str, float] = {}
    for key, value in row.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or "_mean_" in key:
            continue
        if "@" in key or key in _without_cutoff():
            found[key] = float(value)
        elif _THEIR_NAME.fullmatch(key):
            found.setdefault(our_name(key), float(value))
    return found


@cache
def _without_cutoff() -> frozenset[str]:
    """Measures of ours that are written without one: they stand beside mteb's as they are."""
    return frozenset(x.base for x in families().values() if x.cutoff != "required")


def _model_of(path: Path) -> tuple[str, str | None]:
    """Name and revision: from model_meta.json beside the file, else from its folders."""
    meta = object_or_empty(path.parent / "model_meta.json")
    if "name" not in meta:
        return path.parent.parent.name.replace("__", "/"), path.parent.name
    return str(meta["name"]), meta.get("revision")
