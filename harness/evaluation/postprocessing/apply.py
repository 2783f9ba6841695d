"""Post-processing steps applied to a task's vectors, in memory or as they are read from shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.evaluation.postprocessing.move import Moves
from harness.evaluation.postprocessing.moved_shards import MovedShard
from harness.evaluation.postprocessing.step import Fit, Place, PostProcessor
from harness.models.base import DenseModel, Model
from harness.search.corpus_rows import Shard
from harness.search.exact import normalised
from harness.vectors import encode as encoding
from harness.vectors.store import Store


def fit_for(model: Model, store: Store | None) -> Fit:
    """What steps are fitted on: the vectors of a model, through the store."""
    cosine = getattr(model, "similarity", None) == "cosine"

    def encode(role: Role, language: str, texts: Sequence[str]) -> NDArray[np.float32]:
        counts = encoding.EncodingCounts()
        dense = cast("DenseModel", model)
        made = encoding.encode(dense, role, language, texts, store=store, counts=counts)
        return normalised(made) if cosine else made

    return Fit(encode, cosine)


def moves_of(
    steps: Sequence[PostProcessor], places: Sequence[Place], fit: Fit
) -> Mapping[Place, Moves]:
    """All moves of the vectors of ``places``, each step fitted on what the ones before leave."""
    for step in steps:
        fit = fit.after(step, step.moves(places, fit))
    return fit.moved


def move_vectors(
    vectors: Mapping[Place, NDArray[np.float32]], moves: Mapping[Place, Moves]
) -> dict[Place, NDArray[Any]]:
    """The moved vectors by (role, language)."""
    return {x: moves.get(x, Moves())(held) for x, held in vectors.items()}


def move_shards(
    shards: Mapping[str, Sequence[Shard]], moves: Mapping[Place, Moves]
) -> dict[str, Sequence[Shard]]:
    """Shards by language; vectors are moved when they are read."""
    return {
        x: [MovedShard(shard, moves["passage", x]) for shard in held]
        if ("passage", x) in moves
        else held
        for x, held in shards.items()
    }
