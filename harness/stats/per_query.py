"""The per-query table: one row per query and setting of a task, with the value of every measure.

A run fills it, a record keeps it as parquet, and everything computed from a record starts with it:
means, intervals, slices, comparisons.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from harness.data.task import RUN_KINDS, Kind, Setting
from harness.stats.ragged import FloatArray

FACTS = (
    "setting", "kind", "query_language", "passage_language", "question", "golds", "query_chars",
)  # fmt: skip
"""Columns of the parquet file before the measures; ``golds`` counts relevant passages."""


class Levels(TypedDict):
    """The clusters and groups of a table's rows, as arguments of the resampling."""

    clusters: NDArray[np.integer[Any]]
    """(R,) the question of each row."""
    groups: NDArray[np.integer[Any]]
    """(R,) the setting of each row."""
    n_groups: int
    parents: NDArray[np.int64]
    """(S,) the query language of each setting."""


@dataclass(frozen=True)
class PerQuery:
    """One row per query and setting: R rows, S settings, Q questions."""

    settings: tuple[Setting, ...]
    """In the task's order."""
    questions: tuple[str, ...]
    """Distinct question ids."""
    setting: NDArray[np.int32]
    """(R,) index into ``settings``."""
    question: NDArray[np.int32]
    """(R,) index into ``questions``."""
    relevant: NDArray[np.int32]
    """(R,) relevant passages of the query in the setting's pool, at least 1."""
    query_chars: NDArray[np.int32]
    """(R,) length of the query's text in characters."""
    values: Mapping[str, FloatArray]
    """Measure name -> (R,); NaN where the measure is not defined."""

    def __len__(self) -> int:
        return len(self.setting)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Query languages of the settings, in the task's order."""
        return tuple(dict.fromkeys(s.query_language for s in self.settings))

    @cached_property
    def language_of(self) -> NDArray[np.int64]:
        """(S,) the query language of each setting, index into ``languages``."""
        number = {x: i for i, x in enumerate(self.languages)}
        return np.array([number[s.query_language] for s in self.settings], np.int64)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of the settings, in the task's order."""
        return tuple(dict.fromkeys(s.kind for s in self.settings))

    @property
    def levels(self) -> Levels:
        """Questions, settings and query languages, for :mod:`harness.stats.resampling`."""
        return Levels(
            clusters=self.question,
            groups=self.setting,
            n_groups=len(self.settings),
            parents=self.language_of,
        )

    def matrix(self, measures: Sequence[str] | None = None) -> FloatArray:
        """(R, M) values of ``measures``, by default of all."""
        names = list(self.values) if measures is None else measures
        return np.stack([self.values[m] for m in names], axis=1)

    def of_kind(self, kind: str) -> PerQuery:
        """The rows of one kind of setting, with all settings of that kind, even if without rows."""
        chosen = np.array([s.kind == kind for s in self.settings], bool)
        number = np.cumsum(chosen) - 1
        rows = _side_by_side(chosen[self.setting])
        return replace(
            self._rows(rows),
            settings=tuple(s for s in self.settings if s.kind == kind),
            setting=number[self.setting[rows]].astype(np.int32),
        )

    def take(self, rows: NDArray[np.bool_]) -> PerQuery:
        """Only ``rows`` (R,), with the remaining settings and questions."""
        used, setting = np.unique(self.setting[rows], return_inverse=True)
        left, question = np.unique(self.question[rows], return_inverse=True)
        return replace(
            self._rows(rows),
            settings=tuple(self.settings[i] for i in used),
            questions=tuple(self.questions[i] for i in left),
            setting=setting.astype(np.int32),
            question=question.astype(np.int32),
        )

    def by_kind(self) -> dict[Kind, PerQuery]:
        """The rows of each kind that has any, with the settings and questions of these rows."""
        found: dict[Kind, PerQuery] = {}
        for kind in RUN_KINDS:
            rows = np.array([s.kind == kind for s in self.settings], bool)[self.setting]
            if rows.any():
                found[kind] = self.take(rows)
        return found

    def select(self, measures: Sequence[str]) -> PerQuery:
        """All rows with only the values of ``measures``."""
        return replace(self, values={m: self.values[m] for m in measures})

    def with_sorted_questions(self) -> PerQuery:
        """The same rows, with ``questions`` in the order of their ids."""
        order = np.argsort(np.array(self.questions, dtype=object), kind="stable")
        number = np.empty(len(order), np.int32)
        number[order] = np.arange(len(order), dtype=np.int32)
        return replace(
            self,
            questions=tuple(self.questions[i] for i in order),
            question=number[self.question],
        )

    def _rows(self, rows: slice | NDArray[Any]) -> PerQuery:
        return replace(
            self,
            setting=self.setting[rows],
            question=self.question[rows],
            relevant=self.relevant[rows],
            query_chars=self.query_chars[rows],
            values={name: column[rows] for name, column in self.values.items()},
        )

    def to_parquet(self) -> bytes:
        """The table as parquet, the same bytes for the same table."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        def column(per_setting: list[str | None]) -> pa.Array:
            names = list(dict.fromkeys(x for x in per_setting if x is not None))
            code = np.array([-1 if x is None else names.index(x) for x in per_setting], np.int32)
            codes = code[self.setting] if len(code) else self.setting
            indices = pa.array(codes, mask=codes < 0) if len(codes) else pa.array([], pa.int32())
            return pa.DictionaryArray.from_arrays(indices, pa.array(names, pa.string()))

        facts: tuple[pa.Array, ...] = (
            column([s.name for s in self.settings]),
            column([s.kind for s in self.settings]),
            column([s.query_language for s in self.settings]),
            column([s.passage_language for s in self.settings]),
            pa.DictionaryArray.from_arrays(
                pa.array(self.question), pa.array(self.questions, pa.string())
            ),
            pa.array(self.relevant),
            pa.array(self.query_chars),
        )
        # NaN is kept as a value, not turned into null: "undefined" is a fact about the row.
        columns = dict(zip(FACTS, facts, strict=True))
        columns |= {name: pa.array(values) for name, values in self.values.items()}
        text = [n for n, c in columns.items() if isinstance(c, pa.DictionaryArray)]
        sink = io.BytesIO()
        # Statistics let readers skip row groups; there is only one.
        pq.write_table(
            pa.table(columns),
            sink,
            compression="zstd",
            compression_level=1,
            use_dictionary=text,
            write_statistics=False,
        )
        raw: bytes = sink.getvalue()
        return raw

    @classmethod
    def from_parquet(cls, raw: bytes, settings: Sequence[Setting]) -> PerQuery:
        """Read :meth:`to_parquet` back.

        Args:
            raw: the bytes of the file.
            settings: those of the task, in its order; the table has rows of no other.

        Raises:
            ValueError: ``raw`` is not such a table.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            table = pq.ParquetFile(io.BytesIO(raw)).read()
            number = {s.name: i for i, s in enumerate(settings)}
            of_setting, names = _codes(table["setting"])
            question, questions = _codes(table["question"])
            return cls(
                settings=tuple(settings),
                questions=tuple(questions),
                setting=np.array([number[x] for x in names], np.int32)[of_setting],
                question=question.astype(np.int32),
                relevant=_numbers(table["golds"]).astype(np.int32, copy=False),
                query_chars=_numbers(table["query_chars"]).astype(np.int32, copy=False),
                values={
                    name: _numbers(table[name]).astype(np.float64, copy=False)
                    for name in table.column_names
                    if name not in FACTS
                },
            )
        except (pa.ArrowException, KeyError) as problem:
            raise ValueError(f"not a per-query table: {problem}") from problem


