"""Texts of the questions that a page shows, if the data is available."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.analysis.largest_changes import question_texts
from harness.boards.board import Board, TaskBoard
from harness.data.task import TaskSpec, find_task
from harness.errors import HarnessError, TaskError
from harness.evaluation.record_fields import Partial

_LANGUAGE = "en"
"""Preferred language of the texts; if a task lacks it, its first language."""


def texts_at_hand(board: Board, data_dir: Path | None = None) -> dict[str, Mapping[str, str]]:
    """Board -> question id -> its text, without touching the network.

    There are none for boards of a sample or a part of a small task, nor if the available data is
    not that of the records.
    """
    found = {}
    for task in board.tasks:
        if task.question_ids is None:
            continue
        try:
            spec = find_task(task.task)
        except TaskError:
            continue  # a user's own task whose file is not available
        if spec.size != "small":
            found[task.slug] = _of_topics(spec, task, data_dir)
            continue
        if task.notes:
            continue
        language = _LANGUAGE if _LANGUAGE in task.languages else task.languages[0]
        texts, _ = question_texts(
            task.task, task.text, task.languages, Partial(), task.data_digest, data_dir
        )
        found[task.slug] = {q: text for (x, q), text in texts.items() if x == language}
    return {slug: texts for slug, texts in found.items() if texts}


def _of_topics(spec: TaskSpec, task: TaskBoard, data_dir: Path | None) -> dict[str, str]:
    """Texts of a large task's questions, each in its own language, from its topics alone.

    Its corpus is not opened; none if the files lack one of the questions.
    """
    from harness.data.loading import read

    if spec.source.parallel and len(task.languages) > 1 and "cross" in task.kinds:
        return {}  # an id then has a text per language, and which was shown would be chance
    try:
        reading, _ = read(spec, languages=task.languages, data_dir=data_dir, offline=True)
    except HarnessError:
        return {}
    texts = {
        question: text
        for side in reading.queries.values()
        for question, text in zip(side.ids, side.texts, strict=True)
    }
    wanted = task.question_ids or ()
    return {x: texts[x] for x in wanted} if texts.keys() >= set(wanted) else {}
