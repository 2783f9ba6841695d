"""How long a task will take, and how much disk and memory, estimated beforehand.

A short sample of each language's passages is encoded, and its cost a passage is multiplied by the
number of passages of the full corpus in the task file: seconds, and bytes, which depend on the text
where a model returns several vectors or terms for one. A plan is arithmetic from a measurement on
this machine, and says what it is based on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.base.environment import cores
from harness.base.progress import Progress, Silent, peak_memory
from harness.data.corpus_locations import CorpusFiles
from harness.data.loading import choose_languages
from harness.data.loading import load as load_data
from harness.data.locations import TaskFiles
from harness.data.task import TaskSpec, find_task
from harness.errors import DataError, UsageError
from harness.evaluation.corpus_run import is_stored, shard_size
from harness.evaluation.options import RunOptions
from harness.models import load as load_model
from harness.models import warn_untrained
from harness.models.base import PartsModel, for_task
from harness.search.parts import PartTexts
from harness.vectors import encode as encoding
from harness.vectors.encode_parts import encode_of_either_kind
from harness.vectors.workers.engines import check_engine

SAMPLE = 256
"""Passages of each language that are encoded."""

_SHARD_BYTES = 1024
"""Bytes of a shard other than vectors and ids: headers and a manifest, rounded up."""
_START_BYTES, _TERM_BYTES = 8, 4
"""Bytes that say where a text's parts begin, and which term a weight is of."""
_ID_BYTES = 4
"""Bytes by which ids grow from the first to the last passages of a corpus."""


@dataclass(frozen=True)
class LanguagePlan:
    """The estimated cost of one language's passages."""

    language: str
    passages: int
    measured: int
    """Passages of the sample; 0: none was available, so the others' mean is used."""
    seconds: float
    """Seconds on the measured machine with one worker."""
    tokens: int | None
    """Tokens of the sample; ``None`` if the model does not count them."""
    disk: int
    """Bytes."""
    parts: float = 1
    """Vectors of a passage, or terms of a sparse one: the sample's mean."""


@dataclass(frozen=True)
class CorpusPlan:
    """The estimated cost of a task."""

    task: TaskSpec
    model: str
    languages: tuple[LanguagePlan, ...]
    dimensions: int
    store_dtype: str
    engine: str
    machines: float
    """Multiple of the measured machine that the engine has: GPUs, or processors of a cluster."""
    why: str
    """What ``machines`` counts, in words."""
    encode_memory: int
    """Peak bytes of the sample, which a worker needs."""
    search_memory: int
    """The search's memory budget in bytes."""
    kind: Literal["dense", "sparse", "multi-vector"] = "dense"
    """What the model makes of a passage: a vector, weights of terms, or a vector of each token."""

    @property
    def seconds(self) -> float:
        """Seconds of encoding by all workers together."""
        return sum(x.seconds for x in self.languages) / self.machines

    @property
    def disk(self) -> int:
        """Bytes of all vectors and ids."""
        return sum(x.disk for x in self.languages)


