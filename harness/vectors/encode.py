"""Texts to vectors: each distinct text of a role and language once, through the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.digests import text_keys
from harness.data.task import Role
from harness.errors import ModelError, errors_of
from harness.models.base import DenseModel, Streaming
from harness.models.fingerprint import fingerprint
from harness.models.token_counts import Work
from harness.vectors.store import Space, Store

WINDOW = 2048
"""Vectors per shard: the most that a killed run loses."""

STEP = 256
"""Texts passed to a model at a time: enough to sort into batches, few enough for progress."""


@dataclass
class EncodingCounts:
    """Counts and time of encoding one task."""

    texts: int = 0
    """Texts of the task."""
    distinct: int = 0
    """Distinct (role, language, text)s among them."""
    from_store: int = 0
    encoded: int = 0
    seconds: float = 0.0
    """Seconds inside the model."""
    work: Work = field(default_factory=Work)
    """Tokens and padding, if the model reports them."""

    def summary(self) -> dict[str, Any]:
        """As it is in the record."""
        return {
            "texts": self.texts,
            "distinct": self.distinct,
            "from_store": self.from_store,
            "encoded": self.encoded,
            "model_seconds": self.seconds,
        }


def space_of(model: DenseModel, role: Role, language: str, store: Store | None) -> Space | None:
    """The space for the vectors of one role and language; ``None`` if nothing is stored."""
    if store is None or model.fingerprint is None:
        return None
    return store.space(space_facts(model, role, language))


def space_facts(model: DenseModel, role: Role, language: str) -> dict[str, Any]:
    """Everything that changes the vectors of one role and language."""
    # The other role's prompt does not change these vectors: another query prompt must not encode
    # every passage again.
    return {
        "model": model.name,
        # Only what is not in the facts already: adapters derive their fingerprint from them.
        "fingerprint": None if model.fingerprint == fingerprint(model.facts) else model.fingerprint,
        "facts": {k: v for k, v in model.facts.items() if k != "prompts"},
        "role": role,
        "language": language,
        "prompt": model.prompts.get(role, ""),
    }


def missing(
    model: DenseModel, role: Role, language: str, texts: Sequence[str], store: Store | None
) -> tuple[int, int]:
    """(distinct texts, how many of them the store lacks), without loading the model."""
    distinct = list(dict.fromkeys(texts))
    space = space_of(model, role, language, store)
    if space is None:
        return len(distinct), len(distinct)
    return len(distinct), int((~space.known(text_keys(distinct))).sum())


def check_vectors(
    vectors: NDArray[np.float32], texts: Sequence[str], width: int | None, model: str
) -> NDArray[np.float32]:
    """Return ``vectors`` as (n, d) float32, or raise :class:`ModelError` naming the first bad text.

    ``width`` is the d that earlier vectors had.
    """
    out = np.ascontiguousarray(np.asarray(vectors, np.float32))
    if out.ndim != 2 or len(out) != len(texts):
        raise ModelError(
            f"{model} returned an array of shape {np.shape(vectors)} for {len(texts)} texts; "
            f"({len(texts)}, d) is needed"
        )
    if not out.shape[1] or (width is not None and out.shape[1] != width):
        expected = "at least 1" if width is None else str(width)
        raise ModelError(
            f"{model} returned vectors of {out.shape[1]} dimensions where {expected} "
            f"{'is' if width is None else 'were'} expected, first for the text {texts[0][:80]!r}"
        )
    bad = ~np.isfinite(out).all(1)
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        what = "NaN" if np.isnan(out[i]).any() else "infinite"
        raise ModelError(f"{model} returned a {what} vector for the text {texts[i][:80]!r}")
    zero = ~out.any(1)
    if zero.any():
        i = int(np.flatnonzero(zero)[0])
        raise ModelError(f"{model} returned a zero vector for the text {texts[i][:80]!r}")
    return out


@dataclass(frozen=True)
class Stored:
    """The stored vectors of some texts of one role and language."""

    distinct: list[str]
    space: Space | None
    keys: NDArray[np.uint64]
    """(n, 2), one for each distinct text."""
    have: NDArray[np.bool_]
    """(n,)"""
    vectors: NDArray[np.float32] | None
    """(n, d), zero where there is none; ``None`` where there is none at all."""
    whole: NDArray[np.float32] | None = None
    """One row for each requested text, in order, if every one is stored."""


def look_up(
    model: DenseModel, role: Role, language: str, texts: Sequence[str], store: Store | None
) -> Stored:
    """Read the stored vectors of ``texts``; thread-safe."""
    distinct = list(dict.fromkeys(texts))
    space = space_of(model, role, language, store)
    keys = text_keys(distinct)
    if space is None:
        return Stored(distinct, None, keys, np.zeros(len(distinct), bool), None)
    if len(distinct) == len(texts):
        have, vectors = space.get(keys)
        return Stored(distinct, space, keys, have, vectors, vectors if have.all() else None)
    # Rows for equal texts are copied while reading, which several threads do at once.
    number = {text: i for i, text in enumerate(distinct)}
    numbers = np.array([number[text] for text in texts], np.int64)
    have, vectors = space.get(keys[numbers])
    first = np.unique(numbers, return_index=True)[1]
    if vectors is None or have.all():
        return Stored(distinct, space, keys, have[first], None, vectors)
    return Stored(distinct, space, keys, have[first], vectors[first])


def encode(
    model: DenseModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    *,
    store: Store | None,
    counts: EncodingCounts,
    width: int | None = None,
    progress: Callable[[int], None] | None = None,
    stored: Stored | None = None,
) -> NDArray[np.float32]:
    """Vectors of ``texts``, (n, d) float32, equal rows for equal texts.

    Stored vectors are read, unless passed in (``stored``, which is modified); the rest is encoded
    longest first and stored in windows of :data:`WINDOW`. ``counts`` is updated; ``progress`` gets
    the number of distinct texts of each finished step.

    Raises:
        ModelError: a vector is NaN, infinite, zero or of another width than ``width``.
    """
    stored = stored or look_up(model, role, language, texts, store)
    distinct, space, keys, have = stored.distinct, stored.space, stored.keys, stored.have
    vectors = stored.vectors
    counts.texts += len(texts)
    counts.distinct += len(distinct)
    if space is not None:
        counts.from_store += int(have.sum())
        if progress is not None:
            progress(int(have.sum()))
    if stored.whole is not None:
        return stored.whole
    if vectors is not None:
        width = vectors.shape[1] if width is None else width
    # Longest first: batches of similar length waste little padding, and a model that runs out of
    # memory does so at once rather than at the end.
    todo = sorted(np.flatnonzero(~have), key=lambda i: (-len(distinct[i]), i))
    for at, made in _windows(
        model,
        role,
        language,
        [distinct[i] for i in todo],
        counts=counts,
        width=width,
        progress=progress,
        rescue=None if space is None else _Rescue(space, keys[todo]),
    ):
        window = np.array(todo[at])
        width = made.shape[1]
        if vectors is None:
            vectors = np.zeros((len(distinct), width), np.float32)
        vectors[window] = made if space is None else space.rounded(made)
        if space is not None:
            space.put(keys[window], vectors[window])
        counts.encoded += len(window)
    if vectors is None:
        return np.zeros((0, width or 0), np.float32)
    if len(distinct) == len(texts):
        return vectors
    position = {text: i for i, text in enumerate(distinct)}
    return vectors[[position[text] for text in texts]]


@dataclass(frozen=True)
class _Rescue:
    """Keeps the vectors made before an error: some of them have been paid for."""

    space: Space
    keys: NDArray[np.uint64]
    """Of the texts."""

    def __getitem__(self, window: slice) -> _Rescue:
        return _Rescue(self.space, self.keys[window])

    def keep(
        self,
        problem: BaseException,
        done: NDArray[np.int64],
        vectors: NDArray[np.float32] | None,
        step: NDArray[np.int64],
        batch: Sequence[str],
        width: int | None,
        model: str,
    ) -> None:
        """Store the rows ``done`` of ``vectors``, and what the failed step still produced."""
        if vectors is not None:
            self.space.put(self.keys[done], vectors[done])
        part = getattr(problem, "finished", None)
        if part is not None and len(part[0]):
            at, made = part
            texts = [batch[i] for i in at]
            self.space.put(self.keys[step[at]], check_vectors(made, texts, width, model))


def _windows(
    model: DenseModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    *,
    counts: EncodingCounts,
    width: int | None,
    progress: Callable[[int], None] | None,
    rescue: _Rescue | None,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Vectors of ``texts``, which are sorted longest first, in windows of :data:`WINDOW`."""
    if not isinstance(model, Streaming):
        for start in range(0, len(texts), WINDOW):
            at = slice(start, min(start + WINDOW, len(texts)))
            yield (
                at,
                encode_texts(
                    model,
                    role,
                    language,
                    texts[at],
                    counts=counts,
                    width=width,
                    progress=progress,
                    rescue=None if rescue is None else rescue[at],
                ),
            )
        return
    # One stream, so that the model never waits for tokens where a window begins. A window is a
    # whole number of its chunks, and chunks are finished in order.
    start = done = 0
    window: NDArray[np.float32] | None = None
    for rows, made in _streamed(model, role, language, texts, counts, width, progress):
        size = min(WINDOW, len(texts) - start)
        if window is None:
            window = np.empty((size, made.shape[1]), np.float32)
        window[rows - start] = made
        done += len(rows)
        if done == start + size:
            yield slice(start, done), window
            start, window = done, None


