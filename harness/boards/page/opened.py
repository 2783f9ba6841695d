"""What the page shows where a question is opened: its texts, what is relevant, what was retrieved.

It is the largest part of a page and needed only then, so it is one compressed text that the page
unpacks when a question is first opened.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.boards.board import Board, TaskBoard
from harness.data.task import TaskSpec, find_task
from harness.data.task_data import TaskData
from harness.errors import HarnessError, TaskError

_LANGUAGE = "en"
_LONGEST = 320
"""Characters of a passage."""

Opened = Mapping[str, Mapping[str, Any]]
"""Board -> what :func:`_of_board` returns."""


def opened_questions(board: Board, data_dir: Path | None = None) -> dict[str, dict[str, Any]]:
    """Board -> what is shown of its questions, without touching the network.

    There is nothing for boards whose data is not available, and for boards of large tasks without
    retrieved passages, whose corpora would have to be read.
    """
    found = {}
    for task in board.tasks:
        if task.question_ids is None or (task.notes and not task.retrieved):
            continue
        # Questions are listed where two rows say which of them they answer first.
        if sum(bool(row.hits) for row in task.rows) < 2:
            continue
        data = _data(task, data_dir)
        if data is not None:
            found[task.slug] = _of_board(task, data)
    return found


def _data(task: TaskBoard, data_dir: Path | None) -> TaskData | None:
    """The data of a board, if it is available and the same."""
    from harness.data.loading import load

    try:
        spec: TaskSpec = find_task(task.task, text=task.text)
    except TaskError:
        return None  # a user's own task whose file is not available
    small = spec.size == "small"
    if not small and not task.retrieved:
        return None
    try:
        data = load(
            spec,
            languages=task.languages,
            data_dir=data_dir,
            offline=True,
            sampled=not small,
        )
    except HarnessError:
        return None
    return data if data.digest == task.data_digest else None


def _of_board(task: TaskBoard, data: TaskData) -> dict[str, Any]:
    """Texts of a board's questions and passages; questions and passages by position.

    Returns:
        ``queries``: language -> the text of each question, null where there is none. ``relevant``:
        of each question the relevant passages. ``ids`` and ``texts`` of these passages, and of
        those that were retrieved; a text is null where the page does not have it.
        ``retrieved``: row id -> kind -> language -> question -> its first passages.
    """
    ids = task.question_ids or ()
    queries = {
        code: dict(zip(side.ids, side.texts, strict=True)) for code, side in data.queries.items()
    }
    first = {
        row: {kind: {code: x.first(kind, code) for code in by} for kind, by in x.rankings.items()}
        for row, x in task.retrieved.items()
    }
    sampled = {q for x in task.retrieved.values() for q in x.questions}
    relevant = {
        q: [p for p, grade in sorted(data.qrels.get(q, {}).items()) if grade > 0] for q in ids
    }
    own = _LANGUAGE if _LANGUAGE in task.languages else task.languages[0]
    kept = {p for q in ids for p in relevant[q] if q in sampled or p.startswith(f"{own}:")}
    kept |= {
        p
        for by_kind in first.values()
        for by in by_kind.values()
        for lines in by.values()
        for line in lines.values()
        for p in line
    }
    every = sorted(kept | {p for passages in relevant.values() for p in passages})
    at = {p: i for i, p in enumerate(every)}
    number = {q: i for i, q in enumerate(ids)}
    texts = {
        f"{code}:{local}": text
        for code, side in data.passages.items()
        for local, text in zip(side.ids, side.texts, strict=True)
    }
    return {
        "queries": {code: [by.get(q) for q in ids] for code, by in queries.items()},
        "relevant": [[at[p] for p in relevant[q]] for q in ids],
        "ids": every,
        "texts": [_cut(texts[p]) if p in kept and p in texts else None for p in every],
        "retrieved": {
            row: {
                kind: {
                    # Another record's questions need not all be on the board.
                    code: {
                        number[q]: [at[p] for p in line] for q, line in lines.items() if q in number
                    }
                    for code, lines in by.items()
                }
                for kind, by in by_kind.items()
            }
            for row, by_kind in first.items()
        },
    }


def _cut(text: str) -> str:
    return (
        text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"
    )


def fewer(opened: Opened) -> Iterator[Opened]:
    """``opened``, then with fewer texts, and finally nothing.

    Fewer texts: relevant passages are left out where it is not known what was retrieved.
    """
    yield opened
    yield {slug: _without_rest(x) for slug, x in opened.items()}
    yield {}


def _without_rest(board: Mapping[str, Any]) -> Mapping[str, Any]:
    shown = {
        p
        for kinds in board["retrieved"].values()
        for by in kinds.values()
        for lines in by.values()
        for question, line in lines.items()
        for p in (*line, *board["relevant"][question])
    }
    texts = [text if i in shown else None for i, text in enumerate(board["texts"])]
    return {**board, "texts": texts}


def packed(opened: Opened) -> str:
    """``opened`` as JSON, deflated, in base64: no letter of it means anything in HTML."""
    if not opened:
        return ""
    text = json.dumps(opened, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode()
