"""Texts of several parts each: sparse vectors (terms with weights) and token vectors (MaxSim).

Their scores are real numbers, as inner products are: a sparse score is the inner product of two
sparse vectors; a MaxSim score the sum, over the tokens of a query, of the largest inner product
with a token of the passage (Khattab and Zaharia, ColBERT, arXiv 2004.12832, equation 3). Both are
decided in the three steps of :mod:`harness.search.exact`, with bounds of their own:

- sparse: the rounding of a sum of as many products as the query has terms;
- MaxSim: largest numbers differ by at most what the numbers compared differ by, so the bounds of a
  query's tokens are added, and the rounding of their sum.
"""

from __future__ import annotations

import math
import threading
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.models.base import Parts
from harness.search.exact import (
    LEAST_32,
    UNIT_32,
    UNIT_64,
    Composite,
    Keys,
    Pairs,
    exact_keys,
    length_bounds,
    real_score,
)

_TOKENS = 2048
"""Token vectors of a side that are multiplied at once: the products stay in a core's cache."""

_PADDED = 1 << 20
"""Numbers gathered at a time: weights of terms, or largest products of tokens."""


_ROOM = threading.local()


def _room(numbers: int) -> Any:
    """A thread's room for ``numbers`` products, (numbers,) float32: fresh memory costs a third."""
    import torch

    if getattr(_ROOM, "numbers", None) is None or len(_ROOM.numbers) < numbers:
        _ROOM.numbers = torch.empty(numbers)
    return _ROOM.numbers[:numbers]


