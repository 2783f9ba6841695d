"""Checksums of a data set's files on the Hugging Face hub, at a commit."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from harness.base.digests import file_sha256
from harness.base.files import write_atomically
from harness.base.hub import Repository
from harness.base.reading import object_or_empty
from harness.errors import DataError

GIT = "git:"
"""Prefix of git object ids, the checksums of files stored in the commit itself."""


def checksums(repository: Repository, names: Sequence[str]) -> dict[str, str]:
    """The checksum that the hub lists for each file at this commit.

    For large files the SHA-256 by which they are stored; for small ones, which are in the commit
    itself, ``git:`` and their object id, a SHA-1 (:func:`git_object`).

    Raises:
        DataError: no access, no network, or the hub has no such file.
    """
    known = {}
    for file in repository.paths_info(names):
        lfs, blob = getattr(file, "lfs", None), getattr(file, "blob_id", None)
        if lfs is not None or blob is not None:
            known[file.path] = f"{GIT}{blob}" if lfs is None else lfs.sha256
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(f"{repository}: the hub has no file {missing[0]}")
    return known


def git_object(raw: bytes) -> str:
    """``git:`` and git's object id of a file with these bytes."""
    return GIT + hashlib.sha1(b"blob %d\0" % len(raw) + raw, usedforsecurity=False).hexdigest()


def digest(raw: bytes, expected: str | None) -> str:
    """The checksum of ``raw``, of the same kind as ``expected``: SHA-256 if nothing is expected."""
    if expected is not None and expected.startswith(GIT):
        return git_object(raw)
    return hashlib.sha256(raw).hexdigest()


def file_digest(path: Path, expected: str | None) -> str:
    """As :func:`digest`, of a file; large ones are not held in memory.

    Raises:
        OSError: it cannot be read.
    """
    if expected is not None and expected.startswith(GIT):
        return git_object(path.read_bytes())
    return file_sha256(path)


def checksum_by_name(path: Path) -> str | None:
    """The checksum by which the hub's cache names a file's content, if the file is in it."""
    name = path.resolve().name
    if not path.is_symlink() or re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{40}", name) is None:
        return None
    return name if len(name) == 64 else GIT + name


def remove(path: Path) -> None:
    """Remove a file from the hub's cache: its link and its content, without which damage stays."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


class Checksums:
    """The hub's checksums for the files of one commit, cached once requested."""

    def __init__(self, folder: Path, repository: Repository) -> None:
        self.repository = repository
        self._ledger = folder / str(repository.revision) / "hub-sha256.json"

    def known(self) -> dict[str, str]:
        """File name -> checksum, as :func:`checksums` gives it."""
        return object_or_empty(self._ledger)

    def ask(self, names: Sequence[str]) -> dict[str, str]:
        """All known checksums, after requesting those of ``names`` from the hub.

        Raises:
            DataError: as :func:`checksums`.
        """
        found = checksums(self.repository, names)
        known = self.known() | found  # read now: other jobs ask in the meantime
        write_atomically(self._ledger, json.dumps(known, indent=1).encode())
        return known
