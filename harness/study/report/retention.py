"""Retention: the share of a score kept without training in a domain or language ("home").

A model's home on a task is the training in the task's own domain. Retention is the score of an arm
trained elsewhere over the score of the same arm with the same seed trained at home, both on the
same task and questions; the ratio is taken again without each question and for each seed. 1 is no
loss. Measures where lower is better have no retention.

Where values of an axis of names are named as groups of languages are (those that a training leaves
out), each has a home in its group: the first value of the axis, which leaves none out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics import better_of
from harness.stats.crossed import Crossed, crossed
from harness.stats.ragged import FloatArray, divide
from harness.study.definition import Value
from harness.study.report.contrasts import drawn, seeds_of
from harness.study.report.layout import Layout, Place, Series
from harness.study.report.score_tables import ALL, ScoreTable


@dataclass(frozen=True)
class Retained:
    """One arm on one task; estimates are ``(M,)``, undefined for measures without retention."""

    score_table: ScoreTable
    group: str
    """Of query languages."""
    series: Series
    home: Value
    away: Value
    ratio: Crossed
    against: str | None
    """The baseline's series; ``None`` for the baseline itself, or where it is not finished."""
    difference: Crossed | None
    """Its ratio minus the baseline's, seed by seed."""
    seeds: int


def retentions(layout: Layout, all_tables: Sequence[ScoreTable]) -> list[Retained]:
    """Retention of every arm on every task and group of languages with a home on the x axis."""
    axis = layout.axis
    if axis is None or layout.numeric:
        return []
    spec = layout.study.report.retention
    by_domain = spec is not None and spec.get("axis") == axis.name
    domains = {x.name: x.domain for x in layout.study.scored} if by_domain else {}
    found = []
    for score_table in all_tables:
        pairs: list[tuple[str, Value, Value]] = []
        home = domains.get(score_table.key)
        if home in axis.values:
            pairs += [(ALL, home, x) for x in axis.values if x != home]
        named = score_table.groups[1 : score_table.tested]
        pairs += [(str(x), axis.values[0], x) for x in axis.values[1:] if x in named]
        for group, at_home, away in pairs:
            for series in layout.series:
                if not series.level:
                    found += _one(layout, score_table, group, series, at_home, away)
    return found


def _one(
    layout: Layout, score_table: ScoreTable, group: str, series: Series, home: Value, away: Value
) -> list[Retained]:
    g = score_table.groups.index(group)
    own = (layout.place(series, away), layout.place(series, home))
    seeds = seeds_of(score_table, own)
    if not seeds:
        return []
    baseline, difference = layout.baseline_of(series), None
    if baseline is not None and not baseline.level:
        other = (layout.place(baseline, away), layout.place(baseline, home))
        shared = seeds_of(score_table, [*own, *other])
        if shared:
            a, b = _ratio(score_table, g, own, shared), _ratio(score_table, g, other, shared)
            difference = crossed(a[0] - b[0], a[1] - b[1])
    return [
        Retained(
            score_table=score_table,
            group=group,
            series=series,
            home=home,
            away=away,
            ratio=crossed(*_ratio(score_table, g, own, seeds)),
            against=None if difference is None or baseline is None else baseline.label,
            difference=difference,
            seeds=len(seeds),
        )
    ]


def _ratio(
    score_table: ScoreTable, group: int, pair: tuple[Place, Place], seeds: Sequence[int]
) -> tuple[FloatArray, FloatArray]:
    """Of each seed ``(S, M)``, and without each question ``(S, Q, M)``."""
    away, home = (drawn(score_table, [place], seeds) for place in pair)
    values = divide(away.values, home.values)[:, group]
    without = divide(away.without, home.without)[:, :, group]
    for number, measure in enumerate(score_table.measures):
        if better_of(measure) != "higher":
            values[..., number] = without[..., number] = np.nan
    return values, without
