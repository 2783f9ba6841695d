"""Everything about a run that is neither the model nor the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from harness.data.task import Kind
from harness.errors import UsageError
from harness.models.base import ModelOptions
from harness.vectors.corpus_store import PASSAGES
from harness.vectors.store import StoreDtype


@dataclass(frozen=True)
class RunOptions:
    """Everything about a run that is neither the model nor the task."""

    languages: tuple[str, ...] | None = None
    settings: tuple[Kind, ...] | None = None
    """Kinds of setting: mono, cross, multi; ``None``: all of the task's."""
    limit: int | None = None
    sample: int | None = None
    """Questions to draw, always the same ones; see :func:`harness.data.loading.load`."""
    text: str | None = None
    measures: tuple[str, ...] | None = None
    bias: bool = True
    """Whether the bias suite is computed beside the measures that are shown."""
    resamples: int = 10_000
    """Of the bootstrap that gives every mean its interval; 0: no intervals."""
    top_k: int | None = None
    """Top passages kept per query; ``None``: as many as the measures look at."""
    memory: int | None = None
    """Bytes; ``None``: a quarter of the machine's."""
    data_dir: Path | None = None
    offline: bool = False
    store: bool = True
    trec: Path | None = None
    trec_depth: int = 100
    treatments: tuple[str, ...] = ()
    """What is done to vectors and rankings after encoding: see
    :mod:`harness.evaluation.postprocessing`."""
    translate_queries: str | None = None
    """A translation engine for the queries, and the language ``into`` that it brings them."""
    into: str = "en"
    expand_queries: str | None = None
    expand_url: str | None = None
    rerank: str | None = None
    """A reranker for the heads; the run then has a second record, of both as one system."""
    rerank_top: int = 100
    """Passages of each ranking that it reads."""
    corpus: Literal["whole", "sampled"] = "whole"
    """``sampled`` takes a corpus that is a sample, and says so; ``whole`` refuses one."""
    shard_size: int = PASSAGES
    """Passages per shard of a corpus."""
    engine: str = "local"
    """Who encodes a corpus: one of :data:`harness.vectors.workers.engines.ENGINES`."""
    workers: int | None = None
    """Processes or actors of an engine; ``None``: as many as there are devices."""
    shard: tuple[int, int] | None = None
    """(i, n): encode every n-th shard from the i-th on, as one job of an array."""
    named: str | None = None
    """The model as the user named it: workers load it by that. Set by ``evaluate``."""
    streamed: bool = False
    """Whether a small task is searched like a corpus: in bounded memory."""
    store_dtype: StoreDtype = "float32"
    """Numbers that the store keeps vectors in."""
    model: ModelOptions = field(default_factory=ModelOptions)


def with_settings(options: RunOptions, settings: Mapping[str, Any]) -> RunOptions:
    """``options`` with fields replaced by name, its own or its model options'.

    Raises:
        UsageError: no such field.
    """
    own = {k: v for k, v in settings.items() if k in RunOptions.__dataclass_fields__}
    # What both have, as ``offline``, is the run's to say.
    of_model = {
        k: v for k, v in settings.items() if k in ModelOptions.__dataclass_fields__ and k not in own
    }
    unknown = [k for k in settings if k not in own and k not in of_model]
    if unknown:
        raise UsageError(f"evaluate() has no setting {unknown[0]!r}")
    options = replace(options, **own)
    inner = replace(options.model, offline=options.offline or options.model.offline, **of_model)
    return replace(options, model=inner)
