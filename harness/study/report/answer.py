"""The sentence that a page opens with: what the study answers to its own question, by rule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from harness.console.numbers import plural
from harness.study.report import headline, wording
from harness.study.report.combinations import combined
from harness.study.report.effects import Compared
from harness.study.report.findings import Findings
from harness.study.report.layout import Series, listed
from harness.study.report.post_processed import AXIS
from harness.study.report.score_tables import ALL

_NAMED = 4
"""Maximum number of changes that are named one by one."""


def answer(findings: Findings) -> str | None:
    """One sentence; ``None`` where no rule has anything to say.

    It is about what the study varies, and leaves the rest to the statements below it:

    - post-processing: see :mod:`harness.study.report.combinations`;
    - an axis of numbers in one arm: which values are worse than the best one, how often, and what
      changes from the first to the last; in several arms: what changes in each, and how the arms
      compare with the baseline;
    - an axis of names with a home: what share of its score the baseline keeps away from it, and
      which arms keep more or less;
    - another axis of names: how its values compare with the first, and the arms with the baseline;
    - no axis: how the arms compare with the baseline.
    """
    layout = findings.layout
    if layout.axis_name == AXIS:
        return combined(findings)
    if layout.numeric:
        if not _ends(findings):
            return f"No answer yet: {_why(findings)}."
        parts = _along(findings)
    else:
        parts = _kept(findings) or [*_points(findings), *_arms(findings)]
    said = "; ".join(parts)
    if not said:
        return next(iter(headline.headline(findings)), None)
    if all(len(x) == 1 for s in findings.all_tables for x in s.cells.values()):
        return (
            "With one seed for each value nothing can be said of another training; in these "
            f"trainings {said}."
        )
    return f"{said[0].upper()}{said[1:]}."


def _why(findings: Findings) -> str:
    """What is missing where no value of x can be compared with another."""
    layout = findings.layout
    cells = {place for x in findings.all_tables for place in x.cells}
    most = max(sum(layout.place(x, p) in cells for p in layout.points) for x in layout.series)
    if most < 2:
        return f"trials are finished at one value of {layout.axis_name} alone"
    return f"no seed is finished at both the first and the last value of {layout.axis_name}"


def _ends(findings: Findings) -> list[Compared]:
    return [x for x in findings.compared if x.question == "ends" and x.group == ALL]


def _along(findings: Findings) -> list[str]:
    """Along an axis of numbers."""
    layout, ends = findings.layout, _ends(findings)
    lines = [x for x in layout.series if not x.level]
    span = f"from {layout.axis_name} {ends[0].against} to {layout.spell(ends[0].point)}"
    if len(lines) == 1:
        return [*_values(findings, lines[0]), f"{span}, {_changes(ends)}"]
    # Lines that change in the same way are named together.
    alike: dict[str, list[str]] = {}
    for series in lines:
        if along := [x for x in ends if x.series == series]:
            alike.setdefault(_changes(along), []).append(series.label)
    changed = "; ".join(f"with {listed(names)} {said}" for said, names in alike.items())
    return [f"{span}, {changed}", *_arms(findings)]


def _values(findings: Findings, line: Series) -> list[str]:
    """Which values of x are shown to be worse than the best one, and how often."""
    layout = findings.layout
    found = [x for x in findings.compared if x.question == "best" and x.group == ALL]
    of = {(x.score_table.name, x.measure) for x in found}
    if not of:
        return []
    cells = {place for x in findings.all_tables for place in x.cells}
    behind = {
        p: sum(x.effect.significant and x.point == p for x in found)
        for p in layout.points
        if layout.place(line, p) in cells
    }
    least, most = min(behind.values()), max(behind.values())
    axis, total = layout.axis_name, plural(len(of), "comparison")
    if most == 0:
        return [f"no value of {axis} is shown to be worse than another in any of {total}"]
    worse = "shown to be worse than the best value"
    if least == most:
        return [f"every value of {axis} is {worse} in {most} of {total}"]
    best = [layout.spell(p) for p, n in behind.items() if n == least]
    rest = [(layout.spell(p), n) for p, n in behind.items() if n != least]
    said = f"{axis} {listed(best)} {'is' if len(best) == 1 else 'are'} "
    said += f"never {worse}" if least == 0 else f"{worse} in {least} of {total}"
    of_all = f" of {total}" if least == 0 else ""
    if len(rest) > _NAMED:
        counts = sorted(n for _, n in rest)
        return [f"{said}, the others in {counts[0]} to {most}{of_all}"]
    (first, n), *more = rest
    others = [f"{axis} {first}{' is' if least == 0 else ''} in {n}{of_all}"]
    return [f"{said}, {listed([*others, *(f'{axis} {p} in {n}' for p, n in more)])}"]


def _changes(ends: Sequence[Compared]) -> str:
    """What the last value of x changes against the first, by task."""
    shown = [x for x in ends if x.effect.significant]
    if not shown:
        return "no change is shown"
    if len(shown) > _NAMED:
        return _counted_changes(ends)
    by_task: dict[str, list[str]] = {}
    for x in shown:
        by_task.setdefault(x.score_table.title, []).append(_change(x))
    said = listed([f"{title} changes by {listed(x)}" for title, x in by_task.items()])
    silent = [x for x in ends if not x.effect.significant]
    if not silent:
        return said
    if len(silent) > 1:
        return f"{said}, and no change is shown in {len(silent)} of {len(ends)} comparisons"
    rest, alone = silent[0], len({x.score_table.title for x in ends}) == 1
    subject = wording.subject(rest.score_table, rest.measure)
    return f"{said}, and no change of {_measure(rest) if alone else subject} is shown"


def _counted_changes(ends: Sequence[Compared]) -> str:
    """How many comparisons are better and worse, and the largest change in points."""
    counts = [(v, sum(x.verdict == v for x in ends)) for v in ("better", "worse")]
    (first, n), (second, m) = sorted(counts, key=lambda x: -x[1])
    be = ["are" if x > 1 else "is" for x in (n, m)]
    total = plural(len(ends), "comparison")
    text = f"{n or 'none'} of {total} {be[0]} {first} and {m or 'none'} {be[1]} {second}"
    points = [x for x in ends if x.effect.significant and not wording.in_ranks(x.measure)]
    if not points:
        return text
    most = max(points, key=lambda x: abs(x.effect.difference))
    return f"{text}; {most.score_table.title} changes most, by {_change(most)}"


def _change(x: Compared) -> str:
    """``−2.09 points of cross mAP``, ``+30 ranks of multi rank distance (worse)``."""
    way = f" ({x.verdict})" if x.better == "lower" else ""
    change = wording.difference(x.measure, x.effect.difference)
    return f"{change} {wording.unit(x.measure)} of {_measure(x)}{way}"


def _measure(x: Compared) -> str:
    return f"{x.score_table.kind} {wording.inside(wording.label(x.measure))}"


def _points(findings: Findings) -> list[str]:
    """How often another value of an axis of names is better or worse than the first one."""
    if not (found := headline.points(findings)):
        return []
    layout = findings.layout
    counts = [
        (layout.quoted(p), [x for x in found if x.point == p])
        for p in dict.fromkeys(x.point for x in found)
    ]
    first = f"{layout.axis_name} {layout.quoted(layout.points[0])}"
    total = plural(len(counts[0][1]), "comparison")
    return [f"of {total} with {first}, {_better_and_worse(counts)}"]


def _arms(findings: Findings) -> list[str]:
    """How often each arm is better or worse than the baseline, and by how much in the pool."""
    grouped: dict[str, list[tuple[str, list[Compared]]]] = {}
    for found, over in headline.arms(findings):
        name = f"of {plural(len(found), 'comparison')} with {found[0].against}{over}"
        grouped.setdefault(name, []).append((found[0].series.label, found))
    return [
        f"{name}, {_better_and_worse(arms)}{_by_how_much(findings, arms)}"
        for name, arms in grouped.items()
    ]


def _by_how_much(findings: Findings, arms: Sequence[tuple[str, list[Compared]]]) -> str:
    """The differences in quality that are shown for the first task, in the pool if it has one."""
    pools = [x for x in findings.all_tables if x.kind == "multi"]
    table = (pools or findings.all_tables)[0]
    shown = [
        (name, x)
        for name, found in arms
        for x in found
        if x.score_table is table and x.measure == table.quality and x.effect.significant
    ]
    if not shown:
        return ""
    changes = [f"{name} {wording.difference(x.measure, x.effect.difference)}" for name, x in shown]
    measure = shown[0][1].measure
    subject = wording.subject(table, measure)
    return f" ({subject}: {listed(changes)} {wording.unit(measure)})"


def _kept(findings: Findings) -> list[str]:
    """What the baseline keeps of its score away from home, and which arms keep more or less."""
    baseline = findings.layout.study.report.baseline
    ratios = np.array(
        [v for x in findings.retained if x.series.arm == baseline for v in x.ratio.value]
    )
    ratios = ratios[~np.isnan(ratios)]
    if not len(ratios):
        return []
    low, high = (wording.percent(x) for x in (ratios.min(), ratios.max()))
    span = f"{low} %" if low == high else f"{low} to {high} %"
    said = f"away from home ({findings.layout.axis_name}) {baseline} keeps {span} of its score"
    grouped: dict[str, list[tuple[str, int, int]]] = {}
    for x in headline.kept(findings):
        name = f"of {plural(x.total, 'comparison')} with {x.against}"
        grouped.setdefault(name, []).append((x.arm, x.more, x.less))
    return [
        said,
        *(f"{name}, {_counted(x, 'keeps', ('more', 'less'))}" for name, x in grouped.items()),
    ]


def _better_and_worse(found: Iterable[tuple[str, Sequence[Compared]]]) -> str:
    counts = []
    for name, held in found:
        verdicts = [x.verdict for x in held]
        counts.append((name, verdicts.count("better"), verdicts.count("worse")))
    return _counted(counts, "is", ("better", "worse"))


def _counted(counts: Sequence[tuple[str, int, int]], verb: str, words: tuple[str, str]) -> str:
    """``cross is better in 3 and hybrid in 1, and none is worse``."""
    differing = [x for x in counts if any(x[1:])]
    if len(counts) == 1 or (len(differing) == 1 and all(differing[0][1:])):
        name, *numbers = (differing or counts)[0]
        said = [f"{word} in {n}" for word, n in zip(words, numbers, strict=True)]
        return f"{name} {verb} {listed(said)}"
    if not differing:
        return f"none {verb} {words[0]} or {words[1]}"
    parts = []
    for column, word in enumerate(words, start=1):
        named = [(str(x[0]), int(x[column])) for x in counts if x[column]]
        said = [f"{name} in {n}" for name, n in named[1:]]
        if named:
            said = [f"{named[0][0]} {verb} {word} in {named[0][1]}", *said]
        parts.append(listed(said) if said else f"none {verb} {word}")
    return ", and ".join(parts)
