"""The stages of a run over corpora: encoded shard by shard, searched directly in the store."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from harness.base.cache import cache_folder
from harness.base.digests import digest_of
from harness.base.environment import cores
from harness.base.files import home_expanded, write_atomically
from harness.base.progress import Progress, Stages
from harness.base.reading import object_or_empty
from harness.console.numbers import memory
from harness.data.corpus import Corpus
from harness.data.pool import Pool, RelevantPassages
from harness.data.task import Role
from harness.data.task_data import Texts
from harness.errors import StoreError, UnfinishedError, UsageError
from harness.evaluation.layout import Prepared, texts_of
from harness.evaluation.options import RunOptions
from harness.evaluation.partial import sampled
from harness.models import warn_untrained
from harness.models.base import DenseModel, Model, PartsModel
from harness.models.token_counts import Work
from harness.search.corpus_rows import Shard as AnyShard
from harness.search.exact import Encoded
from harness.vectors import encode as encoding
from harness.vectors import shard_jobs
from harness.vectors.corpus_store import CorpusSpace, Shard
from harness.vectors.store import Store
from harness.vectors.workers import engines
from harness.vectors.workers.corpus_encoding import ModelWorker

LEXICAL_BYTES = 48 << 10
"""Bytes per MIRACL passage while BM25's index is built (measured: 39 to 46 thousand): text, words
and character n-grams, postings."""


TOKEN_SHARE = 8
"""A shard of token vectors has this share of ``--shard-size`` passages, to fit into memory."""

Shards = Mapping[str, Sequence[AnyShard]]
"""Language -> its shards, in order."""
Vectors = Mapping[tuple[Role, str], Encoded]
"""(role, language) -> (n, d), or texts of several parts."""


@dataclass(frozen=True)
class HeldShard:
    """All passages of a small task's language, as search takes the shards of a corpus."""

    language: str
    ids: Sequence[str]
    vectors: Encoded

    def __len__(self) -> int:
        return len(self.ids)


@contextlib.contextmanager
def store_for(
    model: DenseModel | PartsModel, store: Store | None, options: RunOptions
) -> Iterator[Store]:
    """The folder for the shards of a run: the store, or a temporary folder.

    Vectors that are not stored (no fingerprint, or ``--no-store``) must still be on disk during the
    search.

    Raises:
        StoreError: there is no place for that folder.
    """
    if store is not None and model.fingerprint is not None:
        yield store
        return
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="unkept-", dir=cache))
    except OSError as problem:
        raise StoreError(
            f"{cache} cannot take this run's vectors: {problem.strerror}; name a folder with "
            "HARNESS_CACHE"
        ) from problem
    try:
        yield Store(folder, options.store_dtype)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def is_stored(model: Model) -> TypeGuard[DenseModel | PartsModel]:
    """Whether a model encodes texts one by one, so that they can be stored and streamed."""
    return hasattr(model, "encode") or isinstance(model, PartsModel)


def spaces_of(
    model: DenseModel | PartsModel,
    prepared: Prepared,
    store: Store,
    options: RunOptions,
) -> dict[str, CorpusSpace]:
    """The spaces for the shards of each language of a task."""
    return {
        x: shard_jobs.corpus_space(
            model, corpus, store, size=shard_size(model, options), dtype=options.store_dtype
        )
        for x, corpus in prepared.data.corpora.items()
    }


