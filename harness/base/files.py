"""Files that appear whole or not at all, and locks that outlive nobody."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

from harness.errors import StoreError


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` under another name, flush it to disk, rename it to ``path``.

    Raises:
        StoreError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"{path} could not be written: {problem.strerror or problem}") from problem


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that the system drops when the process ends, however it ends."""
    with path.open("a+b") as file:
        # Some cluster filesystems have no locks. What is done under one is checked by other means.
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
        yield