# read_table and to_numpy would load pandas, which takes longer than everything else here.


def _numbers(column: Any) -> NDArray[Any]:
    """(R,) values of a column of numbers."""
    numbers: NDArray[Any] = np.from_dlpack(_whole(column))
    return numbers


def _codes(column: Any) -> tuple[NDArray[np.int64], list[str]]:
    """(R,) index of each row's text in the list of distinct texts, and that list."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = _whole(column.unify_dictionaries())
    codes = np.from_dlpack(whole.indices).astype(np.int64)
    return codes, [str(x) for x in whole.dictionary.to_pylist()]


def _whole(column: Any) -> Any:
    """A chunked column as one array."""
    import pyarrow as pa

    whole = column.combine_chunks()
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole


def _side_by_side(rows: NDArray[np.bool_]) -> slice | NDArray[np.bool_]:
    """``rows`` as a slice if they are contiguous, as those of one kind usually are."""
    first, n = int(rows.argmax()) if len(rows) else 0, int(np.count_nonzero(rows))
    return slice(first, first + n) if rows[first : first + n].all() else rows


@dataclass(frozen=True)
class Paired:
    """One kind of setting of a task in K records: K tables of the same R rows and M measures."""

    task: str
    kind: Kind
    tables: tuple[PerQuery, ...]

    @property
    def rows(self) -> PerQuery:
        """The first table; all have its settings and questions, row by row."""
        return self.tables[0]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """Settings of ``rows``."""
        return self.rows.settings

    @property
    def languages(self) -> tuple[str, ...]:
        """Query languages of ``rows``."""
        return self.rows.languages

    @property
    def measures(self) -> tuple[str, ...]:
        """The measures of ``values``."""
        return tuple(self.rows.values)

    @cached_property
    def values(self) -> FloatArray:
        """(K, R, M); NaN where undefined."""
        return np.stack([x.matrix() for x in self.tables])


def aligned(tables: Sequence[PerQuery]) -> list[PerQuery]:
    """The rows common to all of ``tables``, in the same order and numbering.

    Settings are in the first one's order, questions in that of their ids. Values, relevant passages
    and lengths stay each table's own.
    """
    settings = [x for x in tables[0].settings if all(x in t.settings for t in tables)]
    questions = sorted({q for t in tables for q in t.questions})
    keys = [
        _numbered(t.settings, settings)[t.setting] * max(len(questions), 1)
        + _numbered(t.questions, questions)[t.question]
        for t in tables
    ]
    shared = reduce(np.intersect1d, keys)
    shared = shared[shared >= 0]
    setting, question = np.divmod(shared, max(len(questions), 1))
    found = []
    for table, key in zip(tables, keys, strict=True):
        order = np.argsort(key, kind="stable")
        at = order[np.searchsorted(key, shared, sorter=order)]
        found.append(
            replace(
                table._rows(at),
                settings=tuple(settings),
                questions=tuple(questions),
                setting=setting.astype(np.int32),
                question=question.astype(np.int32),
            )
        )
    return found


def _numbered(names: Sequence[Any], within: Sequence[Any]) -> NDArray[np.int64]:
    """The position of each of ``names`` in ``within``; far below 0 where it is absent."""
    number = {name: i for i, name in enumerate(within)}
    return np.array([number.get(x, -(1 << 40)) for x in names], np.int64)
