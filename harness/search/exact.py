"""Certain scores: what a fast product leaves open is decided by a more precise one.

The score of a query and a passage is the real inner product of their float32 vectors. A matrix
kernel computes it with an error that depends on the processor, the tile shape and the number of
threads, but that is bounded, and only comparisons within the bound are open. They are decided in
three steps, each for what the previous one leaves open:

1. float32, as the kernel gives it, within :func:`product_error` of the real number;
2. float64, summed in one fixed order (:func:`inner`), within :func:`inner_error`;
3. exactly: as the unevaluated sum of two float64 (:func:`exact_keys`), whose additions are shown to
   lose nothing; where they would, in integers of any size.

So ranks depend on the vectors alone, and two passages tie if and only if their scores are equal as
real numbers.

The product of two float32 is exact in float64 (24 + 24 bits of 53), so that the only roundings of
the second step are those of its sum, and whether a processor fuses multiplication and addition
cannot matter.

Sources: for the bounds N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition,
2002, sections 3.1 (inner products in any order of summation) and 4.2 (pairwise summation); for
additions without loss D. E. Knuth, The Art of Computer Programming 2, 4.2.2, theorem B.
"""

from __future__ import annotations

import hashlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.base.error_free import two_sum
from harness.errors import ModelError

Pairs = NDArray[np.int64]

Encoded: TypeAlias = Any
"""Texts as they are compared: vectors (n, d) float32, or :class:`Composite`."""

UNIT_32, UNIT_64 = 2.0**-24, 2.0**-53
"""Largest relative rounding errors of float32 and float64."""

LEAST_32 = 2.0**-126
"""Smallest normal float32: the most that a product can lose to underflow, even if a processor
flushes such numbers to zero."""

_CHUNK = 1 << 16
"""Numbers gathered at a time when numpy adds: they stay in cache."""

LONGEST = 2.0**60
"""Vector length above which float32 scores might overflow."""


@dataclass
class Decisions:
    """How many comparisons were left open by the fast product, and by float64; counted by threads.

    The counts show the cost of certainty. They depend on the processor; the decisions do not.
    """

    float64: int = 0
    """Pairs of a query and a passage whose score was computed in float64."""
    exact: int = 0
    """Those of them whose score was computed exactly."""
    _lock: Any = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, float64: int = 0, exact: int = 0) -> None:
        """Count some more."""
        if float64 or exact:
            with self._lock:
                self.float64 += float64
                self.exact += exact

    def summary(self) -> dict[str, int]:
        """As they are in the record."""
        return {"float64": self.float64, "exact": self.exact}


@dataclass(frozen=True)
class Vectors:
    """The vectors behind a tile of products, and the error bounds of these."""

    queries: NDArray[np.float32]
    """(Q, d)"""
    passages: NDArray[np.float32]
    """(N, d) in the pool's column order."""
    block_of: NDArray[np.int16]
    """(N,) number of each column's language."""
    error32: NDArray[np.float32]
    """(Q,) :func:`product_error`."""
    error64: NDArray[np.float64]
    """(Q,) :func:`sum_error`."""
    largest: NDArray[np.float32]
    """(Q,) :func:`largest_product`."""


@dataclass(frozen=True)
class Open:
    """What the scores of some rows of a tile decide, and what they leave open."""

    start: int
    """First of the rows, and the one after the last."""
    stop: int
    above: NDArray[np.int32]
    """(G, B) passages of each block that certainly rank above each relevant passage of the rows."""
    near_relevant: Pairs
    """(n,) relevant passages by number in the tile, and passages too close to them to decide."""
    near_column: Pairs
    """(n,)"""
    top: NDArray[np.int32]
    """(stop - start, k) best columns, for all rows except those with candidates."""
    top_scores: NDArray[np.float32]
    """(stop - start, k)"""
    row: Pairs
    """(m,) rows of the tile whose top k is open: candidates, best float32 score first."""
    column: Pairs
    """(m,)"""
    score: NDArray[np.float32]
    """(m,)"""
    float64: int
    """Scores that were computed in float64 for it."""


def lengths(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) lengths of the rows of (n, d) ``vectors``, summed in the order of :func:`inner`."""
    out = np.empty(len(vectors))
    for rows in _chunks(len(vectors), vectors.shape[1]):
        squares = vectors[rows].astype(np.float64)
        squares *= squares
        out[rows] = _fold(squares)
    length: NDArray[np.float64] = np.sqrt(out, out=out)
    return length


def along(vectors: NDArray[np.float64], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) inner products of (n, d) ``vectors`` with ``direction`` (d,).

    Summed in the order of :func:`inner`, so that a row's does not depend on the rows around it.
    """
    out = np.empty(len(vectors))
    for rows in _chunks(len(vectors), vectors.shape[1]):
        out[rows] = _fold(vectors[rows] * direction)
    return out


