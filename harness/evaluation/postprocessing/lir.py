"""``lir:FILE@r``: language information removal (arXiv 2109.04727).

The rows of M are the vectors of a language's texts and C the first r right singular vectors of M,
not centred; a vector becomes ``z - C Cᵀ z``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import UsageError
from harness.evaluation.postprocessing.move import Move
from harness.evaluation.postprocessing.step import Fit, FittedProcessor, Place


@dataclass(frozen=True)
class LanguageInformationRemoval(FittedProcessor):
    """Projects the first directions of a language's vectors out, of queries and of passages.

    The directions are those of texts encoded in the same role. Vectors are then normalised again
    where similarity is cosine.
    """

    rank: int
    """r: the number of directions."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """The texts and the rank."""
        return {**super().facts, "rank": self.rank}

    def moves(self, places: Sequence[Place], fit: Fit) -> Mapping[Place, Move]:
        """See the module.

        Raises:
            UsageError: r is as large as the vectors' width, so that nothing would be left.
        """
        found: dict[Place, Move] = {}
        for role, x in self.here(places) if self.rank else ():
            directions = fit.directions(self.texts, role, x)
            if self.rank >= min(len(directions), self.texts.count):
                raise UsageError(
                    f"--treatment lir: {self.rank} directions of {self.texts.count} texts' vectors "
                    f"with {len(directions)} dimensions leave nothing; give a smaller number"
                )
            found[role, x] = Move(directions=directions[: self.rank], unit=fit.cosine)
        return found
