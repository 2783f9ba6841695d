"""Tracked records: the part of a record kept in a repository, from which boards are made.

    leaderboards/records/MODEL-xxxxxxxx.json      one tracked record, valid against its schema
    leaderboards/questions/TASK-xxxxxxxxxxxx.txt  question ids in the order of every record's rows

It has the per-query table's digest instead of the table, every mean with its interval, a number per
question for paired tests, and which queries have a relevant passage at rank 1. About 110 kB for
XQuAD-R.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.base.reading import read_bytes
from harness.boards.tracked.fields import TrackedContents, TrackedTask
from harness.boards.tracked.questions import (
    Questions,
    from_packed,
    ids_text,
    of_record,
    to_document,
)
from harness.boards.tracked.text import text_of
from harness.errors import RecordError
from harness.evaluation.record import RECORD_FILE, Record, finite
from harness.evaluation.record_fields import (
    Bootstrap,
    Interval,
    Intervals,
    RunFacts,
    Task,
    TaskFacts,
    fields_of,
)
from harness.evaluation.reproduction import portable, portable_run

__all__ = [
    "FOLDER",
    "QUESTIONS",
    "Tracked",
    "add",
    "load",
    "question_ids",
    "text_of",
    "tracked_document",
]

VERSION = 1
FOLDER = "records"
"""Subfolder of tracked records in a leaderboards folder."""
QUESTIONS = "questions"
"""Subfolder of question ids in a leaderboards folder."""

_DIGITS = 9
_INTERVAL_DIGITS = 6


@dataclass(frozen=True)
class Tracked:
    """One tracked record."""

    name: str
    """The file's name without ``.json``."""
    contents: TrackedContents
    questions: Mapping[str, Questions]
    """Task -> the data about its questions."""


def parse(raw: bytes | str, where: str) -> TrackedContents:
    """The fields of a tracked record.

    Raises:
        RecordError: it does not fit; names ``where`` and the first field that is wrong.
    """
    try:
        return fields_of(TrackedContents, raw, where, "tracked record", VERSION)
    except RecordError:
        if not _is_whole(raw):
            raise
    raise RecordError(
        f"{where} is a full record, not a tracked one; add it with harness board add RECORD"
    )


def _is_whole(raw: bytes | str) -> bool:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"schema_version", "tracked_version"} & set(document) == {
        "schema_version"
    }


def tracked_document(record: Record) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """The tracked form of ``record``, and the question ids of each of its tasks.

    Raises:
        RecordError: a per-query table is missing or is not the one the record names.
    """
    whole = record.contents
    ids: dict[str, tuple[str, ...]] = {}
    tasks = []
    for task in whole.tasks:
        questions, ids[task.task] = of_record(record, task.task)
        tasks.append(_task(task, questions))
    document = {
        "tracked_version": VERSION,
        "command": portable(whole.command) if whole.command else None,
        **{k: v for k, v in whole.to_dict().items() if k in RunFacts.model_fields},
        **({} if whole.run is None else {"run": portable_run(whole.run).to_dict()}),
        "tasks": tasks,
    }
    return finite(document), ids


_REWRITTEN = frozenset(("means", "top_languages"))


def _task(task: Task, questions: Questions) -> dict[str, Any]:
    assert task.per_query is not None
    kept = TaskFacts.model_fields.keys() - _REWRITTEN
    measures = list(dict.fromkeys(m for s in task.settings for m in s.scores))
    return {
        **{k: v for k, v in task.to_dict().items() if k in kept},
        "settings": [
            [s.kind, s.query_language, s.passage_language, s.queries, s.pool] for s in task.settings
        ],
        "scores": {m: [_rounded(s.scores.get(m)) for s in task.settings] for m in measures},
        "means": {
            kind: {
                how: {m: _rounded(x) for m, x in values.items()}
                for how, values in (("macro", means.macro), ("micro", means.micro))
            }
            for kind, means in task.means.items()
        },
        "intervals": None if task.intervals is None else _intervals(task.intervals),
        "top_languages": {
            "depth": task.top_languages.depth,
            "share": {
                query: {x: _rounded(y, _INTERVAL_DIGITS) for x, y in sorted(shares.items())}
                for query, shares in task.top_languages.share.items()
            },
        },
        "per_query": {"rows": task.per_query.rows, "sha256": task.per_query.sha256},
        "questions": to_document(questions),
    }


