"""Shards: a corpus's vectors in pieces of a fixed number of passages, in the embedding store.

    ROOT/vectors/<space>/space.json          everything that changes a vector, readable
    ROOT/vectors/<space>/<number>.npy        (n, d) float32 or float16 vectors
    ROOT/vectors/<space>/<number>.ids.npy    (n,) passage ids, UTF-8 bytes of a fixed width
    ROOT/vectors/<space>/<number>.json       manifest, written last: the shard exists when it does
    ROOT/vectors/<space>/<number>.starts.npy, .terms.npy    of texts of several parts
    ROOT/vectors/<space>/<number>.claim      who is encoding it now (:mod:`harness.base.leases`)

Other spaces find texts by their digest (:mod:`harness.vectors.store`); these find them by the
passage's position in its corpus, which saves an index of a hundred million texts. Both share the
store's folder, its manifests and the rule that an incomplete shard does not exist.
"""

from __future__ import annotations

import io
import json
import math
import mmap
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base import leases
from harness.base.digests import digest_of, file_sha256
from harness.base.files import write_atomically
from harness.base.reading import read_object
from harness.errors import DamagedShardWarning, StoreError
from harness.models.base import Parts
from harness.search.parts import PartTexts, texts_of_parts
from harness.vectors.store import (
    CHECKSUMS,
    Store,
    StoreDtype,
    checksums,
    npy_bytes,
    refuse_unreadable,
    shard_files,
)

FORMAT = 1
PASSAGES = 8192
"""Default number of passages per shard: the most that a killed run loses."""


@dataclass(frozen=True)
class Shard:
    """A finished shard; its arrays are memory-mapped on access."""

    folder: Path
    number: int
    language: str
    manifest: Mapping[str, Any]

    @property
    def vectors(self) -> Any:
        """(n, d) vectors or texts of several parts, float32 or float16, memory-mapped."""
        name, manifest = _name(self.number), self.manifest
        values = _mapped(self.folder / f"{name}.npy")
        if CHECKSUMS[".starts.npy"] not in manifest:
            return values
        starts = np.load(self.folder / f"{name}.starts.npy", allow_pickle=False)
        sparse = CHECKSUMS[".terms.npy"] in manifest
        terms = _mapped(self.folder / f"{name}.terms.npy") if sparse else None
        return texts_of_parts(Parts(starts, values, terms, int(manifest["shape"][1])))

    @property
    def ids(self) -> NDArray[np.bytes_]:
        """(n,) local passage ids as UTF-8 bytes, memory-mapped."""
        return _mapped(self.folder / f"{_name(self.number)}.ids.npy")

    def __len__(self) -> int:
        return int(self.manifest["shape"][0])

    @property
    def distinct(self) -> int:
        """Number of different texts among its passages."""
        return int(self.manifest.get("distinct", len(self)))


