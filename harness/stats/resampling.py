"""Intervals and paired tests for queries that are not independent.

A question has a query in up to 11 languages, whose values are correlated. Therefore questions
(clusters of queries) are resampled, never single queries.

The statistic is the macro mean: the mean over groups (query languages) of the mean over a group's
queries. If a query language has several settings, these are the groups, the language is their
parent, and the macro mean is over parents of their means over groups. Undefined values (NaN) are
left out, as are groups without a defined value. With one group it is the micro mean.

Everything is a sum over clusters, so a resample is a row of weights, and all resamples together
are one matrix product; no query is ever copied.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.stats.means import mean_along
from harness.stats.ragged import FloatArray, IntArray, divide

RESAMPLES = 10_000
LEVEL = 0.95
# Weights of one block of resamples, in bytes: small compared with a search's score blocks.
_BLOCK_BYTES = 8 << 20
_COPIES = 8  # of a block's statistics at a time, about
_KEPT_WEIGHTS = 32 << 20  # of two bytes each, between one level of means and the next
_COLUMNS = 64
_LEAST_BEYOND = 2
"""Resamples that must be expected beyond an end for an interval to mean anything."""
_NORMAL = NormalDist()

_ROUNDING = 1e-12
"""Tolerance for equal sums of a resample, relative to the value, or to 1."""


@dataclass(frozen=True)
class Estimates:
    """Estimates with intervals; ``...`` is the shape of the statistic, ``(M,)`` or ``(L, M)``."""

    value: FloatArray
    """``(...)``: the statistic on the original data; NaN if undefined."""
    standard_error: FloatArray
    """``(...)``: standard deviation over the resamples."""
    percentile: FloatArray
    """``(..., 2)``: percentile interval (Efron 1979)."""
    bca: FloatArray
    """``(..., 2)``: bias-corrected and accelerated interval (Efron 1987)."""


class Resamples:
    """How often each cluster is drawn in each of B resamples, with replacement.

    Tables with the same number of clusters share them: pass one object to several calls of
    :func:`cluster_bootstrap` to draw only once.
    """

    def __init__(self, resamples: int, *, seed: int) -> None:
        """``resamples`` is B, ``seed`` that of numpy's PCG64."""
        self.resamples = resamples
        self.seed = seed
        self._kept: dict[int, IntArray] = {}

    def blocks(self, clusters: int, width: int = 0) -> Iterator[tuple[slice, FloatArray]]:
        """Slices of the resamples with their weights, ``(rows, clusters)`` float64.

        A block of ``width`` float64 values per resample fits into the memory budget too. Neither
        the width nor the size of a block changes a weight.
        """
        kept = self._kept.get(clusters)
        if kept is None and self.resamples * clusters <= _KEPT_WEIGHTS:
            kept = np.empty((self.resamples, clusters), np.uint16)
            for rows, weights in self._drawn(clusters, clusters):
                kept[rows] = weights
            self._kept[clusters] = kept
        if kept is None:
            yield from self._drawn(clusters, max(clusters, width))
            return
        for rows in _blocks(self.resamples, max(clusters, width)):
            yield rows, kept[rows].astype(np.float64)

    def _drawn(self, clusters: int, width: int) -> Iterator[tuple[slice, FloatArray]]:
        rng = np.random.Generator(np.random.PCG64(self.seed))
        for rows in _blocks(self.resamples, width):
            size = rows.stop - rows.start
            drawn = rng.integers(clusters, size=(size, clusters))
            drawn += np.arange(size)[:, None] * clusters
            weights = np.bincount(drawn.ravel(), minlength=size * clusters)
            yield rows, weights.reshape(size, clusters).astype(np.float64)


