"""One panel of a plot: what is drawn on its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.stats.crossed import Crossed
from harness.study.report import style, wording
from harness.study.report.effects import Compared, Question
from harness.study.report.findings import Findings
from harness.study.report.layout import Layout, Series
from harness.study.report.score_tables import ScoreTable

_APART, _ROOM = 3.2, 100.0
"""Points between marks at one place of a numeric x axis; for names, their share of the width."""
_BESIDE = 4.0
"""Points from a mean to the dots of its seeds."""
_Numbers = tuple[float, float, float]
"""Value, and the ends of its interval."""


@dataclass(frozen=True)
class Panel:
    """One kind of setting of one task, for one group of query languages."""

    score_table: ScoreTable
    group: str
    title: str
    small: bool = False
    """One of many: no dots for single seeds, short numbers."""


def scores(axes: Any, findings: Findings, panel: Panel, measure: str) -> None:
    """Means with intervals along the x axis, or a row per arm where there is none."""
    layout, score_table = findings.layout, panel.score_table
    at = (score_table.groups.index(panel.group), score_table.measures.index(measure))
    if layout.axis is None:
        _dots(axes, findings, panel, at, measure)
        return
    looks = style.looks(layout)
    offsets = _offsets([x for x in layout.series if not x.level], layout)
    levels: list[tuple[_Numbers, style.Look, str]] = []
    for series in layout.series:
        if series.level:
            found = findings.values.get((score_table.name, layout.place(series, None)))
            if found is not None:
                levels.append((clipped(found, at, measure), looks[series], series.label))
            continue
        rows, dots = [], []
        for x, point in zip(style.scaled_x(layout), layout.points, strict=True):
            place = layout.place(series, point)
            found = findings.values.get((score_table.name, place))
            if found is not None and not np.isnan(found.value[at]):
                rows.append((x, *clipped(found, at, measure)))
                dots += [(x, float(v.values[at])) for v in score_table.cells[place].values()]
        if rows:
            shift = _shifted(axes, offsets[series])
            _line(axes, np.array(rows), looks[series], series.label, shift, layout.numeric)
            if not panel.small:
                axes.scatter(
                    *np.array(dots).T, s=6, color=looks[series].colour, alpha=0.7, linewidths=0,
                    transform=_shifted(axes, offsets[series] + _BESIDE), zorder=3,
                )  # fmt: skip
                _cover(axes, np.array(dots))
    for number, model in enumerate(score_table.references):
        numbers = clipped(findings.references[score_table.name, model], at, measure)
        levels.append((numbers, style.reference_look(number), untrained(model)))
    _levels(axes, levels)
    _curves(axes, findings, panel, measure)
    style.set_x(axes, layout, small=panel.small)
    axes.autoscale_view(scalex=False)


def from_best(axes: Any, findings: Findings, panel: Panel, measure: str) -> None:
    """What each value of the x axis has more than the best one of its arm."""
    differences(axes, findings, panel, measure, "best")


def differences(
    axes: Any, findings: Findings, panel: Panel, measure: str, question: Question = "arm"
) -> None:
    """Each arm's difference from the baseline at the same place; filled where significant."""
    layout = findings.layout
    looks = style.looks(layout)
    found = findings.of(question, panel.score_table, measure, panel.group)
    series = [x for x in layout.series if any(c.series == x for c in found)]
    moving = _offsets(
        [x for x in series if any(c.point is not None for c in _own(found, x))], layout
    )
    x_of = dict(zip(layout.points, style.scaled_x(layout), strict=True))
    levels = []
    for row, one in enumerate(series):
        own = _own(found, one)
        best = {layout.spell(p): x for p, x in x_of.items()}.get(own[0].against)
        name = f"{one.label} less {own[0].against if question == 'arm' else 'its best'}"
        if layout.axis is None:
            _dot(axes, row, _effect(own[0]), looks[one], hollow=not own[0].effect.significant)
        elif one not in moving:
            levels.append((_effect(own[0]), looks[one], name))
        else:
            at = [(x_of[c.point], *_effect(c), c.effect.significant) for c in own]
            at += [(best, 0.0, 0.0, 0.0, True)] if question == "best" and best is not None else []
            rows = np.array(sorted(at))
            shift = _shifted(axes, moving[one])
            _line(axes, rows[:, :4], looks[one], name, shift, layout.numeric)
            hollow = rows[:, 4] == 0
            axes.plot(
                *rows[hollow, :2].T, transform=shift, linestyle="none", zorder=5,
                marker=looks[one].marker, markersize=4.5, color=looks[one].colour,
                markerfacecolor="white",
            )  # fmt: skip
    if layout.axis is None:
        axes.axvline(0, color=style.INK, linewidth=0.8)
        _rows(axes, [x.label for x in series])
        return
    axes.axhline(0, color=style.INK, linewidth=0.8)
    _levels(axes, levels)
    style.set_x(axes, layout, small=panel.small)
    axes.autoscale_view(scalex=False)


def retention(axes: Any, findings: Findings, panel: Panel, measure: str) -> None:
    """A row per arm and training: the share of the score at home, with 1 as no loss."""
    score_table = panel.score_table
    looks = style.looks(findings.layout)
    m = score_table.measures.index(measure)
    found = [x for x in findings.retained if x.score_table is score_table]
    for row, one in enumerate(found):
        value, low, high = (float(x[m]) for x in (one.ratio.value, one.ratio.low, one.ratio.high))
        _dot(axes, row, (value, max(low, min(value, 0.0)), high), looks[one.series])
    axes.axvline(1, color=style.INK, linewidth=0.8)
    _rows(axes, [f"{x.series.label}, {wording.named(x.away)}" for x in found])


def untrained(model: str) -> str:
    """A reference in legends."""
    return f"{model}, untrained"


