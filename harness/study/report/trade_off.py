"""Quality against bias: a dot for every arm with every post-processing, both with intervals.

Quality is what the untrained model's differs by, question by question: intervals of the values
themselves are mostly the spread of the questions, which all share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.metrics import better_of
from harness.stats.crossed import Crossed
from harness.study.definition import PLAIN, Value, named
from harness.study.report import panels, style, wording
from harness.study.report.findings import Findings
from harness.study.report.layout import Series
from harness.study.report.post_processed import AXIS
from harness.study.report.score_tables import ALL, ScoreTable

WIDTH, HEIGHT = 3.4, 3.4
"""Inches of a panel."""
_MARKERS = "osD^vPX<>p*h8d"


def bias_of(table: ScoreTable) -> str | None:
    """The measure of bias on the x axis: the first of the table whose less is better."""
    return next((m for m in table.measures if better_of(m) == "lower"), None)


def pairs(findings: Findings) -> list[tuple[ScoreTable, ScoreTable]]:
    """The panels: a table of quality, and the pool's table of the same task, which has the bias."""
    if findings.layout.axis_name != AXIS:
        return []
    pools = {x.key: x for x in findings.all_tables if bias_of(x) is not None}
    return [
        (x, pools[x.key])
        for x in findings.all_tables
        if x.key in pools and x.references and x.quality is not None
    ]


def draw(findings: Findings) -> Any:
    """The figure; ``None`` for studies without post-processing, or without a measure of bias."""
    pairs_drawn = pairs(findings)
    if not pairs_drawn:
        return None
    layout, looks = findings.layout, style.looks(findings.layout)
    across = min(3, len(pairs_drawn))
    down = -(-len(pairs_drawn) // across)
    figure = style.new_figure(WIDTH * across + 0.4, HEIGHT * down + 0.9)
    grid = figure.subplots(down, across, squeeze=False)
    for number, axes in enumerate(grid.flat):
        if number >= len(pairs_drawn):
            axes.set_visible(False)
            continue
        table, pool = pairs_drawn[number]
        bias, quality = bias_of(pool), table.quality
        assert bias is not None and quality is not None
        spread = []
        for series in layout.series:
            for mark, point in zip(_MARKERS, layout.points_of(series), strict=False):
                place = layout.place(series, point)
                x = findings.values.get((pool.name, place))
                y = _gained(findings, table, quality, series, point)
                if x is not None and y is not None:
                    at = _ends(x, pool, bias)
                    spread.append(at[0])
                    _cross(axes, at, y, looks[series].colour, mark)
        axes.axhline(0, color=style.INK, linewidth=0.8, zorder=1)
        _scale(axes, spread, bias)
        axes.set_title(f"{table.title}, {table.kind}")
        axes.set_ylabel(
            f"{wording.label(quality)} above the untrained model's ({wording.unit(quality)})"
        )
        axes.set_xlabel(f"{wording.axis_title(bias)}, in the pool")
        axes.grid(alpha=0.3, linewidth=0.6)
    _legends(figure, layout.series, looks, [named(x) for x in layout.points if x is not None])
    return figure


def _gained(
    findings: Findings, table: ScoreTable, quality: str, series: Series, point: Value | None
) -> tuple[float, float, float] | None:
    """Points above the untrained model, with their interval; ``None`` where nothing was scored."""
    found = {
        x.point: x.effect
        for x in findings.of("reference", table, quality, ALL)
        if x.series == series and x.against == next(iter(table.references))
    }
    e = found.get(point, found.get(PLAIN))
    if e is not None:
        return 100 * e.difference, 100 * e.low, 100 * e.high
    known = (table.name, findings.layout.place(series, point)) in findings.values
    return (0.0, 0.0, 0.0) if known else None


def _ends(found: Crossed, table: ScoreTable, measure: str) -> tuple[float, float, float]:
    return panels.clipped(found, (0, table.measures.index(measure)), measure)


def _cross(
    axes: Any,
    x: tuple[float, float, float],
    y: tuple[float, float, float],
    colour: str,
    marker: str,
) -> None:
    error = [np.nan_to_num([[v[0] - v[1]], [v[2] - v[0]]]) for v in (x, y)]
    axes.errorbar(
        [x[0]], [y[0]], xerr=error[0], yerr=error[1], color=colour, marker=marker, markersize=5,
        elinewidth=0.6, capsize=0, linestyle="none", zorder=4, ecolor=f"{colour}66",
    )  # fmt: skip


def _scale(axes: Any, values: Sequence[float], bias: str) -> None:
    """Ranks that differ by a factor have a logarithmic axis."""
    if wording.in_ranks(bias) and min(values, default=0) > 0 and max(values) > 4 * min(values):
        ticks = [x for x in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if
                 min(values) / 2 <= x <= max(values) * 2]  # fmt: skip
        if len(ticks) < 2:  # of few passages, or of very many
            return
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{x:,}" for x in ticks])
        axes.minorticks_off()


def _legends(
    figure: Any, series: Sequence[Series], looks: dict[Series, style.Look], steps: Sequence[str]
) -> None:
    from matplotlib.lines import Line2D

    arms = [
        Line2D([], [], color=looks[x].colour, marker="s", linestyle="none", label=x.label)
        for x in series
    ]
    marks = [
        Line2D([], [], color=style.INK, marker=m, linestyle="none", label=x)
        for m, x in zip(_MARKERS, steps, strict=False)
    ]
    figure.legend(handles=arms, loc="outside upper center", frameon=False, ncols=5)
    figure.legend(handles=marks, loc="outside lower center", frameon=False, ncols=len(marks))
