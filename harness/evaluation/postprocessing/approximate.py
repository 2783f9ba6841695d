"""``--ann``: passages found by an approximate index instead of an exact search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.evaluation.postprocessing.step import PostProcessor
from harness.search.approximate import IndexKind


@dataclass(frozen=True)
class Approximate(PostProcessor):
    """See :mod:`harness.evaluation.approximate_stage`."""

    kind: IndexKind

    @property
    def facts(self) -> Mapping[str, Any]:
        """The index."""
        return {"name": self.name, "approximate": True, "index": self.kind.name}

    @property
    def approximates(self) -> IndexKind:
        """The index."""
        return self.kind
