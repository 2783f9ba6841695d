"""Result files of other harnesses as tracked records: marked so, what they lack left empty."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.metrics.means import group_means, micro_mean
from harness.store import write_atomically
from harness.task import KINDS, Setting, TaskSpec
from harness.tracked.text import text_of

_NOTHING = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True)
class ImportedTask:
    """One task of a result file."""

    spec: TaskSpec
    data_digest: str
    """That of the data the file says it measured: 64 hex digits."""
    scores: Mapping[Setting, Mapping[str, float]]
    """Setting -> measure -> mean over its queries."""
    counts: Mapping[Setting, tuple[int, int]] = field(default_factory=dict)
    """Setting -> queries and passages in the pool, where the file says."""


def imported_document(
    model: str,
    source: str,
    tasks: Sequence[ImportedTask],
    *,
    created: str,
    revision: str | None = None,
    parameters: int | None = None,
    dimensions: int | None = None,
    languages: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The tracked record of one model's result file.

    Args:
        model: the model's name there.
        source: what stands on the board: ``an mteb 2.26 result file``.
        tasks: what was measured; macro means are taken here, from the means of settings.
        created: when, ISO 8601 with offset.
        revision: the model's, where the file says.
        parameters: where it says.
        dimensions: where it says.
        languages: the model was trained on, where it says.
    """
    return {
        "tracked_version": 1,
        "imported": source,
        "created": created,
        "command": None,
        "model": {
            "name": model,
            "kind": "dense",
            "similarity": None,
            "fingerprint": None,
            "facts": {} if revision is None else {"revision": revision},
            "prompts": {},
            "languages": None if languages is None else list(languages),
            "parameters": parameters,
            "stored": False,
        },
        "options": {},
        "device": "",
        "environment": {
            "python": "", "platform": "", "processor": "", "cores": None, "packages": {},
        },
        "tasks": [_entry(task, dimensions) for task in tasks],
    }  # fmt: skip


def _entry(task: ImportedTask, dimensions: int | None) -> dict[str, Any]:
    spec = task.spec
    settings = [s for s in spec.settings() if s in task.scores]
    languages = [x for x in spec.languages if any(x in (s[1], s[2]) for s in settings)]
    measures = list(dict.fromkeys(m for s in settings for m in task.scores[s]))
    counts = {s: task.counts.get(s, (0, 0)) for s in settings}
    return {
        "task": spec.name,
        "title": spec.title,
        "task_digest": spec.digest,
        "data_digest": task.data_digest,
        "revision": spec.source.revision,
        "license": spec.license,
        "text": spec.text,
        "text_default": spec.default_text,
        "languages": languages,
        "kinds": [k for k in KINDS if any(s.kind == k for s in settings)],
        "partial": {} if len(languages) == len(spec.languages) else {"languages": languages},
        "measures": measures,
        "counts": {
            "questions": max((q for q, _ in counts.values()), default=0),
            "queries": {
                x: max((counts[s][0] for s in settings if s.query_language == x), default=0)
                for x in languages
            },
            "passages": {
                x: max((counts[s][1] for s in settings if s.passage_language == x), default=0)
                for x in languages
            },
        },
        "dimensions": dimensions,
        "encoding": {
            "texts": 0, "distinct": 0, "from_store": 0, "encoded": 0, "model_seconds": 0.0,
        },
        "seconds": {},
        "peak_bytes": {},
        "settings": [[*s, *counts[s]] for s in settings],
        "scores": {m: [task.scores[s].get(m) for s in settings] for m in measures},
        "means": {
            kind: _means([s for s in settings if s.kind == kind], task.scores)
            for kind in dict.fromkeys(s.kind for s in settings)
        },
        "intervals": None,
        "rank_distance_by_golds": {},
        "top_languages": {"depth": 0, "share": {}},
        "per_query": {"rows": 0, "sha256": _NOTHING},
        "questions": {"count": 0, "ids_sha256": _NOTHING, "columns": [], "hits": {}},
    }  # fmt: skip


def _means(
    settings: Sequence[Setting], scores: Mapping[Setting, Mapping[str, float]]
) -> dict[str, dict[str, float]]:
    """Macro means; the micro mean needs single queries, which a result file lacks."""
    asked = list(dict.fromkeys(s.query_language for s in settings))
    groups = np.array([asked.index(s.query_language) for s in settings])
    measures = [m for m in scores[settings[0]] if all(m in scores[s] for s in settings)]
    macro = {
        m: micro_mean(group_means(np.array([scores[s][m] for s in settings]), groups, len(asked)))
        for m in measures
    }
    return {"macro": macro, "micro": {}}


def write_imported(document: Mapping[str, Any], name: str, leaderboards: Path) -> Path:
    """Write an imported record among the tracked ones as ``imported-NAME.json``.

    Raises:
        RecordError: it does not fit the schema.
    """
    from harness.tracked import FOLDER, validate

    path = leaderboards / FOLDER / f"imported-{name}.json"
    validate(document, str(path))
    write_atomically(path, text_of(document).encode())
    return path