def plan_corpus(
    model: str | object,
    task: str | TaskSpec,
    *,
    options: RunOptions | None = None,
    sample: int = SAMPLE,
    progress: Progress | None = None,
) -> CorpusPlan:
    """Encode a sample of a task's passages and estimate the cost of all.

    Languages without an available passage get the mean of the others.

    Raises:
        UsageError: the model returns no vectors, the engine is not available, or the task lacks a
            language.
        DataError: no passage of the task is available.
    """
    options = options or RunOptions()
    progress = progress or Silent()
    check_engine(options.engine, None, stored=True)
    spec = task if isinstance(task, TaskSpec) else find_task(task, text=options.text)
    bound = for_task(load_model(model, options.model), spec)
    if not is_stored(bound):
        raise UsageError(f"{bound.name} does not return vectors, so there is nothing to estimate")
    machines, why = capacity(options)
    samples, totals, ids = _samples(spec, options, sample)
    progress.start(f"measure {spec.name}", sum(map(len, samples.values())), "passages")
    warn_untrained(bound, totals)
    # The first call loads and compiles; it is made in a language of the task, which a model may
    # look at.
    first, warm = next(iter(samples.items()))
    encode_of_either_kind(bound, "passage", first, warm[:8], counts=encoding.EncodingCounts())
    found: dict[str, _PerPassage] = {}
    width = 0
    for language, texts in samples.items():
        distinct = list(dict.fromkeys(texts))
        counts = encoding.EncodingCounts()
        made = encode_of_either_kind(
            bound, "passage", language, distinct, counts=counts, progress=progress.advance
        )
        width = made.shape[1]
        found[language] = _per_passage(made, counts, 4 if options.store_dtype == "float32" else 2)
    progress.finish()
    seconds, disk, parts = np.mean([x[:3] for x in found.values()], axis=0).tolist()
    mean = _PerPassage(seconds, disk, parts, None)
    size = shard_size(bound, options)
    return CorpusPlan(
        task=spec,
        model=bound.name,
        languages=tuple(
            LanguagePlan(
                language=x,
                passages=passages,
                measured=len(samples.get(x, ())),
                seconds=found.get(x, mean).seconds * passages,
                tokens=found.get(x, mean).tokens,
                disk=round((found.get(x, mean).disk + ids) * passages)
                + _SHARD_BYTES * -(-passages // size),
                parts=found.get(x, mean).parts,
            )
            for x, passages in totals.items()
        ),
        dimensions=width,
        store_dtype=options.store_dtype,
        engine=options.engine,
        machines=machines,
        why=why,
        encode_memory=peak_memory(),
        search_memory=options.budget,
        kind=bound.kind if isinstance(bound, PartsModel) else "dense",
    )


class _PerPassage(NamedTuple):
    """Means of a sample."""

    seconds: float
    disk: float
    """Bytes without its id."""
    parts: float
    """Vectors, or terms of a sparse one."""
    tokens: int | None
    """Of the whole sample."""


def _per_passage(
    made: NDArray[np.float32] | PartTexts, counts: encoding.EncodingCounts, number: int
) -> _PerPassage:
    """Means of the encoded sample ``made``; a stored number takes ``number`` bytes."""
    parts, start, each = len(made), 0, number * made.shape[1]
    if isinstance(made, PartTexts):
        parts, start = len(made.parts.values), _START_BYTES
        if made.parts.terms is not None:
            each = number + _TERM_BYTES
    return _PerPassage(
        counts.seconds / len(made),
        start + each * parts / len(made),
        parts / len(made),
        counts.work.tokens or None,
    )


def _samples(
    spec: TaskSpec, options: RunOptions, count: int
) -> tuple[dict[str, list[str]], dict[str, int], int]:
    """Available texts by language, passages of the full corpus, and bytes per id."""
    if spec.source.corpus is None:
        data = load_data(
            spec, languages=options.languages, data_dir=options.data_dir, offline=options.offline
        )
        texts = {x: list(texts_of.texts[:count]) for x, texts_of in data.passages.items()}
        ids = max(len(i.encode()) for texts_of in data.passages.values() for i in texts_of.ids)
        return texts, {x: len(texts_of) for x, texts_of in data.passages.items()}, ids
    chosen = spec.with_passages(choose_languages(spec, options.languages))
    files = CorpusFiles(spec, TaskFiles(spec, options.data_dir))
    found = {x: files.peek(x, count) for x in chosen}
    samples = {x: [p.text for p in texts_of] for x, texts_of in found.items() if texts_of}
    if not samples:
        raise DataError(
            f"no passage of {spec.name} in {', '.join(chosen)} is available to measure on: fetch "
            f"one language with `harness data fetch {spec.name} --languages {chosen[0]}`, or point "
            "--data-dir at a folder with some"
        )
    totals = {x: spec.source.corpus.passages.get(x, 0) for x in chosen}
    for x in chosen:
        if not totals[x]:  # a user's task need not state its size
            totals[x] = len(files.open(x))
    ids = max(len(p.id.encode()) for texts_of in found.values() for p in texts_of) + _ID_BYTES
    return samples, totals, ids


def capacity(options: RunOptions) -> tuple[float, str]:
    """How many times this machine's one worker an engine has, and what that counts.

    Raises:
        UsageError: Ray is not installed.
    """
    device = options.model.device
    if options.engine == "devices":
        from harness.vectors.workers.processes import gpus

        count = gpus() if device in (None, "cuda") else 0
        if count:
            counted = min(options.workers or count, count)
            described = f"{counted} GPUs of this machine, each as fast as the one measured"
            return float(counted), described
        return 1.0, "processes share the cores that were measured"
    if options.engine == "ray":
        from harness.vectors.workers.ray_cluster import resources

        gpus_, processors = resources()
        if gpus_ and device in (None, "cuda"):
            counted = min(options.workers or gpus_, gpus_)
            described = f"{counted} GPUs of the cluster, each as fast as the one measured"
            return float(counted), described
        return max(1.0, processors / cores()), (
            f"{processors} processors of the cluster, each as fast as one of the {cores()} measured"
        )
    return 1.0, "this process"
