"""One shard as a unit of work: the result has the same bytes, whichever worker does it and when.

A :class:`ShardJob` says where its passages are and where its vectors go; it can be sent to another
process or machine that sees the same files. :func:`encode_shard` does one, and doing one twice is
harmless: it claims the shard, checks whether it is finished, streams its passages, encodes them and
writes them, the manifest last. Batches contain the shard's own texts only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.data.corpus import Corpus, CorpusReader
from harness.data.task import Role
from harness.errors import DataError
from harness.models.base import REMOTE, DenseModel, PartsModel
from harness.search.exact import Encoded, normalised
from harness.vectors import encode as encoding
from harness.vectors.corpus_store import PASSAGES, CorpusSpace
from harness.vectors.encode_parts import encode_of_either_kind
from harness.vectors.store import Store, StoreDtype

POLL = 0.2
"""Seconds between two checks of shards that another process is encoding."""

Outcome = Literal["encoded", "finished", "claimed"]
"""``finished``: it was already; ``claimed``: another process is encoding it."""


@dataclass(frozen=True)
class ShardJob:
    """One shard to encode. Picklable: paths, counts and facts, no texts or vectors."""

    corpus: Corpus
    space: CorpusSpace
    number: int
    """Number of the shard in its corpus, from 0."""

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
        """A key, unique among the shards of a task."""
        return self.language, self.number

    @property
    def language(self) -> str:
        """Language of the passages."""
        return self.corpus.language

    def __len__(self) -> int:
        return self.stop - self.start


def corpus_space(
    model: DenseModel | PartsModel,
    corpus: Corpus,
    store: Store,
    *,
    size: int = PASSAGES,
    dtype: StoreDtype = "float32",
) -> CorpusSpace:
    """The space for a model's vectors of a corpus, in shards of ``size`` passages.

    They are stored as compared by search: normalised for cosine similarity.
    """
    facts = {
        **encoding.space_facts(model, "passage", corpus.language),
        "similarity": getattr(model, "similarity", None),
        "corpus": corpus.digest,
        "text": corpus.text,
    }
    return CorpusSpace.of(
        store, facts, language=corpus.language, passages=len(corpus), size=size, dtype=dtype
    )


def pending_jobs(
    corpora: Mapping[str, Corpus], spaces: Mapping[str, CorpusSpace], *, verify: bool = True
) -> list[ShardJob]:
    """The remaining shards, corpus by corpus in order.

    ``spaces`` is :func:`corpus_space` by language. With ``verify`` finished shards are compared
    with their checksums, and damaged ones are encoded again; otherwise manifests are trusted.
    """
    jobs = []
    for language, corpus in corpora.items():
        space = spaces[language]
        for number, shard in enumerate(space.open_all(verify=verify)):
            if shard is None:
                jobs.append(ShardJob(corpus, space, number))
    return jobs


def encode_shard(
    model: DenseModel | PartsModel,
    job: ShardJob,
    *,
    reader: CorpusReader | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Encode one shard, unless it is finished or another process is encoding it.

    ``reader`` reads the job's corpus and is kept from shard to shard, so that files are not reread
    from the start. ``progress`` gets the number of passages of each finished step.

    Raises:
        ModelError: a vector cannot be used; names the text.
        DataError: a passage is malformed, or an id occurs twice in the shard.
        StoreError: the store cannot be written.
    """
    if job.space.finished(job.number):
        return "finished"
    claim = job.space.claim(job.number)
    if claim is None:
        return "claimed"
    with claim:
        # The previous owner may have finished it between our check and our claim.
        if job.space.finished(job.number):
            return "finished"
        passages = list((reader or CorpusReader(job.corpus)).read(job.start, job.stop))
        _check_ids([x.id for x in passages], job)
        distinct = list(dict.fromkeys(x.text for x in passages))
        counts = encoding.EncodingCounts()
        what: tuple[Role, str, list[str]] = ("passage", job.language, distinct)
        vectors: Encoded
        if not isinstance(model, PartsModel) and getattr(model, "device", None) == REMOTE:
            # Paid for: what came before an error waits among the store's texts for the next try.
            texts = Store(job.space.folder.parents[1])
            vectors = encoding.encode(
                model, *what, store=texts, counts=counts, progress=progress, whole=False
            )
        else:
            vectors = encode_of_either_kind(model, *what, counts=counts, progress=progress)
        if not isinstance(model, PartsModel) and model.similarity == "cosine":
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
            f"{job.stop}; its files changed while they were being read: start the run again"
        )
    if len(set(ids)) < len(ids):
        twice = next(x for x, times in Counter(ids).items() if times > 1)
        raise DataError(
            f"docid {twice!r} occurs twice in the corpus in {job.language} (passages {job.start} "
            f"to {job.stop}); each passage needs its own id"
        )
