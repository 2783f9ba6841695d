"""Fewer dimensions and fewer bits: ``--dimensions``, ``--bits`` and ``--rescore``.

    dimensions            the first numbers of each vector; length 1 again for cosine
    int8, int4            codes of 256 or 16 equal steps, both sides; score: inner product of codes
    binary                signs, both sides: 1 above 0, else -1; score: d - 2 times Hamming distance
    NAME-asymmetric       passages as above, queries as they are
    rescore               the first N by compressed vectors, in the order of the full ones

Codes are those of sentence-transformers' ``quantize_embeddings``: the range of each dimension is
cut into equal steps, a number's code is its step, and half the steps are below 0. The ranges are
the least and greatest value over all passages of the task, of all languages together; queries are
cut by the same ranges, as its ``semantic_search_usearch`` does, and what is beyond them gets the
last code.

An inner product of codes is not an approximate inner product of vectors: codes count from the
middle of each dimension's range and in steps of its own size, so every dimension is centred and
scaled. Asymmetric scores are: queries are multiplied by the steps and the middle only adds the same
to all passages of a query. That is the order in which sentence-transformers rescores.

Codes are small integers, stored here as float32: their products and sums are exact below 2^24, so
that the certified search orders them by their real scores like any vectors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.errors import UsageError
from harness.evaluation.options import Bits
from harness.evaluation.postprocessing.move import VectorFunction, of_length_1
from harness.evaluation.postprocessing.step import Fit, Place, PostProcessor

LEVELS: Mapping[str, int] = {"int8": 256, "int4": 16, "binary": 2}
"""Number of values that a number can have."""

_ROWS = 1024
"""Rows that are compressed at once, so that what is computed on the way stays small."""


@dataclass(frozen=True)
class Cut:
    """The first ``dimensions`` numbers, then of length 1 if ``unit``."""

    dimensions: int
    unit: bool

    def __call__(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """See :class:`VectorFunction`."""
        kept = np.array(vectors[:, : self.dimensions], np.float32, order="C")
        says = f"--dimensions {self.dimensions}: {{}}; keep more"
        return of_length_1(kept, says) if self.unit else kept

    def width(self, width: int) -> int:
        """At most what there is."""
        return min(width, self.dimensions)


@dataclass(frozen=True)
class _SameWidth(ABC):
    """A function of vectors that keeps their width."""

    def __call__(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """See :class:`VectorFunction`."""
        out = np.empty(vectors.shape, np.float32)
        for start in range(0, len(vectors), _ROWS):
            rows = slice(start, start + _ROWS)
            out[rows] = self._of(np.asarray(vectors[rows], np.float32))
        return out

    @abstractmethod
    def _of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The vectors of one block of rows."""

    def width(self, width: int) -> int:
        """Unchanged."""
        return width


@dataclass(frozen=True)
class Codes(_SameWidth):
    """Whole numbers from ``-levels / 2`` to ``levels / 2 - 1``."""

    starts: NDArray[np.float32]
    """(d,) least value of each dimension."""
    steps: NDArray[np.float32]
    """(d,) size of a step."""
    levels: int

    def _of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        codes = np.floor((vectors - self.starts) / self.steps)
        clipped: NDArray[np.float32] = np.clip(codes, 0, self.levels - 1) - self.levels // 2
        return clipped


@dataclass(frozen=True)
class Signs(_SameWidth):
    """1 for numbers above 0, else -1."""

    def _of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.where(vectors > 0, np.float32(1), np.float32(-1))


