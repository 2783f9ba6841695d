"""Texts of the questions that a page shows, if the data is available."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.analysis.largest_changes import question_texts
from harness.boards.board import Board
from harness.data.task import find_task
from harness.errors import TaskError
from harness.evaluation.record_fields import Partial

_LANGUAGE = "en"
"""Preferred language of the texts; if a task lacks it, its first language."""


def texts_at_hand(board: Board, data_dir: Path | None = None) -> dict[str, Mapping[str, str]]:
    """Board -> question id -> its text, without touching the network.

    There are none for boards of a sample, of a part or of a large task, nor if the available data
    is not that of the records.
    """
    found = {}
    for task in board.tasks:
        if task.notes or task.question_ids is None:
            continue
        try:
            if find_task(task.task).size != "small":
                continue
        except TaskError:
            continue  # a user's own task whose file is not available
        language = _LANGUAGE if _LANGUAGE in task.languages else task.languages[0]
        texts, _ = question_texts(
            task.task, task.text, task.languages, Partial(), task.data_digest, data_dir
        )
        found[task.slug] = {q: text for (x, q), text in texts.items() if x == language}
    return {slug: texts for slug, texts in found.items() if texts}