@dataclass(frozen=True)
class Bootstrap:
    """The result of :func:`cluster_bootstrap`, with everything needed to reproduce it.

    Each level of means is resampled when it is first looked at.
    """

    clusters: int
    resamples: int
    level: float
    seed: int
    macro_levels: FloatArray | None
    _table: _Table = field(repr=False)
    _weights: Resamples = field(repr=False)

    @cached_property
    def macro(self) -> Estimates:
        """Macro means, ``(M,)``."""
        return self._estimates(self._table.places.macro, ())

    @cached_property
    def parents(self) -> Estimates:
        """Means of each parent over its groups, ``(P, M)``; no rows without parents."""
        return self._estimates(self._table.places.parents, (-1,))

    @cached_property
    def groups(self) -> Estimates:
        """Means of each group, ``(L, M)``."""
        return self._estimates(self._table.places.groups, (-1,))

    @cached_property
    def macro_at(self) -> FloatArray | None:
        """``(M, 2)``: BCa intervals of the macro means, each at its own of ``macro_levels``."""
        if self.macro_levels is None:
            return None
        ends: FloatArray = self._intervals(self._table.places.macro, self.macro_levels)[-1]
        ends[(1 - self.macro_levels) / 2 * self.resamples < _LEAST_BEYOND] = np.nan
        return ends

    def _estimates(self, place: slice, means: tuple[int, ...]) -> Estimates:
        found = self._intervals(place, self.level)
        shape = (*means, self._table.measures)
        return Estimates(*(x.reshape(*shape, *x.shape[1:]) for x in found))

    def _intervals(self, place: slice, level: float | FloatArray) -> tuple[FloatArray, ...]:
        value, without = self._value[place], self._without[:, place]
        found = _intervals(value, self._draws(place), without, level)
        # Resamples of a single cluster do not vary, which says nothing about their spread.
        alone = self._table.contributing[place] < 2
        for part in found[1:]:
            part[alone] = np.nan
        return found

    @cached_property
    def _value(self) -> FloatArray:
        value: FloatArray = self._table.statistics(np.ones((1, self.clusters)))[0]
        return value

    @cached_property
    def _without(self) -> FloatArray:
        # Leaving out a cluster means subtracting its sums from the totals.
        sums, counts = self._table.sums, self._table.counts
        return self._table.from_sums(sums.sum(axis=0) - sums, counts.sum(axis=0) - counts)

    def _draws(self, place: slice) -> FloatArray:
        """``(B, columns)`` means of ``place`` in each resample."""
        if not self._table.balanced:
            return self._ratios[:, place]
        # Macro means are drawn with those of parents: who looks at one mostly looks at both.
        first = self._table.places.parents.start
        if place.start < first:
            return self._sums(place)
        return self._upper[:, place.start - first : place.stop - first]

    @cached_property
    def _upper(self) -> FloatArray:
        return self._sums(slice(self._table.places.parents.start, None))

    def _sums(self, place: slice) -> FloatArray:
        # Every resample has the same counts, so its means are sums of the clusters' shares, and
        # means over groups can be taken of the shares instead of every resample.
        shares = self._table.shares()[:, place]
        undefined = np.isnan(shares).any(axis=0)
        shares = np.nan_to_num(shares)
        draws = np.empty((self.resamples, shares.shape[1]))
        for rows, weights in self._weights.blocks(self.clusters):
            np.matmul(weights, shares, out=draws[rows])
        draws[:, undefined] = np.nan
        return draws

    @cached_property
    def _ratios(self) -> FloatArray:
        table = self._table
        draws = np.empty((self.resamples, table.columns))
        for rows, weights in self._weights.blocks(self.clusters, _COPIES * table.columns):
            draws[rows] = table.statistics(weights)
        return draws


@dataclass(frozen=True)
class Difference:
    """Differences with p-values; ``...`` is ``(M,)``, ``(P, M)`` or ``(L, M)``."""

    value: FloatArray
    """``(...)``: mean of the first system minus that of the second; NaN if undefined."""
    p_value: FloatArray
    """``(...)``: two-sided, never 0, not corrected for the number of comparisons."""
    p_lower: FloatArray
    """``(...)``: one-sided, for a difference as far below 0; otherwise like ``p_value``."""
    p_higher: FloatArray
    """``(...)``: one-sided, for a difference as far above 0."""


@dataclass(frozen=True)
class Permutation:
    """The result of :func:`paired_permutation_test`."""

    macro: Difference
    """``(M,)``."""
    parents: Difference
    """``(P, M)``; no rows without parents."""
    groups: Difference
    """``(L, M)``."""
    clusters: int
    resamples: int
    """Sign assignments tried; all of them if there are few clusters."""
    exact: bool
    """All sign assignments were tried, so nothing depends on the seed."""
    seed: int


