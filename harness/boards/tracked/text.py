"""The text form of tracked records: changing one value changes one line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def text_of(document: Mapping[str, Any]) -> str:
    """A tracked record as text: one line per field, lists of numbers on one line."""
    return _lines(document, 0) + "\n"


def _lines(value: Any, depth: int) -> str:
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return "[" + ",\n".join(_lines(x, depth) for x in value) + "]"
    if not isinstance(value, Mapping) or not value:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    pad = " " * (depth + 1)
    short = depth > 3
    parts = [
        f"{json.dumps(k, ensure_ascii=False)}:{'' if short else ' '}{_lines(v, depth + 1)}"
        for k, v in value.items()
    ]
    if short:
        return "{" + ",".join(parts) + "}"
    return "{\n" + ",\n".join(pad + x for x in parts) + "}"
