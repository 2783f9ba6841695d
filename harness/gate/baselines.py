"""Tracked baselines: what a gate compares candidates with, small enough for a repository.

    leaderboards/baselines/NAME/record.json             a record, of some measures alone
    leaderboards/baselines/NAME/TASK.per-query.parquet  their values, one row per query and setting
    leaderboards/baselines/NAME/summary.md              the means, for whoever reviews a change

A baseline is a record like any other: `harness show`, `harness compare` and `harness breakdown`
read it. The tests need its table, which is complete for the measures that are kept.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.console import numbers
from harness.console.markdown import rows as markdown_rows
from harness.console.tables import Grid, Item, Line
from harness.data.task import Setting
from harness.errors import NotComparableError, RecordError, UsageError, did_you_mean
from harness.evaluation.partial import partial
from harness.evaluation.record import RECORD_FILE, Record, validate
from harness.evaluation.record_fields import Contents, Task
from harness.evaluation.reproduction import portable, portable_run
from harness.metrics import canonical
from harness.stats.means import MacroMean, or_none
from harness.stats.per_query import FACTS

FOLDER = Path("leaderboards") / "baselines"
SUMMARY = "summary.md"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def names(folder: Path = FOLDER) -> list[str]:
    """Names of the baselines in a folder."""
    return sorted(path.parent.name for path in folder.glob(f"*/{RECORD_FILE}"))


def name_of(record: Record) -> str:
    """The default name of a baseline: ``use-m3-demo``, the model and the tasks."""
    parts = [record.model, *(t.task for t in record.tasks)]
    return (
        re.sub(r"[^A-Za-z0-9._]+", "-", "-".join(parts)).lstrip("_-.").rstrip("-.")[:80]
        or "baseline"
    )


def folder_of(name: str, folder: Path = FOLDER) -> Path:
    """The folder of the baseline called ``name``, existing or not.

    Raises:
        UsageError: it is not a valid name.
    """
    if _NAME.fullmatch(name) is None:
        raise UsageError(
            f"{name!r} is not a valid baseline name: use letters, digits, '.', '_' and '-' only"
        )
    return folder / name


def where(name_or_path: str, folder: Path = FOLDER) -> Path:
    """The folder of a baseline: a path that exists, or a name in ``folder``, existing or not.

    A folder without a record, such as that of the model, does not hide a baseline of its name.

    Raises:
        UsageError: it is neither a path that exists nor a name.
    """
    path = Path(name_or_path)
    named = _NAME.fullmatch(name_or_path) is not None and folder / name_or_path
    if path.is_file() or (path / RECORD_FILE).exists():
        return path
    if path.exists() and not (named and named.exists()):
        return path
    if _NAME.fullmatch(name_or_path) is None:
        raise UsageError(
            f"no baseline at {name_or_path}; name a record, its folder, or a baseline that "
            "`harness baseline list` knows"
        )
    return folder_of(name_or_path, folder)


def replaceable(name_or_path: str, folder: Path = FOLDER) -> Path:
    """The folder to write a baseline to, existing or not.

    Raises:
        UsageError: it is a record that is not a baseline.
    """
    found = where(name_or_path, folder)
    found = found.parent if found.is_file() else found
    if found.exists() and not (found / SUMMARY).is_file():
        raise UsageError(
            f"{found} is not a tracked baseline, so it is not replaced; give one, or a new name, "
            "with --baseline"
        )
    return found


def load(name_or_path: str, folder: Path = FOLDER) -> Record:
    """Read a baseline by name, or any record by path.

    Raises:
        NotComparableError: there is none.
        RecordError: it cannot be read.
    """
    try:
        found = where(name_or_path, folder)
    except UsageError as problem:
        raise NotComparableError(str(problem)) from problem
    if not found.exists():
        known = names(folder)
        hint = did_you_mean(name_or_path, known)
        raise NotComparableError(
            f"no baseline {name_or_path!r} in {folder}"
            + (hint or (f" (it has {', '.join(known)})" if known else ", which has none"))
            + "; `harness baseline set RECORD` makes one"
        )
    return Record.load(found)


def trimmed(record: Record, measures: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The document of a baseline and its tables by task: ``record`` reduced to some measures.

    Raises:
        UsageError: no task of the record has one of ``measures``.
        RecordError: a table cannot be read.
    """
    import pyarrow.parquet as pq

    document = copy.deepcopy(record.document)
    measured = {m for task in record.tasks for m in task.all_measures}
    measures = [canonical(x) for x in measures]
    for measure in measures:
        if measure not in measured:
            raise UsageError(
                f"the record of {record.model} has no measure {measure!r}"
                f"{did_you_mean(measure, measured)} (it has {', '.join(sorted(measured))})"
            )
    if document["command"]:
        document["command"] = portable(document["command"])
    if record.contents.run is not None:
        document["run"] = portable_run(record.contents.run).to_dict()
    tables = {}
    for entry in document["tasks"]:
        kept = [*entry["measures"], *measures]
        _keep(entry, set(kept))
        table = pq.read_table(io.BytesIO(record.table_bytes(entry["task"])))
        columns = [x for x in table.column_names if x in FACTS or x in kept]
        sink = io.BytesIO()
        # Values repeat (a rank has one precision): a dictionary stores them in a few bits each.
        pq.write_table(table.select(columns), sink, compression="zstd", compression_level=19)
        raw: bytes = sink.getvalue()
        tables[entry["task"]] = raw
        entry["per_query"] = {
            "file": f"{entry['task']}.per-query.parquet",
            "rows": table.num_rows,
            "sha256": hashlib.sha256(raw).hexdigest(),
        }
    return document, tables


