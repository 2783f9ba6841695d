"""Texts to vectors: each distinct text of a role and language once, through the store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.base.digests import text_keys
from harness.data.images import are_images
from harness.data.task import Role
from harness.errors import ModelError, errors_of
from harness.models.base import DenseModel, PartsModel, Streaming
from harness.models.fingerprint import fingerprint, library_versions
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

    def add(self, other: EncodingCounts) -> None:
        """Add those of another model."""
        for x in ("texts", "distinct", "from_store", "encoded", "seconds", "work"):
            setattr(self, x, getattr(self, x) + getattr(other, x))

    def summary(self) -> dict[str, Any]:
        """The entry in the record."""
        return {
            "texts": self.texts,
            "distinct": self.distinct,
            "from_store": self.from_store,
            "encoded": self.encoded,
            "model_seconds": self.seconds,
        }


def space_of(
    model: DenseModel | PartsModel,
    role: Role,
    language: str,
    store: Store | None,
    *,
    images: bool = False,
) -> Space | None:
    """The space for the vectors of one role and language; ``None`` if nothing is stored."""
    if store is None or model.fingerprint is None:
        return None
    return store.space(space_facts(model, role, language, images=images))


def space_facts(
    model: DenseModel | PartsModel, role: Role, language: str, *, images: bool = False
) -> dict[str, Any]:
    """Everything that changes the vectors of one role and language, of texts or of ``images``."""
    # The other role's prompt does not change these vectors: a new query prompt must not cause every
    # passage to be encoded again.
    return {
        "model": model.name,
        # Only facts that are not included already: adapters derive their fingerprint from them.
        "fingerprint": None if model.fingerprint == fingerprint(model.facts) else model.fingerprint,
        "facts": {k: v for k, v in model.facts.items() if k != "prompts"},
        "role": role,
        "language": language,
        "prompt": model.prompts.get(role, ""),
        # What makes pixels of an image; models resize them with either of these.
        **({"images": library_versions("pillow", "torchvision")} if images else {}),
    }


def missing(
    model: DenseModel | PartsModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    store: Store | None,
) -> tuple[int, int]:
    """(distinct texts, how many of them the store lacks), without loading the model."""
    distinct = list(dict.fromkeys(texts))
    space = space_of(model, role, language, store, images=are_images(distinct))
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
    """(n, d), zero for texts that are not stored; ``None`` if none is stored."""
    whole: NDArray[np.float32] | None = None
    """One row for each requested text, in order, if every one is stored."""


def look_up(
    model: DenseModel, role: Role, language: str, texts: Sequence[str], store: Store | None
) -> Stored:
    """Read the stored vectors of ``texts``; thread-safe."""
    distinct = list(dict.fromkeys(texts))
    space = space_of(model, role, language, store, images=are_images(distinct))
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
    whole: bool = True,
) -> NDArray[np.float32]:
    """Vectors of ``texts``, (n, d) float32, equal rows for equal texts.

    Stored vectors are read, unless passed in (``stored``, which is modified); the rest is encoded
    longest first and stored in windows of :data:`WINDOW`. ``counts`` is updated; ``progress`` gets
    the number of distinct texts of each finished step. Unless the ``whole`` of them is to be stored
    here, because the caller does so elsewhere, only what comes before an error or an interrupt is.

    Raises:
        ModelError: a vector is NaN, infinite, zero or of another width than ``width``.
        StoreError: as :meth:`Space.get`, or the store cannot be written.
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
    known = vectors if stored.whole is None else stored.whole
    if known is not None and width is not None and known.shape[1] != width:
        raise ModelError(
            f"{model.name}: the {role} vectors in {language} in the store have {known.shape[1]} "
            f"dimensions, the others {width}: its fingerprint, or its endpoint, did not tell two "
            f"models apart; `harness store prune --model {model.name}` removes its vectors"
        )
    if stored.whole is not None:
        return stored.whole
    if vectors is not None:
        width = vectors.shape[1]
    # Longest first: batches of similar length waste little padding, and a model that runs out of
    # memory does so at once rather than at the end.
    todo = np.array(longest_first(distinct, np.flatnonzero(~have)), np.int64)
    waiting: list[NDArray[np.intp]] = []
    try:
        for rows, made in _steps(
            model, role, language, [distinct[i] for i in todo], counts, width, progress
        ):
            width = made.shape[1]
            if vectors is None:
                vectors = np.zeros((len(distinct), width), np.float32)
            vectors[todo[rows]] = made if space is None else space.rounded(made)
            counts.encoded += len(rows)
            waiting.append(todo[rows])
            if whole and space is not None and sum(map(len, waiting)) >= WINDOW:
                _store(space, keys, vectors, waiting)
    except BaseException:
        # What was encoded has been paid for. Of a stream only whole windows are kept, which are
        # whole chunks: what is left is then cut into the same batches as in an undisturbed run.
        if space is not None and not isinstance(model, Streaming):
            _store(space, keys, vectors, waiting)
        raise
    if whole and space is not None:
        _store(space, keys, vectors, waiting)
    if vectors is None:
        return np.zeros((0, width or 0), np.float32)
    if len(distinct) == len(texts):
        return vectors
    position = {text: i for i, text in enumerate(distinct)}
    return vectors[[position[text] for text in texts]]


