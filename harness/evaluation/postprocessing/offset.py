"""``offset:FILE``: each language's mean vector is moved to the mean of all languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from harness.data.task import Role
from harness.evaluation.postprocessing.move import Move
from harness.evaluation.postprocessing.step import Fit, FittedProcessor, Place


@dataclass(frozen=True)
class Offset(FittedProcessor):
    """Removes language offsets.

    For each role, the offset of a language is the mean vector of its side of the parallel texts
    minus the mean of these means over languages. It is subtracted from vectors of the language,
    which are then normalised again for cosine. Texts of languages that the file lacks are
    unchanged. The procedure is ours; ``shift`` is that of arXiv 2606.18801.
    """

    def moves(self, places: Sequence[Place], fit: Fit) -> Mapping[Place, Move]:
        """See the class."""
        found: dict[Place, Move] = {}
        for role in get_args(Role):
            present = [x for r, x in self.here(places) if r == role]
            means = {x: fit.mean(self.texts, role, x) for x in present}
            if len(means) < 2:
                continue
            center = np.mean(list(means.values()), axis=0)
            for x, mean in means.items():
                found[role, x] = Move(offset=mean - center, unit=fit.cosine)
        return found
