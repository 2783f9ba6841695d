"""``shift:FILE@a``: passages are moved by ``a`` times their language's shift from English.

SHIFT (arXiv 2606.18801). The shift of language l is the mean over parallel texts of the vector in l
minus the vector in the source language, English. Passages of l become ``z - a V_l`` and are not
normalised again; queries and English stay. ``shift-both`` moves queries as well, by the shift of
vectors encoded as queries: the variant that the paper's claim about passages alone is against.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.data.task import Role
from harness.evaluation.postprocessing.move import Move
from harness.evaluation.postprocessing.step import Fit, FittedProcessor, Place

SOURCE = "en"
"""The language that the others are moved towards."""


@dataclass(frozen=True)
class Shift(FittedProcessor):
    """Moves the vectors of some roles towards those of the source language."""

    strength: float
    """a: 0 moves nothing, 1 by the whole shift."""
    roles: tuple[Role, ...] = ("passage",)

    @property
    def facts(self) -> Mapping[str, Any]:
        """The texts, the strength and what is moved."""
        own = {"strength": self.strength, "source": SOURCE, "roles": list(self.roles)}
        return {**super().facts, **own}

    def moves(self, places: Sequence[Place], fit: Fit) -> Mapping[Place, Move]:
        """See the module."""
        found: dict[Place, Move] = {}
        for role, x in self.here(places):
            if role in self.roles and x != SOURCE and self.strength:
                shift = fit.mean(self.texts, role, x) - fit.mean(self.texts, role, SOURCE)
                found[role, x] = Move(offset=self.strength * shift)
        return found
