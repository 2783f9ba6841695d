"""Encoders whose texts are not single vectors: sparse ones, and late interaction.

Both come through sentence-transformers (``SparseEncoder``; ``MultiVectorEncoder``, which also reads
PyLate's and ColBERT's checkpoints). A passage's score is the same in every pool: each text is
encoded once and stored, and one search serves every setting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.errors import ModelError, first_line
from harness.models.base import ModelOptions, Parts
from harness.models.fingerprint import digest_folder, fingerprint, library_versions
from harness.models.quiet_loading import quiet_loading
from harness.models.random_weights import no_random_weights
from harness.models.safetensors_header import count_weights
from harness.models.sentence_transformer import prompts_of, read_config

Kind = Literal["sparse", "multi-vector"]
_LIBRARY: Mapping[Kind, str] = {"sparse": "SparseEncoder", "multi-vector": "MultiVectorEncoder"}
_BATCH_SIZE = 32


def kind_of(folder: Path) -> Kind | None:
    """The kind of a model according to its folder; ``None`` for dense encoders and others."""
    stated = read_config(folder / "config_sentence_transformers.json").get("model_type")
    if stated == "SparseEncoder":
        return "sparse"
    # PyLate writes ColBERT.
    return "multi-vector" if stated in ("MultiVectorEncoder", "ColBERT") else None


class PartsEncoder:
    """A sparse or multi-vector model folder, as a :class:`harness.models.base.PartsModel`."""

    languages: frozenset[str] | None = None

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
        self.fingerprint: str | None = fingerprint(self.facts)
        self._model: Any = None

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
            with quiet_loading(), no_random_weights():
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

    def encode_parts(self, texts: Sequence[str], *, role: Role, language: str) -> Parts:
        """See :class:`harness.models.base.PartsModel`; ``language`` is not used.

        Raises:
            ModelError: the model fails, or returns numbers that are not finite.
        """
        encode = self.model.encode_query if role == "query" else self.model.encode_document
        keywords: dict[str, Any] = {
            "prompt": self.prompts[role],
            "batch_size": self._options.batch_size or _BATCH_SIZE,
            "show_progress_bar": False,
        }
        try:
            if self.kind == "sparse":
                rows = encode(texts, convert_to_sparse_tensor=False, **keywords)
                return terms_of(rows.float().cpu().numpy())
            return tokens_of(encode(texts, convert_to_numpy=True, **keywords))
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ModelError(
                f"{self.name}: failed to encode {len(texts)} {role} texts: {first_line(error)}"
            ) from error


def terms_of(rows: NDArray[np.float32]) -> Parts:
    """Texts as rows (n, terms): the terms whose weight is not 0.

    A text without any matches nothing; that is no error.
    """
    text, terms = np.nonzero(rows)
    indptr = np.searchsorted(text, np.arange(len(rows) + 1)).astype(np.int64)
    return Parts(indptr, rows[text, terms], terms.astype(np.int32), rows.shape[1])


def tokens_of(texts: Sequence[Any]) -> Parts:
    """Texts as the vectors (t, d) of their tokens."""
    vectors = [np.ascontiguousarray(x, np.float32) for x in texts]
    indptr = np.concatenate([[0], np.cumsum([len(x) for x in vectors])]).astype(np.int64)
    return Parts(indptr, np.concatenate(vectors), None, vectors[0].shape[1])
