"""Statements about a whole study: its headline, and what its data cannot support."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from harness.console.numbers import plural
from harness.study.report.effects import Compared
from harness.study.report.findings import Findings
from harness.study.report.layout import listed
from harness.study.report.score_tables import ALL


def headline(findings: Findings) -> Iterator[str]:
    """The results, counted over all tasks, kinds and measures."""
    if findings.retained:
        yield from _kept(findings)
    yield from _arms(findings)
    yield from _best(findings)
    yield from _points(findings)
    if findings.fits:
        fits = [x for x in findings.fits if x.group == ALL]
        level = sum(x.fit.saturates for x in fits)
        yield (
            f"A curve that levels off fits clearly better than a line or no change in {level} of "
            f"{plural(len(fits), 'fit')}."
        )


def arms(findings: Findings) -> Iterator[tuple[list[Compared], str]]:
    """Every arm's comparisons with the baseline, and over which values of the x axis in words."""
    overall = [x for x in findings.compared if x.question == "overall" and x.group == ALL]
    single = [x for x in findings.compared if x.question == "arm" and x.group == ALL]
    layout = findings.layout
    for series in layout.series:
        found = [x for x in overall if x.series == series]
        over = f" over all values of {layout.axis_name}"
        if not found:
            found = [x for x in single if x.series == series]
            at = list(dict.fromkeys(x.point for x in found))
            over = (
                layout.at_point(at[0]) if len(at) == 1 else f" at one value of {layout.axis_name}"
            )
        if found:
            yield found, over


def _arms(findings: Findings) -> Iterator[str]:
    for found, over in arms(findings):
        name = f"{found[0].series.label} against {found[0].against}"
        yield _counted(name, found, f", each{over}" if over else "")


def _best(findings: Findings) -> Iterator[str]:
    """How often each value of a numeric x axis is the best or ties with it."""
    layout = findings.layout
    if findings.fits:
        return
    for series in layout.series:
        found = [x for x in findings.compared if x.question == "best" and x.group == ALL]
        of: dict[tuple[str, str], list[Compared]] = {}
        for x in found:
            if x.series == series:
                of.setdefault((x.score_table.name, x.measure), []).append(x)
        if not of:
            continue
        behind = Counter(
            layout.spell(x.point) for at in of.values() for x in at if x.effect.significant
        )
        there = {place for x in findings.all_tables for place in x.cells}
        finished = [p for p in layout.points if layout.place(series, p) in there]
        counts = [f"{p} in {len(of) - behind[p]}" for p in map(layout.spell, finished)]
        yield (
            f"{series.label}, values of {layout.axis_name} that are the best or not "
            f"significantly different from it, of {plural(len(of), 'comparison')}: "
            f"{listed(counts)}."
        )


def points(findings: Findings) -> list[Compared]:
    """Comparisons of an axis of names' other values with its first; none of domains."""
    if findings.by_domain:
        return []
    return [x for x in findings.compared if x.question == "point" and x.group == ALL]


def _points(findings: Findings) -> Iterator[str]:
    if found := points(findings):
        first = findings.layout.quoted(findings.layout.points[0])
        yield _counted(f"Other values of {findings.layout.axis_name} against {first}", found, "")


def _counted(name: str, found: Sequence[Compared], over: str) -> str:
    counts = {v: sum(x.verdict == v for x in found) for v in ("better", "worse", "higher", "lower")}
    rest = len(found) - sum(counts.values())
    said = [f"{v} in {n}" for v, n in counts.items() if n or v in ("better", "worse")]
    total = plural(len(found), "comparison")
    return f"{name}: {', '.join(said)} and not significantly different in {rest} of {total}{over}."


class Kept(NamedTuple):
    """In how many comparisons an arm keeps more, or less, of its score away than the baseline."""

    arm: str
    against: str
    more: int
    less: int
    total: int


def kept(findings: Findings) -> Iterator[Kept]:
    """Every arm with a baseline, over all measures and kinds and ways from a home to elsewhere."""
    for series in findings.layout.series:
        found = [x for x in findings.retained if x.series == series and x.difference is not None]
        more = less = total = 0
        for x in found:
            assert x.difference is not None
            low, high = x.difference.low, x.difference.high
            known = ~np.isnan(low)
            total += int(known.sum())
            more += int((low[known] > 0).sum())
            less += int((high[known] < 0).sum())
        if total:
            yield Kept(series.label, str(found[0].against), more, less, total)


def _kept(findings: Findings) -> Iterator[str]:
    away = f"Away from home ({findings.layout.axis_name})"
    for x in kept(findings):
        yield (
            f"{away} {x.arm} keeps more of its score than {x.against} in {x.more}, "
            f"less in {x.less} and is not significantly different in {x.total - x.more - x.less} "
            f"of {plural(x.total, 'comparison')}."
        )


def cautions(findings: Findings) -> Iterator[str]:
    """Caveats for the rest: samples, seeds, and missing trials."""
    for title, mark in findings.marks.items():
        yield f"{title}: {mark}."
    yield from _seeds(findings)
    yield from _unfinished(findings)


def _seeds(findings: Findings) -> Iterator[str]:
    counts = sorted(
        {len(x) for score_table in findings.all_tables for x in score_table.cells.values()}
    )
    if not counts:
        return
    if counts[0] == 1:
        where = "With one seed per trial" if len(counts) == 1 else "Where one seed is finished"
        yield (
            f"{where}, an interval is over questions alone and says nothing of another training."
        )
    larger = total = 0
    for found in findings.values.values():
        seeds, questions = found.seeds_error[0], found.questions_error[0]
        known = ~np.isnan(seeds) & ~np.isnan(questions)
        total += int(known.sum())
        larger += int((seeds[known] > questions[known]).sum())
    if total and larger > total / 2:
        yield (
            f"In {larger} of {plural(total, 'mean')} the seeds add more to the uncertainty than "
            "the questions: more seeds would narrow the intervals, more questions would not."
        )


def _unfinished(findings: Findings) -> Iterator[str]:
    results = findings.results
    if not results.missing:
        return
    names = listed([x.name for x in results.missing])
    total = len(results.missing) + len(results.trials)
    are = "is" if len(results.missing) == 1 else "are"
    yield f"{plural(len(results.missing), 'trial')} of {total} {are} not finished: {names}."
