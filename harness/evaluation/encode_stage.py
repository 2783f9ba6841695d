"""The encoding stage of a run: makes a task searchable with any kind of model.

A model that returns vectors encodes a task's texts through the store, into memory or, for corpora,
into shards on disk; one that returns scores indexes them. All are searched by one call,
:meth:`Searchable.search`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeGuard, cast

import numpy as np
from numpy.typing import NDArray

from harness.base.environment import cores
from harness.base.progress import Progress, Stages
from harness.data.pool import Pool
from harness.data.task import Role
from harness.evaluation.approximate_stage import search_approximate
from harness.evaluation.corpus_run import Shards, Vectors, is_stored, read_corpora, shards_of
from harness.evaluation.fusion_stage import check_fused, search_fused
from harness.evaluation.layout import Prepared, texts_of
from harness.evaluation.options import RunOptions
from harness.evaluation.postprocessing.apply import move_shards, move_vectors, moves_of
from harness.evaluation.postprocessing.step import Fit, Place, PostProcessor
from harness.evaluation.rescoring import Rescoring
from harness.evaluation.search_stage import (
    Keep,
    Searched,
    search_dense,
    search_lexical,
    search_shards,
    without_agreement,
)
from harness.models import warn_untrained
from harness.models.base import DenseModel, LexicalModel, Model, PartsModel
from harness.models.fused import FusedModel, Fusion
from harness.search.approximate import IndexKind
from harness.search.corpus_rows import PassageRows
from harness.search.exact import normalised
from harness.search.parts import PartTexts
from harness.vectors import encode as encoding
from harness.vectors import encode_parts
from harness.vectors.store import Store

ROLES: tuple[Role, ...] = ("query", "passage")

READERS = 4
"""Threads that read vectors from the store, at most; more than there are cores get in each other's
way."""


class Searchable(Protocol):
    """A task's texts, encoded or indexed, ready to be searched."""

    @property
    def dimensions(self) -> int | None:
        """Dimensions of the vectors; ``None`` for systems without vectors."""

    def postprocessed(self, steps: Sequence[PostProcessor], fit: Fit) -> Searchable:
        """The same texts with their vectors and rankings post-processed; this one stays."""

    def with_queries(self, vectors: Vectors) -> Searchable:
        """The same passages with other query vectors, by (role, language); this one stays."""

    def search(self, options: RunOptions, progress: Progress, keep: Keep) -> Searched:
        """Rank every query's passages; ``keep`` gets each query language's result."""


@dataclass(frozen=True)
class InMemory:
    """All vectors by (role, language)."""

    task: Prepared
    vectors: Vectors
    balance: bool = False
    """Whether rankings of several languages are balanced."""
    rescoring: Rescoring | None = None
    """What orders the top of every ranking again; ``None`` if nothing does."""
    approximate: IndexKind | None = None
    """The index that finds passages; ``None``: search is exact."""

    @property
    def dimensions(self) -> int:
        """Of the vectors."""
        return int(next(iter(self.vectors.values())).shape[1])

    def postprocessed(self, steps: Sequence[PostProcessor], fit: Fit) -> InMemory:
        """See :class:`Searchable`."""
        balance, top = any(x.balances for x in steps), max(x.rescores for x in steps)
        passages = {y: [held] for (role, y), held in self.vectors.items() if role == "passage"}
        fit = replace(fit, passages=passages)
        places = list(self.vectors)
        task = without_agreement(self.task) if balance or top else self.task
        rescoring = None
        if top:
            full = move_vectors(self.vectors, moves_of(_full(steps), places, fit))
            queries = {x: held for (role, x), held in full.items() if role == "query"}
            rows = np.concatenate([full["passage", x] for x in passages])
            rescoring = Rescoring(top, queries, lambda pool, columns: rows[pool.rows[columns]])
        moved = move_vectors(self.vectors, moves_of(steps, places, fit))
        kind = next((x.approximates for x in steps if x.approximates), None)
        return InMemory(task, moved, balance, rescoring, kind)

    def with_queries(self, vectors: Vectors) -> InMemory:
        """See :class:`Searchable`."""
        return replace(self, vectors={**self.vectors, **vectors})

    def search(self, options: RunOptions, progress: Progress, keep: Keep) -> Searched:
        """See :class:`Searchable`."""
        if self.approximate is not None:
            return search_approximate(self.task, self.vectors, self.approximate, options, progress)
        keep = self.rescoring.before(keep) if self.rescoring else keep
        return search_dense(self.task, self.vectors, options, progress, keep, balance=self.balance)