def _keep(entry: dict[str, Any], measures: set[str]) -> None:
    """Leave only ``measures`` in a task's part of a record, and no intervals."""
    for setting in entry["settings"]:
        setting["scores"] = {m: x for m, x in setting["scores"].items() if m in measures}
    for both in entry["means"].values():
        for how, values in both.items():
            both[how] = {m: x for m, x in values.items() if m in measures}
    for kind, values in entry.get("medians", {}).items():
        entry["medians"][kind] = {m: x for m, x in values.items() if m in measures}
    if "definitions" in entry:
        entry["definitions"] = {m: x for m, x in entry["definitions"].items() if m in measures}
    entry["intervals"] = entry["trec"] = None


def write(record: Record, folder: Path, measures: Sequence[str] = ()) -> list[Path]:
    """Write ``record`` as the baseline in ``folder``, record.json last; returns the paths.

    Args:
        record: what to compare candidates with.
        folder: that of this baseline; an existing baseline there is replaced.
        measures: kept in addition to those that the record shows first.

    Raises:
        UsageError: as :func:`trimmed`.
        RecordError: a table cannot be read, or the record does not fit its schema.
        StoreError: the folder cannot be written.
    """
    document, tables = trimmed(record, measures)
    contents = validate(document, str(folder / RECORD_FILE))
    written = []
    for task, raw in tables.items():
        written.append(folder / f"{task}.per-query.parquet")
        write_atomically(written[-1], raw)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    for name, content in ((SUMMARY, summary(contents, folder.name)), (RECORD_FILE, text + "\n")):
        written.append(folder / name)
        write_atomically(written[-1], content.encode())
    for stray in set(folder.glob("*.per-query.parquet")) - set(written):
        stray.unlink()
    return written


def summary(contents: Contents, name: str) -> str:
    """A baseline as Markdown, one number per table cell, so that diffs are readable."""
    model, environment = contents.model, contents.environment
    lines = [
        f"# Baseline {name}",
        "",
        "Written by `harness baseline set` or `harness gate --update-baseline`, not by hand.",
        "",
        f"- model: {model.name}, fingerprint {str(model.fingerprint)[:12]}",
        f"- made: {contents.created} on {environment.processor}, device {contents.device}",
        f"- harness {environment.packages.get('polyglot-harness', 'unknown')}, "
        f"Python {environment.python}, numpy {environment.packages.get('numpy')}, "
        f"torch {environment.packages.get('torch')}",
    ]
    for task in contents.tasks:
        lines += ["", f"## {task.title} ({task.task}), text: {task.text}", ""]
        lines += [f"- data {task.data_digest[:12]}, task file {task.task_digest[:12]}"]
        if task.partial:
            lines += [f"- partial: {partial(task.partial.to_dict())}"]
        lines += ["", *_means(task)]
    return "\n".join(lines) + "\n"


def _means(task: Task) -> list[str]:
    """Macro means of each kind, and of each query language in it."""
    measures = task.all_measures
    rows = []
    for kind, both in task.means.items():
        rows.append(Line([Item(kind, "best"), *_cells(measures, both.macro)]))
        own = [s for s in task.settings if s.kind == kind]
        macro = MacroMean(tuple(Setting(kind, s.query_language, s.passage_language) for s in own))
        means = {m: macro.by_language([s.scores[m] for s in own]) for m in own[0].scores}
        for language in dict.fromkeys(s.query_language for s in own):
            of_language = {m: or_none(x[language]) for m, x in means.items()}
            rows.append(Line([language, *_cells(measures, of_language)]))
    return markdown_rows(Grid("", ("", *map(numbers.label, measures)), rows))


def _cells(measures: Sequence[str], values: Mapping[str, float | None]) -> list[str]:
    """Six digits, so that a diff of two versions shows what changed."""
    found = (values.get(m) for m in measures)
    return [numbers.UNDEFINED if x is None else f"{x:.6g}" for x in found]


def check(name: str, folder: Path = FOLDER) -> Record:
    """Read a baseline with its complete tables.

    Raises:
        RecordError: its record or one of its tables is damaged.
    """
    record = load(name, folder)
    for task in record.tasks:
        if task.per_query is None or len(record.per_query(task.task)) != task.per_query.rows:
            raise RecordError(f"the table of {task.task} in baseline {name} is incomplete")
    return record
