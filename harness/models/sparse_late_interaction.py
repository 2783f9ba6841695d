"""Encoders whose texts are not single vectors: sparse ones, and late interaction.

Both come through sentence-transformers (``SparseEncoder``; ``MultiVectorEncoder``, which also reads
PyLate's and ColBERT's checkpoints). They return scores, like the lexical model, but their scores do
not depend on the pool: each text is encoded once, one index over the whole pool serves every
setting, and equal texts get equal scores.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.errors import ModelError, first_line
from harness.models.base import ModelOptions
from harness.models.fingerprint import digest_folder, library_versions
from harness.models.safetensors_header import count_weights
from harness.models.sentence_transformer import prompts_of, read_config

Kind = Literal["sparse", "multi-vector"]
_LIBRARY: Mapping[Kind, str] = {"sparse": "SparseEncoder", "multi-vector": "MultiVectorEncoder"}
_BATCH_SIZE = 32
_PRODUCT_BYTES = 32 << 20
"""Bytes of token similarities kept at a time: they stay in the caches of the cores."""


def kind_of(folder: Path) -> Kind | None:
    """The kind of a model according to its folder; ``None`` for dense encoders and others."""
    stated = read_config(folder / "config_sentence_transformers.json").get("model_type")
    if stated == "SparseEncoder":
        return "sparse"
    # PyLate writes ColBERT.
    return "multi-vector" if stated in ("MultiVectorEncoder", "ColBERT") else None


class ScoringEncoder:
    """A sparse or multi-vector model folder, as a system that returns scores."""

    languages: frozenset[str] | None = None
    fingerprint: str | None = None
    pool_matters = False
    """A passage's score is the same in every pool: one index serves all of them."""

    def __init__(
        self,
        folder: Path,
        kind: Kind,
        options: ModelOptions,
        *,
        name: str,
        revision: str | None = None,
    ) -> None:
        """Read the folder's configuration; no weights are loaded.

        Raises:
            ModelError: the configuration cannot be read, or the folder contains no model.
        """
        self._folder, self._options = folder, options
        self.name, self.kind = name, kind
        config = read_config(folder / "config_sentence_transformers.json")
        self.prompts: Mapping[Role, str] = prompts_of(config.get("prompts"), options, name)
        files = digest_folder(folder)
        if not files:
            raise ModelError(f"{folder}: contains no model files")
        self.parameters: int | None = count_weights(folder, files)
        self.facts: Mapping[str, Any] = {
            "adapter": f"sentence-transformers {_LIBRARY[kind]}",
            "files": files,
            "revision": revision,
            "prompts": dict(self.prompts),
            "similarity": "inner product" if kind == "sparse" else "sum of largest similarities",
            "max_length": options.max_length,
            "dtype": options.dtype,
            "libraries": library_versions("torch", "transformers", "sentence-transformers"),
        }
        self._model: Any = None
        self._known: dict[tuple[Role, str], Any] = {}

    @property
    def model(self) -> Any:
        """The loaded model of sentence-transformers."""
        if self._model is None:
            self._model = self._load()
        return self._model

    def _load(self) -> Any:
        import sentence_transformers
        import torch

        dtype = getattr(torch, self._options.dtype)
        try:
            # The library draws bars while it loads; the harness draws its own.
            with contextlib.redirect_stderr(io.StringIO()):
                model = getattr(sentence_transformers, _LIBRARY[self.kind])(
                    str(self._folder),
                    device=self._options.device,
                    trust_remote_code=False,
                    local_files_only=True,
                    model_kwargs={"dtype": dtype},
                )
        except Exception as error:
            raise ModelError(
                f"{self.name}: cannot be loaded from {self._folder} as a {self.kind} model: "
                f"{first_line(error)}"
            ) from error
        if self._options.max_length is not None:
            model.max_seq_length = self._options.max_length
        return model

    def precompute(
        self, texts: Iterable[str], *, role: Role, progress: Callable[[int], None] | None = None
    ) -> int:
        """Encode those of ``texts`` that were not encoded before; returns how many."""
        new = [t for t in dict.fromkeys(texts) if (role, t) not in self._known]
        # Longest first, as everywhere: little padding, and memory runs out immediately or never.
        new.sort(key=lambda text: (-len(text), text))
        size = 8 * (self._options.batch_size or _BATCH_SIZE)
        for start in range(0, len(new), size):
            batch = new[start : start + size]
            rows = self._encoded(batch, role)
            self._known.update(zip([(role, t) for t in batch], rows, strict=True))
            if progress is not None:
                progress(len(batch))
        return len(new)

    def _encoded(self, texts: Sequence[str], role: Role) -> list[Any]:
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        keywords: dict[str, Any] = {
            "prompt": self.prompts[role],
            "batch_size": self._options.batch_size or _BATCH_SIZE,
            "show_progress_bar": False,
        }
        try:
            if self.kind == "sparse":
                rows = encode(texts, convert_to_sparse_tensor=False, **keywords).cpu().numpy()
                return [_Terms.of(x, self.name) for x in rows]
            return [
                _Tokens.of(x, self.name) for x in encode(texts, convert_to_numpy=True, **keywords)
            ]
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ModelError(
                f"{self.name}: failed to encode {len(texts)} {role} texts: {first_line(error)}"
            ) from error

    def index(self, passages: Sequence[str], *, languages: Sequence[str]) -> ScoringIndex:
        """Index one pool; ``languages`` is not used."""
        self.precompute(passages, role="passage")
        return ScoringIndex(self, passages)

    def rows(self, texts: Sequence[str], role: Role) -> list[Any]:
        """The encodings of ``texts``, encoding what is missing."""
        self.precompute(texts, role=role)
        return [self._known[role, t] for t in texts]

    @property
    def dimensions(self) -> int | None:
        """Width of a sparse vector (the vocabulary), or of a token's; known once encoded."""
        found = next(iter(self._known.values()), None)
        return None if found is None else int(found.width)


