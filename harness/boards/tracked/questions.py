"""Per-question data of a tracked record: a number per question and mean, and hits.

A macro mean is a sum over questions, each adding its share. The number of questions times a share
is kept, as a whole number of 16 bits between the column's ends: enough for paired tests between
any two tracked records (the step is 1/65,534 of the column's range), at 2 bytes a question. A hit
is a relevant passage at rank 1, a bit for each query of the mono and multi settings.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.analysis.compare import KEY_BIAS, paired_tables
from harness.boards.tracked.fields import PackedQuestions
from harness.errors import RecordError
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Task
from harness.stats.means import question_shares
from harness.stats.per_query import PerQuery
from harness.stats.ragged import FloatArray

UNDEFINED = 65_535
_STEPS = UNDEFINED - 1
_HIT_KINDS = ("mono", "multi")


@dataclass(frozen=True)
class Hits:
    """For the queries of one kind, (Q, L) booleans each."""

    has_query: NDArray[np.bool_]
    """Whether the question has a query in that language and a relevant passage in the pool."""
    hit: NDArray[np.bool_]


@dataclass(frozen=True)
class Questions:
    """A tracked record's data on the Q questions of one task, in the order of their ids."""

    count: int
    ids_sha256: str
    """SHA-256 of :func:`ids_text`: equal digests mean the same questions in the same order."""
    columns: tuple[tuple[str, str], ...]
    """(kind, measure) of each of ``values``."""
    values: FloatArray
    """(Q, columns): Q times the question's share of the macro mean; their mean is that mean."""
    hits: Mapping[str, Hits]
    """Kind -> hits, for mono and multi, if a measure that implies them was computed."""


def ids_text(ids: Sequence[str]) -> bytes:
    """Question ids as digested and tracked: one per line."""
    return "".join(f"{x}\n" for x in ids).encode()


def of_record(record: Record, task: str) -> tuple[Questions, tuple[str, ...]]:
    """Questions of one task of a record, and their ids.

    Raises:
        RecordError: the per-query table is missing or is not the one the record names.
    """
    of_task = record.task(task)
    wanted = [m for m in (*of_task.measures, *KEY_BIAS) if m in of_task.all_measures]
    tell = _tells_hits(of_task)
    kinds = {
        x.kind: x.rows
        for x in paired_tables([record], task, [*dict.fromkeys([*wanted, *tell])], whole=True)
    }
    ids = tuple(sorted({q for rows in kinds.values() for q in rows.questions}))
    number = {q: i for i, q in enumerate(ids)}
    columns: list[tuple[str, str]] = []
    values: list[FloatArray] = []
    hits: dict[str, Hits] = {}
    for kind, rows in kinds.items():
        at = np.array([number[q] for q in rows.questions], np.int64)
        shares = question_shares(rows, rows.matrix()) * len(ids)
        for m, measure in enumerate(rows.values):
            if measure not in wanted:
                continue
            column = np.zeros(len(ids))
            column[at] = shares[:, m]
            columns.append((kind, measure))
            values.append(column)
        if kind in _HIT_KINDS and (found := _hits(rows, at, len(ids), of_task.languages)):
            hits[kind] = found
    digest = hashlib.sha256(ids_text(ids)).hexdigest()
    table = np.stack(values, axis=1) if values else np.zeros((len(ids), 0))
    return Questions(len(ids), digest, tuple(columns), table, hits), ids


def _tells_hits(task: Task) -> list[str]:
    """Measures whose per-query value reveals whether the first passage is relevant."""
    return [
        m
        for m in task.all_measures
        if m.partition("@")[0] == "mrr" or m in ("recall@1", "success@1")
    ]


def _hits(
    rows: PerQuery, at: NDArray[np.int64], size: int, languages: Sequence[str]
) -> Hits | None:
    for measure, values in rows.values.items():
        if measure.partition("@")[0] == "mrr":
            first = values > 0.75  # 1 at rank 1, at most a half below
        elif measure in ("recall@1", "success@1"):
            first = values > 0
        else:
            continue
        column = {x: i for i, x in enumerate(languages)}
        language = np.array([column[s.query_language] for s in rows.settings])[rows.setting]
        has_query = np.zeros((size, len(languages)), bool)
        hit = np.zeros_like(has_query)
        has_query[at[rows.question], language] = True
        hit[at[rows.question], language] = first
        return Hits(has_query, hit)
    return None


def packed(bits: NDArray[np.bool_]) -> str:
    """Bits row by row, eight per byte, first bit highest, in base64."""
    return base64.b64encode(np.packbits(bits.ravel()).tobytes()).decode()


def unpacked(text: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The inverse of :func:`packed`.

    Raises:
        ValueError: it is not base64, or of another size.
    """
    raw = np.frombuffer(base64.b64decode(text, validate=True), np.uint8)
    size = shape[0] * shape[1]
    if len(raw) != (size + 7) // 8:
        raise ValueError(f"{len(raw)} bytes where {(size + 7) // 8} are needed")
    return np.unpackbits(raw, count=size).reshape(shape).astype(bool)


def to_document(questions: Questions) -> dict[str, Any]:
    """JSON values, as in the tracked record."""
    columns = []
    for (kind, measure), values in zip(questions.columns, questions.values.T, strict=True):
        low, high = _ends(values)
        width = high - low
        scaled = np.zeros(len(values)) if width == 0 else (values - low) / width * _STEPS
        codes = np.where(np.isnan(values), UNDEFINED, np.round(np.nan_to_num(scaled)))
        # The high bytes of all questions first: they repeat, so they compress.
        planes = codes.astype(">u2").view(np.uint8).reshape(-1, 2).T
        raw = zlib.compress(planes.tobytes(), 9)
        columns.append([kind, measure, low, high, base64.b64encode(raw).decode()])
    return {
        "count": questions.count,
        "ids_sha256": questions.ids_sha256,
        "columns": columns,
        "hits": {
            kind: {"asked": packed(x.has_query), "hit": packed(x.hit)}
            for kind, x in questions.hits.items()
        },
    }


def _ends(values: FloatArray) -> tuple[float, float]:
    defined = values[~np.isnan(values)]
    return (float(defined.min()), float(defined.max())) if len(defined) else (0.0, 0.0)


def from_packed(packed: PackedQuestions, languages: int, where: str) -> Questions:
    """Read :func:`to_document` back.

    Raises:
        RecordError: a part has the wrong size; names ``where``.
    """
    count = packed.count
    try:
        values = [_decoded(column, count) for column in packed.columns]
        hits: dict[str, Hits] = {
            kind: Hits(*(unpacked(bits, (count, languages)) for bits in (x.asked, x.hit)))
            for kind, x in packed.hits.items()
        }
    except (ValueError, zlib.error) as problem:
        raise RecordError(f"{where}: its questions cannot be read: {problem}") from problem
    return Questions(
        count=count,
        ids_sha256=packed.ids_sha256,
        columns=tuple((kind, measure) for kind, measure, *_ in packed.columns),
        values=np.stack(values, axis=1) if values else np.zeros((count, 0)),
        hits=hits,
    )


def _decoded(column: Iterable[Any], count: int) -> FloatArray:
    _, measure, low, high, text = column
    raw = zlib.decompress(base64.b64decode(text, validate=True))
    if len(raw) != 2 * count:
        raise ValueError(f"{measure} has {len(raw) // 2} values for {count} questions")
    codes = np.frombuffer(raw, np.uint8).reshape(2, count).astype(np.float64)
    number = codes[0] * 256 + codes[1]
    values: FloatArray = low + (high - low) * number / _STEPS
    values[number == UNDEFINED] = np.nan
    return values
