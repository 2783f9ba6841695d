"""All effects of a study: which contrasts are computed, which p-values corrected together.

A family of comparisons belongs to one question about one task: all arms against the baseline (over
the kinds of setting, measures and values of the x axis), for all query languages or for the groups
of languages. Holm's correction is over a family. Where the x axis has names and not numbers, its
values are compared with the first one, in the same arm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from harness.metrics import better_of
from harness.metrics.measure import Better
from harness.stats.crossed import Crossed, crossed
from harness.study.definition import PLAIN, Value
from harness.study.report.contrasts import Contrast, Effect, Side, adjusted, contrast, effect
from harness.study.report.layout import Layout, Place, Series
from harness.study.report.post_processed import AXIS, untrained
from harness.study.report.score_tables import ALL, ScoreTable

Question = Literal["arm", "overall", "point", "ends", "best", "reference"]
"""An arm against the baseline at one value of x, or over all; a value of x against the first, the
last against the first, or each against the best; an arm against an untrained model."""


@dataclass(frozen=True)
class Compared:
    """One comparison in one group of languages by one measure."""

    question: Question
    score_table: ScoreTable
    group: str
    measure: str
    series: Series
    point: Value | None
    """Value of the x axis; ``None`` without an x axis, or over all values."""
    against: str
    """The second side in words: an arm, a model, or a value of x."""
    effect: Effect

    @property
    def better(self) -> Better | None:
        """The better direction of the measure."""
        return better_of(self.measure)

    @property
    def verdict(self) -> str:
        """See :meth:`Effect.verdict`."""
        return self.effect.verdict(self.better)


@dataclass(frozen=True)
class Gap:
    """How much larger an effect is in one group of languages than in another; ``(M,)``."""

    question: Question
    score_table: ScoreTable
    series: Series
    point: Value | None
    """See :class:`Compared`."""
    against: str
    first: str
    second: str
    found: Crossed


class _Pending(NamedTuple):
    question: Question
    score_table: ScoreTable
    series: Series
    point: Value | None
    against: str
    measures: tuple[str, ...]
    found: Contrast


def compare_all(
    layout: Layout, all_tables: Sequence[ScoreTable]
) -> tuple[list[Compared], list[Gap]]:
    """Compute every comparison of a study, and the gaps between groups of those over all values."""
    pending = [x for score_table in all_tables for x in _of_sheet(layout, score_table)]
    families: dict[object, list[float]] = {}
    for entry in pending:
        for group, measure in _cells(entry):
            p = float(entry.found.p_value[group, entry.score_table.measures.index(measure)])
            families.setdefault(_family(entry, group), []).append(p)
    corrected = {name: iter(values) for name, values in adjusted(families).items()}
    found = [
        Compared(
            entry.question,
            entry.score_table,
            entry.score_table.groups[group],
            measure,
            entry.series,
            entry.point,
            entry.against,
            effect(
                entry.found,
                group,
                entry.score_table.measures.index(measure),
                next(corrected[_family(entry, group)]),
            ),
        )
        for entry in pending
        for group, measure in _cells(entry)
    ]
    return found, [gap for entry in pending for gap in _gaps(entry)]


def _cells(entry: _Pending) -> list[tuple[int, str]]:
    return [(g, m) for g in range(entry.score_table.tested) for m in entry.measures]


def _family(entry: _Pending, group: int) -> tuple[object, ...]:
    return (entry.score_table.key, entry.question, group == 0)


def _of_sheet(layout: Layout, score_table: ScoreTable) -> Iterator[_Pending]:
    for series in layout.series:
        yield from _against_baseline(layout, score_table, series)
        if layout.axis is not None and not series.level:
            yield from _along(layout, score_table, series)
        for model in score_table.references:
            for point in layout.points_of(series):
                if series.arm == untrained(model) and point == PLAIN:
                    continue  # the reference itself
                if _repeats(layout, score_table, series, point):
                    continue
                place = layout.place(series, point)
                yield from _one("reference", score_table, series, point, model, [place], model)


def _repeats(layout: Layout, score_table: ScoreTable, series: Series, point: Value | None) -> bool:
    """Whether a post-processing leaves this kind of setting as it is, seed by seed.

    Its comparisons are those of plain vectors: to make them again says nothing, and would make the
    correction for many comparisons stricter.
    """
    if layout.axis_name != AXIS or point == PLAIN or series.level:
        return False
    plain, own = (score_table.cells.get(layout.place(series, x), {}) for x in (PLAIN, point))
    return (
        bool(own)
        and own.keys() == plain.keys()
        and all(
            np.array_equal(own[s].values, plain[s].values, equal_nan=True)
            and np.array_equal(own[s].without, plain[s].without, equal_nan=True)
            for s in own
        )
    )


def _one(
    question: Question,
    score_table: ScoreTable,
    series: Series,
    point: Value | None,
    against: str,
    first: Side,
    second: Side,
    measures: tuple[str, ...] | None = None,
) -> Iterator[_Pending]:
    found = contrast(score_table, first, second)
    if found is not None:
        measures = score_table.measures if measures is None else measures
        yield _Pending(question, score_table, series, point, against, measures, found)


def _against_baseline(
    layout: Layout, score_table: ScoreTable, series: Series
) -> Iterator[_Pending]:
    baseline = layout.baseline_of(series)
    if baseline is None:
        return
    shared: list[tuple[Place, Place]] = []
    for point in layout.points_against(series, baseline):
        pair = (layout.place(series, point), layout.place(baseline, point))
        if all(_repeats(layout, score_table, x, point) for x in (series, baseline)):
            continue
        made = list(_one("arm", score_table, series, point, baseline.label, [pair[0]], [pair[1]]))
        yield from made
        shared += [pair] * len(made)
    if len(shared) > 1:
        first, second = ([pair[side] for pair in shared] for side in (0, 1))
        yield from _one("overall", score_table, series, None, baseline.label, first, second)


def _along(layout: Layout, score_table: ScoreTable, series: Series) -> Iterator[_Pending]:
    """Comparisons of the values of x in one arm."""
    here = [p for p in layout.points if layout.place(series, p) in score_table.cells]
    if len(here) < 2:
        return
    places = {p: [layout.place(series, p)] for p in here}
    first = here[0]
    if not layout.numeric:
        for point in here[1:] if first == layout.points[0] else ():
            if _repeats(layout, score_table, series, point):
                continue
            against = layout.spell(first)
            yield from _one(
                "point", score_table, series, point, against, places[point], places[first]
            )
        return
    last, against = here[-1], layout.spell(first)
    yield from _one("ends", score_table, series, last, against, places[last], places[first])
    for number, measure in enumerate(score_table.measures):
        better = better_of(measure)
        if better is None or len(here) < 3:
            continue
        means = [
            np.mean([x.values[0, number] for x in score_table.cells[places[p][0]].values()])
            for p in here
        ]
        if np.isnan(means).any():
            continue
        best = here[int(np.argmax(means) if better == "higher" else np.argmin(means))]
        for point in here:
            if point != best:
                yield from _one(
                    "best",
                    score_table,
                    series,
                    point,
                    layout.spell(best),
                    places[point],
                    places[best],
                    (measure,),
                )


def _gaps(entry: _Pending) -> Iterator[Gap]:
    """Gaps of effects over all values and between ends, for each pair of language groups."""
    if entry.question not in ("overall", "ends", "point") and not (
        entry.question == "arm" and entry.point is None
    ):
        return
    named = [g for g in range(entry.score_table.tested) if entry.score_table.groups[g] != ALL]
    for at, first in enumerate(named):
        for second in named[at + 1 :]:
            raw, without = entry.found.raw, entry.found.raw_without
            values = raw[:, first] - raw[:, second]
            yield Gap(
                entry.question,
                entry.score_table,
                entry.series,
                entry.point,
                entry.against,
                entry.score_table.groups[first],
                entry.score_table.groups[second],
                crossed(values, without[:, :, first] - without[:, :, second]),
            )
