"""Facts about a file's content, cached by its stamp so that large files are read once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.base.cache import cache_folder
from harness.base.files import write_atomically
from harness.base.reading import object_or_empty
from harness.errors import StoreError

# A file changed within the resolution of its file system's clock may keep its stamp (git calls
# this "racily clean"), so facts are only trusted where the stamp was older than this when read.
_RACY_NS = 2_000_000_000


def memoized(path: Path, kind: str, read: Callable[[Path], Mapping[str, Any]]) -> Mapping[str, Any]:
    """The result of ``read`` for the file at ``path``, cached while its stamp is unchanged.

    An entry, in a cache folder per ``kind`` of facts, has size, modification and change time and
    inode; it is trusted only if the file was older than two seconds when it was read. Facts are
    JSON.

    Raises:
        OSError: the file cannot be read.
    """
    path = path.resolve()
    before = stamp(path)
    entry = cache_folder() / kind / f"{hashlib.sha256(os.fsencode(path)).hexdigest()}.json"
    known = _read_entry(entry)
    if known is not None and known["stamp"] == before:
        return {name: value for name, value in known.items() if name != "stamp"}
    read_at = time.time_ns()
    found = read(path)
    if stamp(path) == before and read_at - max(before["mtime_ns"], before["ctime_ns"]) > _RACY_NS:
        _write_entry(entry, {"stamp": before, **found})
    return found


def stamp(path: Path) -> dict[str, int]:
    """What changes when a file does."""
    stat = path.stat()
    return {
        "size": stat.st_size,
        "mtime_ns": stat.st_mtime_ns,
        "ctime_ns": stat.st_ctime_ns,
        "inode": stat.st_ino,
    }


def _read_entry(entry: Path) -> dict[str, Any] | None:
    """Cached facts, or ``None`` if there are none or they cannot be read."""
    found = object_or_empty(entry)
    return found if len(found) > 1 and "stamp" in found else None


def _write_entry(entry: Path, content: Mapping[str, Any]) -> None:
    """Cache facts; a cache that cannot be written only costs time, so failure is silent."""
    with contextlib.suppress(StoreError):
        write_atomically(entry, json.dumps(content).encode())