def longest_first(texts: Sequence[str], rows: Iterable[int]) -> list[int]:
    """``rows`` of ``texts`` by length: batches of similar length waste little padding."""
    return sorted(rows, key=lambda i: (-len(texts[i]), i))


def _store(
    space: Space,
    keys: NDArray[np.uint64],
    vectors: NDArray[np.float32] | None,
    waiting: list[NDArray[np.intp]],
) -> None:
    """Store the rows ``waiting`` of ``vectors`` as one shard; none waits afterwards."""
    if vectors is not None and waiting:
        rows = np.concatenate(waiting)
        space.put(keys[rows], vectors[rows])
        waiting.clear()  # only now: whoever is interrupted while writing writes again


def _steps(
    model: DenseModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    counts: EncodingCounts,
    width: int | None,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Rows of ``texts``, which are sorted longest first, and their vectors, checked, as they come.

    Only ``counts.seconds`` and ``counts.work`` are updated.
    """
    if isinstance(model, Streaming):
        return _streamed(model, role, language, texts, counts, width, progress)
    return _called(model, role, language, texts, counts, width, progress)


def _called(
    model: DenseModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    counts: EncodingCounts,
    width: int | None,
    progress: Callable[[int], None] | None,
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Vectors of :data:`STEP` texts a call; of a call that fails, what it made before the error."""
    for start in range(0, len(texts), STEP):
        batch = texts[start : start + STEP]
        begun = time.perf_counter()
        try:
            with errors_of(f"{model.name}: encode"):
                given = model.encode(batch, role=role, language=language)
        except BaseException as problem:
            # Of a PartlyEncodedError, or an interrupt that such a model was told of.
            finished = getattr(problem, "finished", None)
            if finished is not None and len(finished[0]):
                at, made = finished
                yield from _checked(start + at, made, [batch[i] for i in at], width, model.name)
            raise
        counts.seconds += time.perf_counter() - begun
        rows = np.arange(start, start + len(batch))
        made = yield from _checked(rows, given, batch, width, model.name)
        width = made.shape[1]
        if progress is not None:
            progress(len(batch))


def _checked(
    rows: NDArray[np.intp],
    given: NDArray[np.float32],
    texts: Sequence[str],
    width: int | None,
    model: str,
) -> Generator[tuple[NDArray[np.intp], NDArray[np.float32]], None, NDArray[np.float32]]:
    """``rows`` and what :func:`check_vectors` returns; before its error, those that can be used."""
    try:
        made = check_vectors(given, texts, width, model)
    except ModelError:
        out = np.asarray(given, np.float32)
        if out.ndim == 2 and len(out) == len(texts) and width in (None, out.shape[1]):
            good = np.isfinite(out).all(1) & out.any(1)
            if good.any():
                yield rows[good], np.ascontiguousarray(out[good])
        raise
    yield rows, made
    return made


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
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """Vectors of ``texts``, (n, d) float32, from the model: longest first, a few at a time.

    Batches depend on ``texts`` alone, so that the same ones give the same vectors wherever they are
    encoded. Only ``counts.seconds`` and ``counts.work`` are updated.

    Raises:
        ModelError: as :func:`encode`.
    """
    # A stream puts its texts in order itself.
    order = range(len(texts))
    rows_of = np.array(
        order if isinstance(model, Streaming) else longest_first(texts, order), np.int64
    )
    vectors: NDArray[np.float32] | None = None
    for rows, made in _steps(
        model, role, language, [texts[i] for i in rows_of], counts, None, progress
    ):
        if vectors is None:
            vectors = np.zeros((len(texts), made.shape[1]), np.float32)
        vectors[rows_of[rows]] = made
    return np.zeros((0, 0), np.float32) if vectors is None else vectors