class PartTexts(Composite):
    """Texts as :class:`harness.models.base.Parts`, indexed like an array's rows."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """Number of texts and width."""
        return len(self), self.parts.width

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The arrays, perhaps memory-mapped."""
        _, values, terms, _ = self.parts
        return (values,) if terms is None else (values, terms)

    def tile_bytes(self) -> int:
        """See :class:`Composite`: products of tokens, the tile, and its scores."""
        return (_TOKENS * _TOKENS + 2 * _TOKENS * min(self.parts.width, _TOKENS)) * 8

    def largest_bytes(self) -> int:
        """See :class:`Composite`."""
        parts = int(np.diff(self.parts.indptr).max(initial=0))
        return parts * (8 if self.parts.terms is not None else 4 * self.parts.width)

    def __getitem__(self, rows: int | slice | NDArray[np.int64]) -> Self:
        """Some of the texts: views for a slice, copies for an array of positions."""
        indptr, values, terms, width = self.parts
        if isinstance(rows, int | np.integer):
            rows = slice(int(rows), int(rows) + 1)
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            a, b = int(indptr[start]), int(indptr[max(start, stop)])
            inside = indptr[start : max(start, stop) + 1] - a
            found = Parts(inside, values[a:b], None if terms is None else terms[a:b], width)
            return type(self)(found)
        sizes = indptr[rows + 1] - indptr[rows]
        own: Pairs = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        at = np.arange(own[-1]) + np.repeat(indptr[rows] - own[:-1], sizes)
        return type(self)(
            Parts(own, values[at], None if terms is None else np.asarray(terms[at]), width)
        )

    def widened(self) -> Self:
        """In float32, copied into memory."""
        values = np.array(self.parts.values, np.float32)
        return type(self)(self.parts._replace(values=values))

    def joined(self, others: Sequence[Self]) -> Self:
        """Its texts and then those of ``others``."""
        every = [self.parts, *(x.parts for x in others)]
        sizes = np.concatenate([np.diff(x.indptr) for x in every])
        terms = [x.terms for x in every if x.terms is not None]
        return type(self)(
            Parts(
                np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
                np.concatenate([x.values for x in every]),
                np.concatenate(terms) if terms else None,
                self.parts.width,
            )
        )

    def blocks(self, rows: int, parts: int) -> Iterator[tuple[int, int]]:
        """Bounds of consecutive texts: at most ``rows``, with ``parts`` parts or a single text."""
        indptr, start = self.parts.indptr, 0
        while start < len(self):
            room = int(np.searchsorted(indptr, indptr[start] + parts, side="right")) - 1
            stop = min(max(start + 1, room), start + rows, len(self))
            yield start, stop
            start = stop

    @abstractmethod
    def tiles(self, rows: int) -> Iterator[tuple[int, int]]:
        """Bounds of consecutive texts that are multiplied at once, at most ``rows``."""

    @abstractmethod
    def products(self, passages: Self) -> NDArray[np.float32]:
        """(Q, P) scores within :meth:`product_error`, C-contiguous."""

    def _chunks(self, query: Pairs) -> Iterator[slice]:
        """The pairs of ``query`` (n,), so many at a time that memory is bounded."""
        most = int(np.diff(self.parts.indptr).max(initial=1))
        step = max(1, _PADDED // max(1, most))
        for start in range(0, len(query), step):
            yield slice(start, start + step)

    def _per_text(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) sums of numbers (t,), one for each part."""
        owner = np.repeat(np.arange(len(self)), np.diff(self.parts.indptr))
        sums = np.bincount(owner, weights=numbers, minlength=len(self))
        return np.asarray(sums, np.float64)


def texts_of_parts(parts: Parts) -> PartTexts:
    """``parts`` as texts that can be searched: sparse ones if they have terms."""
    return TokenTexts(parts) if parts.terms is None else SparseTexts(parts)


class TokenTexts(PartTexts):
    """Texts as vectors of their tokens, at least one each, compared by MaxSim."""

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """(t,) upper bounds on the lengths of the vectors."""
        return length_bounds(np.asarray(self.parts.values, np.float32))

    @cached_property
    def _total(self) -> NDArray[np.float64]:
        """(n,) upper bounds on the sums of the lengths of a text's vectors."""
        return self._per_text(self._lengths) * (1 + 1e-9)

    def longest(self) -> float:
        """See :class:`Composite`."""
        return float(self._lengths.max(initial=0))

    def product_error(self, longest: float) -> NDArray[np.float64]:
        """See :class:`Composite`."""
        tokens, d = np.diff(self.parts.indptr), self.parts.width
        growth = (d + tokens + 4) * UNIT_32 / (1 - (d + tokens + 4) * UNIT_32)
        small = 2 * d * LEAST_32 * (tokens * (1 + longest) + self._total)
        bound: NDArray[np.float64] = 1.01 * growth * longest * self._total + small
        return bound

    def inner_error(self, longest: float) -> NDArray[np.float64]:
        """See :class:`Composite`."""
        folds = max(1, self.parts.width - 1).bit_length() + 2
        bound: NDArray[np.float64] = 1.01 * folds * UNIT_64 * longest * self._total
        return bound

    def tiles(self, rows: int) -> Iterator[tuple[int, int]]:
        """See :class:`PartTexts`."""
        return self.blocks(rows, _TOKENS)

    def products(self, passages: Self) -> NDArray[np.float32]:
        """See :class:`PartTexts`."""
        import torch

        out = np.empty((len(self), len(passages)), np.float32)
        own, other = self.parts, passages.parts
        for first, last in passages.tiles(len(passages)):
            c, d = int(other.indptr[first]), int(other.indptr[last])
            columns = torch.from_numpy(other.values[c:d]).T
            for start, stop in self.tiles(len(self)):
                a, b = int(own.indptr[start]), int(own.indptr[stop])
                room = _room((b - a) * (d - c)).view(b - a, d - c)
                similar = torch.mm(torch.from_numpy(own.values[a:b]), columns, out=room).numpy()
                best = np.maximum.reduceat(similar, other.indptr[first:last] - c, axis=1)
                sums = np.add.reduceat(best, own.indptr[start:stop] - a, axis=0)
                out[start:stop, first:last] = sums
        return out

    def _largest(
        self, passages: Self, query: int, passage: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], Pairs, Pairs]:
        """Vectors of a query and a passage, and the pairs of them that may be a token's largest.

        Pairs are by token of the query; each has one at least.
        """
        first, second = self.parts.indptr, passages.parts.indptr
        rows = slice(int(first[query]), int(first[query + 1]))
        a = self.parts.values[rows]
        b = passages.parts.values[int(second[passage]) : int(second[passage + 1])]
        similar = a.astype(np.float64) @ b.astype(np.float64).T
        d = self.parts.width
        # What the products are off by, and what the ones of a fixed order are.
        off = 4.04 * (d + 2) * UNIT_64 * self._lengths[rows] * float(length_bounds(b).max())
        token, other = np.nonzero(similar >= (similar.max(1) - off)[:, None])
        return a, b, token.astype(np.int64), other.astype(np.int64)

    def inner(self, vectors: Self, query: Pairs, vector: Pairs) -> NDArray[np.float64]:
        """See :class:`Composite`: largest numbers of fixed order, and their sum rounded once."""
        out = np.empty(len(query))
        for part in self._chunks(query):
            out[part] = self._inner(vectors, query[part], vector[part])
        return out

    def _inner(self, vectors: Self, query: Pairs, vector: Pairs) -> list[float]:
        from harness.search.parts_loops import largest_products

        own, other, d = self.parts.indptr, vectors.parts.indptr, self.parts.width
        sizes = own[query + 1] - own[query]
        ends = np.cumsum(sizes)
        token = np.arange(ends[-1]) + np.repeat(own[query] - ends + sizes, sizes)
        length = self._lengths[token]
        longest = np.repeat(np.maximum.reduceat(vectors._lengths, other[:-1])[vector], sizes)
        # Twice what a float32 product is off by; see :func:`harness.search.exact.product_error`.
        growth = (d + 2) * UNIT_32 / (1 - (d + 2) * UNIT_32)
        off = 2.04 * growth * length * longest + 4 * d * LEAST_32 * (1 + length + longest)
        best = largest_products(
            self.parts.values, vectors.parts.values, own, other, query, vector, off
        ).tolist()
        starts = (ends - sizes).tolist()
        return [math.fsum(best[a:b]) for a, b in zip(starts, ends.tolist(), strict=True)]

    def exact_keys(self, vectors: Self, query: Pairs, vector: Pairs) -> Keys:
        """See :class:`Composite`."""
        keys = Keys(np.empty(len(query)), np.empty(len(query)), np.empty(len(query), bool))
        for i, (q, v) in enumerate(zip(query.tolist(), vector.tolist(), strict=True)):
            score = self._real(vectors, q, v)
            keys.high[i] = float(score)
            rest = score - Fraction(float(score))
            keys.low[i] = float(rest)
            keys.whole[i] = Fraction(float(rest)) == rest
        return keys

    def real_score(self, vector: Self) -> Fraction:
        """See :class:`Composite`."""
        return self._real(vector, 0, 0)

    def _real(self, passages: Self, query: int, passage: int) -> Fraction:
        a, b, token, other = self._largest(passages, query, passage)
        found = exact_keys(a, b, token, other)
        best: dict[int, Fraction] = {}
        for i, t in enumerate(token.tolist()):
            score = Fraction(float(found.high[i])) + Fraction(float(found.low[i]))
            if not found.whole[i]:
                score = real_score(a[t], b[other[i]])
            best[t] = max(score, best.get(t, score))
        return sum(best.values(), Fraction(0))