def _streamed(
    model: Streaming,
    role: Role,
    language: str,
    texts: Sequence[str],
    counts: EncodingCounts,
    width: int | None,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """A model's stream, checked; seconds and work are counted."""
    before = model.work
    stream = model.stream(texts, role=role, language=language)  # loads the model
    begun = time.perf_counter()
    # Closed at once after an error: a stream holds threads, and torch to one of them.
    with contextlib.closing(stream):
        for rows, given in stream:
            counts.seconds += time.perf_counter() - begun
            made = check_vectors(given, [texts[i] for i in rows], width, model.name)
            width = made.shape[1]
            yield rows, made
            if progress is not None:
                progress(len(rows))
            begun = time.perf_counter()
    counts.seconds += time.perf_counter() - begun
    counts.work += model.work - before


def encode_texts(
    model: DenseModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    *,
    counts: EncodingCounts,
    width: int | None = None,
    progress: Callable[[int], None] | None = None,
    rescue: _Rescue | None = None,
) -> NDArray[np.float32]:
    """Vectors of ``texts``, (n, d) float32, from the model: longest first, a few at a time.

    Batches depend on ``texts`` alone, so that the same ones give the same vectors wherever they are
    encoded. Only ``counts.seconds`` and ``counts.work`` are updated.

    Raises:
        ModelError: as :func:`encode`.
    """
    if isinstance(model, Streaming):
        whole: NDArray[np.float32] | None = None
        for rows, made in _streamed(model, role, language, texts, counts, width, progress):
            if whole is None:
                whole = np.empty((len(texts), made.shape[1]), np.float32)
            whole[rows] = made
        return np.zeros((0, width or 0), np.float32) if whole is None else whole
    order = np.array(sorted(range(len(texts)), key=lambda i: (-len(texts[i]), i)), np.int64)
    vectors: NDArray[np.float32] | None = None
    for first in range(0, len(order), STEP):
        step = order[first : first + STEP]
        batch = [texts[i] for i in step]
        begun = time.perf_counter()
        try:
            with errors_of(f"{model.name}: encode"):
                given = model.encode(batch, role=role, language=language)
        except BaseException as problem:
            if rescue is not None:
                rescue.keep(problem, order[:first], vectors, step, batch, width, model.name)
            raise
        counts.seconds += time.perf_counter() - begun
        made = check_vectors(given, batch, width, model.name)
        width = made.shape[1]
        if vectors is None:
            vectors = np.zeros((len(texts), width), np.float32)
        vectors[step] = made
        if progress is not None:
            progress(len(step))
    return np.zeros((0, width or 0), np.float32) if vectors is None else vectors