@dataclass(frozen=True)
class InShards:
    """Query vectors in memory, passages in shards on disk."""

    task: Prepared
    vectors: Vectors
    shards: Shards
    balance: bool = False
    """Whether rankings of several languages are balanced."""
    rescoring: Rescoring | None = None
    """What orders the top of every ranking again; ``None`` if nothing does."""

    @property
    def dimensions(self) -> int:
        """Of the vectors."""
        return int(next(iter(self.vectors.values())).shape[1])

    def postprocessed(self, steps: Sequence[PostProcessor], fit: Fit) -> InShards:
        """See :class:`Searchable`."""
        balance, top = any(x.balances for x in steps), max(x.rescores for x in steps)
        passages = {x: [y.vectors for y in held if len(y)] for x, held in self.shards.items()}
        fit = replace(fit, passages=passages)
        queries = {place: texts for place, texts in self.vectors.items() if place[0] == "query"}
        places: list[Place] = [*queries, *(("passage", x) for x in self.shards)]
        moves = moves_of(steps, places, fit)
        rescoring = None
        if top:
            full = moves_of(_full(steps), places, fit)
            full_queries = {x: texts for (_, x), texts in move_vectors(queries, full).items()}
            rescoring = Rescoring(top, full_queries, _reader(move_shards(self.shards, full)))
        return InShards(
            without_agreement(self.task) if balance or top else self.task,
            move_vectors(queries, moves),
            move_shards(self.shards, moves),
            balance,
            rescoring,
        )

    def with_queries(self, vectors: Vectors) -> InShards:
        """See :class:`Searchable`."""
        return replace(self, vectors={**self.vectors, **vectors})

    def search(self, options: RunOptions, progress: Progress, keep: Keep) -> Searched:
        """See :class:`Searchable`."""
        keep = self.rescoring.before(keep) if self.rescoring else keep
        return search_shards(
            self.task, self.vectors, self.shards, options, progress, keep, balance=self.balance
        )


@dataclass(frozen=True)
class ByIndex:
    """A system that returns scores, and the texts it indexes when it searches."""

    task: Prepared
    model: LexicalModel
    dimensions: int | None = None

    def postprocessed(self, steps: Sequence[PostProcessor], fit: Fit) -> ByIndex:
        """Itself: there are no vectors to post-process, which is checked before the run starts."""
        return self

    def with_queries(self, vectors: Vectors) -> ByIndex:
        """Itself: there are no vectors, which is checked before the run starts."""
        return self

    def search(self, options: RunOptions, progress: Progress, keep: Keep) -> Searched:
        """See :class:`Searchable`."""
        return search_lexical(self.model, self.task, options, progress, keep)


@dataclass(frozen=True)
class Fused:
    """Several systems, each encoded or ready to index."""

    task: Prepared
    fusion: Fusion
    parts: Sequence[InMemory | InShards | ByIndex]
    dimensions: int | None = None

    def postprocessed(self, steps: Sequence[PostProcessor], fit: Fit) -> Fused:
        """Itself: fused systems are not post-processed, which is checked before the run starts."""
        return self

    def with_queries(self, vectors: Vectors) -> Fused:
        """Itself, as :meth:`postprocessed`."""
        return self

    def search(self, options: RunOptions, progress: Progress, keep: Keep) -> Searched:
        """See :class:`Searchable`."""
        systems = [x.model if isinstance(x, ByIndex) else x.vectors for x in self.parts]
        return search_fused(self.task, self.fusion, systems, options, progress, keep)


def _full(steps: Sequence[PostProcessor]) -> list[PostProcessor]:
    """Those of ``steps`` that leave the full vectors, which rescoring goes back to."""
    return [x for x in steps if not x.compresses]


def _reader(shards: Shards) -> Callable[[Pool, NDArray[np.int64]], NDArray[np.float32]]:
    """What reads vectors of a streamed search's pool from ``shards``."""

    def read(pool: Pool, columns: NDArray[np.int64]) -> NDArray[np.float32]:
        found: NDArray[np.float32] | None = None
        for number, held in enumerate(map(shards.__getitem__, pool.languages)):
            here = np.flatnonzero(pool.language_of[columns] == number)
            if not len(here):
                continue
            local = [str(x).partition(":")[2].encode() for x in pool.ids[columns[here]]]
            passages = PassageRows(held)
            row_of = passages.find(set(local))
            rows = np.array([row_of[x] for x in local], np.int64)
            order = np.argsort(rows)
            vectors = passages.vectors(rows[order])
            if found is None:
                found = np.empty((len(columns), vectors.shape[1]), np.float32)
            found[here[order]] = vectors
        return np.zeros((0, 0), np.float32) if found is None else found

    return read


@dataclass(frozen=True)
class TaskRun:
    """One task of a run: its layout, the model with its prompts, and time and memory."""

    task: Prepared
    model: Model
    stages: Stages
    counts: encoding.EncodingCounts = field(default_factory=encoding.EncodingCounts)


def is_dense(model: Model) -> TypeGuard[DenseModel]:
    """Whether a model returns vectors (rather than scores)."""
    return hasattr(model, "encode")


