"""The page's data: a board's payload with its tables of numbers packed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from harness.boards.page.packing import pack, pack_ends

HIT_KINDS = ("mono", "multi")

_GUARD = 3
"""Extra digits of numbers the page averages over the chosen languages."""

Json = Mapping[str, Any]


def page_document(
    payload: Json,
    texts: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """``payload`` as the page reads it.

    Args:
        payload: from :func:`harness.boards.to_payload`, not rounded.
        texts: board -> question id -> its text, for the questions that flipped.
    """
    texts = texts or {}
    return {
        **{k: payload[k] for k in ("records", "alpha", "level", "method")},
        "tasks": [_task(x, texts.get(x["slug"], {})) for x in payload["tasks"]],
        "overview": _overview(payload["overview"]),
    }


_KEPT = (
    "slug", "task", "title", "primary", "per_language_only", "notes", "text", "data_digest",
    "revision", "license", "languages", "kinds", "questions", "queries", "passages", "sort",
)  # fmt: skip
_OF_ROW = (
    "id", "model", "source", "kind", "recipe", "alpha", "seed", "trained_on", "parameters",
    "dimensions", "options", "text", "notes", "elsewhere", "reference", "facts",
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
    document["columns"] = columns
    document["rows"] = [{k: row[k] for k in _OF_ROW} for row in rows]
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
    document["asked"] = dict(task["asked"])
    document["questionIds"] = list(task["question_ids"] or [])
    document["questionTexts"] = [texts.get(x, x) for x in document["questionIds"]] if texts else []
    return document


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
                "asked": {k: bits for k, bits in x["asked"].items() if k in kinds},
                "questionIds": x["questionIds"] if kinds else [],
            }
            for x in tasks
        ]
        yield {**document, "tasks": tasks}


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
    kept = {k: ranking[k] for k in ("ties", "best", "second", "tested")}
    return {"spans": spans, "untested": len(ranking.get("untested", ())), **kept}
