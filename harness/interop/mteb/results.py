"""Records as mteb's result files.

    FOLDER/results/ORG__NAME/REVISION/TASK.json        as mteb's ResultCache lays them out
    FOLDER/results/ORG__NAME/REVISION/model_meta.json

Scores keep all their digits (mteb's own writer rounds to six, its evaluator to five). Measures that
mean the same go under mteb's names; the rest, such as mAP over whole rankings and the bias suite,
keep our names next to them, and mteb's loaders preserve those.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.data.task import Setting, list_tasks
from harness.errors import RecordError
from harness.evaluation.record import Record
from harness.interop.mteb.names import MAIN_SCORE, SPLIT, mteb_name
from harness.interop.mteb.tasks import subset_languages

_SAME = {"ndcg": "ndcg_at_", "recall": "recall_at_", "mrr": "mrr_at_"}
"""Our measure families that mteb computes too -> mteb's name before the cutoff."""
_HF_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def their_name(measure: str) -> str:
    """``ndcg_at_10`` of ``ndcg@10``; a measure that mteb does not have keeps its name."""
    base, at, cutoff = measure.partition("@")
    return f"{_SAME[base]}{cutoff}" if at and base in _SAME else measure


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
        if not row.queries:
            continue  # a language without passages: nothing is defined there
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


def write_results(record: Record, folder: Path, taken: Collection[Path] = ()) -> list[Path]:
    """Write each task of a record to where mteb's ``ResultCache(folder)`` finds it.

    Args:
        record: of a run.
        folder: as ``ResultCache`` takes it.
        taken: files of other records that are not to be written over.

    Returns:
        The files written; one of the same model, revision and task is replaced.

    Raises:
        RecordError: see :func:`to_result`; or a file is ``taken``.
        StoreError: the folder cannot be written.
    """
    from mteb import ResultCache

    results = [to_result(record, t.task) for t in record.tasks]
    meta = _meta(record)
    cache = ResultCache(folder)
    paths = [cache.get_task_result_path(result.task_name, meta) for result in results]
    for path in paths:
        if path in taken:
            raise RecordError(
                f"{record.folder}: its results of {record.model} would be written over those of "
                f"another record of the same revision ({path}): export one to another folder"
            )
    written = []
    for result, path in zip(results, paths, strict=True):
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