def normalised(
    vectors: NDArray[np.float32], out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Rows scaled to length 1, so that an inner product is a cosine; equal rows stay equal.

    A length is summed in one fixed order, so that no processor changes a bit of what is compared.
    The result goes to ``out``, which may be ``vectors`` itself.

    Raises:
        ModelError: a vector is 0, which has no direction.
    """
    length = lengths(vectors).astype(np.float32)
    if not length.all():
        raise ModelError("a vector has the length 0, and there is no cosine of that")
    scaled: NDArray[np.float32] = np.divide(vectors, length[:, None], out=out)
    return scaled


def length_bounds(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n,) upper bounds on the lengths of (n, d) ``vectors``; infinite if float32 overflows."""
    with np.errstate(over="ignore"):
        squares = np.einsum("ij,ij->i", vectors, vectors).astype(np.float64)
    return bounds_of_squares(squares, vectors.shape[1])


def bounds_of_squares(squares: NDArray[np.float64], d: int) -> NDArray[np.float64]:
    """(n,) upper bounds on the lengths of vectors of ``d`` numbers.

    ``squares`` (n,) are the sums of their squares, added in float32 in any order.
    """
    # They are too small by d roundings, and by underflow.
    bounds: NDArray[np.float64] = np.sqrt(squares * (1 + 1.01 * (d + 2) * UNIT_32) + d * LEAST_32)
    return bounds


def check_lengths(vectors: Encoded) -> float:
    """Upper bound on the lengths of the rows of (n, d) ``vectors``, 0 if there are none.

    Raises:
        ModelError: scores of such vectors might overflow in float32.
    """
    if isinstance(vectors, Composite):
        return check_length(vectors.longest())
    return check_length(float(length_bounds(vectors).max(initial=0)))


def check_length(longest: float) -> float:
    """``longest``, an upper bound on the lengths of vectors, as :func:`check_lengths` takes it."""
    if longest != longest:
        raise ModelError("a vector has numbers that are none (NaN), and scores of it no order")
    if longest > LONGEST:
        raise ModelError(
            f"a vector has the length {longest:.3g}; scores are computed in float32, which takes "
            f"lengths up to {LONGEST:.3g}: scale the vectors"
        )
    return longest


def product_error(queries: Encoded, longest: float) -> NDArray[np.float32]:
    """(Q,) error bound of float32 products of ``queries`` (Q, d).

    d roundings of at most 2**-24 relative to the sum of absolute products (Higham, section 3.1,
    for any order of summation, fused or not), which is at most the product of both lengths, and
    what is lost by numbers too small for float32. It holds for every kernel that multiplies and
    adds in float32, not for reduced precision (TF32, bfloat16) or Strassen's algorithm.

    ``longest`` is the greatest length of a passage's vector. A hundredth more covers the roundings
    of the bound itself.
    """
    if isinstance(queries, Composite):
        bound = queries.product_error(longest)
    else:
        d = queries.shape[1]
        growth = (d + 2) * UNIT_32 / (1 - (d + 2) * UNIT_32)
        own = length_bounds(queries)
        small = 2 * d * LEAST_32 * (1 + longest + own)
        bound = 1.01 * growth * longest * own + small
    # Rounded up: in float32 it has to stay a bound.
    up: NDArray[np.float32] = np.nextafter(bound.astype(np.float32), np.float32(np.inf))
    return up


def largest_product(queries: NDArray[np.float32], longest: float) -> NDArray[np.float32]:
    """(Q,) bound on the absolute values of products of ``queries`` (Q, d), their errors included.

    Positive; ``longest`` as in :func:`product_error`.
    """
    bound: NDArray[np.float32] = (2 * longest * length_bounds(queries) + LEAST_32).astype(
        np.float32
    )
    return bound


def inner_error(queries: Encoded, longest: float) -> NDArray[np.float64]:
    """(Q,) error bound of :func:`inner`, as :func:`product_error`.

    A number is rounded once per fold, at most log2(d) times (Higham, section 4.2).
    """
    if isinstance(queries, Composite):
        return queries.inner_error(longest)
    folds = max(1, queries.shape[1] - 1).bit_length() + 1
    error: NDArray[np.float64] = 1.01 * (folds * UNIT_64) * longest * length_bounds(queries)
    return error


def sum_error(queries: NDArray[np.float32], longest: float) -> NDArray[np.float64]:
    """(Q,) error bound of float64 scores that are summed in any order, as :func:`product_error`.

    The products themselves are exact, so that the roundings are those of d - 1 sums (Higham,
    section 3.1, for any order).
    """
    d = queries.shape[1]
    error: NDArray[np.float64] = 1.01 * (d * UNIT_64) * longest * length_bounds(queries)
    return error


def step(vectors: NDArray[np.float32]) -> int | None:
    """The largest e for which all ``vectors`` are multiples of 2**e; ``None``: all are 0.

    With integers, signs and the like, float32 products are exact (:func:`products_are_exact`).
    """
    bits = np.ascontiguousarray(vectors).reshape(-1).view(np.uint32)
    bits = bits[(bits & np.uint32(0x7FFFFFFF)) != 0]
    if not len(bits):
        return None
    exponent = ((bits >> np.uint32(23)) & np.uint32(0xFF)).astype(np.int64)
    mantissa = (bits & np.uint32(0x7FFFFF)) | np.where(exponent > 0, 0x800000, 0).astype(np.uint32)
    lowest = mantissa & (~mantissa + np.uint32(1))
    zeros = np.frexp(lowest.astype(np.float64))[1] - 1
    return int((np.maximum(exponent, 1) - 150 + zeros).min())


def products_are_exact(
    queries: NDArray[np.float32], passages: NDArray[np.float32], longest: float
) -> bool:
    """Whether no float32 product of the two can be rounded, in whatever order it is summed.

    That is the case if all products are multiples of a step and the sum of their absolute values
    (at most the product of both lengths) is at most 2**24 steps. For ordinary vectors a few rows
    suffice to rule it out.
    """
    if not len(queries) or not len(passages):
        return True
    most = 1.01 * float(length_bounds(queries).max()) * longest

    def fits(some_queries: NDArray[np.float32], some_passages: NDArray[np.float32]) -> bool:
        a, b = step(some_queries), step(some_passages)
        if a is None or b is None:
            return True
        return a + b > -126 and most <= 2.0 ** (a + b + 24)

    return fits(queries[:1], passages[:1]) and fits(queries, passages)


def _chunks(n: int, width: int) -> Iterator[slice]:
    rows = max(1, _CHUNK // max(1, width))
    for start in range(0, n, rows):
        yield slice(start, min(start + rows, n))


def _fold(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) sums of the rows of (n, d) ``numbers``, which are overwritten.

    The second half is added to the first until one number is left; the middle one of an odd count
    is carried over. Elementwise additions are the same on every processor.
    """
    n = numbers.shape[1]
    if not n:
        return np.zeros(len(numbers))
    while n > 1:
        half = (n + 1) // 2
        numbers[:, : n - half] += numbers[:, half:n]
        n = half
    return numbers[:, 0]


def inner(
    queries: Encoded,
    vectors: Encoded,
    query: Pairs,
    vector: Pairs,
    *,
    compiled: bool = False,
) -> NDArray[np.float64]:
    """Scores of the pairs (``queries[query[i]]``, ``vectors[vector[i]]``), float64 (n,).

    Summed in one fixed order, bit-identical everywhere; ``compiled`` loops give the same faster,
    once compiled.
    """
    if isinstance(queries, Composite):
        return queries.inner(vectors, query, vector)
    if compiled and len(query):
        from harness.search import inner_loops

        return inner_loops.inner(queries, vectors, query, vector)
    out = np.empty(len(query))
    for rows in _chunks(len(query), queries.shape[1]):
        products = queries[query[rows]].astype(np.float64)
        products *= vectors[vector[rows]]
        out[rows] = _fold(products)
    return out


class Composite(ABC):
    """Texts that are not single vectors, with the bounds and the decisions of their own scores.

    They are numbered like the rows of an array, and the functions here take them in its place.
    """

    @property
    @abstractmethod
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """The arrays they consist of."""

    @abstractmethod
    def tile_bytes(self) -> int:
        """Bytes that a thread needs to multiply a tile of passages with them."""

    @abstractmethod
    def largest_bytes(self) -> int:
        """Bytes of the largest text, in float32."""

    @abstractmethod
    def widened(self) -> Any:
        """In float32, in memory."""

    @abstractmethod
    def joined(self, others: Sequence[Any]) -> Any:
        """Its texts and then those of ``others``."""

    @abstractmethod
    def longest(self) -> float:
        """The greatest length of a text as bounds need it; 0 if there are none."""

    @abstractmethod
    def product_error(self, longest: float) -> NDArray[np.float64]:
        """(Q,) see :func:`product_error`."""

    @abstractmethod
    def inner_error(self, longest: float) -> NDArray[np.float64]:
        """(Q,) see :func:`inner_error`."""

    @abstractmethod
    def inner(self, vectors: Any, query: Pairs, vector: Pairs) -> NDArray[np.float64]:
        """(n,) see :func:`inner`."""

    @abstractmethod
    def exact_keys(self, vectors: Any, query: Pairs, vector: Pairs) -> Keys:
        """See :func:`exact_keys`."""

    @abstractmethod
    def real_score(self, vector: Any) -> Fraction:
        """The score of the only text with that of ``vector``; see :func:`real_score`."""


@dataclass(frozen=True)
class Keys:
    """Exact scores, comparable as (``high``, ``low``).

    ``high`` is the score rounded to float64 and ``low`` the rounded remainder; if no remainder is
    left after that, the two are the exact score.
    """

    high: NDArray[np.float64]
    """(n,)"""
    low: NDArray[np.float64]
    """(n,)"""
    whole: NDArray[np.bool_]
    """(n,) whether ``high`` + ``low`` is the exact score; otherwise equal keys do not imply equal
    scores."""


def exact_keys(queries: Encoded, vectors: Encoded, query: Pairs, vector: Pairs) -> Keys:
    """Scores of pairs, as :func:`inner` takes them, without any rounding.

    Sums are folded as in :func:`inner`, with the rounding errors in a second sum. If an addition of
    the second sum is itself rounded, integers decide.
    """
    if isinstance(queries, Composite):
        return queries.exact_keys(vectors, query, vector)
    n = len(query)
    high, low, whole = np.empty(n), np.empty(n), np.ones(n, bool)
    for rows in _chunks(n, 4 * queries.shape[1]):
        sums = queries[query[rows]].astype(np.float64)
        sums *= vectors[vector[rows]]
        lost = np.zeros_like(sums)
        fine = np.ones(len(sums), bool)
        width = sums.shape[1]
        while width > 1:
            half = (width + 1) // 2
            left, right = slice(0, width - half), slice(half, width)
            total, error = two_sum(sums[:, left], sums[:, right])
            both, first = two_sum(lost[:, left], lost[:, right])
            both, second = two_sum(both, error)
            fine &= ~(first.any(1) | second.any(1))
            sums[:, left], lost[:, left] = total, both
            width = half
        high[rows], low[rows] = two_sum(sums[:, 0], lost[:, 0])
        whole[rows] = fine
    for i in np.flatnonzero(~whole).tolist():
        score = real_score(queries[query[i]], vectors[vector[i]])
        high[i] = float(score)
        left_over = score - Fraction(high[i])
        low[i] = float(left_over)
        whole[i] = Fraction(low[i]) == left_over
    # 0.0 and -0.0 are one number, and sort as one.
    return Keys(high + 0.0, low + 0.0, whole)


def real_score(query: Encoded, vector: Encoded) -> Fraction:
    """The inner product of two vectors (d,), as a fraction: exact, and slow."""
    if isinstance(query, Composite):
        return query.real_score(vector)
    # The products are exact in float64: whole numbers of up to 53 bits times powers of two.
    mantissas, exponents = np.frexp(query.astype(np.float64) * vector.astype(np.float64))
    lowest = int(exponents.min(initial=0))
    wholes = np.ldexp(mantissas, 53).astype(np.int64).tolist()
    total = sum(x << by for x, by in zip(wholes, (exponents - lowest).tolist(), strict=True))
    return Fraction(total) * Fraction(2) ** (lowest - 53)


def by_group(group: Pairs, score: NDArray[np.floating[Any]]) -> Pairs:
    """(n,) places by ``group`` (n,) ascending, then ``score`` (n,) descending; equal ones as given.

    Complex numbers are sorted by their real parts, and equal ones by their imaginary parts: one
    sort for both, which is fast where much is in order. :func:`numpy.lexsort` forgets the order in
    a group while it sorts by another key.
    """
    both = np.empty(len(group), np.complex128)
    both.real, both.imag = group, -score
    return np.argsort(both, kind="stable")


class Decider(ABC):
    """Comparisons of scores that float32 leaves open.

    A pair is a row of ``queries`` (Q, d) and the number of a passage's vector, which subclasses
    load. ``longest`` is an upper bound on the vectors' lengths.
    """

    def __init__(self, queries: Encoded, longest: float, decisions: Decisions) -> None:
        self.queries, self.decisions = queries, decisions
        self.error = inner_error(queries, longest)
        """(Q,) error bound of float64 scores."""

    @abstractmethod
    def scores(self, query: Pairs, vector: Pairs) -> NDArray[np.float64]:
        """Scores of pairs as :func:`inner` gives them."""

    @abstractmethod
    def keys(self, query: Pairs, vector: Pairs) -> Keys:
        """Scores of pairs as :func:`exact_keys` gives them."""

    @abstractmethod
    def real(self, query: int, vector: int) -> Fraction:
        """The score of a pair as :func:`real_score` gives it."""

    def signs(self, query: Pairs, first: Pairs, second: Pairs) -> NDArray[np.int8]:
        """(n,) 1 if the score of ``first`` is higher, -1 if it is lower, 0 if equal."""
        first, second = self.same(first), self.same(second)
        difference = self._counted(query, first) - self._counted(query, second)
        out = np.sign(difference).astype(np.int8)
        open_ = np.abs(difference) <= 2 * self.error[query]
        out[open_] = 0
        # A vector ties with itself, and with an equal one.
        left = np.flatnonzero(open_ & (first != second))
        if not len(left):
            return out
        a, b = self._known(query[left], first[left]), self._known(query[left], second[left])
        high, low = np.sign(a.high - b.high), np.sign(a.low - b.low)
        out[left] = np.where(high != 0, high, low).astype(np.int8)
        for i in left[(out[left] == 0) & ~(a.whole & b.whole)].tolist():
            one = self.real(int(query[i]), int(first[i]))
            other = self.real(int(query[i]), int(second[i]))
            out[i] = (one > other) - (one < other)
        return out

    def same(self, vector: Pairs) -> Pairs:
        """(n,) one number for all vectors that are equal bit by bit, as far as that is known.

        Texts that a tokenizer does not tell apart have equal vectors: thousands may share a score,
        which need not be computed to see that they do.
        """
        return vector

    def _counted(self, query: Pairs, vector: Pairs) -> NDArray[np.float64]:
        """Scores of pairs, each computed once."""
        pairs, where = _different(query, vector)
        self.decisions.add(float64=len(pairs[0]))
        return self.scores(*pairs)[where]

    def _known(self, query: Pairs, vector: Pairs) -> Keys:
        """Keys of pairs, each computed once."""
        pairs, where = _different(query, vector)
        self.decisions.add(exact=len(pairs[0]))
        keys = self.keys(*pairs)
        return Keys(keys.high[where], keys.low[where], keys.whole[where])

    def order(
        self,
        query: Pairs,
        vector: Pairs,
        score: NDArray[np.float32],
        margin: NDArray[np.float32],
        *,
        group: Pairs | None = None,
        tie: Pairs | None = None,
    ) -> tuple[Pairs, NDArray[np.bool_]]:
        """The order of candidates by group, then score descending, then ``tie`` ascending.

        Args:
            query: (n,)
            vector: (n,)
            score: (n,) float32 scores, descending within a group; equal ones in any order.
            margin: (Q,) distance beyond which the order of two float32 scores of a query is
                certain.
            group: (n,) ascending, candidates of one query each; default: ``query``.
            tie: (n,) which of two equal scores comes first, the lower; default: ``vector``.

        Returns:
            (n,) places of the candidates in order, and (n,) whether each has the same score as the
            one before it.
        """
        n = len(query)
        group = query if group is None else group
        tie = vector if tie is None else tie
        order, level = np.arange(n), np.zeros(n, bool)
        near = np.zeros(n, bool)
        near[1:] = (group[1:] == group[:-1]) & (score[:-1] - score[1:] <= margin[query[1:]])
        runs, number = _runs(near)
        if not len(runs):
            return order, level
        self.decisions.add(float64=len(runs))
        value = self.scores(query[runs], vector[runs])
        # Equal ones are compared exactly below, and by ``tie``.
        best = by_group(number, value)
        order[runs] = runs[best]
        value = value[best]
        near = np.zeros(n, bool)
        near[runs[1:]] = (number[1:] == number[:-1]) & (
            value[:-1] - value[1:] <= 2 * self.error[query[runs[1:]]]
        )
        runs, number = _runs(near)
        if not len(runs):
            return order, level
        members = order[runs]
        same_as = self.same(vector[members])
        high, low, whole = np.zeros(len(runs)), np.zeros(len(runs)), np.ones(len(runs), bool)
        # A run of nothing but equal vectors ties: only others need exact scores.
        apart = (number[1:] == number[:-1]) & (same_as[1:] != same_as[:-1])
        open_ = np.isin(number, number[1:][apart])
        if open_.any():
            keys = self._known(query[members[open_]], same_as[open_])
            high[open_], low[open_], whole[open_] = keys.high, keys.low, keys.whole
        best = np.lexsort((tie[members], -low, -high, number))
        order[runs], same_as = members[best], same_as[best]
        high, low, whole = high[best], low[best], whole[best]
        same = np.zeros(len(runs), bool)
        same[1:] = (number[1:] == number[:-1]) & (high[1:] == high[:-1]) & (low[1:] == low[:-1])
        level[runs] = same
        if whole.all():
            return order, level
        # Candidates with equal keys that are not the exact scores.
        tied, number = _runs(same)
        for i in np.unique(number):
            at = tied[number == i]
            if not whole[at].all() and (same_as[at] != same_as[at[0]]).any():
                places = runs[at]
                one = int(query[order[places[0]]])
                exact = {v: self.real(one, v) for v in np.unique(same_as[at]).tolist()}
                members = order[places].tolist()
                real = {m: exact[v] for m, v in zip(members, same_as[at].tolist(), strict=True)}
                ordered = sorted(real, key=lambda m: (-real[m], tie[m]))
                order[places] = ordered
                level[places[1:]] = [real[a] == real[b] for a, b in pairwise(ordered)]
        return order, level


class EqualVectors:
    """Which vectors are equal bit by bit, of those looked up so far; threads may share one."""

    def __init__(self) -> None:
        self._number: dict[int, int] = {}
        self._first: dict[bytes, int] = {}

    def numbers(
        self, vector: Pairs, rows: Callable[[Pairs], NDArray[np.float32]]
    ) -> NDArray[np.int64]:
        """(n,) one of the equal vectors' numbers for each of ``vector``, read by ``rows``."""
        different, where = np.unique(vector, return_inverse=True)
        new = np.array([v for v in different.tolist() if v not in self._number], np.int64)
        if len(new):
            for v, row in zip(new.tolist(), rows(new), strict=True):
                content = hashlib.sha256(row.tobytes()).digest()
                self._number[v] = self._first.setdefault(content, v)
        return np.array([self._number[v] for v in different.tolist()], np.int64)[where]


class VectorDecider(Decider):
    """A decider with vectors (N, d) in memory; ``compiled``: uses compiled loops."""

    def __init__(
        self,
        queries: Encoded,
        vectors: Encoded,
        longest: float,
        decisions: Decisions,
        *,
        compiled: bool = False,
    ) -> None:
        super().__init__(queries, longest, decisions)
        self.vectors, self._compiled = vectors, compiled
        self._equal = EqualVectors()

    def same(self, vector: Pairs) -> Pairs:
        """See :class:`Decider`."""
        if isinstance(self.vectors, np.ndarray):
            return self._equal.numbers(vector, self.vectors.__getitem__)
        return vector

    def scores(self, query: Pairs, vector: Pairs) -> NDArray[np.float64]:
        """See :class:`Decider`."""
        return inner(self.queries, self.vectors, query, vector, compiled=self._compiled)

    def keys(self, query: Pairs, vector: Pairs) -> Keys:
        """See :class:`Decider`."""
        return exact_keys(self.queries, self.vectors, query, vector)

    def real(self, query: int, vector: int) -> Fraction:
        """See :class:`Decider`."""
        return real_score(self.queries[query], self.vectors[vector])


def _different(query: Pairs, vector: Pairs) -> tuple[tuple[Pairs, Pairs], Pairs]:
    """Distinct pairs among those given, and the index of each."""
    width = int(vector.max(initial=0)) + 1
    codes, where = np.unique(query * width + vector, return_inverse=True)
    return (codes // width, codes % width), where


def _runs(near: NDArray[np.bool_]) -> tuple[Pairs, Pairs]:
    """Places in runs of two or more, and the number of the run each is in.

    ``near`` (n,) says of each place whether it continues the previous one's run.
    """
    member = near.copy()
    member[:-1] |= near[1:]
    places = np.flatnonzero(member)
    return places, np.cumsum(~near[places])