@dataclass(frozen=True)
class Scaled(_SameWidth):
    """Every dimension multiplied by its own number."""

    by: NDArray[np.float32]
    """(d,)"""

    def _of(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        return vectors * self.by


@dataclass(frozen=True)
class Dimensions(PostProcessor):
    """Keeps the first numbers of each vector (Matryoshka representations, arXiv 2205.13147)."""

    kept: int

    @property
    def facts(self) -> Mapping[str, Any]:
        """The number."""
        return {"name": self.name, "dimensions": self.kept}

    @property
    def compresses(self) -> bool:
        """Always true."""
        return True

    def moves(self, places: Sequence[Place], fit: Fit) -> Mapping[Place, VectorFunction]:
        """See the module.

        Raises:
            UsageError: vectors have fewer dimensions.
        """
        width = fit.width()
        if self.kept > width:
            raise UsageError(f"--dimensions {self.kept}: the model's vectors have {width}")
        return {x: Cut(self.kept, fit.cosine) for x in places}


@dataclass(frozen=True)
class Quantised(PostProcessor):
    """Fewer values per number, by the ranges of the task's passages."""

    kind: str
    """One of :data:`LEVELS`."""
    asymmetric: bool
    """Whether queries keep their float32 numbers."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """How numbers are coded, and on which texts the ranges are calibrated."""
        found: dict[str, Any] = {
            "name": self.name,
            "levels": LEVELS[self.kind],
            "queries": "float32" if self.asymmetric else self.kind,
            "calibration": None,
        }
        if self.kind != "binary":
            found["calibration"] = {
                "texts": "all passages of the task, all languages together",
                "range": "least and greatest value of each dimension",
            }
        return found

    @property
    def compresses(self) -> bool:
        """Always true."""
        return True

    def moves(self, places: Sequence[Place], fit: Fit) -> Mapping[Place, VectorFunction]:
        """See the module."""
        of_query: VectorFunction | None
        if self.kind == "binary":
            coded: VectorFunction = Signs()
            of_query = None if self.asymmetric else coded
        else:
            starts, ends = fit.ranges()
            steps = ((ends - starts) / np.float32(LEVELS[self.kind] - 1)).astype(np.float32)
            # A dimension in which all passages are equal decides nothing between them.
            steps = np.where(steps == 0, np.float32(1), steps)
            coded = Codes(starts, steps, LEVELS[self.kind])
            of_query = Scaled(steps) if self.asymmetric else coded
        of_role: Mapping[Role, VectorFunction | None] = {"query": of_query, "passage": coded}
        return {place: f for place in places if (f := of_role[place[0]]) is not None}


@dataclass(frozen=True)
class Rescored(PostProcessor):
    """The first passages by compressed vectors are ordered by the vectors before compression."""

    top: int

    @property
    def facts(self) -> Mapping[str, Any]:
        """How many."""
        return {"name": self.name, "top": self.top, "by": "vectors before compression"}

    @property
    def rescores(self) -> int:
        """The number of passages."""
        return self.top


def compression(dimensions: int | None, bits: Bits, rescore: int | None) -> list[PostProcessor]:
    """The steps that these options name, in the order they are applied.

    Raises:
        UsageError: a number is less than 1, or there is nothing to rescore.
    """
    for flag, number in (("--dimensions", dimensions), ("--rescore", rescore)):
        if number is not None and number < 1:
            raise UsageError(f"{flag} {number}: the number must be at least 1")
    steps: list[PostProcessor] = []
    if dimensions is not None:
        steps.append(Dimensions(f"{dimensions} dimensions", dimensions))
    if bits != "float32":
        kind, _, asymmetric = bits.partition("-")
        steps.append(Quantised(bits, kind, bool(asymmetric)))
    if rescore:
        if not steps:
            raise UsageError("--rescore is for compressed vectors: --bits or --dimensions")
        steps.append(Rescored(f"rescored {rescore}", rescore))
    return steps


def read_bits(word: str) -> Bits:
    """One of :data:`Bits`.

    Raises:
        UsageError: it is not.
    """
    known: dict[str, Bits] = {x: x for x in get_args(Bits)}
    if word not in known:
        raise UsageError(f"--bits {word!r} is not known; known are {', '.join(known)}")
    return known[word]