class SparseTexts(PartTexts):
    """Texts as sparse vectors, terms ascending; one without terms has the score 0 with all."""

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """(n,) upper bounds on the lengths of the vectors."""
        weights = np.asarray(self.parts.values, np.float64)
        lengths: NDArray[np.float64] = np.sqrt(self._per_text(weights * weights)) * (1 + 1e-9)
        return lengths

    @cached_property
    def _matrix(self) -> Any:
        """(n, width) in scipy's CSR form."""
        from scipy.sparse import csr_matrix

        indptr, values, terms, width = self.parts
        return csr_matrix((values, terms, indptr), shape=(len(self), width))

    def longest(self) -> float:
        """See :class:`Composite`."""
        return float(self._lengths.max(initial=0))

    def product_error(self, longest: float) -> NDArray[np.float64]:
        """See :class:`Composite`."""
        terms = np.diff(self.parts.indptr)
        growth = (terms + 2) * UNIT_32 / (1 - (terms + 2) * UNIT_32)
        small = 2 * terms * LEAST_32 * (1 + longest + self._lengths)
        bound: NDArray[np.float64] = 1.01 * growth * longest * self._lengths + small
        return bound

    def inner_error(self, longest: float) -> NDArray[np.float64]:
        """See :class:`Composite`."""
        terms = np.diff(self.parts.indptr)
        bound: NDArray[np.float64] = 1.01 * (terms + 2) * UNIT_64 * longest * self._lengths
        return bound

    def tiles(self, rows: int) -> Iterator[tuple[int, int]]:
        """See :class:`PartTexts`."""
        return self.blocks(rows, len(self.parts.values) + 1)

    def products(self, passages: Self) -> NDArray[np.float32]:
        """See :class:`PartTexts`."""
        found = (self._matrix @ passages._matrix.T.tocsr()).toarray()
        return np.ascontiguousarray(found, np.float32)

    def _aligned(
        self, passages: Self, query: Pairs, passage: Pairs
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, t) weights of the queries' terms, and those of the same terms in the passages."""
        indptr, values, terms, width = self.parts
        assert terms is not None
        sizes = indptr[query + 1] - indptr[query]
        inside = np.arange(max(1, int(sizes.max(initial=0)))) < sizes[:, None]
        at = np.where(inside, indptr[query][:, None] + np.arange(inside.shape[1]), 0)
        own, other = np.zeros((2, *inside.shape), np.float32)
        if not len(values) or not len(passages.parts.values):
            return own, other
        own[inside] = values[at[inside]]
        looked_for = passage[:, None] * width + terms[at]
        theirs = passages.parts
        assert theirs.terms is not None
        owner = np.repeat(np.arange(len(passages)), np.diff(theirs.indptr))
        known = owner * width + theirs.terms
        place = np.minimum(np.searchsorted(known, looked_for), len(known) - 1)
        same = inside & (known[place] == looked_for)
        other[same] = theirs.values[place[same]]
        return own, other

    def inner(self, vectors: Self, query: Pairs, vector: Pairs) -> NDArray[np.float64]:
        """See :class:`Composite`: summed term by term."""
        out = np.zeros(len(query))
        for part in self._chunks(query):
            own, other = self._aligned(vectors, query[part], vector[part])
            for a, b in zip(own.T.astype(np.float64), other.T, strict=True):
                out[part] += a * b
        return out

    def exact_keys(self, vectors: Self, query: Pairs, vector: Pairs) -> Keys:
        """See :class:`Composite`."""
        keys = Keys(np.empty(len(query)), np.empty(len(query)), np.empty(len(query), bool))
        for part in self._chunks(query):
            own, other = self._aligned(vectors, query[part], vector[part])
            each = np.arange(len(own))
            found = exact_keys(own, other, each, each)
            keys.high[part], keys.low[part], keys.whole[part] = found.high, found.low, found.whole
        return keys

    def real_score(self, vector: Self) -> Fraction:
        """See :class:`Composite`."""
        zero = np.zeros(1, np.int64)
        own, other = self._aligned(vector, zero, zero)
        return real_score(own[0], other[0])
