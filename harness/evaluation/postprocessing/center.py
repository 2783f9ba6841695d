"""``center:FILE``: each language's mean vector is subtracted (arXiv 2004.05160, 2109.04727)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.evaluation.postprocessing.move import Move
from harness.evaluation.postprocessing.step import Fit, FittedProcessor, Place


@dataclass(frozen=True)
class Center(FittedProcessor):
    """Subtracts the mean vector of a language's texts, from queries and from passages.

    The mean is that of texts encoded in the same role. Vectors are then normalised again where
    similarity is cosine.
    """

    def moves(self, places: Sequence[Place], fit: Fit) -> Mapping[Place, Move]:
        """See the class."""
        return {
            (role, x): Move(offset=fit.mean(self.texts, role, x), unit=fit.cosine)
            for role, x in self.here(places)
        }
