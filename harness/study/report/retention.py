"""How much of a score is left away from home: in a domain that a model was not trained on.

A model's home on a task is the training in the task's own domain. Retention is the score of an arm
trained elsewhere over the score of the same arm with the same seed trained at home, both on the
same task and questions; the ratio is taken again in every replicate, without each question and for
each seed. 1 is no loss. Measures of which less is better have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.metrics.segments import divide
from harness.study.model import Value
from harness.study.report.contrasts import drawn, seeds_of
from harness.study.report.layout import Layout, Place, Series
from harness.study.report.sheets import Sheet, better_of
from harness.study.report.statistics import Crossed, crossed


@dataclass(frozen=True)
class Retained:
    """One arm on one task; estimates are ``(G, M)``, undefined for measures without retention."""

    sheet: Sheet
    series: Series
    home: Value
    away: Value
    ratio: Crossed
    against: str | None
    """The baseline's series; ``None`` for the baseline itself, or where it is not finished."""
    difference: Crossed | None
    """Its ratio less the baseline's, seed by seed."""
    seeds: int


def retentions(layout: Layout, sheets: Sequence[Sheet]) -> list[Retained]:
    """Of every arm on every task that has a home among the values of the axis."""
    spec = layout.study.report.retention
    axis = layout.study.axes.get(spec["axis"]) if spec else None
    if axis is None:
        return []
    domains = {scored.name: scored.domain for scored in layout.study.scored}
    found = []
    for sheet in sheets:
        home = domains.get(sheet.key)
        if home not in axis.values:
            continue
        for series in layout.series:
            for away in axis.values:
                if away != home:
                    found += _one(layout, sheet, series, axis.name, home, away)
    return found


def _one(
    layout: Layout, sheet: Sheet, series: Series, axis: str, home: Value, away: Value
) -> list[Retained]:
    own = _pair(layout, series, axis, home, away)
    baseline = layout.baseline_of(series)
    other = None if baseline is None else _pair(layout, baseline, axis, home, away)
    if own is None or not seeds_of(sheet, own):
        return []
    seeds = seeds_of(sheet, own)
    shared = () if other is None else seeds_of(sheet, [*own, *other])
    difference = None
    if other is not None and shared:
        a, b = _ratio(sheet, own, shared), _ratio(sheet, other, shared)
        difference = crossed(a[0] - b[0], a[1] - b[1])
    return [
        Retained(
            sheet=sheet,
            series=series,
            home=home,
            away=away,
            ratio=crossed(*_ratio(sheet, own, seeds)),
            against=None if difference is None or baseline is None else baseline.label,
            difference=difference,
            seeds=len(seeds),
        )
    ]


def _pair(
    layout: Layout, series: Series, axis: str, home: Value, away: Value
) -> tuple[Place, Place] | None:
    """The places away and at home; ``None`` where the arm lacks the axis, or holds it still."""
    report = layout.study.report
    if axis != report.x or series.level:
        return None
    return layout.place(series, away), layout.place(series, home)


def _ratio(
    sheet: Sheet, pair: tuple[Place, Place], seeds: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    away, home = (drawn(sheet, [place], seeds) for place in pair)
    values = divide(away.values, home.values)
    without = divide(away.without, home.without)
    for number, measure in enumerate(sheet.measures):
        if better_of(measure) != "higher":
            values[..., number] = without[..., number] = np.nan
    return values, without
