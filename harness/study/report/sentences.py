"""Sentences about a study, made from its numbers by rule.

Every rule turns findings into sentences, or says nothing, whatever the study. A difference is
claimed only where it is significantly different: the paired test over questions is at most .05
after Holm, and the interval over seeds and questions together leaves 0 out. Where the data cannot
tell, a sentence says so. docs/studies.md lists the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.console.numbers import plural
from harness.metrics import better_of
from harness.study.definition import Value
from harness.study.report import headline, wording
from harness.study.report.effects import Compared
from harness.study.report.findings import Findings, Fitted
from harness.study.report.layout import listed
from harness.study.report.post_processed import AXIS
from harness.study.report.score_tables import ALL, ScoreTable


@dataclass(frozen=True)
class Passage:
    """Sentences about one measure on one kind of setting of one task, or about the whole study."""

    subject: str
    """Empty: of the whole study."""
    sentences: tuple[str, ...]


Rule = Callable[[Findings, ScoreTable, str], Iterator[str]]


def read(findings: Findings) -> list[Passage]:
    """All sentences, those about the whole study first."""
    found = [Passage("", tuple(headline.headline(findings)))]
    for score_table in findings.all_tables:
        for measure in score_table.measures:
            said = tuple(s for rule in RULES for s in rule(findings, score_table, measure))
            if said:
                found.append(Passage(wording.subject(score_table, measure), said))
    found.append(Passage("", tuple(headline.cautions(findings))))
    return [x for x in found if x.sentences]


def against_baseline(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """Each arm against the baseline, over all values of the x axis, else at the one there is."""
    layout = findings.layout
    single = findings.of("arm", score_table, measure, ALL)
    overall = {x.series: x for x in findings.of("overall", score_table, measure, ALL)}
    for series in layout.series:
        at = [x for x in single if x.series == series]
        if not at:
            continue
        whole = overall.get(series)
        if whole is None:
            # Of an unfinished study there may be several, with no seed that all of them have.
            for x in at:
                yield f"{_compared(series.label, x, layout.at_point(x.point))}."
            continue
        significant = [x for x in at if x.effect.significant]
        where = _of(layout.quoted, significant, len(at))
        singly = f"; taken singly it is significantly different at {where}"
        other = sum((x.effect.difference > 0) != (whole.effect.difference > 0) for x in significant)
        if other:
            at_some = f"at {other} of them" if other < len(significant) else "all"
            singly += f", {at_some} the other way"
        over = f" over {_every(len(at))} values of {layout.axis_name}"
        yield f"{_compared(series.label, whole, over)}{singly}."


def against_baseline_by_group(
    findings: Findings, score_table: ScoreTable, measure: str
) -> Iterator[str]:
    """The same by group of languages: a sentence for each in which an arm differs significantly."""
    nothing = []
    for group in score_table.groups[1 : score_table.tested]:
        found = findings.of("overall", score_table, measure, group)
        over = {x.series for x in found}
        found += [
            x for x in findings.of("arm", score_table, measure, group) if x.series not in over
        ]
        if found and not any(x.effect.significant for x in found):
            nothing.append(group)
            continue
        # With a second axis each of its values has a baseline of its own.
        for against in dict.fromkeys(x.against for x in found):
            own = [x for x in found if x.against == against]
            significant = [
                f"{x.series.label} {_how(x)}{_good(x)}" for x in own if x.effect.significant
            ]
            rest = [x.series.label for x in own if not x.effect.significant]
            same = f"not significantly different: {listed(rest)}" if rest else ""
            parts = [*significant, *([same] if same else [])]
            yield f"({group}) Against {against}: {'; '.join(parts)}."
    if nothing:
        against = findings.layout.study.report.baseline
        yield f"({', '.join(nothing)}) No arm is significantly different from {against}."


def _compared(name: str, x: Compared, over: str = "") -> str:
    e = x.effect
    if not e.significant:
        return f"{name} and {x.against} are not significantly different{over}: {_how(x)}"
    way = "above" if e.difference > 0 else "below"
    return f"{name} is {way} {x.against}{over}: {_how(x)}, {wording.share(e.relative)}{_good(x)}"


def _good(x: Compared) -> str:
    """The direction, for measures where lower is better."""
    return f", which is {x.verdict}" if x.better == "lower" else ""


def _where(group: str) -> str:
    """A group of languages as a prefix; empty for all languages."""
    return "" if group == ALL else f"({group}) "


Spelled = Callable[[str | int | float | bool | None], str]


def _of(spell: Spelled, significant: Sequence[Compared], of: int) -> str:
    if not significant:
        return "neither" if of == 2 else f"none of the {of}"
    return _every(of) if len(significant) == of else listed([spell(x.point) for x in significant])


def _every(number: int) -> str:
    return "both" if number == 2 else f"all {number}"


def best_value(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """The best value of a numeric x axis and the values not significantly different from it.

    Not used where curves are fitted.
    """
    layout = findings.layout
    if findings.fits:
        return
    for series in layout.series:
        others = [x for x in findings.of("best", score_table, measure, ALL) if x.series == series]
        if not others:
            continue
        tied = [layout.quoted(x.point) for x in others if not x.effect.significant]
        significant = [layout.quoted(x.point) for x in others if x.effect.significant]
        start = f"The best mean of {series.label} is at {layout.axis_name} {others[0].against}"
        if not significant:
            yield f"{start}, but no other value is significantly different from it."
        elif not tied:
            yield f"{start}, significantly different from all others."
        else:
            verbs = ["is" if len(x) == 1 else "are" for x in (tied, significant)]
            yield (
                f"{start}; {listed(tied)} {verbs[0]} not significantly different from it, "
                f"{listed(significant)} {verbs[1]} worse."
            )


def from_end_to_end(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """By how much the last value of a numeric x axis differs from the first, if significantly."""
    layout = findings.layout
    for group in score_table.groups[: score_table.tested]:
        found = findings.of("ends", score_table, measure, group)
        significant = [x for x in found if x.effect.significant]
        still = [x.series.label for x in found if not x.effect.significant]
        where = _where(group)
        for ends in dict.fromkeys((x.against, x.point) for x in significant):
            changes = [
                f"{x.series.label} {_how(x)}{_good(x)}"
                for x in significant
                if (x.against, x.point) == ends
            ]
            last = layout.quoted(ends[1])
            yield f"{where}From {layout.axis_name} {ends[0]} to {last}: {'; '.join(changes)}."
        if still:
            # Of an unfinished study the ends are those that are there.
            first, last = found[0].against, layout.quoted(found[0].point)
            between = f"{where}Between {layout.axis_name} {first} and {last}"
            yield f"{between} no change is shown for {listed(still)}."


def against_first(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """On an x axis of names, every value against the first one, arm by arm.

    Not used where tasks have a home on the axis: retention says more.
    """
    layout = findings.layout
    if findings.by_domain:
        return
    for series in layout.series:
        at = [x for x in findings.of("point", score_table, measure, ALL) if x.series == series]
        if not at:
            continue
        first = layout.quoted(layout.points[0])
        significant = [f"{layout.quoted(x.point)} {_how(x)}" for x in at if x.effect.significant]
        rest = len(at) - len(significant)
        name = f"{series.label}, {layout.axis_name}, against {first}"
        if not significant:
            yield f"{name}: {_none(rest)} significantly different from it."
        else:
            yield f"{name}: {'; '.join(significant)}" + (
                f"; {rest} not significantly different." if rest else "."
            )


def against_first_by_group(
    findings: Findings, score_table: ScoreTable, measure: str
) -> Iterator[str]:
    """The same by group of languages: a sentence for each with a significant difference."""
    layout = findings.layout
    for group in score_table.groups[1 : score_table.tested]:
        found = findings.of("point", score_table, measure, group)
        significant = [x for x in found if x.effect.significant]
        if significant:
            parts = [f"{x.series.label} at {layout.quoted(x.point)} {_how(x)}" for x in significant]
            rest = len(found) - len(significant)
            same = f"; {rest} not significantly different" if rest else ""
            first = layout.quoted(layout.points[0])
            start = f"({group}) {layout.axis_name}, against {first}"
            yield f"{start}: {'; '.join(parts)}{same}."


def _none(number: int) -> str:
    if number == 2:
        return "neither of the others is"
    return "the other value is not" if number == 1 else f"none of the {number} others is"


def _how(x: Compared) -> str:
    e = x.effect
    return wording.difference_with_interval(x.measure, e.difference, e.low, e.high)


def saturation(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """Which arms level off, where and when; or that none does so clearly."""
    for group in score_table.groups[: score_table.tested]:
        found = [
            x
            for x in findings.fits
            if x.score_table is score_table and x.measure == measure and x.group == group
        ]
        where = "" if group == ALL else f" ({group})"
        level = [_levels_off(x, measure) for x in found if x.fit.saturates]
        without = [f"{x.series.label} ({x.fit.form})" for x in found if not x.fit.saturates]
        if level:
            yield f"Levelling off{where}: {'; '.join(level)}."
        if without:
            yield (
                f"No curve that levels off fits clearly better than a line or no change{where}: "
                f"{listed(without)}."
            )


def _levels_off(x: Fitted, measure: str) -> str:
    a, h = x.fit.asymptote, x.fit.half
    assert a is not None and h is not None
    return (
        f"{x.series.label} at {wording.value(measure, a.value)} "
        f"({wording.between(measure, a.low, a.high)}), half of the change by "
        f"{wording.amount(h.value)} {wording.half_interval(x.fit)}, {x.fit.form}, "
        f"{x.fit.support:.0%} of replicates agree"
    )


_FEW_GROUPS = 3
"""The most groups whose pairs are listed."""


def low_and_high(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """Where an effect is larger in one group of languages than in another, of at most three."""
    if score_table.tested - 1 > _FEW_GROUPS:
        return
    m = score_table.measures.index(measure)
    said: dict[tuple[str, str], list[str]] = {}
    for gap in findings.gaps:
        if gap.score_table is not score_table:
            continue
        parts = said.setdefault((gap.first, gap.second), [])
        low, high = float(gap.found.low[m]), float(gap.found.high[m])
        if not (low > 0 or high < 0):
            continue
        what = (
            f"{gap.series.label} less {gap.against}"
            if gap.question in ("overall", "arm")
            else f"{gap.series.label} from {gap.against} to {findings.layout.quoted(gap.point)}"
        )
        how = wording.difference_with_interval(measure, float(gap.found.value[m]), low, high)
        parts.append(f"{what} {how}")
    for (first, second), parts in said.items():
        if parts:
            yield f"Effects that differ, {first} less {second}: {'; '.join(parts)}."
        else:
            yield f"No effect is shown to differ between {first} and {second}."


def away_from_home(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """What each arm keeps away from home, and whether that is more than the baseline keeps."""
    m = score_table.measures.index(measure)
    said: dict[tuple[str, Value, Value], list[str]] = {}
    for x in findings.retained:
        if x.score_table is not score_table or np.isnan(value := float(x.ratio.value[m])):
            continue
        ends = (wording.ratio(float(v[m])) for v in (x.ratio.low, x.ratio.high))
        kept = f"{x.series.label} {wording.ratio(value)} ({'–'.join(ends)})"
        if x.difference is not None:
            low, high = float(x.difference.low[m]), float(x.difference.high[m])
            way = (
                "more than"
                if low > 0
                else "less than"
                if high < 0
                else "not significantly different from"
            )
            kept += f", {way} {x.against}"
        said.setdefault((x.group, x.home, x.away), []).append(kept)
    layout = findings.layout
    for (group, home, away), kept_of in said.items():
        left = f"{layout.axis_name} {layout.quoted(home)} that is left at {layout.quoted(away)}"
        start = f"{_where(group)}Share of the score at {left}"
        yield f"{start}: {'; '.join(kept_of)}."


def against_references(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[str]:
    """How many trained settings are above or below each untrained model."""
    parts: list[tuple[int, str]] = []
    for model in score_table.references:
        found = [
            x for x in findings.of("reference", score_table, measure, ALL) if x.against == model
        ]
        if found:
            above = sum(x.effect.significant and x.effect.difference > 0 for x in found)
            below = sum(x.effect.significant and x.effect.difference < 0 for x in found)
            rest = len(found) - above - below
            said = f"{above} above untrained {model}, {below} below, "
            parts.append((len(found), f"{said}{rest} not significantly different"))
    if parts:
        kind = "combination" if findings.layout.axis_name == AXIS else "trained setting"
        less = " (less is better)" if better_of(measure) == "lower" else ""
        totals = {total for total, _ in parts}
        if len(totals) == 1:
            yield f"Of {plural(totals.pop(), kind)}{less}: {'; '.join(x for _, x in parts)}."
        else:  # an untrained model is not compared with itself
            each = "; ".join(f"of {total}, {x}" for total, x in parts)
            yield f"Of {kind}s{less}: {each}."


RULES: tuple[Rule, ...] = (
    against_baseline,
    against_baseline_by_group,
    best_value,
    from_end_to_end,
    against_first,
    against_first_by_group,
    saturation,
    low_and_high,
    away_from_home,
    against_references,
)
