"""Imported results, kept next to the tracked records: one table per task, and one of models.

    LEADERBOARDS/published/TASK.csv     a line per row, a column per measure and setting
    LEADERBOARDS/published/models.csv   a line per model and revision: what is published about it

Tables are merged with what is there: a row of the same model, revision, options and task replaces
the earlier one. The same rows give the same bytes.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.base.reading import read_json
from harness.data.documents import fields_up_to
from harness.data.task import KINDS, Kind, Setting
from harness.errors import RecordError
from harness.interop.published import ModelFacts, Published, unique

FOLDER = "published"
MODELS = "models.csv"

_ABOUT = (
    "model", "revision", "options", "published_as", "origin", "data_digest", "text", "trained",
)  # fmt: skip
_HEADER = (*_ABOUT, "decimals")
_MODEL = ("model", "revision", "options")
_FACTS = tuple(f.name for f in dataclasses.fields(ModelFacts))
_SETTING = re.compile(r"(mono|multi)/([A-Za-z0-9-]+)|(cross)/([A-Za-z0-9-]+)>([A-Za-z0-9-]+)")

Facts = Mapping[tuple[str, str, str], ModelFacts]
"""By a model's name, revision and options; without options for those that have no line of their
own."""

_BEFORE = "imported"
_BEFORE_FORMAT = 1


def keep(rows: Sequence[Published], leaderboards: Path) -> list[Path]:
    """Write imported rows next to the tracked records.

    Returns:
        Paths of the tables that changed.

    Raises:
        RecordError: an existing table cannot be read, or two rows of a task would have the same id.
        StoreError: the folder cannot be written.
    """
    folder = leaderboards / FOLDER
    models = folder / MODELS
    facts = dict(_read_models(models)) if models.exists() else {}
    for row in sorted(rows, key=lambda x: x.options):
        if row.facts is not None and row.facts != _facts_of(row, facts):
            facts[row.model, row.revision or "", row.options] = row.facts
    tables = []  # all of them, before one is written
    for task in sorted({x.task for x in rows}):
        path = folder / f"{task}.csv"
        there = load(path, facts) if path.exists() else []
        merged = unique([*there, *(x for x in rows if x.task == task)])
        listed = [merged[key] for key in sorted(merged)]
        _refuse_one_id(path, listed)
        tables.append((path, listed))
    written = [x for path, listed in tables for x in _write(path, _table(listed))]
    return [*written, *_write(models, _models(facts))] if facts else written


def _facts_of(row: Published, facts: Facts) -> ModelFacts | None:
    plain = (row.model, row.revision or "", "")
    return facts.get((*plain[:2], row.options), facts.get(plain))


def _write(path: Path, lines: Iterable[Sequence[str]]) -> list[Path]:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(lines)
    content = out.getvalue().encode()
    if path.exists() and path.read_bytes() == content:
        return []
    write_atomically(path, content)
    return [path]


def _table(rows: Sequence[Published]) -> Iterable[Sequence[str]]:
    columns = sorted(
        {(m, s) for row in rows for s, values in row.scores.items() for m in values},
        key=lambda x: (x[0], KINDS.index(x[1].kind), x[1][1], x[1].passage_language or ""),
    )
    yield (*_HEADER, *(f"{measure} {_name(setting)}" for measure, setting in columns))
    for row in rows:
        about = (getattr(row, x) or "" for x in _ABOUT)
        decimals = " ".join(f"{m}:{digits}" for m, digits in sorted(row.decimals.items()))
        values = (_written(row.scores.get(s, {}).get(m), row.decimals.get(m)) for m, s in columns)
        yield (*about, decimals, *values)


def _name(setting: Setting) -> str:
    """``cross/de>en``: language codes can contain a hyphen."""
    if setting.kind == "cross":
        return f"cross/{setting.query_language}>{setting.passage_language}"
    return setting.name


def _written(value: float | None, decimals: int | None) -> str:
    if value is None:
        return ""
    if decimals is None:
        return repr(value)
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def _models(facts: Facts) -> Iterable[Sequence[str]]:
    yield (*_MODEL, *_FACTS)
    for key in sorted(facts):
        yield (*key, *(_fact(getattr(facts[key], x)) for x in _FACTS))


def _fact(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return "; ".join(value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def load_all(leaderboards: Path) -> tuple[list[Published], list[str]]:
    """Every imported row of a leaderboards folder.

    Returns:
        The rows, and one sentence for each file that is not valid.
    """
    rows: list[Published] = []
    refused: list[str] = []
    facts: Facts = {}
    tables = sorted((leaderboards / FOLDER).glob("*.csv"))
    try:
        facts = _read_models(leaderboards / FOLDER / MODELS)
    except RecordError as problem:
        if (leaderboards / FOLDER / MODELS).exists():
            refused.append(str(problem))
    for path in sorted((leaderboards / _BEFORE).glob("*.json")):
        try:
            rows.append(_load_json(path))
        except RecordError as problem:
            refused.append(str(problem))
    for path in tables:
        if path.name != MODELS:
            try:
                rows += load(path, facts)
            except RecordError as problem:
                refused.append(str(problem))
    return list(unique(rows).values()), refused


def load(path: Path, facts: Facts | None = None) -> list[Published]:
    """Read the table of a task; ``facts`` are the known facts about models, by name and revision.

    Raises:
        RecordError: it cannot be read, or is not such a table.
    """
    try:
        header, *lines = _lines(path)
        if tuple(header[: len(_HEADER)]) != _HEADER:
            raise ValueError(f"its columns do not start with {', '.join(_HEADER)}")
        columns = [_column(x) for x in header[len(_HEADER) :]]
        if len(set(columns)) < len(columns):
            raise ValueError("it has a duplicate column")
        found = [_row(path.stem, columns, line, facts or {}) for line in lines]
    except (OSError, ValueError, csv.Error) as problem:
        raise _refused(path, problem) from problem
    _refuse_one_id(path, found)
    return found


def _lines(path: Path) -> list[list[str]]:
    text = path.read_text("utf-8")
    with fields_up_to(len(text) + 1):  # a model's training data are one field
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if not lines:
        raise ValueError("it is empty")
    for i, line in enumerate(lines, 1):
        if len(line) != len(lines[0]):
            raise ValueError(f"row {i} has {len(line)} values, the first row {len(lines[0])}")
    return lines


def _column(name: str) -> tuple[str, Setting]:
    """Measure and setting of ``ndcg@10 cross/de>en``."""
    measure, _, setting = name.partition(" ")
    match = _SETTING.fullmatch(setting)
    if match is None or not measure:
        raise ValueError(f"{name!r} is not a measure and a setting")
    if match[3]:
        return measure, Setting("cross", match[4], match[5])
    is_mono = match[1] == "mono"
    return measure, Setting("mono" if is_mono else "multi", match[2], match[2] if is_mono else None)


def _row(
    task: str, columns: Sequence[tuple[str, Setting]], line: Sequence[str], facts: Facts
) -> Published:
    named = dict(zip(_HEADER, line, strict=False))
    scores: dict[Setting, dict[str, float]] = {}
    for (measure, setting), value in zip(columns, line[len(_HEADER) :], strict=True):
        if value:
            scores.setdefault(setting, {})[measure] = _number(value)
    if not named["model"] or not scores:
        raise ValueError("it has a row without a model, or without values")
    digits = (x.rpartition(":") for x in named["decimals"].split())
    if named["published_as"] and not all(
        0 <= x <= 1 for of in scores.values() for x in of.values()
    ):
        raise ValueError(f"{named['model']} has a score that is not between 0 and 1")
    row = Published(
        task=task,
        model=named["model"],
        source="imported",
        origin=named["origin"],
        scores=scores,
        options=named["options"],
        revision=named["revision"] or None,
        published_as=named["published_as"] or None,
        data_digest=named["data_digest"],
        text=named["text"] or None,
        decimals={measure: int(number) for measure, _, number in digits},
        trained=named["trained"] or None,
    )
    return dataclasses.replace(row, facts=_facts_of(row, facts))


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a score")
    return value


def _refuse_one_id(path: Path, rows: Sequence[Published]) -> None:
    ids: dict[str, Published] = {}
    for row in rows:
        other = ids.setdefault(row.id, row)
        if other is not row:
            raise RecordError(
                f"{path}: {other.model} and {row.model} would both be the row {row.id}; "
                "keep one of them"
            )


def _refused(path: Path, problem: Exception) -> RecordError:
    return RecordError(
        f"{path}: is not a table of imported results: {problem}; make it again with harness import"
    )


def _read_models(path: Path) -> dict[tuple[str, str, str], ModelFacts]:
    try:
        header, *lines = _lines(path)
        if tuple(header) != (*_MODEL, *_FACTS):
            raise ValueError(f"its columns are not {', '.join((*_MODEL, *_FACTS))}")
        return {(x[0], x[1], x[2]): _facts(dict(zip(header, x, strict=True))) for x in lines}
    except (OSError, ValueError, csv.Error) as problem:
        raise _refused(path, problem) from problem


def _facts(line: Mapping[str, str]) -> ModelFacts:
    def listed(name: str) -> tuple[str, ...] | None:
        text = line[name]
        return None if not text else () if text == "none" else tuple(text.split("; "))

    is_open = line["open_weights"]
    if is_open not in ("", "true", "false"):
        raise ValueError(f"open_weights is {is_open!r}, not true or false")
    return ModelFacts(
        parameters=int(line["parameters"]) if line["parameters"] else None,
        dimensions=int(line["dimensions"]) if line["dimensions"] else None,
        released=line["released"] or None,
        open_weights=is_open == "true" if is_open else None,
        license=line["license"] or None,
        languages=listed("languages"),
        training_data=listed("training_data"),
    )


def _load_json(path: Path) -> Published:
    """A row in the former format: one JSON file per model and task."""
    document = read_json(path, RecordError)
    try:
        if document["format"] != _BEFORE_FORMAT:
            raise ValueError(
                f"it has format {document['format']}, this harness reads {_BEFORE_FORMAT}"
            )
        scores = {
            Setting(_kind(x["kind"]), x["query_language"], x["passage_language"]): {
                str(k): _number(repr(v) if not isinstance(v, bool) else "")
                for k, v in x["scores"].items()
            }
            for x in document["settings"]
        }
        if not scores:
            raise ValueError("it contains no settings")
        known = {x: document[x] for x in ("task", "model", "revision", "origin", "data_digest")}
        return Published(scores=scores, source="imported", **known)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        what = f"it lacks {problem}" if isinstance(problem, KeyError) else str(problem)
        raise RecordError(
            f"{path}: is not an imported row: {what}; make it again with harness import"
        ) from problem


def _kind(value: Any) -> Kind:
    for kind in KINDS:
        if value == kind:
            return kind
    raise ValueError(f"{value!r} is not a kind of setting")
