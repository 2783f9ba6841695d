"""What a record says of the run as a whole: model, options, machine, and the folder it goes to."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.base.digests import digest_of
from harness.base.environment import environment
from harness.evaluation.options import RunOptions
from harness.evaluation.pipeline import Pipeline
from harness.evaluation.record import SCHEMA_VERSION, Record, finite
from harness.models.base import Model
from harness.vectors.store import Store


def document_of(
    model: Model | Pipeline,
    entries: list[dict[str, Any]],
    options: RunOptions,
    command: Sequence[str] | None,
    store: Store | None,
) -> dict[str, Any]:
    """record.json, from its tasks' entries and what produced them."""
    fingerprint = getattr(model, "fingerprint", None)
    languages = getattr(model, "languages", None)
    kind = getattr(model, "kind", None) or ("dense" if hasattr(model, "encode") else "lexical")
    training = getattr(model, "training", None)
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": list(command) if command is not None else None,
        "model": {
            "name": model.name,
            "kind": kind,
            "similarity": getattr(model, "similarity", None),
            "fingerprint": fingerprint or (None if kind == "dense" else digest_of(model.facts)),
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
        "device": getattr(model, "device", None) or options.model.device or "cpu",
        "tasks": entries,
        "environment": environment(),
    }


def folder_name(record: Record) -> str:
    """``MODEL-xxxxxxxx``: the same for the same model, tasks and options; a rerun replaces it."""
    document = record.document
    what = {
        "model": [document["model"]["name"], document["model"]["fingerprint"]],
        "options": document["options"],
        "tasks": [
            [t["task"], t["data_digest"], t["text"], t["kinds"], t["measures"]]
            for t in document["tasks"]
        ],
    }
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", record.model).strip("-.")[:80] or "model"
    return f"{slug}-{hashlib.sha256(digest_of(what).encode()).hexdigest()[:8]}"
