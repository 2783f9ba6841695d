"""Atomic writes, and locks that end with their process."""

from __future__ import annotations

import contextlib
import glob
import gzip
import os
import platform
import secrets
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, cast

from harness.errors import StoreError, UsageError


def home_expanded(path: str | Path) -> Path:
    """``path`` with ``~`` or ``~user`` expanded; where there is no such home, as it is.

    As in a shell, so that what follows says that there is no such folder.
    """
    return Path(os.path.expanduser(path))


_FIRST_SPACE = 0xEFFFFFFC
"""Linux's own number of the space of process ids that no container has made."""


@cache
def machine() -> str:
    """What this process's id is one of: the machine, or a container with process ids of its own.

    Containers that share the network share the machine's name, and must not take each other's
    processes for dead.
    """
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = _FIRST_SPACE
    return platform.node() if space == _FIRST_SPACE else f"{platform.node()}-{space}"


@contextlib.contextmanager
def open_atomically(path: Path, *, packed: bool = False) -> Iterator[IO[bytes]]:
    """Write a file atomically: it appears at ``path`` complete when the block ends, or not at all.

    Bytes go to a hidden file in the same folder, which is synced to disk and renamed. Hidden files
    left by killed processes are removed.

    Args:
        path: the file; its folder is created if needed.
        packed: compress with gzip, without name or time in its header, so that equal content gives
            equal bytes.

    Raises:
        StoreError: the disk is full or the folder cannot be written.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.{glob.escape(machine())}.*"):
        import psutil

        owner = left.name.split(".")[-2]
        if owner.isdecimal() and not psutil.pid_exists(int(owner)):
            left.unlink(missing_ok=True)
    with _renamed(path) as raw:
        if packed:
            with gzip.GzipFile("", "wb", 6, raw, mtime=0) as out:
                yield cast("IO[bytes]", out)
        else:
            yield raw


def write_atomically(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically.

    Raises:
        StoreError: the disk is full or the folder cannot be written; nothing is left behind.
    """
    with _renamed(path) as file:
        file.write(content)


@contextlib.contextmanager
def _renamed(path: Path) -> Iterator[IO[bytes]]:
    owner = f"{machine()}.{os.getpid()}.{secrets.token_hex(4)}"
    temporary = path.with_name(f".{path.name}.{owner}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as raw:
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
        temporary.replace(path)
    except OSError as problem:
        raise StoreError(f"{path} could not be written: {problem.strerror or problem}") from problem
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def refuse_unwritable(folder: Path, flag: str) -> None:
    """Refuse a folder for results before hours are spent on them; it need not exist.

    Raises:
        UsageError: it, or the folder that it would be made in, cannot be written.
    """
    there = next(x for x in (folder.absolute(), *folder.absolute().parents) if x.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{flag} {folder}: {there} cannot be written; name another folder")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock that the system releases when the process ends, however it ends."""
    with path.open("a+b") as file:
        # Some cluster file systems have no locks; work done under a lock is also checked otherwise.
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX)
        yield
