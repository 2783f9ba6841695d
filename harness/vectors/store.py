"""The embedding store: no text is encoded twice.

    ROOT/vectors/<space>/space.json        everything that changes a vector, readable
    ROOT/vectors/<space>/<shard>.npy       (n, d) float32 or float16 vectors
    ROOT/vectors/<space>/<shard>.keys.npy  (n, 2) uint64: first half of each text's SHA-256
    ROOT/vectors/<space>/<shard>.json      manifest, written last: the shard exists when it does

Texts of several parts (sparse, multi-vector) have their parts end to end in ``.npy``, (t, d) token
vectors or (t,) weights, with ``.starts.npy``, (n + 1,) int64, the first part of each text, and for
sparse ones ``.terms.npy``, (t,) int32.

A *space* is one encoder fingerprint, role, language and prompt; its name is the SHA-256 of all
facts that change a vector, so two models can never share one. A shard is named by the texts in it.
Files are written under another name, synced and renamed: a killed process leaves complete shards
and stray temporary files, never half a shard.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.base.cache import cache_folder
from harness.base.digests import digest_of
from harness.base.files import write_atomically
from harness.base.reading import read_object
from harness.errors import DamagedShardWarning, StoreError
from harness.models.base import Parts
from harness.search.corpus_rows import stacked
from harness.search.parts import PartTexts, texts_of_parts

FORMAT = 1

StoreDtype = Literal["float32", "float16"]
"""The dtypes for stored vectors."""


def npy_bytes(array: NDArray[Any]) -> bytes:
    """The bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _from_npy(content: bytes) -> NDArray[Any]:
    """The array in the bytes of a .npy file, without a copy."""
    head = io.BytesIO(content)
    version = np.lib.format.read_magic(head)
    if version != (1, 0):
        raise ValueError(f"it is .npy version {version}")
    shape, _, dtype = np.lib.format.read_array_header_1_0(head)
    return np.frombuffer(content, dtype, offset=head.tell()).reshape(shape)


CHECKSUMS = {
    ".npy": "sha256",
    ".keys.npy": "keys_sha256",
    ".ids.npy": "ids_sha256",
    ".starts.npy": "starts_sha256",
    ".terms.npy": "terms_sha256",
}
"""The files a shard may have, and where its manifest has their SHA-256."""


def shard_files(
    vectors: NDArray[Any] | PartTexts, dtype: StoreDtype
) -> tuple[dict[str, bytes], list[int]]:
    """The files of vectors (n, d) or texts of several parts by suffix, and their shape (n, d).

    Raises:
        StoreError: a value does not fit the dtype.
    """
    if not isinstance(vectors, PartTexts):
        stored = as_stored(vectors, dtype)
        return {".npy": npy_bytes(stored)}, list(stored.shape)
    indptr, values, terms, _ = vectors.parts
    files = {".npy": npy_bytes(as_stored(values, dtype)), ".starts.npy": npy_bytes(indptr)}
    if terms is not None:
        files[".terms.npy"] = npy_bytes(terms)
    return files, list(vectors.shape)


def checksums(files: Mapping[str, bytes]) -> dict[str, str]:
    """What a manifest says of ``files``, suffix -> content."""
    return {CHECKSUMS[x]: hashlib.sha256(content).hexdigest() for x, content in files.items()}


