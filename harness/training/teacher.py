"""The vectors of a teacher: of every English query and passage, encoded once, through the store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.base.progress import Progress
from harness.data.task import Role
from harness.errors import UsageError
from harness.training.pairs import Example

if TYPE_CHECKING:
    from harness.models.base import DenseModel

ENGLISH = "en"


@dataclass(frozen=True)
class Teacher:
    """A frozen model's vectors of English texts."""

    name: str
    fingerprint: str | None
    vectors: NDArray[np.float32]
    """(N, t)"""
    place: Mapping[tuple[Role, str], int]
    """(role, text) -> row."""

    @property
    def width(self) -> int:
        """Dimensions of the vectors."""
        return int(self.vectors.shape[1])

    @property
    def facts(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "name": self.name,
            "fingerprint": self.fingerprint,
            "dimensions": self.width,
            "texts": len(self.place),
        }

    def of(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """(n, 2, t) vectors of n English (query, passage)."""
        rows = [(self.place["query", q], self.place["passage", p]) for q, p in pairs]
        found: NDArray[np.float32] = self.vectors[np.array(rows)]
        return found


def encode_teacher(
    name: str,
    examples: Iterable[Example],
    *,
    device: str | None,
    offline: bool,
    progress: Progress,
) -> Teacher:
    """The teacher ``name``, any encoder that `harness run` takes, of the ``examples``' English.

    Its prompts are its own for queries and passages. Vectors come from the store and go there.

    Raises:
        UsageError: it returns no vectors.
        ModelError: it cannot be found or loaded.
    """
    from harness.models import load
    from harness.models.base import ModelOptions
    from harness.vectors import encode as encoding
    from harness.vectors.store import Store

    # What Python makes chooses its own device, and may refuse to be given one.
    own = None if name.startswith("python:") else device
    loaded = load(name, ModelOptions(device=own, offline=offline))
    if not hasattr(loaded, "encode"):
        raise UsageError(f"--teacher {name}: returns no vectors; give a dense encoder")
    model = cast("DenseModel", loaded)
    texts: dict[Role, dict[str, None]] = {"query": {}, "passage": {}}
    for example in examples:
        if ENGLISH in example.query and ENGLISH in example.passage:
            texts["query"][example.query[ENGLISH]] = None
            texts["passage"][example.passage[ENGLISH]] = None
    total = sum(map(len, texts.values()))
    progress.start(f"encode with {model.name}", total, "texts")
    counts = encoding.EncodingCounts()
    made = [
        encoding.encode(
            model, role, ENGLISH, list(held), store=Store(), counts=counts,
            progress=progress.advance,
        )
        for role, held in texts.items()
    ]  # fmt: skip
    progress.finish()
    keys = [(role, text) for role, held in texts.items() for text in held]
    return Teacher(
        name, model.fingerprint, np.concatenate(made), {x: i for i, x in enumerate(keys)}
    )
