"""The contents of the embedding store: listed, verified against checksums, and pruned."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.base import leases
from harness.base.digests import file_sha256
from harness.base.reading import object_or_empty, read_object
from harness.errors import StoreError
from harness.vectors.store import CHECKSUMS, refuse_unreadable

STRAY = 3600.0
"""Seconds after which a file that belongs to no finished shard is a leftover, not work in
progress."""


@dataclass(frozen=True)
class StoredSpace:
    """One space of the store: the vectors of one model fingerprint, role and language."""

    folder: Path
    facts: Mapping[str, Any]
    """The contents of its ``space.json``; empty if that cannot be read."""
    manifests: Mapping[str, Mapping[str, Any]]
    """Shard -> its manifest; a manifest that cannot be read is empty."""
    bytes: int
    used: float
    """Modification time of its newest file, in seconds since 1970."""

    @property
    def model(self) -> str:
        """The name of the model or of the part of it."""
        return str(self.facts.get("model") or self.facts.get("adapter", "?"))

    @property
    def what(self) -> str:
        """``query en``, ``passage sw, corpus``; ``texts`` for the output of a shared trunk."""
        if "trunk" in self.facts:
            return "texts"
        words = f"{self.facts.get('role', '?')} {self.facts.get('language', '?')}"
        return f"{words}, corpus" if "corpus" in self.facts else words

    @property
    def vectors(self) -> int:
        """Vectors in finished shards."""
        return sum(int(m["shape"][0]) for m in self.manifests.values() if m)

    @property
    def dtype(self) -> str:
        """The dtype of the vectors."""
        return next((str(m["dtype"]) for m in self.manifests.values() if m), "")


def spaces(root: Path) -> list[StoredSpace]:
    """Every space under a store's root, by model, role and language."""
    found = [
        _space_of(folder) for folder in sorted((root / "vectors").glob("*")) if folder.is_dir()
    ]
    # A space without facts and shards belongs to a run that has just begun or stopped.
    found = [x for x in found if x.facts or x.manifests]
    return sorted(found, key=lambda x: (x.model, x.what, x.folder.name))


def _space_of(folder: Path) -> StoredSpace:
    manifests = {}
    total, used = 0, 0.0
    for path in folder.iterdir():
        try:
            stat = path.stat()
        except FileNotFoundError:  # another process has just renamed it
            continue
        total, used = total + stat.st_size, max(used, stat.st_mtime)
        if path.suffix == ".json" and path.name != "space.json" and path.name[0] != ".":
            manifests[path.stem] = _manifest(path)
    return StoredSpace(folder, object_or_empty(folder / "space.json"), manifests, total, used)


def _manifest(path: Path) -> dict[str, Any]:
    found = object_or_empty(path)
    whole = {"shape", "dtype", "sha256"} <= found.keys() and isinstance(found["shape"], list)
    return found if whole else {}


def verify(
    stored: Sequence[StoredSpace], progress: Callable[[int], None] | None = None
) -> list[tuple[Path, str]]:
    """Compare every finished shard with its checksums; damaged ones lose their manifest.

    Returns the vectors file of each damaged shard and what is wrong with it. ``progress`` is called
    for each shard.

    Raises:
        StoreError: a file is there and cannot be read.
    """
    damaged: list[tuple[Path, str]] = []
    for space in stored:
        for name, manifest in space.manifests.items():
            wrong = damage(space.folder, name, manifest)
            if wrong is not None:
                (space.folder / f"{name}.json").unlink(missing_ok=True)
                damaged.append((space.folder / f"{name}.npy", wrong))
            if progress is not None:
                progress(1)
    return damaged


def damage(folder: Path, name: str, manifest: Mapping[str, Any]) -> str | None:
    """What is wrong with a shard, compared with its checksums; ``None`` if it is whole.

    Raises:
        StoreError: a file is there and cannot be read.
    """
    if not manifest:
        try:
            read_object(folder / f"{name}.json", StoreError)
        except StoreError as problem:
            refuse_unreadable(folder / name, problem)
        return "its manifest cannot be read"
    for suffix, key in CHECKSUMS.items():
        if key not in manifest:
            continue
        try:
            found = file_sha256(folder / f"{name}{suffix}")
        except OSError as problem:
            refuse_unreadable(folder / name, problem)
            return f"{name}{suffix}: {problem.strerror}"
        if found != manifest[key]:
            return f"{name}{suffix} does not match its checksum"
    return None


@dataclass(frozen=True)
class Leftover:
    """Something that can be removed."""

    path: Path
    bytes: int
    why: str


def leftovers(root: Path) -> list[Leftover]:
    """Leftovers of stopped runs: half-written files, dead claims.

    Files younger than :data:`STRAY` seconds may be another run's work and are left alone.
    """
    return [x for x in _leftovers(root) if time.time() - _age(x.path) > STRAY]


def _leftovers(root: Path) -> Iterator[Leftover]:
    for folder in sorted((root / "vectors").glob("*/")):
        whole = {p.stem for p in folder.glob("*.json") if p.name[0] != "."}
        for path in sorted(folder.iterdir()):
            if path.name in (".lock", "space.json"):
                continue
            if path.name[0] == ".":
                yield Leftover(path, _size(path), "half-written")
            elif path.suffix == ".claim":
                if not leases.held(path):
                    yield Leftover(path, _size(path), "claim of a run that has ended")
            elif path.suffix == ".npy" and path.name.partition(".")[0] not in whole:
                yield Leftover(path, _size(path), "part of an unfinished shard")
    for path in sorted(root.glob("unkept-*")):
        yield Leftover(path, _size(path), "temporary vectors")
    for path in sorted((root / "begun").glob("*.json")):
        yield Leftover(path, _size(path), "note of an interrupted run")


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [x for x in path.rglob("*") if x.is_file()]
    return sum(x.stat().st_size for x in files)


def chosen(
    stored: Sequence[StoredSpace], models: Sequence[str], older_than: float | None
) -> list[Leftover]:
    """Spaces to prune: those of ``models``, or not written to for ``older_than`` days, or both.

    Without either, none: vectors are removed only on request.
    """
    found = []
    for space in stored if models or older_than is not None else ():
        days = (time.time() - space.used) / 86400
        if (not models or space.model in models) and (older_than is None or days > older_than):
            found.append(Leftover(space.folder, space.bytes, f"{space.model}, {space.what}"))
    return found


def remove(what: Sequence[Leftover]) -> int:
    """Remove them, a space's manifests first; returns the number of bytes freed."""
    freed = 0
    for x in what:
        if x.path.is_dir():
            # The description last: what is left by an interrupt still says whose it is.
            for manifest in sorted(x.path.glob("*.json"), key=lambda y: y.name == "space.json"):
                manifest.unlink(missing_ok=True)
            shutil.rmtree(x.path, ignore_errors=True)
        else:
            x.path.unlink(missing_ok=True)
        freed += x.bytes
    return freed
