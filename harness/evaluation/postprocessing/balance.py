"""``balanced``: every language gets an equal share of a multilingual ranking."""

from __future__ import annotations

from dataclasses import dataclass

from harness.evaluation.postprocessing.step import PostProcessor


@dataclass(frozen=True)
class Balanced(PostProcessor):
    """See :mod:`harness.search.balanced`."""

    name: str = "balanced"

    @property
    def balances(self) -> bool:
        """Always true."""
        return True
