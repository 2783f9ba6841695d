"""One language's passages for streaming: shards end to end, rows numbered consecutively."""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import StoreError
from harness.search.exact import Composite, Encoded, inner

PIECE = 8192
"""Rows of a shard that one thread takes at a time."""


_REQUEST = 1 << 20
"""Bytes that are requested from the disk at once, ahead of reading."""


class Shard(Protocol):
    """A run of passages of one language; its arrays are memory-mapped or small."""

    @property
    def language(self) -> str:
        """Of all its passages."""

    @property
    def ids(self) -> Any:
        """(n,) local passage ids, bytes (UTF-8) or str."""

    @property
    def vectors(self) -> Any:
        """(n, d) float16 or float32; or texts of several parts (:mod:`harness.search.parts`)."""

    def __len__(self) -> int: ...


class Piece(NamedTuple):
    """Some rows of one shard."""

    shard: Shard
    first_row: int
    """Number of its first row in the whole."""
    start: int
    """First row in the shard, and the one after the last."""
    stop: int


class PassageRows:
    """The passages of one language by row, in the order of the shards."""

    def __init__(self, shards: Sequence[Shard]) -> None:
        self.shards = [shard for shard in shards if len(shard)]
        sizes = [len(shard) for shard in self.shards]
        self.starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int64)

    def __len__(self) -> int:
        return int(self.starts[-1])

    def pieces(self) -> Iterator[Piece]:
        """All rows once, in order."""
        for shard, first in zip(self.shards, self.starts[:-1].tolist(), strict=True):
            for start in range(0, len(shard), PIECE):
                yield Piece(shard, first + start, start, min(start + PIECE, len(shard)))

    def find(self, requested: set[bytes]) -> dict[bytes, int]:
        """Row of each of the ``requested`` local ids that exists; ids are read shard by shard."""
        found: dict[bytes, int] = {}
        if not requested:
            return found
        names = _Names(requested)
        for shard, first in zip(self.shards, self.starts[:-1].tolist(), strict=True):
            for row, name in names.among(shard.ids):
                found[name] = first + row
        return found

    def _by_shard(
        self, rows: NDArray[np.int64]
    ) -> Iterator[tuple[Shard, NDArray[np.int64], slice]]:
        """Shards with ``rows`` (ascending), the rows within each, and their positions."""
        owner = np.searchsorted(self.starts, rows, side="right") - 1
        bounds = np.flatnonzero(np.diff(owner, prepend=-1, append=-1))
        for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            number = int(owner[a])
            yield self.shards[number], rows[a:b] - self.starts[number], slice(a, b)

    def vectors(self, rows: NDArray[np.int64]) -> Encoded:
        """Vectors (n, d) float32, or texts of several parts, of ``rows`` (n,), ascending."""
        found: list[Encoded] = []
        for shard, inside, _ in self._by_shard(rows):
            mapped = vectors_of(shard)
            part = mapped[inside]
            found.append(part.widened() if isinstance(part, Composite) else part.astype(np.float32))
            release(mapped)
        return stacked(found)

    def inner(
        self, queries: Encoded, query: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """:func:`harness.search.exact.inner` of ``query`` (n,) with ``rows`` (n,), ascending."""
        from harness.search.stored_loops import inner_of_stored

        out = np.empty(len(rows))
        for shard, inside, places in self._by_shard(rows):
            stored = vectors_of(shard)
            if isinstance(stored, np.ndarray):
                out[places] = inner_of_stored(queries, stored, query[places], inside)
                release(stored)
            else:
                # Texts of several parts, or vectors that are changed as they are read.
                different, where = np.unique(rows[places], return_inverse=True)
                vectors = self.vectors(different)
                out[places] = inner(queries, vectors, query[places], where, compiled=True)
        return out

    def ids(self, rows: NDArray[np.int64]) -> list[bytes]:
        """Local ids of ``rows``, ascending."""
        out: list[bytes] = []
        for shard, inside, _ in self._by_shard(rows):
            out += as_bytes(np.asarray(shard.ids)[inside])
        return out


class _Names:
    """Ids that are looked for among those of shards, of which a few in a million are."""

    def __init__(self, names: set[bytes]) -> None:
        self._names = names
        self._marks: dict[int, NDArray[np.bool_]] = {}
        """Words of an id -> (2**16,) whether a name of so many has this hash."""

    def among(self, ids: Any) -> Iterator[tuple[int, bytes]]:
        """Rows of ``ids`` (n,) with one of the names, and the name."""
        rows = np.arange(len(ids))
        if getattr(getattr(ids, "dtype", None), "kind", None) == "S":
            # Without a Python object for each id.
            words = -(-ids.dtype.itemsize // 8)
            if words not in self._marks:
                self._marks[words] = np.zeros(1 << 16, np.bool_)
                names = np.array(list(self._names), f"S{8 * words}")
                self._marks[words][_hashes(names)] = True
            rows = np.flatnonzero(self._marks[words][_hashes(ids.astype(f"S{8 * words}"))])
            ids = ids[rows]
        listed = as_bytes(ids)
        for i in compress(range(len(listed)), map(self._names.__contains__, listed)):
            yield int(rows[i]), listed[i]


def _hashes(names: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """(n,) a number below 2**16 for each name, of a width that is a multiple of 8 bytes."""
    mixed = np.zeros(len(names), np.uint64)
    for word in names.view(np.uint64).reshape(len(names), -1).T:
        # An odd number: what is different stays different until the last step.
        mixed = (mixed ^ word) * np.uint64(0x9E3779B97F4A7C15)
    return mixed >> np.uint64(48)


def distinct(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """The different ones of ``numbers`` (n,), ascending.

    :func:`numpy.unique` takes ten times as long for hundreds of thousands: it hashes first.
    """
    ascending = np.sort(numbers)
    return ascending[np.diff(ascending, prepend=-1) > 0]


def stacked(parts: Sequence[Encoded]) -> Encoded:
    """All of ``parts``, one after the other."""
    if not parts:
        return np.zeros((0, 0), np.float32)
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Composite):
        return parts[0].joined(parts[1:])
    return np.concatenate(parts)


def vectors_of(shard: Shard) -> Any:
    """The vectors of a shard.

    Raises:
        StoreError: the file no longer exists.
    """
    try:
        return shard.vectors
    except (OSError, ValueError) as problem:
        raise StoreError(
            f"a shard of {shard.language} disappeared while it was searched ({problem}); start the "
            "run again"
        ) from problem


def as_bytes(ids: Any) -> list[bytes]:
    """Ids as UTF-8: the order of bytes is the order of ties."""
    listed: list[Any] = ids.tolist() if hasattr(ids, "tolist") else list(ids)
    if getattr(getattr(ids, "dtype", None), "kind", None) == "S":
        return listed
    return [x if isinstance(x, bytes) else str(x).encode() for x in listed]


def release(array: Encoded) -> None:
    """Release the memory of a mapped array's pages after reading; they stay on disk."""
    for mapped, _ in _maps(array):
        if hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)


def read_ahead(array: Encoded) -> None:
    """Begin to read what a mapped array will be read from, without waiting for the disk."""
    for mapped, part in _maps(array):
        if hasattr(mmap, "MADV_WILLNEED"):
            start = part.ctypes.data - np.frombuffer(mapped, np.uint8).ctypes.data
            stop = start + part.nbytes
            # Linux reads no more for one request than a disk takes at once.
            for page in range(start - start % mmap.PAGESIZE, stop, _REQUEST):
                mapped.madvise(mmap.MADV_WILLNEED, page, min(_REQUEST, stop - page))


def _maps(array: Encoded) -> Iterator[tuple[mmap.mmap, NDArray[Any]]]:
    """The read-only memory maps that ``array`` reads from, each with the array in it."""
    for part in array.arrays if isinstance(array, Composite) else (array,):
        mapped: Any = part
        while isinstance(mapped, np.ndarray):
            mapped = mapped.base
        # A writable map's pages may contain data that is not on disk.
        if isinstance(mapped, mmap.mmap) and not part.flags.writeable:
            yield mapped, part
