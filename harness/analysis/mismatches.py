"""Whether records measure the same thing, and how else they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from harness.errors import RecordError, UsageError, did_you_mean
from harness.evaluation.record_fields import Contents

ABSENT = "nothing"
# Of a task: records that differ here scored other queries, pools or judgements.
_SAME = ("data_digest", "text", "languages", "kinds", "partial")
# Of a task: worth mentioning, but the shared numbers mean the same.
_TOLD = ("task_digest", "dimensions", "measures")
_MODEL = ("name", "kind", "similarity", "fingerprint", "prompts", "languages", "parameters")
_TRAINING = (
    "recipe", "alpha", "cross_batches", "base", "teacher", "languages", "pairs", "steps", "seed",
    "manifest_sha256",
)  # fmt: skip
_DIGESTS = ("data_digest", "task_digest", "fingerprint", "whole", "manifest_sha256")
_LISTED = 12
"""Lists up to this length are written out, longer ones if only their lengths would be equal."""
_DIGITS = 12
"""Characters of a digest shown in a message."""


@dataclass(frozen=True)
class Differing:
    """One fact that differs between records."""

    task: str | None
    """``None``: of the model, or of the run as a whole."""
    field: str
    values: tuple[str, ...]
    """One text per record, in order."""

    def __str__(self) -> str:
        where = f"{self.task} " if self.task else ""
        return f"{where}{self.field}: {_has(self.values)}"


def letters(n: int) -> list[str]:
    """What ``n`` records are called in tables: A, B, ..., Z, AA, AB, ..."""
    names = []
    for i in range(n):
        name = ""
        while i >= 0:
            i, last = divmod(i, 26)
            name, i = ascii_uppercase[last] + name, i - 1
        names.append(name)
    return names


def shared_tasks(documents: Sequence[Contents], chosen: Sequence[str] = ()) -> list[str]:
    """The tasks in all records, in the first one's order; only ``chosen`` ones, if given.

    Raises:
        RecordError: there is none.
        UsageError: one of ``chosen`` is not shared.
    """
    by_record = [[t.task for t in d.tasks] for d in documents]
    shared = [x for x in by_record[0] if all(x in names for names in by_record)]
    if not shared:
        has = _has([" and ".join(names) for names in by_record])
        raise RecordError(
            f"the records have no task in common: {has}; run one task with all models"
        )
    for name in chosen:
        if name not in shared:
            raise UsageError(
                f"task {name!r} is not in all of these records{did_you_mean(name, shared)} "
                f"(they share {', '.join(shared)})"
            )
    return [x for x in shared if not chosen or x in chosen]


def mismatches(documents: Sequence[Contents], tasks: Sequence[str]) -> list[Differing]:
    """All facts by which the records do not measure the same thing on ``tasks``."""
    found: list[Differing] = []
    for task in tasks:
        entries = [_entry(d, task) for d in documents]
        for field in _SAME:
            found += _differing(task, field, [e[field] for e in entries])
    return found


def redefined(documents: Sequence[Contents], task: str, measures: Sequence[str]) -> list[Differing]:
    """Those of ``measures`` that the records define differently, as far as they say how."""
    found: list[Differing] = []
    for name in measures:
        digests = [
            (next(t for t in d.tasks if t.task == task).definitions or {}).get(name)
            for d in documents
        ]
        if len({*digests} - {None}) > 1:
            found += _differing(task, f"definition of {name}", digests)
    return found


def other_differences(documents: Sequence[Contents], tasks: Sequence[str]) -> list[Differing]:
    """How else the records differ: model, options, device, software, facts of no consequence.

    These are what is being compared, so they are not refused.
    """
    found: list[Differing] = []
    models = [d.model.to_dict() for d in documents]
    for field in _MODEL:
        values = [x[field] for x in models]
        if field == "prompts":  # treat an empty prompt as none
            values = [{role: x for role, x in value.items() if x} for value in values]
        found += _differing(None, field, values)
    trained = [x.get("training") for x in models]
    if any(trained):
        for field in _TRAINING:
            found += _differing(None, f"training {field}", [(x or {}).get(field) for x in trained])
    for title, tables in (
        ("option ", [d.options.to_dict() for d in documents]),
        ("", [d.environment.packages for d in documents]),
    ):
        for field in dict.fromkeys(x for table in tables for x in table):
            found += _differing(None, title + field, [table.get(field) for table in tables])
    found += _differing(None, "device", [d.device for d in documents])
    for task in tasks:
        entries = [_entry(d, task) for d in documents]
        for field in _TOLD:
            found += _differing(task, field, [e[field] for e in entries])
    return found


def _entry(record: Contents, task: str) -> Mapping[str, Any]:
    found = next(t for t in record.tasks if t.task == task)
    return found.model_dump(mode="json", exclude_unset=True, include={*_SAME, *_TOLD})


def _differing(task: str | None, field: str, values: Sequence[Any]) -> list[Differing]:
    """One entry if ``values`` are not all equal."""
    if all(x == values[0] for x in values):
        return []
    written = [_written(field, x) for x in values]
    if len(set(written)) == 1:  # digests that share their first digits, lists of one length
        written = [" ".join(map(str, x)) if isinstance(x, list) else str(x) for x in values]
    return [Differing(task, field.replace("_", " "), tuple(written))]


def _has(values: Sequence[str]) -> str:
    named = zip(letters(len(values)), values, strict=True)
    return ", ".join(f"{letter} has {value}" for letter, value in named)


def _written(field: str, value: Any) -> str:
    """A value in words."""
    if field == "partial" and not value:
        return "the whole task"
    if value is None or value in ("", [], {}):
        return ABSENT
    if isinstance(value, Mapping):
        parts = (
            f"{k.replace('_', ' ')} {repr(v) if field == 'prompts' else _written(k, v)}"
            for k, v in value.items()
        )
        return ("part of it: " if field == "partial" else "") + " and ".join(parts)
    if isinstance(value, list):
        return f"{len(value)} of them" if len(value) > _LISTED else " ".join(map(str, value))
    if field == "parameters":
        return f"{value:,}"
    return str(value)[:_DIGITS] if field.endswith(_DIGESTS) else str(value)