@dataclass(frozen=True)
class CorpusSpace:
    """The shards of one corpus, encoded by one model fingerprint. Picklable."""

    folder: Path
    facts: Mapping[str, Any]
    """Everything that changes a vector or its position."""
    language: str
    passages: int
    """Passages of the whole corpus."""
    size: int
    """Passages per shard; the last shard has the rest."""
    dtype: StoreDtype

    @classmethod
    def of(
        cls,
        store: Store,
        facts: Mapping[str, Any],
        *,
        language: str,
        passages: int,
        size: int = PASSAGES,
        dtype: StoreDtype = "float32",
    ) -> CorpusSpace:
        """The space with exactly these facts and this shard size; nothing is written yet."""
        whole = {**facts, "shard": size, "stored": dtype}
        folder = store.root / "vectors" / digest_of(whole)
        return cls(folder, whole, language, passages, size, dtype)

    def __len__(self) -> int:
        """Number of shards, finished or not."""
        return -(-self.passages // self.size)

    def bounds(self, number: int) -> tuple[int, int]:
        """First passage of a shard and the one after its last."""
        return number * self.size, min((number + 1) * self.size, self.passages)

    def finished(self, number: int) -> bool:
        """Whether the shard's manifest exists, without reading it."""
        return (self.folder / f"{_name(number)}.json").exists()

    def claim(self, number: int) -> leases.Claim | None:
        """A claim to encode a shard, or ``None`` if another process has it."""
        return leases.take(self._claim_path(number))

    def _claim_path(self, number: int) -> Path:
        return self.folder / f"{_name(number)}.claim"

    def put(
        self,
        number: int,
        ids: Sequence[str],
        vectors: NDArray[np.floating[Any]] | PartTexts,
        **more: Any,
    ) -> None:
        """Write a shard: vectors and ids, then the manifest, with ``more`` in it.

        Raises:
            StoreError: the disk is full or cannot be written; a value does not fit the dtype.
        """
        files, shape = shard_files(vectors, self.dtype)
        described = self.folder / "space.json"
        if not described.exists():
            facts = json.dumps({"format": FORMAT, **self.facts}, indent=1, ensure_ascii=False)
            write_atomically(described, facts.encode())
        name = _name(number)
        files[".ids.npy"] = npy_bytes(np.array([x.encode() for x in ids], dtype=np.bytes_))
        for suffix, content in files.items():
            write_atomically(self.folder / f"{name}{suffix}", content)
        start, stop = self.bounds(number)
        manifest = {
            "format": FORMAT,
            "shape": shape,
            "dtype": self.dtype,
            "space": self.folder.name,
            "start": start,
            "stop": stop,
            **checksums(files),
            **more,
        }
        write_atomically(self.folder / f"{name}.json", json.dumps(manifest).encode())

    def open(self, number: int, *, verify: bool = True) -> Shard | None:
        """A finished shard; ``None`` if it is unfinished, or was damaged and has been discarded.

        With ``verify`` its files are compared with their checksums. A damaged shard is reported and
        loses its manifest, so that it is encoded again.

        Raises:
            StoreError: a file is there and cannot be read.
        """
        name = _name(number)
        path = self.folder / f"{name}.json"
        try:
            manifest = read_object(path, StoreError)
            start, stop = self.bounds(number)
            if (manifest["shape"][0], manifest["dtype"]) != (stop - start, self.dtype):
                raise ValueError("its manifest is for another shard size")
            distinct = manifest.get("distinct", 0)
            if type(distinct) is not int or not 0 <= distinct <= stop - start:
                raise ValueError("its manifest is damaged")
            if verify:
                needed = {"sha256", "ids_sha256"} | (manifest.keys() & set(CHECKSUMS.values()))
                for suffix, key in CHECKSUMS.items():
                    if key not in needed:
                        continue
                    if file_sha256(self.folder / f"{name}{suffix}") != manifest[key]:
                        raise ValueError(f"{name}{suffix} does not match its checksum")
        except (StoreError, OSError, ValueError, LookupError, TypeError) as problem:
            if isinstance(problem.__cause__, FileNotFoundError):
                return None
            refuse_unreadable(self.folder / name, problem)
            self._drop(number, str(problem))
            return None
        return Shard(self.folder, number, self.language, manifest)

    def open_all(self, *, verify: bool = True) -> list[Shard | None]:
        """Open every shard with :meth:`open`, several at a time."""
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda n: self.open(n, verify=verify), range(len(self))))

    def _drop(self, number: int, why: str) -> None:
        warnings.warn(
            f"{self.folder / _name(number)}.npy is damaged ({why}); its passages are encoded again",
            DamagedShardWarning,
            stacklevel=2,
        )
        (self.folder / f"{_name(number)}.json").unlink(missing_ok=True)


def _name(number: int) -> str:
    return f"{number:08d}"


_START = 128
"""Bytes of a .npy file before its numbers, as numpy writes it: shape and dtype."""


def _mapped(path: Path) -> NDArray[Any]:
    """The array of a .npy file, memory-mapped for sequential reading.

    A search opens each shard several times, and :func:`numpy.load` takes longer for that than a
    shard takes to be multiplied with a question.
    """
    with open(path, "rb", buffering=0) as file:
        described = _described(file.read(_START))
        if described is None or os.fstat(file.fileno()).st_size < described[2] + described[3]:
            # Of another version of the format, or damaged: numpy says how.
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            return array
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if hasattr(mmap, "MADV_SEQUENTIAL"):
        mapped.madvise(mmap.MADV_SEQUENTIAL)
    shape, dtype, start, _ = described
    return np.ndarray(shape, dtype, mapped, start)


@lru_cache(maxsize=256)
def _described(start: bytes) -> tuple[tuple[int, ...], np.dtype[Any], int, int] | None:
    """Shape, dtype, where the numbers begin and their bytes, by the start of a .npy file.

    ``None`` if that is not all there is to know about it.
    """
    file = io.BytesIO(start)
    try:
        if np.lib.format.read_magic(file) != (1, 0):
            return None
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        return None
    if by_column or dtype.hasobject:
        return None
    return shape, dtype, file.tell(), dtype.itemsize * math.prod(shape)
