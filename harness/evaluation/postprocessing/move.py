"""Functions of single vectors, among them the move: subtract, project directions out, length 1.

What becomes of a vector does not depend on those around it, so that the same passage has the same
vector in every block, shard and run.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelError, UsageError
from harness.search.exact import along, normalised

_ROWS = 1024
"""Rows that are moved at once: their float64 copy stays small, whatever the size of a shard."""


class VectorFunction(Protocol):
    """What becomes of single vectors."""

    def __call__(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """(n, :meth:`width`) new vectors of ``vectors`` (n, d), float16 or float32."""

    def width(self, width: int) -> int:
        """Dimensions of the new vectors of ones with ``width`` dimensions."""


def of_length_1(vectors: NDArray[np.float32], message: str) -> NDArray[np.float32]:
    """``vectors`` (n, d) scaled in place.

    Raises:
        UsageError: one is 0, and has no direction; ``message`` has ``{}`` where that is said.
    """
    if not len(vectors):
        return vectors
    try:
        return normalised(vectors, out=vectors)
    except ModelError as problem:
        raise UsageError(message.format(problem)) from problem


@dataclass(frozen=True)
class Move:
    """``z' = z - offset - C Cᵀ z``, then of length 1 if ``unit``: a :class:`VectorFunction`."""

    offset: NDArray[np.float64] | None = None
    """(d,)"""
    directions: NDArray[np.float64] | None = None
    """(r, d), orthonormal: the columns of C."""
    unit: bool = False

    def __call__(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """The moved vectors (n, d) of ``vectors`` (n, d), float16 or float32."""
        moved = np.empty(vectors.shape, np.float32)
        for start in range(0, len(vectors), _ROWS):
            rows = slice(start, start + _ROWS)
            # As float32 first: what is subtracted is float64 either way, and so is the difference.
            moved[rows] = self._moved(np.asarray(vectors[rows], np.float32))
        return of_length_1(moved, "--treatment: after it {}") if self.unit else moved

    def width(self, width: int) -> int:
        """Unchanged."""
        return width

    def _moved(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        left = vectors.astype(np.float64)
        if self.offset is not None:
            left -= self.offset
        if self.directions is not None:
            # Of orthonormal directions each takes out what is left along it.
            for direction in self.directions:
                left -= along(left, direction)[:, None] * direction
        return left


@dataclass(frozen=True)
class Moves:
    """Several functions of vectors, one after the other."""

    steps: tuple[VectorFunction, ...] = ()

    def __iter__(self) -> Iterator[VectorFunction]:
        return iter(self.steps)

    def __call__(self, vectors: NDArray[Any]) -> NDArray[Any]:
        """The moved vectors; ``vectors`` themselves where there is no move."""
        for move in self.steps:
            vectors = move(vectors)
        return vectors

    def width(self, width: int) -> int:
        """Dimensions of what ``width`` dimensions become."""
        for move in self.steps:
            width = move.width(width)
        return width
