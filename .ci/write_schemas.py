"""Write the JSON Schemas of records from the models of their fields."""

from __future__ import annotations

import json
from pathlib import Path

from harness.boards.tracked.fields import TrackedContents
from harness.evaluation.record_fields import Contents
from harness.evaluation.record_schema import schema_of

ROOT = Path(__file__).resolve().parents[1]


def schemas() -> dict[Path, str]:
    """Path -> the file that stands there."""
    found = {}
    for path, model, title in (
        ("harness/evaluation/record.schema.json", Contents, "Record"),
        ("harness/boards/tracked/tracked.schema.json", TrackedContents, "Tracked record"),
    ):
        schema = schema_of(model, f"{title} of polyglot-harness, version 1")
        if model is Contents:
            # ``None`` in memory until the record is saved, and then in every file.
            schema["$defs"]["Task"]["required"].append("per_query")
        found[ROOT / path] = json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    return found


if __name__ == "__main__":
    for file, text in schemas().items():
        file.write_text(text, "utf-8")