def as_stored(vectors: NDArray[np.floating[Any]], dtype: StoreDtype) -> NDArray[Any]:
    """``vectors`` in the stored dtype.

    Raises:
        StoreError: a value does not fit the dtype.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(vectors, dtype)
    if not np.isfinite(stored).all():
        raise StoreError(f"vectors are too large for {dtype}; use --store-dtype float32")
    return stored


def refuse_unreadable(shard: Path, problem: Exception) -> None:
    """Raise :class:`StoreError` if a file is there and cannot be read now.

    Too many open files, another user's file or a share that does not answer say nothing about what
    is in it: a shard is discarded only for its content.
    """
    cause = problem.__cause__ if isinstance(problem, StoreError) else problem
    gone = (FileNotFoundError, IsADirectoryError, NotADirectoryError)
    if isinstance(cause, OSError) and not isinstance(cause, gone):
        raise StoreError(
            f"{shard}: cannot be read ({cause.strerror or cause}); it was left as it is"
        ) from problem


class Space:
    """The vectors of one encoder, role, language and prompt: see :meth:`Store.space`."""

    def __init__(
        self, folder: Path, facts: Mapping[str, Any], dtype: StoreDtype = "float32"
    ) -> None:
        self.folder = folder
        self.dtype: StoreDtype = dtype
        self._facts = facts
        self._shards: dict[str, NDArray[np.uint64]] | None = None
        self._index: tuple[list[str], NDArray[np.uint64], NDArray[np.int64]] | None = None

    def _find(self, keys: NDArray[np.uint64]) -> tuple[list[str], NDArray[np.int64]]:
        """Names of the shards, and (n, 2) shard number and row of each key; -1 where absent."""
        if self._shards is None:
            self._shards = {}
            for manifest in sorted(self.folder.glob("*.json")):
                if manifest.name != "space.json":
                    self._open(manifest.stem)
        if self._index is None:
            self._index = self._sorted(self._shards)
        names, known, places = self._index
        where = np.full((len(keys), 2), -1, np.int64)
        if len(known):
            at = np.minimum(np.searchsorted(known[:, 0], keys[:, 0]), len(known) - 1)
            here = (known[at] == keys).all(1)
            where[here] = places[at[here]]
        return names, where

    @staticmethod
    def _sorted(
        shards: Mapping[str, NDArray[np.uint64]],
    ) -> tuple[list[str], NDArray[np.uint64], NDArray[np.int64]]:
        names = list(shards)
        known = np.concatenate([np.zeros((0, 2), np.uint64), *shards.values()])
        sizes = [len(k) for k in shards.values()]
        places = np.stack(
            [
                np.repeat(np.arange(len(names)), sizes),
                np.concatenate([np.zeros(0, np.int64), *(np.arange(n) for n in sizes)]),
            ],
            axis=1,
        ).astype(np.int64)
        order = np.argsort(known[:, 0], kind="stable")
        return names, known[order], places[order]

    def _open(self, shard: str) -> None:
        assert self._shards is not None
        try:
            manifest = read_object(self.folder / f"{shard}.json", StoreError)
            content = (self.folder / f"{shard}.keys.npy").read_bytes()
            if hashlib.sha256(content).hexdigest() != manifest["keys_sha256"]:
                raise ValueError("its keys do not match its manifest")
            self._shards[shard] = _from_npy(content)
        except (StoreError, OSError, ValueError, KeyError, EOFError) as problem:
            refuse_unreadable(self.folder / shard, problem)
            self._drop(shard, str(problem))

    def _drop(self, shard: str, why: str) -> None:
        warnings.warn(
            f"{self.folder / shard}.npy is damaged ({why}); its texts are encoded again",
            DamagedShardWarning,
            stacklevel=3,
        )
        (self.folder / f"{shard}.json").unlink(missing_ok=True)
        if self._shards is not None:
            self._shards.pop(shard, None)
        self._index = None

    def refresh(self) -> None:
        """Find new shards: another process may have added some."""
        self._shards = self._index = None

    def known(self, keys: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(n,) whether each key has a stored vector (shards are not read for it)."""
        return self._find(keys)[1][:, 0] >= 0

    def _vectors(self, shard: str) -> Any:
        """The vectors of a shard, or its texts of several parts; ``None`` if it is damaged."""
        try:
            manifest = read_object(self.folder / f"{shard}.json", StoreError)
            arrays = {}
            for suffix in (".npy", ".starts.npy", ".terms.npy"):
                if CHECKSUMS[suffix] not in manifest:
                    continue
                content = (self.folder / f"{shard}{suffix}").read_bytes()
                if hashlib.sha256(content).hexdigest() != manifest[CHECKSUMS[suffix]]:
                    raise ValueError("its checksum does not match its manifest")
                arrays[suffix] = _from_npy(content)
            vectors: Any = arrays[".npy"]
            if ".starts.npy" in arrays:
                starts, terms = arrays[".starts.npy"], arrays.get(".terms.npy")
                vectors = texts_of_parts(Parts(starts, vectors, terms, manifest["shape"][1]))
        except (StoreError, OSError, ValueError, KeyError, EOFError) as problem:
            refuse_unreadable(self.folder / shard, problem)
            self._drop(shard, str(problem))
            return None
        return vectors

    def get(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
        """Which of ``keys`` (n, 2) are stored, and an (n, d) array of their rows (or zeros).

        Raises:
            StoreError: a file is there and cannot be read, or rows differ in width.
        """
        names, where = self._find(keys)
        have = np.zeros(len(keys), bool)
        out: NDArray[np.float32] | None = None
        for number in np.unique(where[where[:, 0] >= 0, 0]):
            vectors = self._vectors(names[number])
            if vectors is None:
                continue
            here = np.flatnonzero(where[:, 0] == number)
            rows = np.take(vectors, where[here, 1], axis=0)
            have[here] = True
            if out is None and len(here) == len(keys):  # one shard contains all rows, in order
                out = rows.astype(np.float32, copy=False)
                continue
            if out is None:
                out = np.zeros((len(keys), vectors.shape[1]), np.float32)
            self._check_width(vectors.shape[1], out.shape[1])
            out[here] = rows
        return have, out

    def get_parts(self, keys: NDArray[np.uint64]) -> tuple[NDArray[np.bool_], PartTexts | None]:
        """As :meth:`get` for texts of several parts: the stored ones, in the order of keys."""
        names, where = self._find(keys)
        have, order = np.zeros(len(keys), bool), [np.zeros(0, np.int64)]
        found: list[PartTexts] = []
        for number in np.unique(where[where[:, 0] >= 0, 0]):
            texts = self._vectors(names[number])
            if texts is None:
                continue
            here = np.flatnonzero(where[:, 0] == number)
            have[here] = True
            self._check_width(texts.shape[1], found[0].shape[1] if found else texts.shape[1])
            found.append(texts[where[here, 1]].widened())
            order.append(here)
        return have, stacked(found)[np.argsort(np.concatenate(order))] if found else None

    def _check_width(self, width: int, other: int) -> None:
        if width != other:
            raise StoreError(
                f"{self.folder}: has vectors of {other} and of {width} dimensions, though of one "
                "model: its fingerprint, or its endpoint, did not tell two apart; remove the "
                "folder, and its texts are encoded again"
            )

    def rounded(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """``vectors`` as they will be read back, so that all runs use the same numbers.

        Raises:
            StoreError: a value does not fit the dtype.
        """
        return as_stored(vectors, self.dtype).astype(np.float32, copy=False)

    def put(self, keys: NDArray[np.uint64], vectors: NDArray[np.float32] | PartTexts) -> None:
        """Store vectors (n, d), or texts of several parts, under ``keys`` (n, 2) as one shard."""
        if not len(keys):
            return
        described = self.folder / "space.json"
        if not described.exists():
            facts = json.dumps({"format": FORMAT, **self._facts}, indent=1, ensure_ascii=False)
            write_atomically(described, facts.encode())
        files, shape = shard_files(vectors, self.dtype)
        files[".keys.npy"] = npy_bytes(keys)
        shard = hashlib.sha256(keys.tobytes()).hexdigest()[:32]
        for suffix, content in files.items():
            write_atomically(self.folder / f"{shard}{suffix}", content)
        manifest = {"format": FORMAT, "shape": shape, "dtype": self.dtype, **checksums(files)}
        write_atomically(self.folder / f"{shard}.json", json.dumps(manifest).encode())
        if self._shards is not None:
            self._shards[shard] = keys
            self._index = None


class Store:
    """All spaces under one root folder."""

    def __init__(self, root: Path | None = None, dtype: StoreDtype = "float32") -> None:
        """``root`` is a folder, by default the cache; ``dtype`` that of the stored vectors."""
        self.root = cache_folder() if root is None else root
        self.dtype: StoreDtype = dtype

    def space(self, facts: Mapping[str, Any]) -> Space:
        """The space with exactly these facts; nothing is written before the first vector."""
        if self.dtype != "float32":
            facts = {**facts, "stored": self.dtype}
        return Space(self.root / "vectors" / digest_of(facts), facts, self.dtype)
