"""What the harness needs from a model, and the interface that every adapter implements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role, TaskSpec
from harness.errors import ModelError
from harness.models.token_counts import Stream, Work

Similarity = Literal["cosine", "dot"]
Dtype = Literal["float32", "bfloat16", "float16"]
Backend = Literal["torch", "onnx", "openvino"]

REMOTE = "remote"
"""The ``device`` of a model behind an endpoint, whose vectors are paid for."""


@runtime_checkable
class Encoder(Protocol):
    """Anything that turns texts into vectors. Only this method is required.

    Further keyword arguments (``prompt``, ``batch_size``, ``max_length``, ``dtype``, ``device``)
    are passed only to an ``encode`` that names them. Optional attributes are read where present:
    ``name`` (str), ``fingerprint`` (str, changes with everything that changes a vector: only then
    are vectors stored), ``similarity`` (``"cosine"``, the default, or ``"dot"``), ``languages``
    (codes it was trained on), ``parameters`` (int), ``training`` (how it was trained, as
    ``record.schema.json`` describes it), ``modalities`` (``("text", "image")`` if passages may be
    images: then ``texts`` holds :class:`harness.data.images.Image`, strings with ``read()`` for the
    bytes and ``open()`` for a Pillow image).
    """

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> Any:
        """Return a float array of shape ``(len(texts), d)``, one row per text, in order."""


class PartlyEncodedError(ModelError):
    """Some of the texts could not be encoded; ``finished`` has the vectors of the others.

    ``finished`` is (positions (m,) int64, vectors (m, d) float32). They are stored before the run
    stops.
    """

    def __init__(
        self, message: str, finished: tuple[NDArray[np.int64], NDArray[np.float32]]
    ) -> None:
        """Take the sentence and what was encoded."""
        super().__init__(message)
        self.finished = finished


@dataclass(frozen=True)
class ModelOptions:
    """What a user can set for any model; ``None`` keeps the model's default."""

    query_prompt: str | None = None
    """Put before each query."""
    passage_prompt: str | None = None
    """Put before each passage."""
    batch_size: int | None = None
    """Texts of a batch."""
    max_length: int | None = None
    """Tokens of a text that are read."""
    dtype: Dtype = "float32"
    """Numbers that the model computes with."""
    device: str | None = None
    """Where it runs, as ``cuda:1``."""
    base_url: str | None = None
    """URL of an OpenAI-compatible endpoint, for models ``http:NAME``."""
    concurrency: int | None = None
    """Concurrent requests to it."""
    backend: Backend = "torch"
    """Backend of a sentence-transformers model."""
    backend_file: str | None = None
    """One of several exports in the model's folder, such as ``onnx/model_O3.onnx``."""
    compile: bool = False
    """Whether torch compiles the model before the first batch."""
    batch_tokens: int | None = None
    """Tokens per batch, including padding."""
    fusion: str | None = None
    """How the systems of ``fuse:A+B`` are fused: ``rrf@60`` (default), ``minmax@0.7,0.3``,
    ``z@tuned``."""
    offline: bool = False
    """Whether the network is left alone."""


class DenseModel(Protocol):
    """A model as evaluation sees it: loaded lazily, fingerprinted without loading its weights."""

    name: str
    """Name on boards."""
    similarity: Similarity
    fingerprint: str | None
    """Hex digest of ``facts``; ``None``: unknown, so its vectors are never stored."""
    facts: Mapping[str, Any]
    """Everything that changes a vector (weights digest, revision, prompts, max length, pooling,
    normalisation, dtype, backend, truncation, library versions); JSON, and on the record."""
    prompts: Mapping[Role, str]
    languages: frozenset[str] | None
    """Languages it was trained on, if known."""
    parameters: int | None
    """Number of weights, if known (possibly only after the first encode)."""

    def encode(self, texts: Sequence[str], *, role: Role, language: str) -> NDArray[np.float32]:
        """Vectors of shape ``(len(texts), d)``, float32, C-contiguous, not normalised here."""


@runtime_checkable
class Streaming(Protocol):
    """A dense model that makes its own batches and yields vectors as they are computed."""

    name: str

    @property
    def work(self) -> Work:
        """What it has computed since it was loaded."""

    def stream(self, texts: Sequence[str], *, role: Role, language: str) -> Stream:
        """Positions in ``texts`` and their vectors (n, d), longest texts first.

        Texts are batched within consecutive chunks of :data:`harness.models.token_counts.CHUNK` in
        that order, and a chunk is finished before the next one is yielded.
        """


@runtime_checkable
class SharesWeights(Protocol):
    """A dense model that can compute with weights loaded by another one."""

    def use_weights_of(self, other: Any) -> None:
        """Use those of ``other``, the same model with other prompts."""


class Parts(NamedTuple):
    """Texts of several parts each, end to end: token vectors, or the terms of sparse vectors."""

    indptr: NDArray[np.int64]
    """(n + 1,) first part of each text, then their number t."""
    values: NDArray[np.floating[Any]]
    """(t, width) vectors of tokens, or (t,) weights of terms; float32, or float16 where stored."""
    terms: NDArray[np.int32] | None
    """(t,) numbers of the terms, ascending within a text; ``None``: parts are token vectors."""
    width: int
    """Dimensions of a token's vector, or number of terms."""


@runtime_checkable
class PartsModel(Protocol):
    """A model whose texts are not single vectors, compared as :mod:`harness.search.parts` says."""

    name: str
    kind: Literal["sparse", "multi-vector"]
    fingerprint: str | None
    """As of :class:`DenseModel`; ``None``: its texts are never stored."""
    facts: Mapping[str, Any]
    prompts: Mapping[Role, str]
    languages: frozenset[str] | None
    """Languages it was trained on, if known."""

    def encode_parts(self, texts: Sequence[str], *, role: Role, language: str) -> Parts:
        """The texts in order, float32; a token model gives each at least one vector."""


class LexicalIndex(Protocol):
    """An index over one pool."""

    def score(self, queries: Sequence[str], *, language: str) -> NDArray[np.float32]:
        """Scores of shape ``(len(queries), pool size)``, float32, columns in the order indexed."""


class LexicalModel(Protocol):
    """A system that returns scores instead of vectors (BM25). Each pool has its own index."""

    name: str
    facts: Mapping[str, Any]

    def index(self, passages: Sequence[str], *, languages: Sequence[str]) -> LexicalIndex:
        """Index one pool; ``languages[i]`` is the language of ``passages[i]``."""


Model = DenseModel | PartsModel | LexicalModel


def for_task(model: Model, spec: TaskSpec) -> Model:
    """``model`` with its prompts for this task, if it has prompts by task name.

    Raises:
        ModelError: the task's passages are images, and the model takes texts alone.
    """
    if spec.images and "image" not in getattr(model, "modalities", ("text",)):
        raise ModelError(
            f"{model.name} takes texts, and the passages of {spec.name} are images: name a model "
            f"whose 'modalities' include 'image'{_or_texts(spec)}"
        )
    bind = getattr(model, "for_task", None)
    return model if bind is None else bind(spec)


def _or_texts(spec: TaskSpec) -> str:
    others = [x for x in spec.texts if x != spec.text]
    return f", or search the texts of the pages with --text {others[0]}" if others else ""


@dataclass(frozen=True)
class Listing:
    """One line of ``harness models``."""

    name: str
    kind: Literal["dense", "lexical"]
    description: str
    available: bool
    hint: str = ""
    languages: frozenset[str] | None = field(default=None)
