"""The page's data: a board's payload with its tables of numbers packed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.boards.board import Pairs
from harness.boards.page.packing import pack, pack_ends
from harness.console.numbers import value as value_of

HIT_KINDS = ("mono", "multi")

_GUARD = 3
"""Extra digits of numbers the page averages over the chosen languages."""

Json = Mapping[str, Any]


def page_document(
    payload: Json,
    texts: Mapping[str, Mapping[str, str]] | None = None,
    pairs: Mapping[str, Pairs] | None = None,
    words: Mapping[str, Json] | None = None,
) -> dict[str, Any]:
    """``payload`` as the page reads it.

    Args:
        payload: from :func:`harness.boards.to_payload`, not rounded.
        texts: board -> question id -> its text, for the questions that flipped.
        pairs: board -> paired differences of its rows.
        words: board -> what the task is and where it comes from.
    """
    texts, pairs, words = texts or {}, pairs or {}, words or {}
    tasks = [
        {
            **_task(x, texts.get(x["slug"], {})),
            "pairs": _pairs(x, pairs.get(x["slug"])),
            "about": words.get(x["slug"]),
        }
        for x in payload["tasks"]
    ]
    _share_questions(tasks)
    return {
        **{k: payload[k] for k in ("records", "alpha", "level", "method")},
        "tasks": tasks,
        "overview": _overview(payload["overview"]),
    }


_KEPT = (
    "slug", "task", "title", "primary", "per_language_only", "notes", "text", "data_digest",
    "revision", "license", "languages", "kinds", "questions", "queries", "passages", "sort",
)  # fmt: skip
_OF_ROW = (
    "id", "model", "source", "kind", "recipe", "alpha", "seed", "trained_on", "parameters",
    "dimensions", "released", "open_weights", "license", "trained_on_task", "options", "text",
    "notes", "elsewhere", "reference", "facts",
)  # fmt: skip


def _task(task: Json, texts: Mapping[str, str]) -> dict[str, Any]:
    rows: Sequence[Json] = task["rows"]
    columns = [
        {**column, "main": main}
        for main, listed in ((True, task["columns"]), (False, task["more"]))
        for column in listed
    ]
    n = len(task["languages"])
    document: dict[str, Any] = {k: task[k] for k in _KEPT}
    document["oneEach"] = task.get("one_each", True)
    document["columns"] = columns
    document["rows"] = {k: _once([row[k] for row in rows]) for k in _OF_ROW}
    document["rankings"] = {k: _ranking(x, len(rows)) for k, x in task["rankings"].items()}
    document["cells"], document["ends"] = {}, {}
    document["languageCells"], document["languageEnds"] = {}, {}
    for column in columns:
        key, decimals = column["key"], column["decimals"]
        cells = _array([row["cells"].get(key, _NO_CELL) for row in rows])
        document["cells"][key] = pack(cells[:, 0], decimals, _GUARD)
        document["ends"][key] = pack_ends(cells, decimals)
        by = _array([row["languages"].get(key, [_NO_CELL] * n) for row in rows])
        document["languageCells"][key] = pack(by[:, :, 0], decimals, _GUARD)
        document["languageEnds"][key] = pack_ends(by, decimals)
    empty = [[None] * n] * n
    measures = dict.fromkeys(m for row in rows for m in row["matrices"])
    shown = {c["measure"]: c["decimals"] for c in columns}
    document["matrices"] = {
        m: pack(_array([row["matrices"].get(m, empty) for row in rows]), shown.get(m, 4), 0)
        for m in measures
    }
    document["topLanguages"] = pack(_array([row["top_languages"] or empty for row in rows]), 4, 0)
    document["hits"] = [dict(row["hits"]) for row in rows]
    document["hasQuery"] = dict(task["asked"])
    document["questionIds"] = list(task["question_ids"] or [])
    document["questionTexts"] = [texts.get(x, x) for x in document["questionIds"]] if texts else []
    return document


def _pairs(task: Json, pairs: Pairs | None) -> dict[str, Any] | None:
    """Positions of the rows, and by column the half widths as displayed and the p-values.

    Both packed, one line a pair.
    """
    if pairs is None:
        return None
    position = {row["id"]: i for i, row in enumerate(task["rows"])}
    decimals = {x["key"]: x["decimals"] for x in (*task["columns"], *task["more"])}
    halves = {k: pack(_array(x)[:, None], decimals[k], 0) for k, x in pairs.half_widths.items()}
    return {
        "at": [position[x] for x in pairs.rows],
        "halves": halves,
        "p": {k: pack(_array(x)[:, None], _P_DECIMALS, 0) for k, x in pairs.p_values.items()},
    }


_P_DECIMALS = 4


def _share_questions(tasks: Sequence[dict[str, Any]]) -> None:
    """Leave out the questions of a board that another one has: it is named in their place."""
    first: dict[tuple[str, ...], int] = {}
    # A board with texts, if there is one, is the one to keep.
    for i in sorted(range(len(tasks)), key=lambda i: not tasks[i]["questionTexts"]):
        ids = tuple(tasks[i]["questionIds"])
        at = first.setdefault(ids, i)
        tasks[i]["questionsOf"] = at
        if at != i:
            tasks[i]["questionIds"] = tasks[i]["questionTexts"] = []


def _once(values: Sequence[Any]) -> dict[str, Any]:
    """Each of ``values`` once, with its position for every row: most facts of rows repeat."""
    known: dict[str, int] = {}
    at = [known.setdefault(json.dumps(x), len(known)) for x in values]
    if len(known) == len(values):
        return {"values": list(values)}
    return {"values": [json.loads(x) for x in known], "at": at if len(known) > 1 else []}


def smaller(document: Json) -> Iterator[dict[str, Any]]:
    """``document`` unchanged, then without the questions' texts, hits, and finally questions."""
    tasks: list[dict[str, Any]] = document["tasks"]
    # Next to texts, ids would add nothing.
    with_texts = [{**x, "questionIds": []} if x["questionTexts"] else x for x in tasks]
    yield {**document, "tasks": with_texts}
    tasks = [{**x, "questionTexts": []} for x in tasks]
    yield {**document, "tasks": tasks}
    for kinds in (HIT_KINDS[-1:], ()):
        tasks = [
            {
                **x,
                "hits": [{k: bits for k, bits in row.items() if k in kinds} for row in x["hits"]],
                # Which questions a language has is small, and what chance gives is made from it.
                "hasQuery": {k: bits for k, bits in x["hasQuery"].items() if k in {*kinds, "mono"}},
                "questionIds": x["questionIds"] if kinds else [],
            }
            for x in tasks
        ]
        yield {**document, "tasks": tasks}


