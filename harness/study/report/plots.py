"""The plots of a study: scores, differences from the baseline, and retention."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from textwrap import fill
from typing import Any

import numpy as np

from harness.study.report import panels, style, trade_off, wording
from harness.study.report.findings import Findings
from harness.study.report.layout import listed
from harness.study.report.panels import Panel
from harness.study.report.score_tables import ALL, ScoreTable

_WIDTH, _HEIGHT = 3.2, 2.6
"""Inches of a panel."""
_INTERVALS = "95 % intervals over seeds and questions"
_DOTS = f"with {_INTERVALS}; small dots are single seeds, level lines have no such axis"


@dataclass(frozen=True)
class Plot:
    """One figure."""

    name: str
    """Of its files, without ending."""
    title: str
    """What it shows, for those who cannot see it."""
    caption: str
    files: dict[str, bytes]
    """Ending -> contents."""
    figure: Any = None


@dataclass(frozen=True)
class _Kind:
    """Settings shared by all plots of one kind."""

    suffix: str
    caption: str
    value_label: str
    draw_on: Callable[[Any, Findings, Panel, str], None]
    flat: bool
    """Values run from left to right, and rows are arms."""


def draw(findings: Findings, *, png: bool = True) -> list[Plot]:
    """All plots, in the order of the page; ``png``: in that form too.

    Raises:
        UsageError: matplotlib is not installed.
    """
    style.new_figure(1, 1)
    import matplotlib as mpl

    with mpl.rc_context(style.RC):
        figures = [x for measure in findings.measures for x in _of_measure(findings, measure)]
        figures = [*_trade_off(findings), *figures]
        return [replace(x, files=style.saved(x.figure, png=png), figure=None) for x in figures]


def _trade_off(findings: Findings) -> Iterator[Plot]:
    """Quality against bias, for studies with post-processing: the answer in one plot."""
    figure = trade_off.draw(findings)
    if figure is None:
        return
    table, pool = trade_off.pairs(findings)[0]
    measures = (table.quality or "", trade_off.bias_of(pool) or "")
    quality, bias = map(wording.label, measures)
    names = [x.label for x in findings.layout.series]
    title = (
        f"Plot of {quality} against {wording.inside(bias)} in the pool of all languages, for "
        f"{listed(names)}, each with every post-processing; the numbers are in the tables of "
        "this page"
    )
    caption = (
        f"Quality against bias: points of {quality} above the untrained model (line) against "
        f"{wording.inside(bias)} in the pool, with {_INTERVALS}; colours are recipes, marks are "
        "post-processing. Up and to the left is better."
    )
    yield Plot("quality-against-bias", title, caption, {}, figure)


def _of_measure(findings: Findings, measure: str) -> Iterator[Plot]:
    all_tables = [x for x in findings.all_tables if measure in x.measures]
    label = wording.label(measure)
    flat = findings.layout.axis is None
    every = [Panel(x, ALL, _title(x)) for x in all_tables]
    scores = _Kind("", f"{label}, {_DOTS}", wording.axis_title(measure), panels.scores, flat)
    yield _figure(findings, measure, scores, every)
    if findings.layout.study.report.groups:
        groups = [Panel(x, g, _title(x, g)) for x in all_tables for g in x.groups[1 : x.tested]]
        by_group = f"{label} by groups of query languages, {_DOTS}"
        if groups:
            kind = _Kind("-groups", by_group, scores.value_label, panels.scores, flat)
            yield _figure(findings, measure, kind, groups)
        # Of one kind of setting: of three, panels would be more than anyone looks at.
        alone = all_tables if len({x.kind for x in all_tables}) == 1 else []
        languages = [Panel(x, g, _language(x, g), small=True) for x in alone for g in x.languages]
        if languages:
            caption = f"{label} by query language, {_DOTS}"
            kind = _Kind("-languages", caption, scores.value_label, panels.scores, flat)
            yield _figure(findings, measure, kind, languages)
    if any(findings.of("arm", x, measure, ALL) for x in all_tables):
        baseline = findings.layout.study.report.baseline
        kind = _Kind(
            "-differences",
            f"{label} less that of {baseline} at the same place, with {_INTERVALS}; filled where "
            "significantly different, hollow where not",
            f"difference in {label} ({wording.unit(measure)})",
            panels.differences,
            flat,
        )
        yield _figure(findings, measure, kind, every)
    if not findings.fits and any(findings.of("best", x, measure, ALL) for x in all_tables):
        axis = findings.layout.axis_name
        kind = _Kind(
            "-from-best",
            f"{label} at each value of {axis} less that at the best one of the same arm, with "
            f"{_INTERVALS}; filled where significantly different, hollow where not",
            f"difference in {label} ({wording.unit(measure)})",
            panels.from_best,
            flat,
        )
        yield _figure(findings, measure, kind, every)
    kept = [x for x in every if _is_kept(findings, x.score_table, measure)]
    if kept:
        kind = _Kind(
            "-retention",
            f"Share of the {label} at home that is left away from it, with {_INTERVALS}; at 1 "
            "nothing is lost",
            f"share of the {label} at home",
            panels.retention,
            True,
        )
        yield _figure(findings, measure, kind, kept)


def _is_kept(findings: Findings, score_table: ScoreTable, measure: str) -> bool:
    m = score_table.measures.index(measure)
    return any(
        x.score_table is score_table and x.ratio.value[m] > -np.inf for x in findings.retained
    )


def _title(score_table: ScoreTable, group: str = ALL) -> str:
    mark = "\nSAMPLED CORPUS, no official score" if score_table.mark else ""
    return f"{score_table.title}, {score_table.kind}{'' if group == ALL else f', {group}'}{mark}"


def _language(score_table: ScoreTable, language: str) -> str:
    """A language with its groups: ``sw (low)``."""
    named = score_table.groups[1 : score_table.tested]
    groups = [g for g in named if language in score_table.members[g]]
    mark = "\nsampled corpus" if score_table.mark else ""
    group_names = f" ({', '.join(groups)})" if groups else ""
    return f"{language}{group_names}{mark}"


def _columns(drawn: Sequence[Panel], kind: _Kind) -> int:
    """Panels side by side: a column per group of languages, or per kind of setting."""
    if kind.suffix == "-languages":
        return min(5, len(drawn))
    kinds = len({x.score_table.kind for x in drawn})
    groups = len({x.group for x in drawn})
    return min(len(drawn), groups if 1 < groups < 5 else kinds if kinds > 1 else 3)


def _width(across: int) -> float:
    return 5.0 if across == 1 else _WIDTH if across < 4 else 2.7


def _figure(findings: Findings, measure: str, kind: _Kind, drawn: Sequence[Panel]) -> Plot:
    across = _columns(drawn, kind)
    down = -(-len(drawn) // across)
    small = drawn[0].small
    width, height = (2.3, 2.0) if small else (_width(across), _HEIGHT)
    if kind.flat:
        height = 0.85 + 0.27 * _most_rows(findings, kind)
    figure = style.new_figure(width * across + 0.4, height * down + 0.7)
    grid = figure.subplots(down, across, squeeze=False, sharey="row" if kind.flat else "none")
    handles: dict[str, Any] = {}
    for number, axes in enumerate(grid.flat):
        if number >= len(drawn):
            axes.set_visible(False)
            continue
        panel = drawn[number]
        kind.draw_on(axes, findings, panel, measure)
        axes.set_title(panel.title)
        if wording.in_ranks(measure) and measure != "intrusion":  # which may be less than one
            (axes.xaxis if kind.flat else axes.yaxis).set_major_formatter("{x:,.0f}")
        last = number + across >= len(drawn)
        _label(axes, findings, kind, first=number % across == 0, last=last, small=small)
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(text, handle)
    if len(handles) > 1:
        names = _in_order(findings, handles)
        figure.legend(
            [handles[x] for x in names], names, loc="outside upper center", frameon=False,
            ncols=_side_by_side(names, width * across),
        )  # fmt: skip
    slug = measure.replace("@", "-at-").replace("_", "-")
    described = _described(findings, kind, drawn, _in_order(findings, handles))
    return Plot(f"{slug}{kind.suffix}", described, _caption(kind, drawn), {}, figure)


def _described(
    findings: Findings, kind: _Kind, drawn: Sequence[Panel], names: Sequence[str]
) -> str:
    """For those who cannot see a plot: what is drawn, over what, for whom, in which panels."""
    layout = findings.layout
    over = "" if kind.flat or layout.axis is None else f" by {layout.axis_label}"
    panels = [x.title.replace("\n", ", ") for x in drawn]
    where = f"{len(panels)} panels" if len(panels) > _NAMED else f"{listed(panels)}"
    of = f", for {listed(list(names))}" if names else ""
    what = kind.caption.split(", ")[0]
    return f"Plot of {what}{over}{of} ({where}); the numbers are in the tables of this page"


_NAMED = 4
"""Panels that a description names."""


def _in_order(findings: Findings, names: Iterable[str]) -> list[str]:
    """Arms in the order of the study file, then untrained models."""
    series = [x.label for x in findings.layout.series]
    arm = {name: name.split(" less ")[0] for name in names}
    return sorted(arm, key=lambda x: series.index(arm[x]) if arm[x] in series else len(series))


def _side_by_side(names: Sequence[str], width: float) -> int:
    """Entries of a legend that fit ``width`` inches: all, or as many as make even rows."""
    most = max(1, int(width / (style.LETTER * max(map(len, names)) + 0.6)))
    rows = -(-len(names) // most)
    fits = sum(style.LETTER * len(x) + 0.6 for x in names) <= width
    return len(names) if fits else -(-len(names) // rows)


def _label(
    axes: Any, findings: Findings, kind: _Kind, *, first: bool, last: bool, small: bool
) -> None:
    if kind.flat:
        axes.set_xlabel(kind.value_label)
        return
    axes.grid(axis="y", alpha=0.3, linewidth=0.6)
    if first:
        # The label may be longer than a small panel is high.
        label = kind.value_label.replace(" (", "\n(") if small else kind.value_label
        axes.set_ylabel(label)
    if last:
        axes.set_xlabel(fill(findings.layout.axis_label, 28 if small else 40))


def _most_rows(findings: Findings, kind: _Kind) -> int:
    if kind.suffix == "-retention":
        return max(Counter(x.score_table.name for x in findings.retained).values())
    return len(findings.layout.series) + len(findings.results.references)


def _caption(kind: _Kind, drawn: Sequence[Panel]) -> str:
    titles = dict.fromkeys(x.score_table.title for x in drawn if x.score_table.mark)
    if not titles:
        return f"{kind.caption}."
    return f"{kind.caption}. {listed(list(titles))}: a sample of the corpus, so no official score."