def shard_size(model: Model, options: RunOptions) -> int:
    """Passages per shard: of token vectors, a hundred or so a passage, an eighth as many."""
    if getattr(model, "kind", None) == "multi-vector":
        return max(1, options.shard_size // TOKEN_SHARE)
    return options.shard_size


def unfinished(
    model: DenseModel | PartsModel,
    prepared: Prepared,
    store: Store | None,
    options: RunOptions,
) -> int:
    """Passages of a task's corpora whose shard is unfinished; nothing is read or verified."""
    corpora = prepared.data.corpora
    if store is None or model.fingerprint is None:
        return sum(len(corpus) for corpus in corpora.values())
    spaces = spaces_of(model, prepared, store, options)
    return sum(len(job) for job in shard_jobs.pending_jobs(corpora, spaces, verify=False))


def encode_corpora(
    model: DenseModel | PartsModel,
    prepared: Prepared,
    store: Store,
    options: RunOptions,
    counts: encoding.EncodingCounts,
    progress: Progress,
    queries: Callable[[], Vectors],
) -> tuple[Vectors, Shards]:
    """Encode queries and the missing passages of a task's corpora; open all shards.

    ``queries`` encodes a task's queries. ``counts`` is added to. A run that was stopped and resumed
    counts as one: the number of texts stored when it first began is kept until
    :func:`forget_begun`.

    Raises:
        HarnessError: as :func:`harness.vectors.shard_jobs.encode_shard`.
    """
    corpora = prepared.data.corpora
    warn_untrained(model, list(corpora))
    spaces = spaces_of(model, prepared, store, options)
    pending = shard_jobs.pending_jobs(corpora, spaces)
    mine = pending if options.shard is None else part_of(pending, spaces, options.shard)
    total = sum(len(corpus) for corpus in corpora.values())
    left = sum(len(job) for job in mine)
    before = _begun(model, prepared, store, spaces, {(j.language, j.number) for j in pending})
    vectors = queries()
    progress.start(f"encode {prepared.spec.name}", total, "passages")
    progress.advance(total - left)
    engines.encode_jobs(
        options.engine,
        model,
        worker_for(model, prepared, options),
        mine,
        workers=options.workers,
        progress=progress.advance,
    )
    progress.finish()
    if options.shard is not None:
        _check_whole(corpora, spaces, options.shard)
    shards: dict[str, list[Shard]] = {}
    for language, space in spaces.items():
        # Verified when they were found, or written since.
        opened = space.open_all(verify=False)
        shards[language] = [shard for shard in opened if shard is not None]
        if len(shards[language]) < len(space):
            raise UsageError(
                f"shards of {language} in {space.folder} were removed during the run; "
                "start the run again"
            )
    fresh = {(job.language, job.number) for job in pending}
    counts.texts += total
    for language, held in shards.items():
        for shard in held:
            counts.distinct += shard.distinct
            if (language, shard.number) in fresh:
                counts.seconds += shard.manifest["seconds"]
                counts.work += Work.stored(shard.manifest["work"], shard.manifest["seconds"])
    counts.from_store = before
    counts.encoded = max(0, counts.distinct - before)
    return vectors, shards


def part_of(
    pending: Sequence[shard_jobs.ShardJob], spaces: Mapping[str, CorpusSpace], part: tuple[int, int]
) -> list[shard_jobs.ShardJob]:
    """The shards of ``pending`` in part ``(i, n)``: every n-th shard of all, from the i-th."""
    first, before = {}, 0
    for language, space in spaces.items():
        first[language] = before
        before += len(space)
    i, n = part
    return [job for job in pending if (first[job.language] + job.number) % n == i]


def _check_whole(
    corpora: Mapping[str, Corpus], spaces: Mapping[str, CorpusSpace], part: tuple[int, int]
) -> None:
    """Raise :class:`UnfinishedError` if other jobs of an array have work left."""
    left = len(shard_jobs.pending_jobs(corpora, spaces, verify=False))
    if left:
        total = sum(len(space) for space in spaces.values())
        raise UnfinishedError(
            f"--shard {part[0]}/{part[1]}: this job is done; {left} of {total} shards are left "
            "to other jobs, and the one that finds all of them finished writes the record"
        )


def worker_for(
    model: DenseModel | PartsModel, prepared: Prepared, options: RunOptions
) -> ModelWorker | None:
    """How another process creates the model; ``None`` if it was given as an object."""
    if options.engine == "local" or options.named is None or model.fingerprint is None:
        return None
    name = options.named
    return ModelWorker(
        model=str(home_expanded(name).absolute()) if home_expanded(name).is_dir() else name,
        options=options.model,
        task=prepared.spec,
        fingerprint=model.fingerprint,
        threads=int(os.environ.get("OMP_NUM_THREADS") or cores()),
    )


def _note(
    model: DenseModel | PartsModel,
    prepared: Prepared,
    spaces: Mapping[str, CorpusSpace],
    store: Store,
) -> Path:
    what = {
        "data": prepared.data.digest,
        "spaces": {x: space.folder.name for x, space in spaces.items()},
        "prompts": dict(model.prompts),
    }
    return store.root / "begun" / f"{digest_of(what)}.json"


def _begun(
    model: DenseModel | PartsModel,
    prepared: Prepared,
    store: Store,
    spaces: Mapping[str, CorpusSpace],
    pending: set[tuple[str, int]],
) -> int:
    """How many of a run's distinct texts were stored when it first began; kept until it ends."""
    note = _note(model, prepared, spaces, store)
    try:
        return int(object_or_empty(note)["from_store"])
    except (ValueError, KeyError, TypeError):
        pass
    found = lacking = 0
    for role, language, texts in texts_of(prepared):
        encoded_in = prepared.encoded_in(role, language)
        distinct, missing = encoding.missing(model, role, encoded_in, texts, store)
        found, lacking = found + distinct - missing, lacking + missing
    for language, space in spaces.items():
        for number in range(len(space)):
            shard = None if (language, number) in pending else space.open(number, verify=False)
            found += 0 if shard is None else shard.distinct
    if pending or lacking:
        write_atomically(note, json.dumps({"from_store": found}).encode())
    # Else there is nothing to resume, nor perhaps a store that may be written.
    return found


def forget_begun(
    model: Model, prepared: Prepared, store: Store | None, options: RunOptions
) -> None:
    """Forget when a run first began, once its record is written."""
    if store is not None and prepared.data.corpora and is_stored(model):
        spaces = spaces_of(model, prepared, store, options)
        _note(model, prepared, spaces, store).unlink(missing_ok=True)


def with_passages(prepared: Prepared, passages: Mapping[str, Texts]) -> Prepared:
    """The layout of a task over corpora with its passages in memory."""
    data = replace(prepared.data, passages=passages)
    pool = Pool.of(data)
    relevant = {x: RelevantPassages.of(data, x, pool) for x in prepared.relevant}
    return replace(prepared, data=data, pool=pool, relevant=relevant)


def read_corpora(
    prepared: Prepared, options: RunOptions, what: str, each: int = LEXICAL_BYTES
) -> Prepared:
    """A task over corpora with all texts read, for what cannot stream them.

    Args:
        prepared: the task; returned as it is if it has its passages in memory.
        options: of the run: the memory budget.
        what: who needs them and what for, the beginning of an error's sentence.
        each: bytes that a passage takes there.

    Raises:
        UsageError: they would not fit into the memory budget.
    """
    if not prepared.data.corpora:
        return prepared
    passages = sum(len(corpus) for corpus in prepared.data.corpora.values())
    budget = options.budget
    if passages * each > budget:
        raise UsageError(
            f"{what} {passages:,} passages in memory, about "
            f"{memory(passages * each)}, and --memory allows {memory(budget)}; "
            "take fewer languages, or raise it if the machine has more"
        )
    texts = {}
    for language, corpus in prepared.data.corpora.items():
        found = list(corpus.read())
        texts[language] = Texts(tuple(x.id for x in found), tuple(x.text for x in found))
    return with_passages(prepared, texts)


@contextlib.contextmanager
def shards_of(
    model: DenseModel | PartsModel,
    prepared: Prepared,
    options: RunOptions,
    store: Store | None,
    counts: encoding.EncodingCounts,
    stages: Stages,
    progress: Progress,
    queries: Callable[[], Vectors],
) -> Iterator[tuple[Vectors, Shards]]:
    """Encode a task over corpora; ``queries`` encodes what it has in memory.

    Passages of a small task, which are in memory, are one shard per language. Yields the query
    vectors, and shards that can be read within the block.
    """
    with store_for(model, store, options) as place:
        with stages.stage("encode"):
            if prepared.data.corpora:
                vectors, shards = encode_corpora(
                    model, prepared, place, options, counts, progress, queries
                )
            else:
                vectors = queries()
                shards = {
                    x: [HeldShard(x, texts.ids, vectors["passage", x])]
                    for x, texts in prepared.data.passages.items()
                }
        yield vectors, shards


def corpus_entry(prepared: Prepared, options: RunOptions, model: Model) -> dict[str, Any]:
    """A task's corpora for the record: what was searched, and whether it was complete."""
    corpora = prepared.data.corpora
    part = {
        x: {"passages": len(c), "whole": c.whole}
        for x, c in corpora.items()
        if c.sampled and c.whole is not None
    }
    entry: dict[str, Any] = {"corpus": _corpus(prepared)}
    if part:
        entry["sampled"] = sampled(part)
    if is_stored(model):
        size = shard_size(model, options)
        entry["shards"] = {"passages": size, "dtype": options.store_dtype}
    return entry


def _corpus(prepared: Prepared) -> dict[str, Any]:
    corpora, source = prepared.data.corpora, prepared.spec.source.corpus
    return {
        "revision": None if source is None else source.revision,
        "languages": {
            x: {
                "passages": len(corpus),
                "whole": corpus.whole,
                "sha256": corpus.digest,
                "verified": corpus.verified,
            }
            for x, corpus in corpora.items()
        },
    }
