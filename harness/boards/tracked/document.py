"""Tracked records: what a repository keeps of a record, and boards are made from.

    leaderboards/records/MODEL-xxxxxxxx.json      one tracked record, valid against its schema
    leaderboards/questions/TASK-xxxxxxxxxxxx.txt  question ids in the order of every record's rows

No per-query table, but its digest; every mean with its interval; a number per question for paired
tests, and which queries found a relevant passage first. About 60 kB for XQuAD-R.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.base.reading import read_json
from harness.boards.tracked.questions import (
    Questions,
    from_document,
    ids_text,
    of_record,
    to_document,
)
from harness.boards.tracked.reproduce import portable
from harness.boards.tracked.text import text_of
from harness.errors import RecordError
from harness.evaluation.record import RECORD_FILE, Record, finite
from harness.evaluation.record import schema as record_schema

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
"""Of tracked records, in a leaderboards folder."""
QUESTIONS = "questions"
"""Of question ids, in a leaderboards folder."""

# Of a record and of its tasks: what the tracked form has in a form of its own, or not at all.
_OTHER = frozenset(("schema_version", "command", "tasks"))
_OTHER_OF_TASK = frozenset(("settings", "intervals", "per_query", "trec"))
_RECORD_SCHEMA = "json-schema:///record.schema.json"
_DIGITS = 9
_INTERVAL_DIGITS = 6


@dataclass(frozen=True)
class Tracked:
    """One tracked record."""

    name: str
    """Its file's name without ``.json``."""
    document: Mapping[str, Any]
    questions: Mapping[str, Questions]
    """Task -> what is held of its questions."""


@cache
def schema() -> dict[str, Any]:
    """The JSON Schema of tracked records: the file in the package, and the record's own fields."""
    text = files("harness.boards.tracked").joinpath("tracked.schema.json").read_text("utf-8")
    own: dict[str, Any] = json.loads(text)
    whole = record_schema()
    for at, properties, source, left_out in (
        ("properties", own["properties"], whole["properties"], _OTHER),
        (
            "$defs/task/properties",
            own["$defs"]["task"]["properties"],
            whole["$defs"]["task"]["properties"],
            _OTHER_OF_TASK,
        ),
    ):
        for name in source:
            if name not in left_out:
                properties.setdefault(name, {"$ref": f"{_RECORD_SCHEMA}#/{at}/{name}"})
    return own


@cache
def _validator() -> Any:
    import jsonschema_rs

    registry = jsonschema_rs.Registry([(_RECORD_SCHEMA, record_schema())])
    return jsonschema_rs.validator_for(schema(), registry=registry)