def _own(found: Sequence[Compared], series: Series) -> list[Compared]:
    return [x for x in found if x.series == series]


def _effect(x: Compared) -> _Numbers:
    factor = 1 if wording.in_ranks(x.measure) else 100
    return (factor * x.effect.difference, factor * x.effect.low, factor * x.effect.high)


def clipped(found: Crossed, at: tuple[int, int], measure: str) -> _Numbers:
    """A mean with its interval, which ends where the measure does.

    Its ends are computed from a spread over few seeds, which knows nothing of that.
    """
    least, most = wording.bounds(measure)
    value = float(found.value[at])
    low, high = np.clip((found.low[at], found.high[at]), least, most)
    # The mean of many ones may be above 1 by a rounding error.
    return (value, min(float(low), value), max(float(high), value))


def _shifted(axes: Any, points: float) -> Any:
    """Data coordinates moved sideways, so that intervals at one place do not hide each other."""
    from matplotlib.transforms import ScaledTranslation

    return axes.transData + ScaledTranslation(points / 72, 0, axes.figure.dpi_scale_trans)


def _offsets(series: Sequence[Series], layout: Layout) -> dict[Series, float]:
    share = _ROOM / max(1, len(series) * len(layout.points))
    middle, apart = (len(series) - 1) / 2, _APART if layout.numeric else min(max(share, 4), 14)
    return {x: (i - middle) * apart for i, x in enumerate(series)}


def _cover(axes: Any, points: NDArray[Any]) -> None:
    """Make room for points: those drawn with a shift are not counted by matplotlib."""
    axes.update_datalim(points[~np.isnan(points).any(axis=1)])


def _line(
    axes: Any, rows: NDArray[Any], look: style.Look, label: str, shift: Any, joined: bool
) -> None:
    """Rows of x, value, low and high."""
    x, value, low, high = rows.T
    axes.errorbar(
        x, value, yerr=np.nan_to_num([value - low, high - value]), transform=shift, label=label,
        color=look.colour, marker=look.marker, markersize=4.5, linewidth=1.4 if joined else 0,
        linestyle=look.dash if joined else "none", elinewidth=1.0, capsize=2, zorder=4,
    )  # fmt: skip
    for ends in (value, low, high):
        _cover(axes, np.stack([x, ends], axis=1))


def _levels(axes: Any, levels: Sequence[tuple[_Numbers, style.Look, str]]) -> None:
    """Lines across the panel; their intervals are side by side in the right margin."""
    from matplotlib.transforms import ScaledTranslation, blended_transform_factory

    across = blended_transform_factory(axes.transAxes, axes.transData)
    for number, ((value, low, high), look, label) in enumerate(levels):
        if np.isnan(value):
            continue
        axes.axhline(value, color=look.colour, linestyle=look.dash, linewidth=1.2, label=label,
                     zorder=2)  # fmt: skip
        move = ScaledTranslation((5 + 5 * number) / 72, 0, axes.figure.dpi_scale_trans)
        axes.errorbar(
            [1.0], [value], yerr=np.nan_to_num([[value - low], [high - value]]),
            transform=across + move, color=look.colour, marker=look.marker or ".", markersize=3.5,
            elinewidth=1.0, capsize=2, linestyle="none", clip_on=False,
        )  # fmt: skip
        left = axes.get_xlim()[0]
        _cover(axes, np.array([(left, value), (left, low), (left, high)]))


def _curves(axes: Any, findings: Findings, panel: Panel, measure: str) -> None:
    """Curves that level off clearly, behind the points."""
    looks = style.looks(findings.layout)
    ends = style.scaled_x(findings.layout)
    x = np.linspace(ends[0], ends[-1], 200)
    for found in findings.fits:
        here = (found.score_table, found.group, found.measure) == (
            panel.score_table,
            panel.group,
            measure,
        )
        if here and found.fit.saturates:
            axes.plot(
                x, found.fit.at(x), color=looks[found.series].colour, alpha=0.35, linewidth=3.5,
                zorder=2,
            )  # fmt: skip


def _dots(axes: Any, findings: Findings, panel: Panel, at: tuple[int, int], measure: str) -> None:
    """Without an x axis: a row per arm and reference."""
    layout, score_table = findings.layout, panel.score_table
    names: list[str] = []
    for series, look in style.looks(layout).items():
        place = layout.place(series, None)
        found = findings.values.get((score_table.name, place))
        if found is not None:
            _dot(axes, len(names), clipped(found, at, measure), look)
            seeds = [float(v.values[at]) for v in score_table.cells[place].values()]
            axes.scatter(
                seeds, [len(names) + 0.22] * len(seeds), s=7, color=look.colour, alpha=0.6,
                linewidths=0, zorder=3,
            )  # fmt: skip
            names.append(series.label)
    for number, model in enumerate(score_table.references):
        look = style.Look(style.reference_look(number).colour, "s", "-")
        _dot(
            axes,
            len(names),
            clipped(findings.references[score_table.name, model], at, measure),
            look,
        )
        names.append(untrained(model))
    _rows(axes, names)


def _dot(axes: Any, row: int, numbers: _Numbers, look: style.Look, *, hollow: bool = False) -> None:
    value, low, high = numbers
    if not np.isnan(value):
        axes.errorbar(
            [value], [row], xerr=np.nan_to_num([[value - low], [high - value]]),
            color=look.colour, marker=look.marker, markersize=5.5, elinewidth=1.2, capsize=2.5,
            markerfacecolor="white" if hollow else look.colour, linestyle="none", zorder=4,
        )  # fmt: skip


def _rows(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3, linewidth=0.6)
    axes.locator_params(axis="x", nbins=5)  # ranks are long numbers