def cluster_bootstrap(
    values: NDArray[Any],
    clusters: NDArray[Any],
    groups: IntArray,
    n_groups: int,
    *,
    seed: int,
    parents: IntArray | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    macro_levels: FloatArray | None = None,
    weights: Resamples | None = None,
) -> Bootstrap:
    """Resample whole clusters and return intervals for macro and group means.

    Args:
        values: per-query values, ``(Q, M)`` for M measures or systems (``(Q,)`` is one); NaN if
            undefined. For the interval of a difference pass the differences.
        clusters: the cluster of each query, ``(Q,)``: question ids or numbers.
        groups: the group of each query, ``(Q,)``, 0 to ``n_groups - 1``: its language, or setting.
        n_groups: L.
        seed: of numpy's PCG64; equal arguments give equal intervals.
        parents: the parent of each group, ``(L,)``, from 0: the query language of each setting.
        resamples: B, number of resamples.
        level: coverage of the intervals.
        macro_levels: also intervals of the macro means with these coverages, ``(M,)``; NaN where
            fewer than two resamples are expected beyond an end.
        weights: of the same seed and number of resamples, drawn for another table already.

    Returns:
        Means with intervals; a mean without a defined value is NaN with a NaN interval. NaN is also
        the interval of a mean to which a single cluster contributes.
    """
    table = _Table.of(values, clusters, groups, n_groups, parents)
    if weights is None:
        weights = Resamples(resamples, seed=seed)
    elif (weights.resamples, weights.seed) != (resamples, seed):
        raise ValueError("weights are of another seed or number of resamples")
    return Bootstrap(table.clusters, resamples, level, seed, macro_levels, table, weights)


class _Places(NamedTuple):
    groups: slice
    parents: slice
    macro: slice


class LeftOut(NamedTuple):
    """Means of P parents for M measures, with and without each of C clusters."""

    macro: FloatArray
    """``(M,)``."""
    parents: FloatArray
    """``(P, M)``."""
    macro_without: FloatArray
    """``(C, M)``, clusters in ascending order of their names."""
    parents_without: FloatArray
    """``(C, P, M)``."""


def leave_one_out(
    values: NDArray[Any], clusters: NDArray[Any], groups: IntArray, parents: IntArray
) -> LeftOut:
    """Macro means with and without each cluster; arguments as of :func:`cluster_bootstrap`."""
    table = _Table.of(values, clusters, groups, len(parents), parents)
    sums, counts = table.sums.sum(axis=0), table.counts.sum(axis=0)
    _, of_parents, macro = table.split(table.from_sums(sums[None], counts[None])[0])
    without = table.from_sums(sums - table.sums, counts - table.counts)
    _, parents_without, macro_without = table.split(without.T)
    return LeftOut(macro, of_parents, macro_without.T, np.moveaxis(parents_without, -1, 0))


def paired_permutation_test(
    first: NDArray[Any],
    second: NDArray[Any],
    clusters: NDArray[Any],
    groups: IntArray,
    n_groups: int,
    *,
    seed: int,
    parents: IntArray | None = None,
    resamples: int = RESAMPLES,
) -> Permutation:
    """Test whether two systems have the same macro mean, by swapping them question by question.

    Under the null hypothesis the labels "first" and "second" can be exchanged within any cluster,
    which flips the sign of the differences of all its queries at once. The two-sided p-value is the
    share of sign assignments with a difference at least as large as the observed one; the observed
    one is counted among them, so it is never 0 (Phipson and Smyth 2010). With few clusters
    (``2 ** C`` no more than ``resamples``) all assignments are tried.

    Args:
        first: per-query values, ``(Q, M)`` or ``(Q,)``; higher or lower may be better.
        second: values of the other system on the same queries, same shape. Queries that are
            undefined for either are left out.
        clusters: as in :func:`cluster_bootstrap`.
        groups: as in :func:`cluster_bootstrap`.
        n_groups: as in :func:`cluster_bootstrap`.
        seed: of numpy's PCG64.
        parents: as in :func:`cluster_bootstrap`.
        resamples: number of sign assignments drawn.
    """
    difference = np.asarray(first) - np.asarray(second)
    table = _Table.of(difference, clusters, groups, n_groups, parents)
    # A swap does not change the counts, so the statistic is linear: each cluster adds its share.
    shares = table.shares()
    # A group without any defined value has nothing to flip, and its NaN must not spread.
    undefined = np.isnan(shares).all(axis=0)
    shares = np.nan_to_num(shares)
    observed = shares.sum(axis=0)
    # Equal sums in another order differ in their last digits; they still count as equal.
    slack = 1e-12 * np.abs(shares).sum(axis=0)
    n = table.clusters
    exact = n < 63 and 2**n <= resamples
    tried = 2**n if exact else resamples
    rng = np.random.Generator(np.random.PCG64(seed))
    lower, higher, beyond = np.zeros((3, len(observed)), dtype=np.int64)
    for rows in _blocks(tried, n):
        if exact:
            bits = (np.arange(rows.start, rows.stop)[:, None] >> np.arange(n)) & 1
        else:
            bits = rng.integers(2, size=(rows.stop - rows.start, n), dtype=np.int8)
        signs = 1.0 - 2.0 * bits
        swapped = signs @ shares
        lower += (swapped <= observed + slack).sum(axis=0)
        higher += (swapped >= observed - slack).sum(axis=0)
        beyond += (np.abs(swapped) >= np.abs(observed) - slack).sum(axis=0)
    reached = (beyond, lower, higher)
    p_values = (x / tried if exact else (x + 1) / (tried + 1) for x in reached)
    found = (np.where(undefined, np.nan, x) for x in (observed, *p_values))
    of_groups, of_parents, macro = zip(*(table.split(x) for x in found), strict=True)
    return Permutation(
        macro=Difference(*macro),
        parents=Difference(*of_parents),
        groups=Difference(*of_groups),
        clusters=n,
        resamples=tried,
        exact=exact,
        seed=seed,
    )