_DASH = "\u2013"


def static_tables(payload: Json) -> list[dict[str, Any]]:
    """What a reader without scripts sees: the measured rows of each board by its main measures.

    Measures are those of the setting that the board is sorted by, as displayed.
    """
    found = []
    for task in payload["tasks"]:
        kind = task["sort"].partition("/")[0]
        columns = [x for x in task["columns"] if x["kind"] == kind]
        rows = []
        for row in task["rows"]:
            if row["source"] != "measured":
                continue
            values = [row["cells"].get(x["key"], _NO_CELL)[0] for x in columns]
            shown = [
                _DASH if value is None else value_of(x["measure"], value)
                for x, value in zip(columns, values, strict=True)
            ]
            extra = " ".join(x for x in (row["recipe"], row["options"]) if x)
            name = f"{row['model']} ({extra})" if extra else row["model"]
            # A lone surrogate cannot be written; the browser's own sign for it can.
            rows.append((name.encode("utf-8", "replace").decode(), shown))
        caption = "; ".join([f"{task['title']}, {kind}", *task["notes"]])
        found.append({"caption": caption, "labels": [x["label"] for x in columns], "rows": rows})
    return found


def _overview(overview: Json) -> dict[str, Any]:
    """The board across tasks, with values as displayed."""
    columns = overview["columns"]
    decimals = {x["key"]: x["column"]["decimals"] for x in columns}
    return {
        "columns": [
            {
                **{k: x[k] for k in ("key", "slug", "title")},
                **{k: x["column"][k] for k in _OF_COLUMN},
            }
            for x in columns
        ],
        "rows": [
            {
                **{k: row[k] for k in ("model", "source", "recipe", "options")},
                "cells": {
                    k: round(x[0], decimals[k]) for k, x in row["cells"].items() if x[0] is not None
                },
                "mean": None if row["mean"] is None else round(row["mean"], 4),
            }
            for row in overview["rows"]
        ],
        **{k: overview[k] for k in ("averaged", "best", "second")},
    }


_OF_COLUMN = ("kind", "measure", "label", "better", "decimals")
_NO_CELL = (None, None, None)


def _array(values: Sequence[Any]) -> Any:
    return np.array(values, dtype=np.float64)


def _ranking(ranking: Json, rows: int) -> dict[str, Any]:
    """Best and worst rank of each row, 0 if it has none; the page sorts by value itself."""
    spans = [0] * (2 * rows)
    for row, (best, worst) in zip(ranking["order"], ranking["spans"], strict=True):
        spans[2 * row : 2 * row + 2] = best, worst
    kept = {
        k: ranking[k] for k in ("ties", "tied_apart", "best", "second", "tested") if k in ranking
    }
    return {"spans": spans, "untested": len(ranking.get("untested", ())), **kept}
