"""A study of the suite's own: tiny pairs, a tiny base, the demo task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tiny_training

STUDY: dict[str, Any] = {
    "name": "tiny",
    "title": "A tiny study",
    "question": "Does it run?",
    "about": "Nothing can be learnt from it.",
    "seeds": [0, 1],
    "train": {
        "base": "./base",
        "steps": 3,
        "batch_size": 4,
        "evaluate_every": 2,
        "query_prompt": "",
        "passage_prompt": "",
    },
    "data": {"rows": {"format": "pairs", "files": ["./rows.jsonl"]}},
    "axes": {"alpha": {"label": "share of batches in one language", "values": [0.0, 0.5]}},
    "arms": [
        {"name": "mono", "recipe": "mono", "data": ["rows"], "axes": []},
        {"name": "hybrid", "recipe": "hybrid", "data": ["rows"]},
    ],
    "score": {
        "tasks": [{"task": "demo", "languages": ["en", "de"]}],
        "references": ["bm25"],
    },
    "report": {"x": "alpha", "measures": ["map"], "baseline": "mono"},
}


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    """:data:`STUDY` with one value changed; ``None`` takes it out."""
    document: dict[str, Any] = json.loads(json.dumps(STUDY))
    at: Any = document
    for key in path[:-1]:
        at = at[key]
    if to is None:
        del at[path[-1]]
    else:
        at[path[-1]] = to
    return document


def as_toml(value: Any, prefix: str = "") -> str:
    """A document as TOML, without a library for it."""
    lines, tables = [], []
    for key, held in value.items():
        if isinstance(held, dict):
            tables.append(f"\n[{prefix}{key}]\n{as_toml(held, f'{prefix}{key}.')}")
        else:
            lines.append(f"{key} = {_inline(held)}")
    return "\n".join([*lines, *tables])


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_inline(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def write_study(folder: Path, document: dict[str, Any] | None = None, rows: int = 60) -> Path:
    """The study file, its base and its pairs, in ``folder``."""
    document = STUDY if document is None else document
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "base").is_dir():
        tiny_training.write_base(folder / "base")
    tiny_training.write_rows(folder / "rows.jsonl", tiny_training.pairs(rows))
    path = folder / f"{document.get('name', 'tiny')}.toml"
    path.write_text(as_toml(document), "utf-8")
    return path
