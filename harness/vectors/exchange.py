"""Stored vectors to and from a folder or a data set on the hub, so that a corpus is encoded once.

Both hold what the store holds, under the same names (``vectors/<space>/<shard>...``). Shards are
compared with their checksums before they are sent and after they are received, and a manifest comes
with its files or after them, so what is there is whole. Shards that are on the other side already
are left alone: the same command goes on where it was stopped, and several people can fill one
place, language by language.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from harness.base.digests import digest_of
from harness.base.files import home_expanded, open_atomically
from harness.base.hub import Repository
from harness.base.reading import object_or_empty
from harness.errors import StoreError, UsageError, did_you_mean
from harness.vectors.inventory import StoredSpace, damage, spaces
from harness.vectors.store import CHECKSUMS

_BATCH = 50
"""Shards of a commit on the hub: the most that a stopped push sends again."""

_NAME = re.compile(r"vectors/[0-9a-f]{64}/[0-9a-z]+(\.[a-z]+)?\.(npy|json)")
"""Names that may be written into the store."""


@dataclass(frozen=True)
class Exchanged:
    """What was done."""

    spaces: int
    shards: int
    """Sent or received."""
    there: int
    """Shards that were on the other side already."""


class Place(Protocol):
    """Where stored vectors can be kept for others."""

    def names(self) -> Collection[str]:
        """Names of all files."""

    def fetch(self, names: Sequence[str]) -> list[Path]:
        """Copies of files on this machine."""

    def add(self, files: Mapping[str, Path]) -> None:
        """Add files, name -> file here; the manifests are last."""


@dataclass(frozen=True)
class Folder:
    """A folder, perhaps of another machine."""

    root: Path

    def names(self) -> Collection[str]:
        """See :class:`Place`."""
        return {x.relative_to(self.root).as_posix() for x in self.root.glob("vectors/*/*")}

    def fetch(self, names: Sequence[str]) -> list[Path]:
        """See :class:`Place`."""
        return [self.root / name for name in names]

    def add(self, files: Mapping[str, Path]) -> None:
        """See :class:`Place`."""
        for name, path in files.items():
            _copy(path, self.root / name)


@dataclass(frozen=True)
class DataSet:
    """A data set on the hub."""

    repository: Repository

    def names(self) -> Collection[str]:
        """See :class:`Place`."""
        return set(self.repository.file_names())

    def fetch(self, names: Sequence[str]) -> list[Path]:
        """See :class:`Place`."""
        folder = self.repository.snapshot(names) if names else Path()
        return [folder / name for name in names]

    def add(self, files: Mapping[str, Path]) -> None:
        """See :class:`Place`; one commit."""
        self.repository.push(files, f"Vectors: {len(files)} files")


def place_of(spec: str) -> Place:
    """The place named by ``hub:ORG/NAME``, ``hub:ORG/NAME@BRANCH`` or a folder."""
    if not spec.startswith("hub:"):
        return Folder(home_expanded(spec))
    name, _, revision = spec.removeprefix("hub:").partition("@")
    return DataSet(Repository(name, revision or None, "dataset"))


def push(
    root: Path,
    place: Place,
    *,
    models: Sequence[str] = (),
    languages: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Exchanged:
    """Send the finished shards of a store's ``root`` that ``place`` lacks.

    Args:
        root: the store.
        place: where they go.
        models: only these, named as in ``harness store ls``.
        languages: only vectors of these languages.
        progress: gets the number of shards of each finished step.

    Raises:
        UsageError: the store has nothing of the kind.
        StoreError: a shard is damaged.
        HarnessError: the hub refuses, or cannot be reached.
    """
    chosen = _chosen(spaces(root), models, languages, f"the store in {root}")
    there, sent, known = place.names(), 0, 0
    for space in chosen:
        folder = f"vectors/{space.folder.name}"
        if not _describes(space.facts, space.folder.name):
            raise StoreError(
                f"{space.folder / 'space.json'} is missing or damaged, so nobody could tell whose "
                "vectors these are: remove the folder, and the next run encodes its texts again"
            )
        left = [x for x in space.manifests if f"{folder}/{x}.json" not in there]
        known += len(space.manifests) - len(left)
        for batch in _batches(left):
            files = {f"{folder}/space.json": space.folder / "space.json"}
            manifests = {}
            for shard in batch:
                _require_whole(space.folder, shard, space.manifests[shard])
                for name in _files_of(shard, space.manifests[shard]):
                    files[f"{folder}/{name}"] = space.folder / name
                manifests[f"{folder}/{shard}.json"] = space.folder / f"{shard}.json"
            place.add(files | manifests)
            sent += len(batch)
            if progress is not None:
                progress(len(batch))
    return Exchanged(len(chosen), sent, known)


def pull(
    root: Path,
    place: Place,
    *,
    models: Sequence[str] = (),
    languages: Sequence[str] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Exchanged:
    """Receive the shards of ``place`` that a store's ``root`` lacks; arguments as :func:`push`.

    Raises:
        UsageError: the place has nothing of the kind.
        StoreError: a file there is damaged, or is not what its name says.
        HarnessError: the hub refuses, or cannot be reached.
    """
    names = [x for x in place.names() if _NAME.fullmatch(x)]
    described = sorted(x for x in names if x.endswith("/space.json"))
    found = []
    for name, path in zip(described, place.fetch(described), strict=True):
        facts = object_or_empty(path)
        if not _describes(facts, name.split("/")[1]):
            raise StoreError(f"{name} does not describe the vectors beside it: pull nothing there")
        found.append(StoredSpace(path.parent, facts, {}, 0, 0.0))
    chosen = _chosen(found, models, languages, "that place")
    received = known = 0
    for space in chosen:
        folder = f"vectors/{space.folder.name}"
        shards = sorted(
            x.removeprefix(f"{folder}/").removesuffix(".json")
            for x in names
            if x.startswith(f"{folder}/") and x.endswith(".json") and not x.endswith("/space.json")
        )
        left = [x for x in shards if not (root / folder / f"{x}.json").exists()]
        known += len(shards) - len(left)
        for batch in _batches(left):
            manifests = place.fetch([f"{folder}/{x}.json" for x in batch])
            parts = {x: object_or_empty(path) for x, path in zip(batch, manifests, strict=True)}
            each = {x: _files_of(x, parts[x]) for x in batch}
            every = ["space.json", *(y for x in batch for y in (*each[x], f"{x}.json"))]
            # All from one commit, also if somebody pushes meanwhile.
            here = place.fetch([f"{folder}/{name}" for name in every])[0].parent
            for shard in batch:
                _require_whole(here, shard, parts[shard])
                if not (root / folder / "space.json").exists():
                    _copy(here / "space.json", root / folder / "space.json")
                for name in (*each[shard], f"{shard}.json"):
                    _copy(here / name, root / folder / name)
            received += len(batch)
            if progress is not None:
                progress(len(batch))
    return Exchanged(len(chosen), received, known)


def _chosen(
    found: Sequence[StoredSpace],
    models: Sequence[str],
    languages: Sequence[str] | None,
    where: str,
) -> list[StoredSpace]:
    known = {x.model for x in found}
    for model in models:
        if model not in known:
            raise UsageError(f"{where} has no vectors of {model!r}{did_you_mean(model, known)}")
    chosen = [
        x
        for x in found
        if (not models or x.model in models)
        and (languages is None or x.facts.get("language") in languages)
    ]
    if not chosen:
        what = "" if languages is None else f" in {', '.join(languages)}"
        raise UsageError(f"{where} has no vectors{what}")
    return chosen


def _describes(facts: Mapping[str, object], folder: str) -> bool:
    """Whether a ``space.json`` is that of the space of this name."""
    return digest_of({k: v for k, v in facts.items() if k != "format"}) == folder


def _files_of(shard: str, manifest: Mapping[str, object]) -> list[str]:
    return [f"{shard}{suffix}" for suffix, key in CHECKSUMS.items() if key in manifest]


def _require_whole(folder: Path, shard: str, manifest: Mapping[str, object]) -> None:
    wrong = damage(folder, shard, manifest)
    if wrong is not None:
        raise StoreError(
            f"{folder / shard}.npy is damaged ({wrong}); `harness store verify` removes what is "
            "damaged from a store, and the next run encodes it again"
        )


def _batches(shards: Sequence[str]) -> Iterator[list[str]]:
    left = iter(shards)
    while batch := list(islice(left, _BATCH)):
        yield batch


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as read, open_atomically(target) as write:
        shutil.copyfileobj(read, write, 1 << 20)
