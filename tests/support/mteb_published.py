"""What mteb publishes of its data sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mteb


def published(task: str, split: str) -> dict[str, dict[str, Any]]:
    """What mteb publishes of each subset of a task: counts of texts and of their characters."""
    folder = Path(mteb.__file__).parent / "descriptive_stats" / "Retrieval"
    whole = json.loads((folder / f"{task}.json").read_text("utf-8"))
    found: dict[str, dict[str, Any]] = whole[split]["hf_subset_descriptive_stats"]
    return found
