"""Differences and ratios between places of a study: the effects in a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.compare import Verdict, verdict
from harness.metrics.measure import Better
from harness.stats.crossed import Crossed, crossed
from harness.stats.multiple_tests import ALPHA, holm
from harness.stats.pairwise_tests import paired_p_values
from harness.stats.ragged import FloatArray, divide
from harness.study.report.layout import Place
from harness.study.report.score_tables import Means, ScoreTable

Side = Sequence[Place] | str
"""One side of a contrast: places whose means are averaged, or a reference's name."""


@dataclass(frozen=True)
class Drawn:
    """The means of one side of a contrast for S seeds."""

    values: FloatArray
    """``(S, G, M)``."""
    without: FloatArray
    """``(S, Q, G, M)``."""
    shares: FloatArray
    """``(Q, H, M)``, averaged over the seeds."""


@dataclass(frozen=True)
class Contrast:
    """Difference and ratio of two sides; arrays are ``(G, M)``."""

    difference: Crossed
    relative: Crossed
    """The first side divided by the second, minus 1."""
    p_value: FloatArray
    """``(H, M)``: paired test over questions, seeds averaged; not corrected."""
    seeds: tuple[int, ...]
    """Seeds shared by all its places."""
    raw: FloatArray
    """``(S, G, M)``: the difference of each seed."""
    raw_without: FloatArray
    """``(S, Q, G, M)``."""


def seeds_of(score_table: ScoreTable, places: Sequence[Place]) -> tuple[int, ...]:
    """Seeds for which all of ``places`` are finished."""
    seed_sets = [set(score_table.cells.get(x, {})) for x in places]
    return tuple(sorted(set.intersection(*seed_sets))) if seed_sets else ()


def drawn(score_table: ScoreTable, side: Side, seeds: Sequence[int]) -> Drawn:
    """The means of a side for each of ``seeds``; a reference has the same means for all."""
    if isinstance(side, str):
        means = [[score_table.references[side]]] * len(seeds)
    else:
        means = [[score_table.cells[place][seed] for place in side] for seed in seeds]
    return Drawn(
        np.stack([_average([x.values for x in row]) for row in means]),
        np.stack([_average([x.without for x in row]) for row in means]),
        _average([x.shares for row in means for x in row]),
    )


def _average(arrays: Sequence[FloatArray]) -> FloatArray:
    return arrays[0] if len(arrays) == 1 else np.mean(np.stack(arrays), axis=0)


def value_at(score_table: ScoreTable, place: Place) -> Crossed | None:
    """The means of a place, ``(G, M)``; ``None`` if none of its seeds is finished."""
    seeds = seeds_of(score_table, [place])
    if not seeds:
        return None
    found = drawn(score_table, [place], seeds)
    return crossed(found.values, found.without)


def reference_value(means: Means) -> Crossed:
    """The means of an untrained model, over questions alone."""
    return crossed(means.values[None], means.without[None])


def contrast(score_table: ScoreTable, first: Side, second: Side) -> Contrast | None:
    """``first`` against ``second``, seed by seed; ``None`` without a shared finished seed."""
    places = [x for side in (first, second) if not isinstance(side, str) for x in side]
    if any(isinstance(x, str) and x not in score_table.references for x in (first, second)):
        return None
    seeds = seeds_of(score_table, places)
    if not seeds:
        return None
    a, b = drawn(score_table, first, seeds), drawn(score_table, second, seeds)
    values, without = a.values - b.values, a.without - b.without
    return Contrast(
        difference=crossed(values, without),
        relative=crossed(divide(a.values, b.values) - 1, divide(a.without, b.without) - 1),
        p_value=_over_questions(a.shares - b.shares),
        seeds=seeds,
        raw=values,
        raw_without=without,
    )


def _over_questions(shares: FloatArray) -> FloatArray:
    """Two-sided p-values ``(H, M)`` of shares ``(Q, H, M)`` that sum to a difference."""
    found = np.full(shares.shape[1:], np.nan)
    for at in np.ndindex(found.shape):
        pair = np.stack([shares[(slice(None), *at)], np.zeros(len(shares))])
        found[at] = paired_p_values(pair)[0, 1]
    return found


@dataclass(frozen=True)
class Effect:
    """One number of a contrast, with its verdict."""

    difference: float
    low: float
    high: float
    relative: float
    """Relative difference of the first side from the second."""
    relative_low: float
    relative_high: float
    standardised: float
    """Cohen's d_z over questions."""
    p_value: float
    """Over questions, seeds averaged, after Holm over its family; NaN for single languages."""
    uncorrected: float
    """The same before Holm."""
    standard_error_seeds: float
    standard_error_questions: float
    """The two parts of the interval's width."""
    beyond_seeds: bool
    """Whether it is further from 0 than seeds alone explain, at the interval's level."""
    seeds: int

    @property
    def significant(self) -> bool:
        """Whether it is significant over questions after Holm and over seeds and questions."""
        return self.p_value <= ALPHA and not self.low <= 0 <= self.high

    def verdict(self, better: Better | None) -> Verdict:
        """As :func:`harness.analysis.compare.verdict`, using :attr:`significant`."""
        return verdict(self.difference, self.p_value if self.significant else 1.0, better)


def effect(found: Contrast, group: int, measure: int, adjusted: float) -> Effect:
    """The effect in one group and measure."""
    at = (group, measure)
    d, r = found.difference, found.relative
    return Effect(
        difference=float(d.value[at]),
        low=float(d.low[at]),
        high=float(d.high[at]),
        relative=float(r.value[at]),
        relative_low=float(r.low[at]),
        relative_high=float(r.high[at]),
        standardised=float(d.standardised[at]),
        p_value=adjusted,
        uncorrected=float(found.p_value[at]) if group < len(found.p_value) else math.nan,
        standard_error_seeds=float(d.seeds_error[at]),
        standard_error_questions=float(d.questions_error[at]),
        beyond_seeds=bool(d.beyond_seeds[at]),
        seeds=len(found.seeds),
    )


def adjusted(families: Mapping[object, Sequence[float]]) -> dict[object, list[float]]:
    """Family -> its p-values after Holm, in order."""
    return {name: holm(list(values)).tolist() for name, values in families.items()}
