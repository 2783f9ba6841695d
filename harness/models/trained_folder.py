"""How a model folder was made: the manifest of `harness train`, and built-in modules."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from harness.base.reading import parse_json, read_bytes, read_json
from harness.errors import ModelError

MANIFEST = "training.json"
USE_M3_TYPE = "harness.models.use_m3_module.UseM3Module"
_FACTS = ("recipe", "alpha", "cross_batches", "base", "languages", "seed", "steps", "pairs")


def is_use_m3(folder: Path) -> bool:
    """Whether the folder's one module is the built-in encoder."""
    try:
        modules = read_json(folder / "modules.json", ModelError)
        return [x["type"] for x in modules] == [USE_M3_TYPE]
    except (ModelError, TypeError, KeyError):
        return False


def training_facts(folder: Path) -> dict[str, Any] | None:
    """A model's training for the record: recipe, alpha, languages seen, manifest digest.

    ``None`` if the folder has no manifest.

    Raises:
        ModelError: the manifest cannot be read.
    """
    path = folder / MANIFEST
    if not path.exists():
        return None
    raw = read_bytes(path, ModelError)
    manifest = parse_json(raw, path, ModelError)
    try:
        facts = {name: manifest["summary"][name] for name in _FACTS}
        if "teacher" in manifest["summary"]:
            facts["teacher"] = manifest["summary"]["teacher"]
        facts["overlap"] = [
            {
                "task": x["task"],
                "questions_found": sum(y["near"] for y in x["evaluation"] if y["role"] == "query"),
                "sentences": x["sentences"],
            }
            for x in manifest["overlap"]
        ]
    except (TypeError, KeyError) as error:
        raise ModelError(
            f"{path}: not a manifest of harness train ({type(error).__name__}: {error}); "
            "remove the file to score the model without it"
        ) from error
    return facts | {"manifest_sha256": hashlib.sha256(raw).hexdigest()}
