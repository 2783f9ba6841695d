"""The batches of one epoch, determined by data, settings, seed and the epoch's number.

Two ways to make an epoch. ``once``: every row exactly once; where rows have a choice, batches are
monolingual with probability alpha and languages follow the draw. ``drawn``: as many batches as the
rows would fill, each drawn independently (kind of batch, data set by size, language), so that alpha
and the languages are met for any data; a row may occur several times or not at all.

In both a batch has rows of one data set, no two of the same group, and the number of batches is
the same in every epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.training.collisions import keep_apart
from harness.training.settings import Settings
from harness.training.strata import (
    Bools,
    Ints,
    PairRows,
    RecipeCells,
    Stratum,
    language_weights,
    strata_of,
)

Random = np.random.Generator
Weights = NDArray[np.float64]


@dataclass(frozen=True)
class Batch:
    """The rows of one batch, and its cell."""

    rows: Ints
    cell: int


class Plan:
    """The batches of any epoch."""

    def __init__(self, rows: PairRows, settings: Settings, *, processes: int = 1) -> None:
        """Arrange the data into strata.

        Args:
            rows: rows that the recipe can use; others are skipped.
            settings: of the sampler.
            processes: the number of batches is a multiple of it.

        Raises:
            UsageError: fewer pairs than a batch or than processes, a language with a single pair,
                no two pairs for one batch, or an alpha that the data cannot give with every pair
                once (:meth:`check_alpha` is for both ways to make an epoch).
        """
        self.rows, self.settings = rows, settings
        self.cells = RecipeCells(
            settings.recipe, rows.languages, single=settings.cross_batches == "single"
        )
        self.weights = self.cells.weights(language_weights(rows, settings))
        self.of_language = language_weights(rows, settings)
        self.strata, self.unusable = strata_of(rows, self.cells, settings.batch_size)
        used = sum(len(s.rows) for s in self.strata)
        if used < settings.batch_size:
            raise UsageError(
                f"the data have {used} pairs for --recipe {settings.recipe}, too few for a batch "
                f"of {settings.batch_size}; give more data or a smaller --batch-size"
            )
        for s in self.strata:
            if len(s.rows) == 1:
                raise UsageError(
                    f"{rows.names[s.data_set]}: has only one pair for batches of the kind "
                    f"{self.cells.name(int(s.cells[0]))}, which needs two: add pairs or drop "
                    "this row"
                )
        self.sizes = [_batch_size(s, settings.batch_size) for s in self.strata]
        self.counts = [
            max((len(s.rows) - len(s.home)) // b + len(s.home), s.crowd)
            for s, b in zip(self.strata, self.sizes, strict=True)
        ]
        most = int(np.argmax(self.counts))
        self.counts[most] += -sum(self.counts) % processes
        if settings.epoch == "once" and self.counts[most] > len(self.strata[most].rows):
            raise UsageError(
                f"the data's {used} pairs do not make as many batches for each of {processes} "
                "processes; give more data, fewer processes, or --epoch drawn"
            )
        if settings.epoch == "drawn" and not (self._able() >= 2).any():
            raise UsageError(
                f"no two pairs of the data fit one batch of --recipe {settings.recipe}, as they "
                "have no language in common: add pairs"
            )
        self.mono_share = self._mono_shares() if settings.epoch == "once" else []

    def __len__(self) -> int:
        return sum(self.counts)

    def epoch(self, number: int) -> list[Batch]:
        """The batches of epoch ``number``, counted from 0, in their order."""
        rng = np.random.default_rng([self.settings.seed, number])
        if self.settings.epoch == "drawn":
            return list(self._drawn(rng))
        batches: list[Batch] = []
        for i, stratum in enumerate(self.strata):
            batches += self._once(stratum, self.counts[i], self.sizes[i], self.mono_share[i], rng)
        return [batches[i] for i in rng.permutation(len(batches))]

    def _mono_shares(self) -> list[float]:
        """Probability of a monolingual batch in each stratum, so that alpha is met overall."""
        mono = [bool(self.cells.is_mono[s.cells].any()) for s in self.strata]
        cross = [bool((~self.cells.is_mono[s.cells]).any()) for s in self.strata]
        if self.settings.recipe != "hybrid":
            return [float(m) for m in mono]
        total = len(self)
        of = dict.fromkeys(((True, False), (False, True), (True, True)), 0)
        for m, c, n in zip(mono, cross, self.counts, strict=True):
            of[m, c] += n
        alpha = self.settings.alpha
        fixed = [self._one_mode(s, n) for s, n in zip(self.strata, self.counts, strict=True)]
        low, high = sum(m for m, _ in fixed) / total, 1 - sum(c for _, c in fixed) / total
        # One batch more or less is within the variation of a draw, so it is accepted.
        if not low - 1 / total <= alpha <= high + 1 / total:
            self.check_alpha()
            reach = " to ".join(dict.fromkeys(f"{x:.2f}" for x in (low, high)))
            raise UsageError(
                f"--alpha {alpha:g} is impossible with every pair once: the data have pairs in one "
                f"language only and pairs across languages only, which allow {reach}; set --alpha "
                "within it, or --epoch drawn, which repeats the scarcer pairs"
            )
        free = of[True, True]
        share = (alpha * total - of[True, False]) / free if free else 0.0
        share = min(max(share, 0.0), 1.0)
        return [share if m and c else float(m) for m, c in zip(mono, cross, strict=True)]

    def _one_mode(self, stratum: Stratum, count: int) -> tuple[float, float]:
        """Of a stratum's ``count`` batches: monolingual, and across languages, whatever is drawn.

        Rows of one kind that would not fill a batch are in a stratum with rows of the other.
        """
        mono: Bools = np.asarray(stratum.allowed[:, self.cells.is_mono].any(1))
        cross: Bools = np.asarray(stratum.allowed[:, ~self.cells.is_mono].any(1))
        if (mono & cross).any():
            return 0.0, 0.0
        share = float(mono[stratum.signature].mean())
        return count * share, count * (1 - share)

    def check_alpha(self) -> None:
        """Check that the data have pairs for both kinds of batches, if alpha needs both.

        Raises:
            UsageError: they lack those of one kind.
        """
        if self.settings.recipe != "hybrid":
            return
        open_: Bools = np.asarray((self._able() >= 2).any(0))
        alpha = self.settings.alpha
        for needed, mono, has, lacks in (
            (alpha > 0, True, "across languages", "in one language"),
            (alpha < 1, False, "in one language", "across languages"),
        ):
            if needed and not open_[self.cells.is_mono == mono].any():
                raise UsageError(
                    f"--alpha {alpha:g} is impossible: no two pairs of the data fit one batch "
                    f"{lacks}; set --alpha {int(not mono)}, with which all are {has}, or add pairs"
                )

    def _draw_cell(self, feasible: Bools, share: float, rng: Random) -> int:
        """One of the ``feasible`` (cells,): its mode by ``share``, then by weight."""
        mode = self.cells.is_mono == (rng.random() < share)
        among = feasible & mode if (feasible & mode).any() else feasible
        weights = self.weights * among
        if not weights.any():  # all weights are 0: choose any
            weights = among.astype(np.float64)
        return int(rng.choice(len(weights), p=weights / weights.sum()))

    def _once(
        self, stratum: Stratum, count: int, size: int, share: float, rng: Random
    ) -> list[Batch]:
        """Every row of a stratum in exactly one of ``count`` batches."""
        if len(stratum.allowed) == 1:
            return self._alike(stratum, count, share, rng)
        batches = list(self._greedy(stratum, size, share, rng))
        while len(batches) < count:
            longest = max(range(len(batches)), key=lambda i: len(batches[i].rows))
            whole = batches[longest]
            half = len(whole.rows) // 2
            batches[longest] = Batch(whole.rows[:half], whole.cell)
            batches.append(Batch(whole.rows[half:], whole.cell))
        return self._apart(stratum, batches)

    def _alike(self, stratum: Stratum, count: int, share: float, rng: Random) -> list[Batch]:
        """Rows that can be in the same cells: batches of equal size, give or take one.

        Rows are dealt to the batches in turn, group after group, so that no batch gets two of a
        group: none has more rows than there are batches.
        """
        order = _by_group(self.rows.group[stratum.rows], rng)
        found = []
        for i in range(count):
            cell = self._draw_cell(stratum.allowed[0], share, rng)
            found.append(Batch(stratum.rows[order[i::count]], cell))
        return found

    def _greedy(self, stratum: Stratum, size: int, share: float, rng: Random) -> Iterator[Batch]:
        """Rows that differ in what they can be: draw a cell that can still fill a batch, fill it.

        Rows left when no cell can fill a batch go to cells of ``home``: at most one more batch
        each.
        """
        order = rng.permutation(len(stratum.rows))
        queues = [
            stratum.rows[order[stratum.signature[order] == s]] for s in range(len(stratum.allowed))
        ]
        taken = np.zeros(len(queues), np.int64)
        left = np.array([len(q) for q in queues])

        def take(cell: int, limit: int) -> Batch:
            open_ = np.where(stratum.allowed[:, cell], left, 0)
            counts = rng.multivariate_hypergeometric(open_, limit, method="marginals")
            parts = [queues[s][taken[s] : taken[s] + counts[s]] for s in np.flatnonzero(counts)]
            taken[:] += counts
            left[:] -= counts
            return Batch(np.concatenate(parts), cell)

        table = stratum.allowed.astype(np.int64)
        while left.any():
            reach = left @ table
            if (full := reach >= size).any():
                yield take(self._draw_cell(full, share, rng), size)
                continue
            whole = reach == left.sum()
            if whole.any():
                cell = self._draw_cell(whole, share, rng)
            else:
                cell = int(stratum.home[reach[stratum.home].argmax()])
            yield take(cell, int(reach[cell]))

    def _apart(self, stratum: Stratum, batches: list[Batch]) -> list[Batch]:
        signature = np.full(len(self.rows), -1, np.int64)
        signature[stratum.rows] = stratum.signature
        moved = keep_apart(
            [b.rows for b in batches],
            np.array([b.cell for b in batches]),
            self.rows.group,
            signature,
            stratum.allowed,
            self.settings.batch_size,
        )
        if moved is None:
            raise UsageError(
                f"{self.rows.names[stratum.data_set]}: too many rows share ids or passages: "
                f"batches of {self.settings.batch_size} cannot separate them; "
                "give a smaller --batch-size"
            )
        return [Batch(rows, b.cell) for rows, b in zip(moved, batches, strict=True)]

    def _drawn(self, rng: Random) -> Iterator[Batch]:
        """Independent batches: kind, data set by size, language; rows from a shuffled queue.

        Strata of one data set are sampled together.
        """
        n, cells = len(self.rows.names), self.cells.count
        queues: dict[tuple[int, int], _Cycle] = {}
        open_ = self._able() >= 2
        kinds = {}
        for mono in (True, False):
            mode = open_ & (self.cells.is_mono == mono)
            among = mode if mode.any() else open_
            kinds[mono] = among, self._sizes(among)
        for _ in range(len(self)):
            among, sizes = kinds[rng.random() < self.settings.mono_share]
            data_set = int(rng.choice(n, p=sizes / sizes.sum()))
            weights = self.weights * among[data_set]
            if not weights.any():
                weights = among[data_set].astype(np.float64)
            cell = int(rng.choice(cells, p=weights / weights.sum()))
            if (data_set, cell) not in queues:
                members = [
                    s.rows[s.allowed[s.signature, cell]]
                    for s in self.strata
                    if s.data_set == data_set
                ]
                queues[data_set, cell] = _Cycle(np.concatenate(members), self.rows.group, rng)
            yield Batch(queues[data_set, cell].take(self.settings.batch_size), cell)

    def _able(self) -> Ints:
        """(data sets, cells) how many rows can be in each cell."""
        found = np.zeros((len(self.rows.names), self.cells.count), np.int64)
        for s in self.strata:
            found[s.data_set] += np.bincount(s.signature, minlength=len(s.allowed)) @ s.allowed
        return found

    def _sizes(self, among: Bools) -> Weights:
        """(data sets,) rows of each that can be in a cell ``among`` (data sets, cells)."""
        found = np.zeros(len(among))
        for s in self.strata:
            counts = np.bincount(s.signature, minlength=len(s.allowed))
            found[s.data_set] += counts[s.allowed[:, among[s.data_set]].any(1)].sum()
        return found

    def languages(self, batch: Batch, rng: Random) -> tuple[Ints, Ints]:
        """Languages of the queries and of the passages of ``batch``, both (rows,)."""
        n, size = len(self.rows.languages), len(batch.rows)
        if batch.cell < n:
            same = np.full(size, batch.cell)
            return same, same
        query, passage = self.rows.query[batch.rows], self.rows.passage[batch.rows]
        if batch.cell == n:
            same = _choose((query & passage) * self.of_language, query & passage, rng)
            return same, same
        if batch.cell == self.cells.apart:
            first = _choose(query * self.of_language, query, rng)
            return first, _choose(passage * self.of_language, passage, rng)
        if batch.cell == n + 1:
            able = query[:, :, None] & passage[:, None, :] & ~np.eye(n, dtype=bool)
            weights = able * np.outer(self.of_language, self.of_language)
            chosen = _choose(weights.reshape(size, -1), able.reshape(size, -1), rng)
        else:
            chosen = np.full(size, batch.cell - n - 2)
        return chosen // n, chosen % n

    def second_languages(self, batch: Batch, first: Ints, rng: Random) -> Ints:
        """(rows,) another language of each query of ``batch``, whose ``first`` (rows,) is taken."""
        able = self.rows.query[batch.rows].copy()
        able[np.arange(len(first)), first] = False
        return _choose(able * self.of_language, able, rng)


class _Cycle:
    """A queue of rows that is reshuffled and restarted at its end."""

    def __init__(self, rows: Ints, group: Ints, rng: Random) -> None:
        self._rows, self._group, self._rng = rows, group, rng
        self._queue: list[int] = []
        self._groups = len(np.unique(group[rows]))

    def take(self, size: int) -> Ints:
        """The next ``size`` rows, or fewer if there are fewer groups; no group twice."""
        found: dict[int, int] = {}
        later: list[int] = []
        while len(found) < min(size, self._groups):
            if not self._queue:
                self._queue = self._rng.permutation(self._rows)[::-1].tolist()
            row = self._queue.pop()
            group = int(self._group[row])
            if group in found:
                later.append(row)
            else:
                found[group] = row
        self._queue += later[::-1]
        return np.array(list(found.values()), np.int64)


def _choose(weights: Weights, able: Bools, rng: Random) -> Ints:
    """(n,) a column for each row by ``weights`` (n, k); any that is ``able`` where all are 0."""
    weights = np.where(weights.any(1, keepdims=True), weights, able.astype(np.float64))
    sums = weights.cumsum(1)
    # Strictly above: a column of weight 0 is never hit, not even by a draw of 0.
    return np.asarray((sums > rng.random(len(sums))[:, None] * sums[:, -1:]).argmax(1))


def _by_group(group: Ints, rng: Random) -> Ints:
    """An order of the rows in which groups follow each other at random, their rows together."""
    _, number = np.unique(group, return_inverse=True)
    shuffled = rng.permutation(int(number.max()) + 1)
    within = rng.permutation(len(group))
    return within[np.argsort(shuffled[number[within]], kind="stable")]


def _batch_size(stratum: Stratum, limit: int) -> int:
    """The largest size up to ``limit`` with as many batches as the largest group has rows."""
    n, homes = len(stratum.rows), len(stratum.home)
    size = min(limit, n)
    while size > 1 and (n - homes) // size + homes < stratum.crowd:
        size -= 1
    return size


def check_epochs(plan: Plan, epochs: Sequence[int]) -> None:
    """Make the batches of ``epochs`` once, so that errors appear before training.

    Raises:
        UsageError: see :meth:`Plan.epoch`.
    """
    if any(len(s.allowed) > 1 and s.crowd > 1 for s in plan.strata):
        for number in epochs:
            plan.epoch(number)
