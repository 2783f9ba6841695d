"""Everything about a run that is neither the model nor the task."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints

from harness.base import option_text
from harness.base.environment import memory_size
from harness.base.progress import resident_memory
from harness.data.task import RUN_KINDS, Kind
from harness.errors import UsageError, did_you_mean, quoted
from harness.models.base import Backend, Dtype, ModelOptions
from harness.vectors.corpus_store import PASSAGES
from harness.vectors.store import StoreDtype

Bits = Literal[
    "float32", "int8", "int4", "binary", "int8-asymmetric", "int4-asymmetric", "binary-asymmetric"
]
"""How the numbers of vectors are stored, see :mod:`harness.evaluation.postprocessing.compress`;
``float32``: uncompressed."""


@dataclass(frozen=True)
class RunOptions:
    """Everything about a run that is neither the model nor the task."""

    name: str | None = None
    """What the system is called in the record; ``None``: the model's own name."""
    languages: tuple[str, ...] | None = None
    """Only these languages of the tasks."""
    settings: tuple[Kind, ...] | None = None
    """Kinds of setting: mono, cross, multi, pairs; ``None``: all of the task's, without pairs."""
    limit: int | None = None
    """Number of questions, the first ones of every language; all passages stay."""
    sample: int | None = None
    """Questions to draw, always the same ones; see :func:`harness.data.loading.load`."""
    sample_passages: int | None = None
    """Passages of each language, the relevant ones and the hardest others; see
    :mod:`harness.evaluation.pool_sample`."""
    sample_by: str = "bm25"
    """The first stage that says which passages are hard."""
    text: str | None = None
    """The text option, for tasks with several."""
    measures: tuple[str, ...] | None = None
    """Measures instead of the tasks' own."""
    bias: bool = True
    """Whether the bias suite is computed in addition to the measures shown."""
    resamples: int = 10_000
    """Resamples of the bootstrap for intervals; 0: no intervals."""
    top_k: int | None = None
    """Top passages kept per query; ``None``: as many as the measures need."""
    memory: int | None = None
    """Bytes of the process; ``None``: a quarter of the machine's, see :attr:`budget`."""
    data_dir: Path | None = None
    """Local copy of the data."""
    offline: bool = False
    """Whether network access is forbidden."""
    store: bool = True
    """Whether vectors are read from the store and written to it."""
    trec: Path | None = None
    """Folder for TREC run and qrels files."""
    trec_depth: int = 100
    """Passages per query in TREC run files; 0 for the whole ranking."""
    treatments: tuple[str, ...] = ()
    """Post-processing of vectors and rankings: see
    :mod:`harness.evaluation.postprocessing`."""
    code_switch: str | None = None
    """A robustness condition of queries: ``LEXICON@share``; see
    :mod:`harness.evaluation.query_conditions`."""
    noise: str | None = None
    """Another: ``typos@rate``."""
    romanise: bool = False
    """Another: queries in Latin letters."""
    query_seed: int = 0
    """Seed of their draws."""
    dimensions: int | None = None
    """Dimensions that vectors are cut to; ``None``: all."""
    bits: Bits = "float32"
    """How the numbers of vectors are compressed: see
    :mod:`harness.evaluation.postprocessing.compress`."""
    rescore: int | None = None
    """Top passages that get their scores from the vectors before compression; ``None``: none."""
    ann: str | None = None
    """An approximate index to search with instead: see :mod:`harness.search.approximate`."""
    translate_queries: str | None = None
    """A translation engine for the queries; ``into`` is the target language."""
    into: str = "en"
    """Target language of the queries."""
    expand_queries: str | None = None
    """The writer of the text that is appended to queries."""
    expand_url: str | None = None
    """URL of its endpoint."""
    rerank: str | None = None
    """A reranker for the top k; the run then has a second record, of the pipeline of both."""
    rerank_top: int = 100
    """Number of top passages that it reranks."""
    corpus: Literal["whole", "sampled"] = "whole"
    """``sampled`` accepts a corpus that is a sample, and says so; ``whole`` refuses one."""
    shard_size: int = PASSAGES
    """Passages per shard of a corpus."""
    engine: str = "local"
    """The engine that encodes a corpus: one of :data:`harness.vectors.workers.engines.ENGINES`."""
    workers: int | None = None
    """Processes or actors of an engine; ``None``: one per device."""
    shard: tuple[int, int] | None = None
    """(i, n): encode every n-th shard from the i-th on, as one job of an array."""
    named: str | None = None
    """The model as the user named it, by which workers load it. Set by ``evaluate``."""
    streamed: bool = False
    """Whether a small task is searched like a corpus: in bounded memory."""
    store_dtype: StoreDtype = "float32"
    """Dtype of stored vectors."""
    model: ModelOptions = field(default_factory=ModelOptions)
    """Options of the model."""

    @property
    def budget(self) -> int:
        """Memory that the process may take, in bytes, what it has already included.

        ``memory``, or a quarter of the machine's. A process that already has most of that, for a
        large model or for what the trials of a study share, may take an eighth more than it has.
        """
        if self.memory:
            return self.memory
        most = memory_size()
        return min(most, max(most // 4, resident_memory() + most // 8))


class Settings(TypedDict, total=False):
    """The options of a run and of its model by name, as :func:`harness.evaluate` takes them.

    Like the flags, options accept comma-separated words, sizes and parts as text.
    """

    name: str | None
    languages: str | Sequence[str] | None
    settings: str | Sequence[str] | None
    limit: int | None
    sample: int | None
    sample_passages: int | None
    sample_by: str
    text: str | None
    measures: str | Sequence[str] | None
    bias: bool
    resamples: int
    top_k: int | None
    memory: int | str | None
    data_dir: str | Path | None
    offline: bool
    store: bool
    trec: str | Path | None
    trec_depth: int
    treatments: str | Sequence[str]
    code_switch: str | None
    noise: str | None
    romanise: bool
    query_seed: int
    dimensions: int | None
    bits: Bits
    rescore: int | None
    ann: str | None
    translate_queries: str | None
    into: str
    expand_queries: str | None
    expand_url: str | None
    rerank: str | None
    rerank_top: int
    corpus: Literal["whole", "sampled"]
    shard_size: int
    engine: str
    workers: int | None
    shard: str | tuple[int, int] | None
    streamed: bool
    store_dtype: StoreDtype
    query_prompt: str | None
    passage_prompt: str | None
    batch_size: int | None
    max_length: int | None
    dtype: Dtype
    device: str | None
    base_url: str | None
    concurrency: int | None
    backend: Backend
    backend_file: str | None
    compile: bool
    batch_tokens: int | None
    fusion: str | None


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "languages": option_text.languages,
    "settings": lambda value: option_text.some_of(value, RUN_KINDS),
    "measures": option_text.words,
    "treatments": lambda value: (value,) if isinstance(value, str) else tuple(value),
    "memory": option_text.size,
    "shard": option_text.part,
    "data_dir": Path,
    "trec": Path,
}
"""Parsers for values that may be written as text; others are taken unchanged."""

BELONGS_TO: Mapping[str, tuple[str, ...]] = {
    "backend_file": ("backend",),
    "expand_url": ("expand_queries",),
    "into": ("translate_queries",),
    "query_seed": ("code_switch", "noise"),
    "rerank_top": ("rerank",),
    "sample_by": ("sample_passages",),
    "trec_depth": ("trec",),
}
"""Option -> the options without which it has no effect: one of them is enough."""

_FROM_ZERO = frozenset({"query_seed", "resamples", "trec_depth"})
"""Whole numbers that may be 0."""


def with_settings(options: RunOptions, settings: Mapping[str, Any]) -> RunOptions:
    """``options`` with fields replaced by name, its own or its model options'.

    Raises:
        UsageError: there is no such option, or the value is invalid.
    """
    read = {name: _read(name, value) for name, value in settings.items()}
    own = {k: v for k, v in read.items() if k in RunOptions.__dataclass_fields__}
    # Options of both, such as ``offline``, are taken from the run.
    of_model = {k: v for k, v in read.items() if k not in own}
    options = replace(options, **own)
    inner = replace(options.model, offline=options.offline or options.model.offline, **of_model)
    return replace(options, model=inner)


def _read(name: str, value: Any) -> Any:
    known = Settings.__annotations__
    if name not in known:
        raise UsageError(f"a run has no option {name!r}{did_you_mean(name, list(known))}")
    owner = RunOptions if name in RunOptions.__dataclass_fields__ else ModelOptions
    annotation = get_type_hints(owner)[name]
    if value is None:
        if type(None) not in get_args(annotation):
            standard = next(x for x in fields(owner) if x.name == name).default
            raise UsageError(f"{name}=None: leave it out for the default, {standard!r}")
        return None
    try:
        if name in _READERS:
            return _READERS[name](value)
    except TypeError:
        raise UsageError(f"{name}={value!r}: {type(value).__name__} is the wrong type") from None
    except UsageError as problem:
        raise UsageError(f"{name}: {problem}") from None
    if get_origin(annotation) is Literal and value not in get_args(annotation):
        names = [str(x) for x in get_args(annotation)]
        hint = did_you_mean(str(value), names)
        raise UsageError(f"{name}={value!r} is not one of {', '.join(names)}{hint}")
    if annotation is bool and not isinstance(value, bool):
        raise UsageError(f"{name}={value!r}: it must be True or False")
    if annotation in (int, int | None):
        least = 0 if name in _FROM_ZERO else 1
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise UsageError(f"{name}={value!r}: it must be a whole number, {least} or more")
        return int(value)
    if annotation in (str, str | None) and not isinstance(value, str):
        raise UsageError(f"{name}={value!r}: it must be a string")
    return value


def check_word(what: str, value: Any) -> None:
    """Refuse the ``value`` of an option that a record could not hold: a path that is not UTF-8.

    Raises:
        UsageError: begins with ``what``.
    """
    try:
        json.dumps(value, default=str, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"{what} {quoted(str(value))}: a record is UTF-8 and cannot name it; rename the file "
            "or folder"
        ) from None
