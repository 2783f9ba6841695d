"""The sentence that a page opens with: what the study answers to its own question, by rule."""

from __future__ import annotations

from collections.abc import Sequence

from harness.console.numbers import plural
from harness.study.report import headline, wording
from harness.study.report.combinations import combined
from harness.study.report.effects import Compared
from harness.study.report.findings import Findings
from harness.study.report.layout import Series, listed
from harness.study.report.post_processed import AXIS
from harness.study.report.score_tables import ALL


def answer(findings: Findings) -> str | None:
    """One sentence, or a paragraph for each pool; ``None`` where no rule has anything to say.

    Of post-processing: see :mod:`harness.study.report.combinations`. Along an axis of numbers: of a
    single line, which values are never significantly worse than the best one; of each, what changes
    from the first to the last. Along one of names: how the others compare with the first, and what
    is kept away from home. Then how the arms compare with the baseline.
    """
    layout = findings.layout
    if layout.axis_name == AXIS:
        return combined(findings)
    parts = []
    lines = [x for x in layout.series if not x.level]
    if layout.numeric:
        ends = [x for x in findings.compared if x.question == "ends" and x.group == ALL]
        if not ends:
            return f"No answer yet: {_why(findings)}."
        if len(lines) == 1:
            parts.append(_values(findings, lines[0]))
        for series in lines:
            of = "" if len(lines) == 1 else f"{series.label}: "
            along = [x for x in ends if x.series == series]
            parts += [of + _changes(findings, along)] if along else []
    parts += [*_points(findings), *_kept(findings), *_arms(findings)]
    said = "; ".join(x for x in parts if x)
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


def _values(findings: Findings, line: Series) -> str:
    """Which values of x are the best one, or not significantly different from it, and how often."""
    layout = findings.layout
    found = [x for x in findings.compared if x.question == "best" and x.group == ALL]
    of = {(x.score_table.name, x.measure) for x in found}
    if not of:
        return ""
    behind = {p: sum(x.effect.significant and x.point == p for x in found) for p in layout.points}
    there = {p for p in layout.points if any(layout.place(line, p) in s.cells
                                             for s in findings.all_tables)}  # fmt: skip
    counts = {p: len(of) - behind[p] for p in layout.points if p in there}
    most = max(counts.values())
    total = plural(len(of), "comparison")
    if min(counts.values()) == len(of):
        return f"no value of {layout.axis_name} is shown to be worse than another in {total}"
    if min(counts.values()) == most:
        return (
            f"every value of {layout.axis_name} is the best value or not significantly different "
            f"from it in {most} of {total}"
        )
    best = [layout.spell(p) for p, n in counts.items() if n == most]
    rest = listed([f"{layout.spell(p)} in {n}" for p, n in counts.items() if n != most])
    be = "is" if len(best) == 1 else "are each"
    return (
        f"{layout.axis_name} {listed(best)} {be} the best value or not significantly different "
        f"from it in {most} of {total} ({rest})"
    )


def _points(findings: Findings) -> list[str]:
    """How often another value of an axis of names is better or worse than the first one."""
    if not (found := headline.points(findings)):
        return []
    better, worse = (sum(x.verdict == v for x in found) for v in ("better", "worse"))
    layout = findings.layout
    return [
        f"other values of {layout.axis_name} than {layout.quoted(layout.points[0])} are better in "
        f"{better} and worse in {worse} of {plural(len(found), 'comparison')}"
    ]


def _kept(findings: Findings) -> list[str]:
    """What each arm keeps of its score away from home, against the baseline."""
    parts: dict[str, list[str]] = {}
    for x in headline.kept(findings):
        total = plural(x.total, "comparison")
        away = f"away from home ({findings.layout.axis_name}), against {x.against}"
        name = f"{away}, of {total} of the share of the score kept"
        parts.setdefault(name, []).append(f"{x.arm} keeps more in {x.more} and less in {x.less}")
    return [f"{name}, {listed(said)}" for name, said in parts.items()]


def _arms(findings: Findings) -> list[str]:
    """How often each arm is better or worse than the baseline; a part for each way to compare."""
    parts: dict[str, list[str]] = {}
    for found, over in headline.arms(findings):
        counts = [sum(x.verdict == v for x in found) for v in ("better", "worse")]
        name = f"against {found[0].against}{over}, of {plural(len(found), 'comparison')}"
        said = f"{found[0].series.label} is better in {counts[0]} and worse in {counts[1]}"
        parts.setdefault(name, []).append(said)
    return [f"{name}, {listed(said)}" for name, said in parts.items()]


def _changes(findings: Findings, ends: Sequence[Compared]) -> str:
    """What the last value of x changes against the first."""
    axis = findings.layout.axis_name
    span = f"from {axis} {ends[0].against} to {findings.layout.spell(ends[0].point)}"
    significant = [
        f"{wording.subject(x.score_table, x.measure)} changes by "
        f"{wording.difference(x.measure, x.effect.difference)} {wording.unit(x.measure)}"
        for x in ends
        if x.effect.significant
    ]
    if not significant:
        return f"{span} no change is shown"
    rest = len(ends) - len(significant)
    silent = f", and no change is shown in {rest} of {plural(len(ends), 'comparison')}"
    return f"{span} {listed(significant)}{silent if rest else ''}"
