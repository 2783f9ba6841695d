"""Rows from another harness's result files: kept beside the tracked records, marked as imported.

    LEADERBOARDS/imported/NAME.json    one model on one task, its scores by setting

What such a file lacks (intervals, values per question, what produced it) stays empty on a board,
and an imported row is shown beside the measured ones, never ranked with them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base.files import write_atomically
from harness.base.reading import read_json
from harness.data.task import KINDS, Kind, Setting
from harness.errors import RecordError
from harness.stats.means import MacroMean

FOLDER = "imported"
FORMAT = 1


@dataclass(frozen=True)
class Imported:
    """One model on one task, from elsewhere."""

    task: str
    """Ours, ``xquad-r``."""
    model: str
    revision: str | None
    origin: str
    """What made the numbers: ``mteb 2.26.24``."""
    data_digest: str
    """Of the data as the origin names it; equal to a board's where our own task was run."""
    scores: Mapping[Setting, Mapping[str, float]]
    """Setting -> measure, by our names -> value; what the origin lacks is absent."""

    @property
    def id(self) -> str:
        """``imported-org-name-0123abcd``: the same on the boards of all tasks."""
        words = f"{self.model} {(self.revision or '')[:8]}".lower()
        return f"imported-{re.sub(r'[^a-z0-9]+', '-', words).strip('-')}"

    def means(self) -> dict[Kind, dict[str, float]]:
        """Kind -> measure -> macro mean."""
        return {
            kind: {m: MacroMean(tuple(x)).mean(list(x.values())) for m, x in by_measure.items()}
            for kind, by_measure in self._by_measure().items()
        }

    def language_means(self) -> dict[Kind, dict[str, dict[str, float]]]:
        """Kind -> measure -> query language -> mean over its settings."""
        return {
            kind: {
                m: MacroMean(tuple(x)).by_language(list(x.values())) for m, x in by_measure.items()
            }
            for kind, by_measure in self._by_measure().items()
        }

    def _by_measure(self) -> dict[Kind, dict[str, dict[Setting, float]]]:
        found: dict[Kind, dict[str, dict[Setting, float]]] = {}
        for kind in KINDS:
            for setting, values in self.scores.items():
                if setting.kind == kind:
                    for name, value in values.items():
                        found.setdefault(kind, {}).setdefault(name, {})[setting] = value
        return found


def keep(row: Imported, leaderboards: Path) -> Path:
    """Write a row beside the tracked records; one of the same model and task is replaced.

    Raises:
        StoreError: the folder cannot be written.
    """
    path = leaderboards / FOLDER / f"{row.id.removeprefix('imported-')}.{row.task}.json"
    document = {
        "format": FORMAT,
        "task": row.task,
        "model": row.model,
        "revision": row.revision,
        "origin": row.origin,
        "data_digest": row.data_digest,
        "settings": [
            {
                "kind": setting.kind,
                "query_language": setting.query_language,
                "passage_language": setting.passage_language,
                "scores": dict(values),
            }
            for setting, values in row.scores.items()
        ],
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())
    return path


def load(path: Path) -> Imported:
    """Read a row.

    Raises:
        RecordError: it cannot be read, or is not such a file.
    """
    document = read_json(path, RecordError)
    try:
        if document["format"] != FORMAT:
            raise ValueError(f"it has format {document['format']}, this harness reads {FORMAT}")
        scores = {
            Setting(_kind(x["kind"]), x["query_language"], x["passage_language"]): {
                str(k): _number(v) for k, v in x["scores"].items()
            }
            for x in document["settings"]
        }
        if not scores:
            raise ValueError("it holds no settings")
        return Imported(
            scores=scores,
            **{x: document[x] for x in ("task", "model", "revision", "origin", "data_digest")},
        )
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


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a score")
    return float(value)
