"""Digests of files, facts and texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's content, as hex.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(facts: Mapping[str, Any]) -> str:
    """SHA-256 hex of ``facts`` as canonical JSON."""
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def text_keys(texts: Sequence[str]) -> NDArray[np.uint64]:
    """(n, 2) uint64: the first 16 bytes of each text's SHA-256."""
    sha = hashlib.sha256
    raw = b"".join([sha(x.encode("utf-8", "surrogatepass")).digest() for x in texts])
    return np.ascontiguousarray(np.frombuffer(raw, dtype="<u8").reshape(-1, 4)[:, :2])
