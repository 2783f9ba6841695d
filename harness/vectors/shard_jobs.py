"""One shard as a unit of work: whoever does it, in whatever order, the same bytes come out.

A :class:`ShardJob` says where its passages are and where its vectors go; it can be sent to another
process or machine that sees the same files. :func:`encode_shard` does one, and doing one twice does
no harm: it claims the shard, looks whether it is finished, reads its passages as a stream, encodes
them and writes them, the manifest last. Batches are made of the shard's own texts alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.data.corpus import Corpus, CorpusReader
from harness.errors import DataError
from harness.models.base import DenseModel
from harness.search.exact import normalised
from harness.vectors import encode as encoding
from harness.vectors.corpus_store import PASSAGES, CorpusSpace
from harness.vectors.store import Store, StoreDtype

POLL = 0.2
"""Seconds between two looks at shards that somebody else is encoding."""

Outcome = Literal["encoded", "finished", "claimed"]
"""``finished``: it was already; ``claimed``: somebody else is at it."""


@dataclass(frozen=True)
class ShardJob:
    """One shard to encode. Picklable: it holds paths, counts and facts, no text and no vector."""

    corpus: Corpus
    space: CorpusSpace
    number: int
    """Of the shard in its corpus, from 0."""

    @property
    def start(self) -> int:
        """First passage."""
        return self.space.bounds(self.number)[0]

    @property
    def stop(self) -> int:
        """The passage after the last one."""
        return self.space.bounds(self.number)[1]

    @property
    def key(self) -> tuple[str, int]:
        """Its own among the shards of a task."""
        return self.language, self.number

    @property
    def language(self) -> str:
        """Of the passages."""
        return self.corpus.language

    def __len__(self) -> int:
        return self.stop - self.start


def corpus_space(
    model: DenseModel,
    corpus: Corpus,
    store: Store,
    *,
    size: int = PASSAGES,
    dtype: StoreDtype = "float32",
) -> CorpusSpace:
    """Where a model's vectors of a corpus are kept, cut into shards of ``size`` passages.

    They are kept as search compares them: of length 1 where similarity is cosine.
    """
    facts = {
        **encoding.space_facts(model, "passage", corpus.language),
        "similarity": model.similarity,
        "corpus": corpus.digest,
        "text": corpus.text,
    }
    return CorpusSpace.of(
        store, facts, language=corpus.language, passages=len(corpus), size=size, dtype=dtype
    )


def pending_jobs(
    corpora: Mapping[str, Corpus], spaces: Mapping[str, CorpusSpace], *, verify: bool = True
) -> list[ShardJob]:
    """What is left to encode, corpus by corpus in order.

    ``spaces`` is :func:`corpus_space` by language. With ``verify`` finished shards are compared
    with their checksums, and damaged ones are among what is left; else a manifest is taken at its
    word.
    """
    jobs = []
    for language, corpus in corpora.items():
        space = spaces[language]
        for number, shard in enumerate(space.open_all(verify=verify)):
            if shard is None:
                jobs.append(ShardJob(corpus, space, number))
    return jobs


def encode_shard(
    model: DenseModel,
    job: ShardJob,
    *,
    reader: CorpusReader | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Encode one shard, unless it is finished or somebody else is encoding it.

    ``reader`` is one of the job's corpus, kept from shard to shard so that its files are read on
    and not from their start. ``progress`` is told how many passages each step settled.

    Raises:
        ModelError: a vector cannot be used; names the text.
        DataError: a passage is malformed, or an id stands twice in the shard.
        StoreError: the store cannot be written.
    """
    if job.space.finished(job.number):
        return "finished"
    claim = job.space.claim(job.number)
    if claim is None:
        return "claimed"
    with claim:
        # Its former owner may have finished it between our look and our claim.
        if job.space.finished(job.number):
            return "finished"
        passages = list((reader or CorpusReader(job.corpus)).read(job.start, job.stop))
        _check_ids([x.id for x in passages], job)
        distinct = list(dict.fromkeys(x.text for x in passages))
        counts = encoding.EncodingCounts()
        vectors = encoding.encode_texts(
            model, "passage", job.language, distinct, counts=counts, progress=progress
        )
        if model.similarity == "cosine":
            vectors = normalised(vectors)
        if len(distinct) < len(passages):
            position = {text: i for i, text in enumerate(distinct)}
            vectors = vectors[np.array([position[x.text] for x in passages])]
            if progress is not None:
                progress(len(passages) - len(distinct))
        job.space.put(
            job.number,
            [x.id for x in passages],
            vectors,
            distinct=len(distinct),
            seconds=counts.seconds,
            work={k: v for k, v in vars(counts.work).items() if k != "seconds"},
        )
    return "encoded"


def _check_ids(ids: Sequence[str], job: ShardJob) -> None:
    if len(ids) != len(job):
        raise DataError(
            f"the corpus in {job.language} ended at passage {job.start + len(ids)}, expected "
            f"{job.stop}; its files changed while they were in use: start the run again"
        )
    if len(set(ids)) < len(ids):
        twice = next(x for x, times in Counter(ids).items() if times > 1)
        raise DataError(
            f"docid {twice!r} stands twice in the corpus in {job.language} (passages {job.start} "
            f"to {job.stop}); each passage needs an id of its own"
        )
