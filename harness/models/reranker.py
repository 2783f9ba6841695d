"""Rerankers: a query and a passage read together, one score for the pair.

``--rerank NAME``: a cross-encoder of sentence-transformers in a local folder or on the hub, or
``python:package.module:factory``, anything with ``predict(pairs) -> (n,) scores``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.base.files import home_expanded
from harness.errors import ModelError, did_you_mean, errors_of, first_line
from harness.models.base import ModelOptions
from harness.models.fingerprint import digest_folder, library_versions
from harness.models.hub_snapshot import NAME, snapshot
from harness.models.quiet_loading import quiet_loading
from harness.models.random_weights import no_random_weights
from harness.models.resolve import from_python
from harness.models.wrapped import as_float32

_BATCH_SIZE = 32


class Reranker(Protocol):
    """What the harness needs from a reranker."""

    name: str
    facts: Mapping[str, Any]
    """Everything that changes a score; JSON."""

    def scores(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """(n,) float32 of (query, passage) pairs, higher is better."""


def load_reranker(name: str, options: ModelOptions) -> Reranker:
    """Find a reranker; weights are loaded with the first pair.

    Raises:
        ModelError: nothing of that name, or it does not score pairs.
    """
    if name.startswith("python:"):
        return _Wrapped(from_python(name), name)
    path = home_expanded(name)
    if path.is_dir():
        return CrossEncoderReranker(path, options, name=path.resolve().name)
    match = NAME.fullmatch(name)
    if match is not None and not name.startswith((".", "/", "~")):
        folder = snapshot(match["repo"], match["revision"], offline=options.offline)
        return CrossEncoderReranker(folder, options, name=match["repo"])
    beside = [x.name for x in path.parent.iterdir()] if path.parent.is_dir() else []
    raise ModelError(
        f"--rerank {name}: no such folder{did_you_mean(path.name, beside)}; name a folder, "
        "ORG/NAME on the hub, or python:package.module:factory"
    )


class CrossEncoderReranker:
    """A ``CrossEncoder`` of sentence-transformers."""

    def __init__(self, folder: Path, options: ModelOptions, *, name: str) -> None:
        """Take the folder's digest; no weights are loaded.

        Raises:
            ModelError: the folder contains no model.
        """
        self._folder, self._options, self.name = folder, options, name
        files = digest_folder(folder)
        if not files:
            raise ModelError(f"--rerank {name}: {folder} contains no model files")
        self.facts: Mapping[str, Any] = {
            "adapter": "cross-encoder",
            "files": files,
            "dtype": options.dtype,
            "score": "logit",
            "libraries": library_versions("torch", "transformers", "sentence-transformers"),
        }
        self._model: Any = None

    def _load(self) -> Any:
        import torch
        from sentence_transformers import CrossEncoder

        try:
            with quiet_loading(), no_random_weights(pooler=True):
                model = CrossEncoder(
                    str(self._folder),
                    device=self._options.device,
                    trust_remote_code=False,
                    local_files_only=True,
                    model_kwargs={"dtype": getattr(torch, self._options.dtype)},
                )
        except Exception as error:
            raise ModelError(
                f"--rerank {self.name}: cannot be loaded from {self._folder}: {first_line(error)}"
            ) from error
        labels = model.config.num_labels
        if labels != 1:
            raise ModelError(
                f"--rerank {self.name}: returns {labels} numbers per pair; a reranker returns one"
            )
        return model

    def scores(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Logits: a sigmoid would turn confident scores into ties."""
        import torch

        if self._model is None:
            self._model = self._load()
        try:
            given = self._model.predict(
                list(pairs),
                batch_size=self._options.batch_size or _BATCH_SIZE,
                show_progress_bar=False,
                activation_fn=torch.nn.Identity(),
                convert_to_numpy=True,
            )
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            raise ModelError(
                f"--rerank {self.name}: failed on {len(pairs)} pairs: {first_line(error)}"
            ) from error
        return _checked(given, len(pairs), self.name)


class _Wrapped:
    """A user's object with ``predict``."""

    def __init__(self, scorer: Any, spec: str) -> None:
        if not callable(getattr(scorer, "predict", None)):
            raise ModelError(
                f"--rerank {spec}: {type(scorer).__name__} has no predict method; a reranker is "
                "anything with predict(pairs) that returns one number for each pair"
            )
        self._scorer = scorer
        own = getattr(scorer, "name", None)
        self.name: str = own if isinstance(own, str) else spec
        self.facts: Mapping[str, Any] = {
            "adapter": "reranker",
            "class": f"{type(scorer).__module__}.{type(scorer).__qualname__}",
            "fingerprint": getattr(scorer, "fingerprint", None),
        }

    def scores(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        with errors_of(f"--rerank {self.name}: predict"):
            given = self._scorer.predict(list(pairs))
        return _checked(given, len(pairs), self.name)


def _checked(given: Any, count: int, name: str) -> NDArray[np.float32]:
    found = as_float32(given, f"--rerank {name}", "predict", "(number of pairs,)")
    if found.shape == (count, 1):
        found = found[:, 0]
    if found.shape != (count,):
        raise ModelError(
            f"--rerank {name}: returned an array of shape {found.shape} for {count} pairs; "
            f"({count},) is needed"
        )
    if not np.isfinite(found).all():
        raise ModelError(f"--rerank {name}: returned a score that is not finite")
    return found
