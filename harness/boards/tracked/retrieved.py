"""The first passages that a tracked record retrieved, for a few of its questions.

    leaderboards/retrieved/MODEL-xxxxxxxx.json    beside records/ of the same name

Taken from the TREC files that ``harness run --trec`` writes: :data:`DEPTH` passages in the mono and
multi settings for :data:`QUESTIONS` questions of each task, which are the same ones for every
record. About 30 kB for XQuAD-R. The page shows them where a question is opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from harness.base.files import write_atomically
from harness.base.reading import read_bytes
from harness.boards.tracked.document import Tracked, question_ids
from harness.boards.tracked.fields import TrackedTask
from harness.boards.tracked.text import text_of
from harness.data.task import Setting
from harness.data.task_data import global_id
from harness.data.trec import rank_order, read_qrels, read_run
from harness.errors import RecordError
from harness.evaluation.record_fields import Count, Fields, Map, Sha256, fields_of
from harness.evaluation.trec_export import file_stem

FOLDER = "retrieved"
"""Subfolder of a leaderboards folder."""
VERSION = 1
DEPTH = 3
QUESTIONS = 40
_KINDS: tuple[Literal["mono", "multi"], ...] = ("mono", "multi")


class RetrievedTask(Fields):
    """The first passages of one task's rankings."""

    task: str
    data_digest: Sha256
    questions: tuple[str, ...]
    """Question ids."""
    passages: tuple[str, ...]
    """Global passage ids, each once."""
    rankings: Map[Literal["mono", "multi"], Map[str, tuple[tuple[Count, ...], ...]]]
    """Kind -> query language -> for each question the positions in ``passages`` of the first ones,
    best first; empty where the question has no query in that language."""

    def first(self, kind: Literal["mono", "multi"], language: str) -> dict[str, tuple[str, ...]]:
        """Question id -> its first passages, best first; questions without a query left out."""
        lines = self.rankings.get(kind, {}).get(language, ())
        return {
            q: tuple(self.passages[i] for i in line)
            for q, line in zip(self.questions, lines, strict=False)
            if line
        }


class Retrieved(Fields):
    """The first passages of one record's rankings."""

    version_field = "retrieved_version"

    retrieved_version: Literal[1]
    """Version of this form; readers refuse a higher one than they know."""
    tasks: Annotated[tuple[RetrievedTask, ...], Field(min_length=1)]


def chosen_questions(ids: Iterable[str], count: int = QUESTIONS) -> tuple[str, ...]:
    """``count`` of the ids, the same for every record: those whose SHA-256 is lowest."""
    return tuple(sorted(ids, key=lambda x: hashlib.sha256(x.encode()).digest())[:count])


def load(path: Path) -> Retrieved:
    """Read one file.

    Raises:
        RecordError: it cannot be read or is not valid; the message names the file.
    """
    where = str(path)
    raw = read_bytes(path, RecordError)
    found = fields_of(Retrieved, raw, where, "file of retrieved passages", VERSION)
    for task in found.tasks:
        lines = [x for by in task.rankings.values() for x in by.values()]
        if any(len(x) != len(task.questions) for x in lines):
            raise RecordError(
                f"{where} is not a valid file of retrieved passages: {task.task} must have a line "
                f"for each of its {len(task.questions)} questions"
            )
        if any(i >= len(task.passages) for x in lines for i in chain.from_iterable(x)):
            raise RecordError(
                f"{where} is not a valid file of retrieved passages: {task.task} names a passage "
                f"beyond its {len(task.passages)}"
            )
    return found


