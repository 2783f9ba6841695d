"""Sparse and multi-vector texts through the store: as :mod:`harness.vectors.encode` for vectors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.base.digests import text_keys
from harness.data.task import Role
from harness.errors import ModelError, errors_of
from harness.models.base import DenseModel, Parts, PartsModel
from harness.search.corpus_rows import stacked
from harness.search.parts import PartTexts, texts_of_parts
from harness.vectors import encode as encoding
from harness.vectors.encode import STEP, EncodingCounts, longest_first, space_of
from harness.vectors.store import Store, StoreDtype, as_stored

WINDOW = 512
"""Texts per shard: the most that a killed run loses."""


def encode(
    model: PartsModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    *,
    store: Store | None,
    counts: EncodingCounts,
    width: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> PartTexts:
    """The encoded ``texts`` in order, each distinct one once; the stored ones are read.

    ``counts`` is updated; ``progress`` gets the number of distinct texts of each finished step.

    Raises:
        ModelError: the model fails, or an encoding cannot be used; names the text.
    """
    distinct = list(dict.fromkeys(texts))
    space = space_of(model, role, language, store)
    keys = text_keys(distinct)
    have, known = np.zeros(len(distinct), bool), None
    if space is not None:
        have, known = space.get_parts(keys)
        counts.from_store += int(have.sum())
        if progress is not None:
            progress(int(have.sum()))
    counts.texts += len(texts)
    counts.distinct += len(distinct)
    width = width if known is None else known.shape[1]
    todo = np.array(longest_first(distinct, np.flatnonzero(~have)), np.int64)
    order = [np.flatnonzero(have)]
    found = [] if known is None else [known]
    for start in range(0, len(todo), WINDOW):
        rows = todo[start : start + WINDOW]
        made = _called(model, role, language, [distinct[i] for i in rows], counts, width, progress)
        width = made.shape[1]
        counts.encoded += len(rows)
        if space is not None:
            made = _rounded(made, space.dtype)
            space.put(keys[rows], made)
        found.append(made)
        order.append(rows)
    every = stacked(found)[np.argsort(np.concatenate(order))]
    if len(distinct) == len(texts):
        whole: PartTexts = every
        return whole
    position = {text: i for i, text in enumerate(distinct)}
    copied: PartTexts = every[np.array([position[text] for text in texts], np.int64)]
    return copied


def encode_texts(
    model: PartsModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    *,
    counts: EncodingCounts,
    progress: Callable[[int], None] | None = None,
) -> PartTexts:
    """``texts`` from the model, longest first, a few at a time.

    Batches depend on ``texts`` alone. Only ``counts.seconds`` is updated.

    Raises:
        ModelError: as :func:`encode`.
    """
    order = np.array(longest_first(texts, range(len(texts))), np.int64)
    made = _called(model, role, language, [texts[i] for i in order], counts, None, progress)
    found: PartTexts = made[np.argsort(order)]
    return found


def encode_of_either_kind(
    model: DenseModel | PartsModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    *,
    counts: EncodingCounts,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32] | PartTexts:
    """:func:`encode_texts`, or that of :mod:`harness.vectors.encode`, whichever is the model's.

    Raises:
        ModelError: as these do.
    """
    what = (role, language, texts)
    if isinstance(model, PartsModel):
        return encode_texts(model, *what, counts=counts, progress=progress)
    return encoding.encode_texts(model, *what, counts=counts, progress=progress)


def _rounded(texts: PartTexts, dtype: StoreDtype) -> PartTexts:
    """``texts`` as they will be read back, so that all runs use the same numbers."""
    values = as_stored(texts.parts.values, dtype).astype(np.float32, copy=False)
    return type(texts)(texts.parts._replace(values=values))


def _called(
    model: PartsModel,
    role: Role,
    language: str,
    texts: Sequence[str],
    counts: EncodingCounts,
    width: int | None,
    progress: Callable[[int], None] | None,
) -> PartTexts:
    """``texts``, at least one, :data:`STEP` a call, in order; only seconds are counted."""
    found = []
    for start in range(0, len(texts), STEP):
        batch = texts[start : start + STEP]
        begun = time.perf_counter()
        with errors_of(f"{model.name}: encode"):
            given = model.encode_parts(batch, role=role, language=language)
        counts.seconds += time.perf_counter() - begun
        parts = _checked(given, batch, width, model)
        width = parts.width
        found.append(texts_of_parts(parts))
        if progress is not None:
            progress(len(batch))
    whole: PartTexts = stacked(found)
    return whole


def _checked(given: Parts, texts: Sequence[str], width: int | None, model: PartsModel) -> Parts:
    """``given`` as it is searched, or :class:`ModelError` that names the first bad text."""
    indptr = np.asarray(given.indptr, np.int64)
    values = np.ascontiguousarray(given.values, np.float32)
    terms = None if given.terms is None else np.ascontiguousarray(given.terms, np.int32)
    shape = (len(values),) if terms is not None else (len(values), given.width)
    if (
        len(indptr) != len(texts) + 1
        or (indptr[0], indptr[-1]) != (0, len(values))
        or (np.diff(indptr) < 0).any()
        or values.shape != shape
        or (terms is not None and terms.shape != shape)
    ):
        raise ModelError(
            f"{model.name} returned parts that do not fit {len(texts)} texts: {len(indptr)} "
            f"bounds, values of shape {values.shape}"
        )
    if width is not None and given.width != width:
        raise ModelError(
            f"{model.name} returned parts of width {given.width} where {width} was expected, "
            f"first for the text {texts[0][:80]!r}"
        )
    owner = np.repeat(np.arange(len(texts)), np.diff(indptr))
    bad = ~np.isfinite(values if terms is not None else values.sum(1))
    if bad.any():
        text = texts[int(owner[np.flatnonzero(bad)[0]])]
        raise ModelError(f"{model.name} returned numbers that are not finite for {text[:80]!r}")
    if terms is None:
        empty = np.flatnonzero(np.diff(indptr) == 0)
        if len(empty):
            text = texts[int(empty[0])]
            raise ModelError(f"{model.name} returned no token vector for the text {text[:80]!r}")
    elif not _ascending(terms, owner, given.width):
        raise ModelError(
            f"{model.name} returned terms that are not ascending numbers below {given.width}"
        )
    return Parts(indptr, values, terms, given.width)


def _ascending(terms: NDArray[np.int32], owner: NDArray[np.int64], width: int) -> bool:
    inside = bool(((terms >= 0) & (terms < width)).all())
    return inside and bool((np.diff(owner * np.int64(width) + terms) > 0).all())