class ScoringIndex:
    """The scores of one pool."""

    def __init__(self, model: ScoringEncoder, passages: Sequence[str]) -> None:
        """Lay out the distinct texts of ``passages``: equal ones share a column."""
        self._model = model
        place: dict[str, int] = {}
        column = np.array([place.setdefault(t, len(place)) for t in passages], np.int64)
        self._column = None if len(place) == len(passages) else column
        rows = model.rows(list(place), "passage")
        self._pool = (_TermPool if model.kind == "sparse" else _TokenPool)(rows)

    def score(self, queries: Sequence[str], *, language: str) -> NDArray[np.float32]:
        """Scores of shape (queries, passages), float32, columns in the order indexed."""
        scores = self._pool.score(self._model.rows(queries, "query"))
        return scores if self._column is None else np.ascontiguousarray(scores[:, self._column])


class _Terms:
    """One sparse vector: terms (int32) and their weights (float32)."""

    __slots__ = ("terms", "weights", "width")

    def __init__(self, terms: NDArray[np.int32], weights: NDArray[np.float32], width: int) -> None:
        self.terms, self.weights, self.width = terms, weights, width

    @classmethod
    def of(cls, row: NDArray[np.float32], name: str) -> _Terms:
        if not np.isfinite(row).all():
            raise ModelError(f"{name} returned a vector that is not finite")
        # A vector without any term is a text that matches nothing, not an error: all scores 0.
        terms = np.flatnonzero(row).astype(np.int32)
        return cls(terms, row[terms].astype(np.float32), len(row))


class _TermPool:
    """Inner products with a pool of sparse vectors."""

    def __init__(self, rows: Sequence[_Terms]) -> None:
        self._transposed = _matrix(rows).T.tocsr()

    def score(self, queries: Sequence[_Terms]) -> NDArray[np.float32]:
        product: NDArray[np.float32] = (_matrix(queries) @ self._transposed).toarray()
        return np.ascontiguousarray(product, np.float32)


def _matrix(rows: Sequence[_Terms]) -> Any:
    from scipy.sparse import csr_matrix

    indptr = np.concatenate([[0], np.cumsum([len(x.terms) for x in rows])]).astype(np.int64)
    weights = np.concatenate([np.zeros(0, np.float32), *(x.weights for x in rows)])
    terms = np.concatenate([np.zeros(0, np.int32), *(x.terms for x in rows)])
    return csr_matrix((weights, terms, indptr), shape=(len(rows), rows[0].width))


class _Tokens:
    """One text's token vectors (t, d) float32."""

    __slots__ = ("vectors",)

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors

    @property
    def width(self) -> int:
        return int(self.vectors.shape[1])

    @classmethod
    def of(cls, vectors: Any, name: str) -> _Tokens:
        found = np.ascontiguousarray(vectors, np.float32)
        if found.ndim != 2 or not len(found) or not np.isfinite(found).all():
            raise ModelError(f"{name} returned token vectors that are not finite, or none")
        return cls(found)


class _TokenPool:
    """MaxSim with a pool of token vectors: for each query token its largest similarity, summed.

    Khattab and Zaharia, ColBERT (arXiv 2004.12832), equation 3.
    """

    def __init__(self, rows: Sequence[_Tokens]) -> None:
        self._vectors = np.concatenate([x.vectors for x in rows])
        self._starts = np.concatenate([[0], np.cumsum([len(x.vectors) for x in rows])])

    def score(self, queries: Sequence[_Tokens]) -> NDArray[np.float32]:
        import torch

        query_vectors = torch.from_numpy(np.concatenate([x.vectors for x in queries]))
        first = np.concatenate([[0], np.cumsum([len(x.vectors) for x in queries])[:-1]])
        out = np.empty((len(queries), len(self._starts) - 1), np.float32)
        at_once = max(1, _PRODUCT_BYTES // (4 * len(query_vectors)))
        begin = 0
        while begin < out.shape[1]:
            room = self._starts[begin] + at_once
            end = max(begin + 1, int(np.searchsorted(self._starts, room, side="right")) - 1)
            a, b = self._starts[begin], self._starts[end]
            similar = (query_vectors @ torch.from_numpy(self._vectors[a:b]).T).numpy()
            best = np.maximum.reduceat(similar, self._starts[begin:end] - a, axis=1)
            out[:, begin:end] = np.add.reduceat(best, first, axis=0)
            begin = end
        return out