def _intervals(intervals: Intervals) -> dict[str, Any]:
    """Method and BCa intervals as (lower end, upper end, standard error)."""

    def short(measures: Mapping[str, Interval]) -> dict[str, list[float | None]]:
        return {
            m: [_rounded(y, _INTERVAL_DIGITS) for y in (*x.bca, x.standard_error)]
            for m, x in measures.items()
        }

    return {
        **intervals.model_dump(include=set(Bootstrap.model_fields)),
        "means": {kind: short(of) for kind, of in intervals.means.items()},
        "languages": {
            kind: {x: short(of) for x, of in by.items()} for kind, by in intervals.languages.items()
        },
    }


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """Significant digits: far more than any board shows or any interval resolves."""
    return None if value is None else float(f"{value:.{digits}g}")


def add(source: str | Path, leaderboards: Path) -> list[Path]:
    """Write the tracked form of a record into ``leaderboards``; returns the paths written.

    An existing record of the same model, options and tasks is replaced.

    Raises:
        RecordError: the record or a table of it cannot be read.
        StoreError: the folder cannot be written.
    """
    record = Record.load(source)
    assert record.folder is not None
    document, ids = tracked_document(record)
    target = leaderboards / FOLDER / f"{_name(record)}.json"
    text = text_of(document)
    written = []
    for task in parse(text, str(record.folder / RECORD_FILE)).tasks:
        path = leaderboards / ids_file(task)
        raw = ids_text(ids[task.task])
        if not (path.is_file() and path.read_bytes() == raw):
            write_atomically(path, raw)
            written.append(path)
    write_atomically(target, text.encode())
    return [*written, target]


def _name(record: Record) -> str:
    from harness.evaluation.provenance import folder_name

    return folder_name(record)


def ids_file(task: TrackedTask) -> Path:
    """Path of a task's question ids in a leaderboards folder."""
    return Path(QUESTIONS) / f"{task.task}-{task.questions.ids_sha256[:12]}.txt"


def question_ids(task: TrackedTask, leaderboards: Path) -> tuple[str, ...] | None:
    """The question ids of a task; ``None`` where their file is missing.

    Raises:
        RecordError: the file has other ids than the record names.
    """
    path = leaderboards / ids_file(task)
    if not path.is_file():
        return None
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != task.questions.ids_sha256:
        raise RecordError(
            f"{path} does not match the question ids of its records (SHA-256 differs); add one of "
            "them again"
        )
    return tuple(raw.decode().splitlines())


def load(path: Path) -> Tracked:
    """Read one tracked record.

    Raises:
        RecordError: it cannot be read, is not JSON, or is not valid; the message names the file.
    """
    return tracked_of(path.stem, read_bytes(path, RecordError), str(path))


def tracked_of(name: str, raw: bytes | str, where: str) -> Tracked:
    """A tracked record from the text of its file.

    Args:
        name: of the tracked record.
        raw: the file's text.
        where: its name, for messages.

    Raises:
        RecordError: as :func:`load`.
    """
    contents = parse(raw, where)
    questions = {}
    for task in contents.tasks:
        _check_lengths(task, f"{where}: {task.task}")
        questions[task.task] = from_packed(
            task.questions, len(task.languages), f"{where}: {task.task}"
        )
    return Tracked(name, contents, questions)


def _check_lengths(task: TrackedTask, where: str) -> None:
    """Check what types cannot: every measure with a mean has a score for every setting."""
    for measure, scores in task.scores.items():
        if len(scores) != len(task.settings):
            raise RecordError(
                f"{where} is not a valid tracked record: {measure} has {len(scores)} scores for "
                f"{len(task.settings)} settings"
            )
    for measure in task.all_measures:
        if measure not in task.scores:
            raise RecordError(
                f"{where} is not a valid tracked record: it has means of {measure} and no scores"
            )