@dataclass(frozen=True)
class _Table:
    """Sums and counts of each cluster, in L * M columns: by group, then by measure."""

    sums: FloatArray
    """``(C, L * M)``."""
    counts: FloatArray
    """``(C, L * M)``: defined values."""
    distinct: NDArray[np.intp]
    """Distinct columns of ``counts``: most measures share them, so products need them only once."""
    spread: NDArray[np.intp]
    """``(L * M,)``: which of ``distinct`` each column equals."""
    measures: int
    members: tuple[NDArray[np.intp], ...]
    """The groups of each parent; empty without parents."""

    @property
    def clusters(self) -> int:
        return len(self.sums)

    @property
    def places(self) -> _Places:
        """Where each level of means stands in a row of statistics."""
        first, last = self.sums.shape[1], self.columns - self.measures
        return _Places(slice(0, first), slice(first, last), slice(last, self.columns))

    @cached_property
    def balanced(self) -> bool:
        """Whether every cluster has the same count in a column: no resample changes a count."""
        return bool((self.counts == self.counts[:1]).all())

    @cached_property
    def contributing(self) -> NDArray[np.intp]:
        """``(columns,)``: clusters that contribute to each mean."""
        has = (self.counts > 0).reshape(self.clusters, -1, self.measures)
        levels = [has, *(has[:, groups].any(axis=1, keepdims=True) for groups in self.members)]
        levels.append(has.any(axis=1, keepdims=True))
        each: NDArray[np.intp] = np.concatenate(levels, axis=1).sum(axis=0)
        return each.ravel()

    def shares(self) -> FloatArray:
        """``(C, columns)``: what each cluster adds to each mean; NaN where that is undefined."""
        return self.roll_up(divide(self.sums, self.counts.sum(axis=0)))

    @property
    def columns(self) -> int:
        """The parts of a row of statistics: means of groups, then of parents, then macro means."""
        return int(self.sums.shape[1]) + (len(self.members) + 1) * self.measures

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        clusters: NDArray[Any],
        groups: IntArray,
        n_groups: int,
        parents: IntArray | None,
    ) -> _Table:
        values = np.asarray(values, dtype=np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if not len(values) == len(clusters) == len(groups):
            raise ValueError(
                f"values, clusters and groups must have one row per query, not {len(values)}, "
                f"{len(clusters)} and {len(groups)}"
            )
        names, numbers = np.unique(clusters, return_inverse=True)
        cells = numbers * n_groups + groups
        shape = (len(names), n_groups, values.shape[1])
        sums, tallies = np.zeros(shape), np.zeros(shape)
        seen: dict[bytes, int] = {}
        same = np.arange(values.shape[1])
        for m, column in enumerate(values.T):
            defined = ~np.isnan(column)
            size = shape[0] * n_groups
            filled = np.where(defined, column, 0.0)
            sums[:, :, m] = np.bincount(cells, filled, size).reshape(shape[:2])
            same[m] = seen.setdefault(np.packbits(defined).tobytes(), m)
            if same[m] == m:
                tallies[:, :, m] = np.bincount(cells, defined, size).reshape(shape[:2])
            else:
                tallies[:, :, m] = tallies[:, :, same[m]]
        column_of = (np.arange(n_groups)[:, None] * shape[2] + same).ravel()
        distinct, spread = np.unique(column_of, return_inverse=True)
        flat = (shape[0], n_groups * shape[2])
        members: tuple[NDArray[np.intp], ...] = ()
        if parents is not None:
            if len(parents) != n_groups:
                raise ValueError(f"parents must have one entry for each of {n_groups} groups")
            members = tuple(np.flatnonzero(parents == p) for p in range(max(parents) + 1))
        return cls(sums.reshape(flat), tallies.reshape(flat), distinct, spread, shape[2], members)

    def statistics(self, weights: FloatArray) -> FloatArray:
        """All means for each row of cluster weights ``(rows, C)``: ``(rows, columns)``."""
        totals = weights @ self.counts[:, self.distinct]
        return self.from_sums(weights @ self.sums, totals[:, self.spread])

    def from_sums(self, sums: FloatArray, counts: FloatArray) -> FloatArray:
        """All means from sums and counts ``(rows, L * M)``."""
        return self.roll_up(divide(sums, counts))

    def roll_up(self, means: FloatArray) -> FloatArray:
        """Means of groups ``(rows, L * M)``, and after them those of parents and macro means."""
        levels = [means.reshape(len(means), -1, self.measures)]
        if self.members:
            by_parent = [mean_along(levels[0][:, groups], axis=1) for groups in self.members]
            levels.append(np.stack(by_parent, axis=1))
        macro = mean_along(levels[-1], axis=1)
        return np.concatenate([*(x.reshape(len(means), -1) for x in levels), macro], axis=1)

    def split(self, columns: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """``(columns, ...)`` as ``(L, M, ...)``, ``(P, M, ...)`` and ``(M, ...)``."""
        first, last = self.sums.shape[1], len(columns) - self.measures
        inner = (-1, self.measures, *columns.shape[1:])
        of_parents = columns[first:last].reshape((len(self.members), *inner[1:]))
        return columns[:first].reshape(inner), of_parents, columns[last:]


def _blocks(rows: int, width: int) -> Iterator[slice]:
    """Slices of ``rows`` whose float64 blocks of ``width`` columns fit into the memory budget."""
    step = max(1, _BLOCK_BYTES // (8 * max(width, 1)))
    for start in range(0, rows, step):
        yield slice(start, min(start + step, rows))


def _parts(columns: int) -> Iterator[slice]:
    """Slices of the columns, none of a single one: numpy sums that in another order."""
    ends = [*range(_COLUMNS, columns - 1, _COLUMNS), columns]
    return map(slice, [0, *ends], ends)


def _intervals(
    value: FloatArray, draws: FloatArray, without: FloatArray, level: float | FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Value, standard error, percentile and BCa interval of each column.

    ``draws`` is ``(B, columns)``, ``without`` (``(C, columns)``) the jackknife, ``level`` one
    number or one per column.
    """
    spread, defined = np.empty(len(value)), np.empty(len(value), np.int64)
    percentile, bca = np.full((2, len(value), 2), np.nan)
    levels = np.broadcast_to(np.asarray(level, dtype=np.float64), value.shape)
    # Acceleration: skewness of the clusters' influence (Efron and Tibshirani 1993, eq. 14.15).
    influence = np.nan_to_num(mean_along(without, 0) - without)
    acceleration = np.nan_to_num(
        divide((influence**3).sum(axis=0), 6 * (influence**2).sum(axis=0) ** 1.5)
    )
    # Some columns at a time: a copy of all draws would be most of a small run's memory.
    for part in _parts(len(value)):
        some = draws[:, part]
        spread[part] = np.sqrt(mean_along((some - mean_along(some, 0)) ** 2, 0))
        defined[part] = len(some) - np.isnan(some).sum(axis=0)
    for j in np.flatnonzero(defined):
        column = np.sort(draws[:, j])[: defined[j]]  # NaN last
        tails = ((1 - float(levels[j])) / 2, (1 + float(levels[j])) / 2)
        normal_tails = [_NORMAL.inv_cdf(t) for t in tails]
        percentile[j] = [_quantile(column, x) for x in tails]
        # Draws equal to the value count half: otherwise few distinct values would shift the
        # interval. A draw's sums may differ from the value's in their last bits, depending on the
        # processor.
        slack = _ROUNDING * max(abs(value[j]), 1.0)
        below = int(column.searchsorted(value[j] - slack, "left"))
        upto = int(column.searchsorted(value[j] + slack, "right"))
        share = (below + upto) / 2 / len(column)
        share = min(max(share, 0.5 / len(column)), 1 - 0.5 / len(column))
        shift = _NORMAL.inv_cdf(share)
        bca[j] = [
            _quantile(
                column,
                _NORMAL.cdf(shift + (shift + z) / max(1 - acceleration[j] * (shift + z), 1e-9)),
            )
            for z in normal_tails
        ]
    return value, np.where(defined > 0, spread, np.nan), percentile, bca


def _quantile(ascending: FloatArray, share: float) -> float:
    """Quantile of sorted values, interpolated linearly, as numpy's."""
    place = share * (len(ascending) - 1)
    low = int(place)
    high = min(low + 1, len(ascending) - 1)
    return float(ascending[low] + (ascending[high] - ascending[low]) * (place - low))
