"""The record: the results of a run of one model over some tasks, and everything that produced them.

    FOLDER/record.json              versioned, valid against record.schema.json; written last
    FOLDER/TASK.per-query.parquet   one row per query and setting

Every mean in record.json can be recomputed from the table next to it.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.base.files import write_atomically
from harness.base.reading import parse_json
from harness.data.task import Setting
from harness.errors import RecordError, UsageError
from harness.evaluation.record_fields import Contents, Interval, Task, fields_of
from harness.stats.per_query import PerQuery

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
RECORD_FILE = "record.json"


def validate(document: Any, where: str) -> Contents:
    """The fields of a document of JSON values.

    Raises:
        RecordError: it does not fit; names ``where`` and the first field that is wrong.
    """
    try:
        raw = json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as problem:
        raise RecordError(f"{where} is not a valid record: {problem}") from problem
    return parse(raw, where)


def parse(raw: bytes | str, where: str) -> Contents:
    """The fields of a record.json.

    Raises:
        RecordError: as :func:`validate`.
    """
    contents = fields_of(Contents, raw, where, "record", SCHEMA_VERSION)
    for number, task in enumerate(contents.tasks):
        if task.per_query is None:
            raise RecordError(
                f"{where} is not a valid record: tasks/{number}: 'per_query' is a required field"
            )
    return contents


def finite(document: Mapping[str, Any]) -> dict[str, Any]:
    """``document`` with NaN turned into ``None`` throughout, as JSON has no NaN."""
    return {str(key): _finite(value) for key, value in document.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return finite(value)
    if isinstance(value, list | tuple):
        return [_finite(x) for x in value]
    if isinstance(value, np.floating | float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, np.integer):
        return int(value)
    return value


def _with_ends(
    scores: Mapping[str, float | None], intervals: Mapping[str, Interval]
) -> dict[str, float | None]:
    """Measure -> mean, followed by the ends of its interval."""
    found: dict[str, float | None] = {}
    for measure, score in scores.items():
        found[measure] = score
        if measure in intervals:
            found[f"{measure}_low"], found[f"{measure}_high"] = intervals[measure].bca
    return found


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """``rows`` as a frame, every measure followed by the ends of its interval."""
    import pandas as pd

    columns: list[str] = list(dict.fromkeys(x for row in rows for x in row))
    ends = {x for x in columns if x.endswith(("_low", "_high")) and x.rpartition("_")[0] in columns}
    order = [
        y
        for x in columns
        if x not in ends
        for y in (x, f"{x}_low", f"{x}_high")
        if y == x or y in ends
    ]
    return pd.DataFrame(rows, columns=order)


@dataclass
class Record:
    """One model's results."""

    document: dict[str, Any]
    """record.json as JSON values; :attr:`contents` has the same, typed."""
    tables: dict[str, PerQuery] = field(default_factory=dict, repr=False)
    folder: Path | None = None
    before: Record | None = field(default=None, repr=False)
    """For a run with a reranker: the record of the first stage alone; not saved with this one."""

    @cached_property
    def contents(self) -> Contents:
        """The fields of ``document``, typed: ``record.contents.model.fingerprint``.

        Raises:
            RecordError: the document does not fit.
        """
        raw = json.dumps(self.document, allow_nan=False)
        return fields_of(Contents, raw, self._name, "record", SCHEMA_VERSION)

    @property
    def _name(self) -> str:
        return "this record" if self.folder is None else str(self.folder / RECORD_FILE)

    @property
    def model(self) -> str:
        """The model's name."""
        return self.contents.model.name

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The results by task: ``record.tasks[0].encoding.texts``."""
        return self.contents.tasks

    def task(self, name: str) -> Task:
        """The results of one task.

        Raises:
            RecordError: the record has no such task.
        """
        for task in self.tasks:
            if task.task == name:
                return task
        raise RecordError(f"the record of {self.model} has no task {name!r}")

    def _repr_html_(self) -> str:
        """Show the record in a notebook as in the terminal."""
        from harness.console.notebook import html
        from harness.evaluation.record_view import print_record

        return html(lambda console: print_record(console, self.contents, path=self.folder))

    def to_frame(self) -> pd.DataFrame:
        """One row per task and setting: task, setting, kind, languages, queries, pool, measures.

        A measure's column is followed by ``MEASURE_low`` and ``MEASURE_high``, the ends of its BCa
        interval, where the record has intervals of single settings: of mono and multi settings,
        and of cross ones where a query language has only one. Elsewhere they are NaN.
        """
        rows = []
        for task in self.tasks:
            of = Counter((s.kind, s.query_language) for s in task.settings)
            by = {} if task.intervals is None else task.intervals.languages
            for s in task.settings:
                ends = by.get(s.kind, {}).get(s.query_language, {})
                alone = of[s.kind, s.query_language] == 1
                facts = s.model_dump(exclude={"scores"})
                rows.append(
                    {"task": task.task, **facts, **_with_ends(s.scores, ends if alone else {})}
                )
        return _frame(rows)

    def means(self) -> pd.DataFrame:
        """One row per task, kind of setting and way to average (``mean``: macro or micro).

        Columns: task, kind, mean, settings, queries, then the measures. A measure's column is
        followed by ``MEASURE_low`` and ``MEASURE_high``, the ends of the BCa interval of its macro
        mean, where the record has intervals; NaN in rows of micro means.
        """
        rows = []
        for task in self.tasks:
            for kind, means in task.means.items():
                of_kind = [s for s in task.settings if s.kind == kind]
                facts = {"settings": len(of_kind), "queries": sum(s.queries for s in of_kind)}
                ends = {} if task.intervals is None else task.intervals.means.get(kind, {})
                for name, scores, known in (
                    ("macro", means.macro, ends),
                    ("micro", means.micro, {}),
                ):
                    head = {"task": task.task, "kind": kind, "mean": name, **facts}
                    rows.append({**head, **_with_ends(scores, known)})
        return _frame(rows)

    def per_query(self, task: str | None = None) -> pd.DataFrame:
        """One row per task, setting and query, with every measure.

        Raises:
            RecordError: a table is missing, is none, or was changed since the record was written.
        """
        import pandas as pd
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = [t.task for t in self.tasks] if task is None else [task]
        frames = []
        for name in names:
            raw = self.table_bytes(name)
            try:
                frame = pq.read_table(io.BytesIO(raw)).to_pandas()
            except pa.ArrowException as problem:
                raise RecordError(
                    f"{self._table_path(name)}: not a per-query table: {problem}"
                ) from problem
            frame.insert(0, "task", name)
            frames.append(frame)
        whole: pd.DataFrame = pd.concat(frames, ignore_index=True)
        return whole

    def table(self, task: str) -> PerQuery:
        """The per-query table of a task, questions in the order of their ids.

        Raises:
            RecordError: as :meth:`per_query`.
        """
        if task in self.tables:
            return self.tables[task].with_sorted_questions()
        settings = [
            Setting(s.kind, s.query_language, s.passage_language) for s in self.task(task).settings
        ]
        raw = self.table_bytes(task)
        try:
            found = PerQuery.from_parquet(raw, settings)
        except ValueError as problem:
            raise RecordError(f"{self._table_path(task)}: {problem}") from problem
        return found.with_sorted_questions()

    def _table_path(self, task: str) -> Path:
        """The file of a saved record's per-query table."""
        described = self.task(task).per_query
        return (self.folder or Path()) / ("" if described is None else described.file)

    def table_bytes(self, task: str) -> bytes:
        """The per-query table of a task, as parquet.

        Raises:
            RecordError: as :meth:`per_query`.
        """
        if task in self.tables:
            return self.tables[task].to_parquet()
        described = self.task(task).per_query
        if described is None:
            raise RecordError(f"{self._name} has no per-query table of {task}; save it first")
        path = self._table_path(task)
        try:
            raw: bytes = path.read_bytes()
        except OSError as problem:
            raise RecordError(
                f"the per-query table {path} cannot be read: {problem.strerror}"
            ) from problem
        if hashlib.sha256(raw).hexdigest() != described.sha256:
            raise RecordError(
                f"{path} is not the table its record names (SHA-256 differs); run the model again"
            )
        return raw

    def save(self, folder: Path) -> Path:
        """Write tables, then record.json, atomically; returns the latter's path.

        Raises:
            RecordError: the document does not fit the schema.
            StoreError: the folder cannot be written.
        """
        files: dict[str, dict[str, Any]] = {}
        for name, table in self.tables.items():
            raw = table.to_parquet()
            files[name] = {
                "file": f"{name}.per-query.parquet",
                "rows": len(table),
                "sha256": hashlib.sha256(raw).hexdigest(),
            }
            write_atomically(folder / files[name]["file"], raw)
        for entry in self.document["tasks"]:
            if entry["task"] in files:
                entry["per_query"] = files[entry["task"]]
        contents = validate(self.document, str(folder / RECORD_FILE))
        text = json.dumps(self.document, indent=1, ensure_ascii=False, allow_nan=False)
        write_atomically(folder / RECORD_FILE, (text + "\n").encode())
        self.contents, self.folder = contents, folder
        return folder / RECORD_FILE

    @classmethod
    def load(cls, path: str | Path) -> Record:
        """Read a record from record.json or its folder.

        Raises:
            RecordError: there is none, it is not JSON, or it does not fit the schema.
        """
        path = Path(path)
        file = path / RECORD_FILE if path.is_dir() else path
        try:
            raw = file.read_bytes()
        except OSError as problem:
            raise RecordError(
                f"{file} cannot be read ({problem.strerror}); give a record.json or its folder"
            ) from problem
        document = parse_json(raw, file, RecordError)
        contents = parse(raw, str(file))
        record = cls(document, folder=file.parent)
        record.contents = contents
        return record


def load_record(path: str | Path) -> Record:
    """Read a record from record.json or its folder.

    Raises:
        RecordError: there is none, it is not JSON, or it does not fit the schema.
    """
    return Record.load(path)


def list_records(folder: Path) -> dict[Path, Record | str]:
    """The records in a folder and below, by their folders: read, or why one cannot be.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; `harness run` makes results")
    found: dict[Path, Record | str] = {}
    for file in sorted(folder.rglob(RECORD_FILE)):
        try:
            found[file.parent] = record = Record.load(file)
            _ = record.contents
        except RecordError as problem:
            found[file.parent] = str(problem)
    return found
