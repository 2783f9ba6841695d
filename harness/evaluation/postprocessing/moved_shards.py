"""Shards whose vectors are moved as they are read, a few rows at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.postprocessing.move import Moves
from harness.search.corpus_rows import Shard, release


class _MovedVectors:
    """(n, d) vectors that are read and moved by the row; d is what the moves leave."""

    def __init__(self, stored: NDArray[Any], moves: Moves) -> None:
        self._stored, self._moves = stored, moves
        self.shape = (len(stored), moves.width(stored.shape[1]))
        self.dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:
        moved: NDArray[np.float32] = self._moves(self._stored[rows])
        release(self._stored)
        return moved


@dataclass(frozen=True)
class MovedShard:
    """A shard with its passages' vectors moved."""

    shard: Shard
    moves: Moves

    @property
    def language(self) -> str:
        """Of all its passages."""
        return self.shard.language

    @property
    def ids(self) -> Any:
        """(n,) local passage ids."""
        return self.shard.ids

    @property
    def vectors(self) -> Any:
        """(n, d) float32; a row is moved when it is read."""
        return _MovedVectors(self.shard.vectors, self.moves)

    def __len__(self) -> int:
        return len(self.shard)