@contextmanager
def encode(
    run: TaskRun,
    options: RunOptions,
    store: Store | None,
    progress: Progress,
) -> Iterator[Searchable]:
    """Encode a task's texts; the result can be searched within the block.

    Raises:
        HarnessError: the model fails, or texts, vectors or shards are invalid.
    """
    task, model = run.task, run.model
    if isinstance(model, FusedModel):
        check_fused(task, model.fusion, options)
        with ExitStack() as stack:
            parts = []
            for part in model.parts:
                own = replace(run, model=part, counts=encoding.EncodingCounts())
                parts.append(stack.enter_context(encode(own, options, store, progress)))
                run.counts.add(own.counts)
            yield Fused(task, model.fusion, cast("Sequence[InMemory | InShards | ByIndex]", parts))
    elif not is_stored(model):
        yield _index(run, options, progress)
    elif not is_dense(model) or task.data.corpora or options.streamed:
        encoder: Any = encode_task if is_dense(model) else encode_parts_of
        queries = partial(encoder, model, task, store, run.counts, progress)
        with shards_of(model, task, options, store, run.counts, run.stages, progress, queries) as (
            vectors,
            shards,
        ):
            yield InShards(task, vectors, shards)
    else:
        with run.stages.stage("encode"):
            vectors = encode_task(model, task, store, run.counts, progress)
        yield InMemory(task, vectors)


def postprocess(
    texts: Searchable, run: TaskRun, steps: Sequence[PostProcessor], fit: Fit
) -> Searchable:
    """``texts`` with the vectors and rankings post-processed; themselves without ``steps``."""
    if not steps:
        return texts
    with run.stages.stage("encode"):
        return texts.postprocessed(steps, fit)


def _index(run: TaskRun, options: RunOptions, progress: Progress) -> ByIndex:
    """A system that scores with an index: corpora are read."""
    task, model = run.task, cast("LexicalModel", run.model)
    if task.data.corpora:
        with run.stages.stage("data"):
            task = read_corpora(task, options, f"{model.name} indexes")
    run.counts.texts = sum(len(t) for _, _, t in texts_of(task))
    run.counts.distinct = sum(len(set(t)) for _, _, t in texts_of(task))
    return ByIndex(task, model)


def encode_task(
    model: DenseModel,
    prepared: Prepared,
    store: Store | None,
    counts: encoding.EncodingCounts,
    progress: Progress,
    roles: Sequence[Role] = ROLES,
) -> dict[tuple[Role, str], NDArray[np.float32]]:
    """Vectors of a task's texts by (role, language), of length 1 where similarity is cosine."""
    warn_untrained(model, prepared.data.languages)
    # Rewritten queries are in the language of their new text: those of several query languages may
    # be encoded together, equal texts once.
    groups: dict[tuple[Role, str], list[tuple[str, Sequence[str]]]] = {}
    for role, language, batch in [x for x in texts_of(prepared) if x[0] in roles]:
        groups.setdefault((role, prepared.encoded_in(role, language)), []).append((language, batch))
    texts = {x: [text for _, batch in found for text in batch] for x, found in groups.items()}
    distinct = sum(len(set(found)) for found in texts.values())
    progress.start(f"encode {prepared.spec.name}", distinct, "texts")
    cosine = model.similarity == "cosine"

    def read(group: tuple[Role, str]) -> tuple[encoding.Stored, bool]:
        """The stored vectors, and whether they are complete and already normalised."""
        found = encoding.look_up(model, *group, texts[group], store)
        if cosine and found.whole is not None:
            normalised(found.whole, out=found.whole)
        return found, found.whole is not None

    # Reading is mostly checksums and copies, which release Python's lock.
    with ThreadPoolExecutor(min(READERS, cores())) as readers:
        stored = list(readers.map(read, texts))
    vectors: dict[tuple[Role, str], NDArray[np.float32]] = {}
    width: int | None = None
    for (group, batch), (found, scaled) in zip(texts.items(), stored, strict=True):
        made = encoding.encode(
            model,
            *group,
            batch,
            store=store,
            counts=counts,
            width=width,
            progress=progress.advance,
            stored=found,
        )
        width = made.shape[1]
        made = normalised(made, out=made) if cosine and not scaled else made
        ends = np.cumsum([len(part) for _, part in groups[group]])[:-1]
        for (language, _), part in zip(groups[group], np.split(made, ends), strict=True):
            vectors[group[0], language] = part
    progress.finish()
    return vectors


def encode_parts_of(
    model: PartsModel,
    prepared: Prepared,
    store: Store | None,
    counts: encoding.EncodingCounts,
    progress: Progress,
) -> dict[tuple[Role, str], PartTexts]:
    """Sparse or multi-vector texts of a task by (role, language)."""
    every = texts_of(prepared)
    progress.start(f"encode {prepared.spec.name}", sum(len(set(t)) for _, _, t in every), "texts")
    found: dict[tuple[Role, str], PartTexts] = {}
    width: int | None = None
    for role, language, texts in every:
        made = encode_parts.encode(
            model,
            role,
            prepared.encoded_in(role, language),
            texts,
            store=store,
            counts=counts,
            width=width,
            progress=progress.advance,
        )
        found[role, language], width = made, made.shape[1]
    progress.finish()
    return found