def add(tracked: Tracked, trec: Path, leaderboards: Path) -> Path:
    """Keep the first passages of a tracked record from the TREC files of its run.

    Args:
        tracked: the record, in ``leaderboards``.
        trec: folder that ``harness run --trec`` wrote; a subfolder per task.
        leaderboards: the leaderboards folder.

    Returns:
        The path written.

    Raises:
        RecordError: there are no files of the record's tasks, or they are not of this record: in
            them another passage is first.
    """
    tasks = [
        _task(tracked, task, trec / task.task, leaderboards)
        for task in tracked.contents.tasks
        if (trec / task.task).is_dir()
    ]
    if not tasks:
        names = ", ".join(x.task for x in tracked.contents.tasks)
        raise RecordError(
            f"{trec} has no folder of a task of {tracked.name} ({names}); name the folder that "
            "harness run --trec wrote"
        )
    path = leaderboards / FOLDER / f"{tracked.name}.json"
    document = Retrieved(retrieved_version=1, tasks=tuple(tasks))
    write_atomically(path, text_of(document.to_dict()).encode())
    return path


def _task(tracked: Tracked, task: TrackedTask, folder: Path, leaderboards: Path) -> RetrievedTask:
    ids = question_ids(task, leaderboards)
    if ids is None:
        raise RecordError(
            f"the question ids of {tracked.name} are missing in {leaderboards}; add the record "
            "again"
        )
    questions = chosen_questions(ids)
    rankings: dict[Literal["mono", "multi"], dict[str, list[list[str]]]] = {}
    for kind in _KINDS:
        if kind not in tracked.questions[task.task].hits:
            continue
        for language in task.languages:
            setting = Setting(kind, language, language if kind == "mono" else None)
            path = folder / f"{file_stem(setting)}.run"
            if not path.is_file():
                continue
            first = {query: _first(scores) for query, scores in read_run(path).items()}
            _check(tracked, task, setting, ids, first, path)
            rankings.setdefault(kind, {})[language] = [
                first.get(global_id(language, x), []) for x in questions
            ]
    if not rankings:
        raise RecordError(f"{folder} has no run files of the mono and multi settings")
    used = sorted({x for by in rankings.values() for r in by.values() for x in chain(*r)})
    at = {x: i for i, x in enumerate(used)}
    return RetrievedTask(
        task=task.task,
        data_digest=task.data_digest,
        questions=questions,
        passages=tuple(used),
        rankings={
            kind: {x: tuple(tuple(at[p] for p in line) for line in r) for x, r in by.items()}
            for kind, by in rankings.items()
        },
    )


def _first(scores: Mapping[str, float]) -> list[str]:
    """The first passages of one query."""
    ids = list(scores)
    return [ids[i] for i in rank_order(ids, list(scores.values()))[:DEPTH]]


def _check(
    tracked: Tracked,
    task: TrackedTask,
    setting: Setting,
    ids: Sequence[str],
    first: Mapping[str, Sequence[str]],
    path: Path,
) -> None:
    """Refuse a run that finds a relevant passage first for other questions than the record.

    Raises:
        RecordError: it does.
    """
    qrels = read_qrels(path.with_suffix(".qrels"))
    hits = tracked.questions[task.task].hits["mono" if setting.kind == "mono" else "multi"]
    column = task.languages.index(setting.query_language)
    differing = 0
    for i, question in enumerate(ids):
        query = global_id(setting.query_language, question)
        if not hits.has_query[i, column] or not first.get(query):
            continue
        relevant = qrels.get(query, {}).get(first[query][0], 0) > 0
        differing += relevant != bool(hits.hit[i, column])
    if differing:
        raise RecordError(
            f"{path} is not of the run of {tracked.name}: for {differing} questions only one of "
            "them has a relevant passage first"
        )


def of_tasks(
    found: Mapping[str, Retrieved], rows: Iterable[tuple[Tracked, TrackedTask]]
) -> dict[str, RetrievedTask]:
    """Row id -> the first passages of its task, where they were kept and are of the same data."""
    return {
        tracked.name: x
        for tracked, task in rows
        if tracked.name in found
        for x in found[tracked.name].tasks
        if (x.task, x.data_digest) == (task.task, task.data_digest)
    }
