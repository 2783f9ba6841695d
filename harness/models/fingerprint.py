"""Fingerprints: one digest over everything that changes a model's vectors.

A fingerprint is the SHA-256 of a ``facts`` mapping in canonical JSON. Facts contain digests of file
contents, never only names or dates, so two models cannot share one and a changed file changes it.
Nothing here imports torch or loads weights.

Left out on purpose: device and batch size. They change the last bits of a vector, not the model.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any

from harness.base.digests import file_sha256
from harness.data.file_memo import memoized
from harness.errors import ModelError

# Never read by the torch backend of sentence-transformers or transformers.
_IGNORED = (
    "README*.md",
    "readme*.md",
    "LICENSE*",
    "*.png",
    "*.jpg",
    "*.jpeg",
    "*.svg",
    "*.h5",
    "*.msgpack",
    "*.ot",
    "*.onnx",
    "*.onnx_data",
    "*.gguf",
    "*.tflite",
    "*.mlmodel",
    "training.*",
    "loss-curve.*",
)
_IGNORED_FOLDERS = frozenset({"onnx", "openvino", "coreml", "__pycache__"})
_OF_A_TRAINING = "checkpoint-*"
"""Folders of a trainer: the same model after other steps."""
# Those of them that other backends read.
_READ_BY = {"onnx": ("*.onnx", "*.onnx_data"), "openvino": ()}


def fingerprint(facts: Mapping[str, Any]) -> str:
    """SHA-256 hex digest of ``facts`` as canonical JSON (sorted keys, no spaces, UTF-8)."""
    text = json.dumps(
        facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def library_versions(*distributions: str) -> dict[str, str]:
    """Installed versions by distribution name, without importing any; absent ones are left out."""
    found: dict[str, str] = {}
    for name in distributions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def relevant_files(names: Iterable[str], backend: str = "torch") -> list[str]:
    """The files of a model folder (POSIX relative paths) that can change a vector, sorted.

    Left out are texts and pictures about the model, hidden files, a trainer's checkpoints, exports
    for other backends, and ``pytorch_model*.bin`` if the same folder has safetensors (which the
    loaders prefer). Exports for ``backend`` are included: the library uses them if they exist.
    """
    folders = _IGNORED_FOLDERS - {backend}
    read = _READ_BY.get(backend, ())
    paths = [PurePosixPath(name) for name in names]
    preferred = ("model.safetensors", "model.safetensors.index.json")
    safe = {path.parent for path in paths if path.name in preferred}
    kept: list[str] = []
    for path in paths:
        if any(part.startswith(".") or part in folders for part in path.parts):
            continue
        if any(fnmatch(part, _OF_A_TRAINING) for part in path.parts[:-1]):
            continue
        if any(fnmatch(path.name, pattern) for pattern in _IGNORED if pattern not in read):
            continue
        if path.parent in safe and fnmatch(path.name, "pytorch_model*.bin*"):
            continue
        kept.append(str(path))
    return sorted(kept)


def digest_folder(folder: Path, backend: str = "torch") -> dict[str, str]:
    """SHA-256 of every file below ``folder`` that ``backend`` reads, by POSIX relative path.

    Raises:
        ModelError: a file cannot be read.
    """
    try:
        names = [
            (Path(root) / name).relative_to(folder).as_posix()
            for root, _, files in os.walk(folder, followlinks=True)
            for name in files
        ]
        return {name: digest_file(folder / name) for name in relevant_files(names, backend)}
    except OSError as error:
        raise ModelError(f"{folder}: a model file cannot be read: {error}") from error


def digest_file(path: Path) -> str:
    """SHA-256 hex of a file's content, cached by its stamp so that weights are read once.

    See :func:`harness.data.file_memo.memoized` for when the cache is trusted.
    """
    return str(memoized(path, "digests", _read_digest)["sha256"])


def _read_digest(path: Path) -> dict[str, str]:
    return {"sha256": file_sha256(path)}
