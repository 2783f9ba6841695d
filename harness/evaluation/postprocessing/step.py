"""What a post-processing step is, and what its moves are fitted on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.digests import digest_of
from harness.data.task import Role
from harness.evaluation.postprocessing.move import Moves, VectorFunction
from harness.evaluation.postprocessing.parallel_texts import ParallelTexts
from harness.search.approximate import IndexKind

Place = tuple[Role, str]
"""(role, language) of vectors."""
_ROWS = 8192
"""Passages that are read at once where all of them are."""

Encode = Callable[[Role, str, Sequence[str]], NDArray[np.float32]]
"""(role, language, texts) -> (n, d), of length 1 where similarity is cosine."""


@dataclass
class Fit:
    """Vectors of parallel texts, and their means and directions: each computed once.

    A step is fitted on the vectors as the steps before it leave them. One fit serves every value of
    a sweep.
    """

    encode: Encode
    cosine: bool
    """Whether vectors are compared as vectors of length 1."""
    moved: Mapping[Place, Moves] = field(default_factory=dict)
    """The moves of the steps before."""
    before: str = ""
    """Digest of these steps."""
    passages: Mapping[str, Sequence[NDArray[Any]]] = field(default_factory=dict)
    """Language -> vectors (n, d) of the task's passages, as they are before any step."""
    _made: dict[Any, Any] = field(default_factory=dict)

    def after(self, step: PostProcessor, moves: Mapping[Place, VectorFunction]) -> Fit:
        """The fit of the step that follows ``step``, whose moves are ``moves``."""
        places = dict.fromkeys([*self.moved, *moves])
        moved = {
            x: Moves((*self.moved.get(x, Moves()), *([moves[x]] if x in moves else [])))
            for x in places
        }
        before = digest_of({"before": self.before, "step": dict(step.facts)})
        return replace(self, moved=moved, before=before)

    def width(self) -> int:
        """Dimensions of the passages' vectors as the steps before leave them."""
        language, held = next((x, v) for x, v in self.passages.items() if v)
        return self.moved.get(("passage", language), Moves()).width(held[0].shape[1])

    def ranges(self) -> NDArray[np.float32]:
        """(2, d) least and greatest value of each dimension over all passages of the task.

        They are of the vectors as the steps before leave them. Neither order nor shards matter.
        """
        key = ("ranges", self.before)
        if key not in self._made:
            found = np.stack([np.full(self.width(), x, np.float32) for x in (np.inf, -np.inf)])
            for language, held in self.passages.items():
                moves = self.moved.get(("passage", language), Moves())
                for vectors in held:
                    for start in range(0, len(vectors), _ROWS):
                        rows = np.asarray(moves(vectors[start : start + _ROWS]), np.float32)
                        np.minimum(found[0], rows.min(axis=0), out=found[0])
                        np.maximum(found[1], rows.max(axis=0), out=found[1])
            self._made[key] = found
        made: NDArray[np.float32] = self._made[key]
        return made

    def mean(self, texts: ParallelTexts, role: Role, language: str) -> NDArray[np.float64]:
        """(d,) mean vector of a language's side of ``texts``."""

        def make() -> NDArray[np.float64]:
            mean: NDArray[np.float64] = self._vectors(texts, role, language).mean(0, dtype=float)
            return mean

        mean: NDArray[np.float64] = self._once("mean", texts, role, language, make)
        return mean

    def directions(self, texts: ParallelTexts, role: Role, language: str) -> NDArray[np.float64]:
        """(d, d) right singular vectors of a language's side of ``texts``, the first one first.

        They are the eigenvectors of the Gram matrix MᵀM, which is small whatever the number of
        texts.
        """

        def make() -> NDArray[np.float64]:
            vectors = self._vectors(texts, role, language).astype(np.float64)
            found: NDArray[np.float64] = np.linalg.eigh(vectors.T @ vectors)[1]
            return np.ascontiguousarray(found[:, ::-1].T)

        made: NDArray[np.float64] = self._once("directions", texts, role, language, make)
        return made

    def _vectors(self, texts: ParallelTexts, role: Role, language: str) -> NDArray[Any]:
        return self.moved.get((role, language), Moves())(
            self.encode(role, language, texts.sides[language])
        )

    def _once(
        self, what: str, texts: ParallelTexts, role: Role, language: str, make: Callable[[], Any]
    ) -> Any:
        key = (what, self.before, texts.digest, role, language)
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


@dataclass(frozen=True)
class PostProcessor:
    """One post-processing step; by default each part changes nothing."""

    name: str
    """Its name within the pipeline's name."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """Everything that changes what it does; JSON."""
        return {"name": self.name}

    @property
    def balances(self) -> bool:
        """Whether multilingual rankings are balanced."""
        return False

    @property
    def compresses(self) -> bool:
        """Whether its vectors stand in for longer ones, which rescoring goes back to."""
        return False

    @property
    def approximates(self) -> IndexKind | None:
        """The approximate index that finds passages; ``None``: search is exact."""
        return None

    @property
    def rescores(self) -> int:
        """Number of top passages that get their scores from the vectors before compression."""
        return 0

    def moves(self, places: Sequence[Place], fit: Fit) -> Mapping[Place, VectorFunction]:
        """What becomes of the vectors of ``places``; those of others stay."""
        return {}


@dataclass(frozen=True)
class FittedProcessor(PostProcessor):
    """A step that is fitted on parallel texts."""

    texts: ParallelTexts

    @property
    def facts(self) -> Mapping[str, Any]:
        """The file's digest, and which part of it was used."""
        return {
            "name": self.name,
            "parallel_sha256": self.texts.digest,
            "parallel_texts": self.texts.count,
            "parallel_languages": sorted(self.texts.sides),
        }

    def here(self, places: Sequence[Place]) -> list[Place]:
        """Those of ``places`` whose language the parallel texts have."""
        return [x for x in places if x[1] in self.texts.sides]
