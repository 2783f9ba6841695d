"""The record of the run as a whole: model, options, machine, and the name of its folder."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.base.digests import digest_of
from harness.base.environment import environment
from harness.errors import UsageError
from harness.evaluation.options import RunOptions, check_word
from harness.evaluation.pipeline import Pipeline
from harness.evaluation.record import SCHEMA_VERSION, Record, finite
from harness.evaluation.record_fields import HowRun, Task
from harness.evaluation.reproduction import changed, flag_of
from harness.models.base import Model
from harness.vectors.store import Store


def check_words(options: RunOptions) -> None:
    """Refuse what a record could not say of a run, before the run.

    Raises:
        UsageError: the name cannot be printed, or an option has a path that is not UTF-8.
    """
    if options.name is not None and not (options.name.strip() and options.name.isprintable()):
        raise UsageError("--name needs a name: letters that can be printed, not only spaces")
    for option, value in {**changed(options), "named": options.named}.items():
        check_word(flag_of(option), value)


def document_of(
    model: Model | Pipeline,
    entries: list[dict[str, Any]],
    options: RunOptions,
    command: Sequence[str] | None,
    store: Store | None,
    tasks: Sequence[str],
) -> dict[str, Any]:
    """The document of record.json, from its tasks' entries and what produced them.

    ``tasks`` are named as a run takes them.
    """
    fingerprint = getattr(model, "fingerprint", None)
    languages = getattr(model, "languages", None)
    kind = getattr(model, "kind", None) or ("dense" if hasattr(model, "encode") else "lexical")
    training = getattr(model, "training", None)
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        # Of paths that are not UTF-8 what says which bytes they have.
        "command": None
        if command is None
        else [x.encode(errors="backslashreplace").decode() for x in command],
        "model": {
            "name": model.name,
            "kind": kind,
            "similarity": getattr(model, "similarity", None),
            "fingerprint": fingerprint
            or (None if kind == "dense" else digest_of(finite(model.facts))),
            "facts": finite(dict(model.facts)),
            "prompts": dict(getattr(model, "prompts", {})),
            "languages": sorted(languages) if languages is not None else None,
            **({"training": finite(dict(training))} if training else {}),
            "parameters": getattr(model, "parameters", None),
            "stored": fingerprint is not None and store is not None,
        },
        "options": {
            k: v
            for k, v in finite(asdict(options.model)).items()
            if v not in (None, False) and (k, v) not in (("offline", True), ("backend", "torch"))
        }
        | ({} if options.store_dtype == "float32" else {"store_dtype": options.store_dtype}),
        "run": HowRun(tasks=tuple(tasks), options=options).to_dict(),
        "device": getattr(model, "device", None) or options.model.device or "cpu",
        "tasks": entries,
        "environment": environment(),
    }


_NAMED_BY = ("bias", "resamples", "top_k")
"""Options that change a run and are not otherwise part of its folder's name."""


def folder_name(record: Record) -> str:
    """``MODEL-xxxxxxxx``: equal for the same model, tasks and options, so that a rerun replaces it.

    A model without a fingerprint is identified by what it was loaded from and by its per-query
    values: a rerun with other values gets another folder.
    """
    contents = record.contents
    what: dict[str, Any] = {
        "model": [contents.model.name, contents.model.fingerprint],
        "options": contents.options.to_dict(),
        "tasks": [[t.task, t.data_digest, t.text, t.kinds, t.measures] for t in contents.tasks],
    }
    # Records of earlier versions keep their names.
    if contents.run is not None:
        given = changed(contents.run.options)
        if more := {x: given[x] for x in _NAMED_BY if x in given}:
            what["run"] = more
        if contents.model.fingerprint is None:
            what["model"] += [
                contents.run.options.named,
                contents.model.facts,
                [_table_digest(record, t) for t in contents.tasks],
            ]
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", record.model).strip("-.")[:80] or "model"
    return f"{slug}-{hashlib.sha256(digest_of(what).encode()).hexdigest()[:8]}"


def _table_digest(record: Record, task: Task) -> str:
    if task.per_query is not None:
        return task.per_query.sha256
    return hashlib.sha256(record.table_bytes(task.task)).hexdigest()
