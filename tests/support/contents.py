"""Whole records as JSON values, of which a test names what matters to it."""

from __future__ import annotations

import json
from typing import Any

from harness.boards.tracked.document import Tracked, tracked_of

TRAINING: dict[str, Any] = {
    "recipe": "hybrid",
    "alpha": 0.5,
    "cross_batches": None,
    "base": "base",
    "languages": ["en"],
    "seed": 3,
    "steps": 7,
    "pairs": 9,
    "overlap": [],
    "manifest_sha256": "0" * 64,
}
"""How a model was trained, as a record holds it."""


def task_entry(task: str = "tiny", **fields: Any) -> dict[str, Any]:
    """One task of a record: one setting, whose scores are empty."""
    languages = fields.get("languages", ["en"])
    return {
        "task": task,
        "title": task.capitalize(),
        "task_digest": "0" * 64,
        "data_digest": "0" * 64,
        "revision": None,
        "license": "none",
        "text": "text",
        "text_default": "text",
        "languages": languages,
        "kinds": ["mono"],
        "partial": {},
        "counts": {"questions": 1, "queries": {}, "passages": {}},
        "dimensions": 4,
        "encoding": {
            "texts": 2, "distinct": 2, "from_store": 0, "encoded": 2, "model_seconds": 0.5,
        },
        "trec": None,
        "measures": ["map"],
        "settings": [
            {
                "setting": f"mono/{languages[0]}",
                "kind": "mono",
                "query_language": languages[0],
                "passage_language": languages[0],
                "queries": 1,
                "pool": 1,
                "scores": {},
            }
        ],
        "means": {},
        "rank_distance_by_golds": {},
        "top_languages": {"depth": 10, "share": {}},
        "intervals": None,
        "seconds": {},
        "peak_bytes": {},
        "per_query": {"file": f"{task}.per-query.parquet", "rows": 1, "sha256": "0" * 64},
        **fields,
    }  # fmt: skip


def record_document(*tasks: dict[str, Any], name: str = "model", **fields: Any) -> dict[str, Any]:
    """record.json of a run of one model over ``tasks``."""
    return {
        "schema_version": 1,
        "created": "2026-01-02T03:04:05+00:00",
        "command": None,
        "model": {
            "name": name,
            "kind": "dense",
            "similarity": "cosine",
            "fingerprint": None,
            "facts": {},
            "prompts": {},
            "languages": None,
            "parameters": None,
            "stored": False,
        },
        "options": {},
        "device": "cpu",
        "tasks": list(tasks),
        "environment": {
            "python": "3.11", "platform": "Linux", "processor": "x", "cores": 2, "packages": {},
        },
        **fields,
    }  # fmt: skip


def changed(tracked: Tracked, name: str | None = None, **fields: Any) -> Tracked:
    """A tracked record with other fields, and perhaps under another name."""
    document = tracked.contents.to_dict() | fields
    return tracked_of(name or tracked.name, json.dumps(document), "the record of this test")


def with_task(tracked: Tracked, name: str, **fields: Any) -> Tracked:
    """A tracked record of its first task alone, with other facts about it."""
    task = tracked.contents.tasks[0].to_dict() | fields
    return changed(tracked, name, tasks=[task])
