"""Claims: which process works on what, so that several share work and none waits for a dead one.

A claim is a small file next to what it is for. Its owner touches it every few seconds; one that was
not touched for :data:`EXPIRY` seconds, or whose owner was a process on this machine that has ended,
has expired, and the next process takes it over. Claims save work, they do not protect data: what is
written under one is written atomically and is the same whichever process writes it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.base.files import locked, machine, write_atomically
from harness.base.reading import object_or_empty

BEAT = 5.0
"""Seconds between two touches."""
EXPIRY = 60.0
"""Seconds without a touch after which a claim has expired."""


class Claim:
    """A claim of this process, renewed until it is released."""

    def __init__(self, path: Path, token: str) -> None:
        self.path, self._token = path, token
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="claim", daemon=True)
        self._heart.start()

    def _beat(self) -> None:
        while not self._released.wait(BEAT):
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def release(self) -> None:
        """Release it; if another process has taken it over, it stays theirs."""
        self._released.set()
        self._heart.join()
        with _alone(self.path.parent):
            if object_or_empty(self.path).get("token") == self._token:
                self.path.unlink(missing_ok=True)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def take(path: Path) -> Claim | None:
    """Claim ``path``; ``None`` if another living process has claimed it.

    Raises:
        OSError: the folder cannot be created or locked.
        StoreError: the claim cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent) as now:
        if path.exists() and not _expired(path, now):
            return None
        token = secrets.token_hex(8)
        content = {
            "host": machine(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "token": token,
        }
        write_atomically(path, json.dumps(content).encode())
    return Claim(path, token)


def held(path: Path) -> bool:
    """Whether a living process has claimed ``path``."""
    if not path.exists():
        return False
    with _alone(path.parent) as now:
        return path.exists() and not _expired(path, now)


def _expired(path: Path, now: float) -> bool:
    owner = object_or_empty(path)
    here = owner.get("host") == machine()
    if here and _started(owner.get("pid", -1)) != owner.get("started"):
        return True
    try:
        return now - path.stat().st_mtime > EXPIRY
    except OSError:
        return True


def _started(pid: Any) -> float | None:
    """When a process on this machine started: process ids are reused, start times are not.

    On Linux in clock ticks since the machine did. The time of day that psutil makes of them moves
    with every step of the clock, and all claims would have expired.
    """
    if Path("/proc/self/stat").exists():
        try:
            # Behind the program's name, which may contain spaces: the third field and on.
            fields = Path(f"/proc/{int(pid)}/stat").read_bytes().rpartition(b")")[2].split()
            return float(fields[19])
        except (OSError, TypeError, ValueError, IndexError):
            return None
    import psutil

    try:
        return float(psutil.Process(pid).create_time())
    except (psutil.Error, TypeError, ValueError):
        return None


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[float]:
    """Lock a folder; yields the file system's own time, because machines' clocks differ.

    Some cluster file systems have no locks: two processes may then both win a claim, and both write
    the same bytes.
    """
    with locked(folder / ".lock"):
        os.utime(folder / ".lock")
        yield (folder / ".lock").stat().st_mtime