def validate(document: Any, where: str) -> None:
    """Raise :class:`RecordError` naming ``where`` and the first field that breaks the schema."""
    version = document.get("tracked_version") if isinstance(document, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise RecordError(
            f"{where} is a tracked record of version {version}, this harness reads up to "
            f"{VERSION}; install a newer polyglot-harness to read it"
        )
    if isinstance(document, dict) and version is None and "schema_version" in document:
        raise RecordError(
            f"{where} is a whole record, not a tracked one; add it with harness board add RECORD"
        )
    problem = next(iter(_validator().iter_errors(document)), None)
    if problem is not None:
        at = "/".join(str(x) for x in problem.instance_path) or "top level"
        raise RecordError(f"{where} is not a valid tracked record: {at}: {problem.message[:200]}")


def tracked_document(record: Record) -> tuple[dict[str, Any], dict[str, tuple[str, ...]]]:
    """The tracked form of ``record``, and the question ids of each of its tasks.

    Raises:
        RecordError: a per-query table is missing or is not the one the record names.
    """
    whole = record.document
    ids: dict[str, tuple[str, ...]] = {}
    tasks = []
    for entry in whole["tasks"]:
        questions, ids[entry["task"]] = of_record(record, entry["task"])
        tasks.append(_task(entry, questions))
    document = {
        "tracked_version": VERSION,
        "command": portable(whole["command"]) if whole["command"] else None,
        **{k: v for k, v in whole.items() if k not in _OTHER},
        "tasks": tasks,
    }
    return finite(document), ids


def _task(entry: Mapping[str, Any], questions: Questions) -> dict[str, Any]:
    settings = entry["settings"]
    measures = list(dict.fromkeys(m for s in settings for m in s["scores"]))
    return {
        **{k: v for k, v in entry.items() if k not in (*_OTHER_OF_TASK, "means", "top_languages")},
        "settings": [
            [s["kind"], s["query_language"], s["passage_language"], s["queries"], s["pool"]]
            for s in settings
        ],
        "scores": {m: [_rounded(s["scores"].get(m)) for s in settings] for m in measures},
        "means": {
            kind: {how: {m: _rounded(x) for m, x in of.items()} for how, of in both.items()}
            for kind, both in entry["means"].items()
        },
        "intervals": None if entry["intervals"] is None else _intervals(entry["intervals"]),
        "top_languages": {
            "depth": entry["top_languages"]["depth"],
            "share": {
                asked: {x: _rounded(y, _INTERVAL_DIGITS) for x, y in sorted(shares.items())}
                for asked, shares in entry["top_languages"]["share"].items()
            },
        },
        "per_query": {k: entry["per_query"][k] for k in ("rows", "sha256")},
        "questions": to_document(questions),
    }


def _intervals(held: Mapping[str, Any]) -> dict[str, Any]:
    """Method and BCa intervals as (lower end, upper end, standard error)."""

    def short(measures: Mapping[str, Any]) -> dict[str, list[float | None]]:
        return {
            m: [_rounded(y, _INTERVAL_DIGITS) for y in (*x["bca"], x["standard_error"])]
            for m, x in measures.items()
        }

    return {
        **{k: held[k] for k in ("method", "level", "resamples", "seed", "clusters")},
        "means": {kind: short(of) for kind, of in held["means"].items()},
        "languages": {
            kind: {x: short(of) for x, of in by.items()} for kind, by in held["languages"].items()
        },
    }


def _rounded(value: float | None, digits: int = _DIGITS) -> float | None:
    """To significant digits: far below what any board shows or any interval resolves."""
    return None if value is None else float(f"{value:.{digits}g}")


def add(source: str | Path, leaderboards: Path) -> list[Path]:
    """Write the tracked form of a record into ``leaderboards``; returns the paths written.

    A record of the same model, options and tasks replaces the one that is there.

    Raises:
        RecordError: the record or a table of it cannot be read.
        StoreError: the folder cannot be written.
    """
    record = Record.load(source)
    assert record.folder is not None
    document, ids = tracked_document(record)
    target = leaderboards / FOLDER / f"{_name(record)}.json"
    validate(document, str(record.folder / RECORD_FILE))
    written = []
    for entry in document["tasks"]:
        path = leaderboards / ids_file(entry)
        raw = ids_text(ids[entry["task"]])
        if not (path.is_file() and path.read_bytes() == raw):
            write_atomically(path, raw)
            written.append(path)
    write_atomically(target, text_of(document).encode())
    return [*written, target]


def _name(record: Record) -> str:
    from harness.evaluation.provenance import folder_name

    return folder_name(record)


def ids_file(entry: Mapping[str, Any]) -> Path:
    """Where the question ids of a task's part of a record stand in a leaderboards folder."""
    task, ids = entry["task"], entry["questions"]["ids_sha256"]
    return Path(QUESTIONS) / f"{task}-{ids[:12]}.txt"


def question_ids(entry: Mapping[str, Any], leaderboards: Path) -> tuple[str, ...] | None:
    """The question ids of a task's part of a record; ``None`` where their file is not there.

    Raises:
        RecordError: the file holds other ids than the record names.
    """
    path = leaderboards / ids_file(entry)
    if not path.is_file():
        return None
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != entry["questions"]["ids_sha256"]:
        raise RecordError(
            f"{path} does not hold the question ids its records name (SHA-256 differs); add one of "
            "these records again"
        )
    return tuple(raw.decode().splitlines())


def load(path: Path) -> Tracked:
    """Read one tracked record.

    Raises:
        RecordError: it cannot be read, is not JSON, or is not valid; the message names the file.
    """
    document = read_json(path, RecordError)
    validate(document, str(path))
    questions = {}
    for entry in document["tasks"]:
        where = f"{path}: {entry['task']}"
        _check_lengths(entry, where)
        questions[entry["task"]] = from_document(entry["questions"], len(entry["languages"]), where)
    return Tracked(path.stem, document, questions)


def _check_lengths(entry: Mapping[str, Any], where: str) -> None:
    """What a schema cannot say: every measure has a score for every setting."""
    for measure, scores in entry["scores"].items():
        if len(scores) != len(entry["settings"]):
            raise RecordError(
                f"{where} is not a valid tracked record: {measure} has {len(scores)} scores for "
                f"{len(entry['settings'])} settings"
            )
