"""Formats of numbers, measures and tasks of a study, the same in tables, plots and text."""

from __future__ import annotations

import math

from harness.console import numbers
from harness.console.numbers import label as label
from harness.console.numbers import p_value as p_value
from harness.metrics import better_of
from harness.metrics.builtin import BUILT_IN
from harness.study.definition import named as named
from harness.study.report.fit import Fit
from harness.study.report.score_tables import ALL, ScoreTable

UNDEFINED = numbers.UNDEFINED


_DECIMALS = {"rank_distance": 0, "max_rank": 0, "intrusion": 1}
"""Of measures that count passages."""


def in_ranks(measure: str) -> bool:
    """Whether a measure counts passages; differences of others are in points of 100."""
    return measure in _DECIMALS


_SIGNED = frozenset(("map_change_without_own", "mean_rank_correlation", "ndcg_drop"))
"""Measures that can be below 0."""


_BASES = frozenset(x.base for x in BUILT_IN)


def bounds(measure: str) -> tuple[float, float]:
    """The least and the greatest value that a measure can have; infinite where not known."""
    if in_ranks(measure):
        return 0.0, math.inf
    base = measure.partition("@")[0]
    if base not in _BASES:
        return -math.inf, math.inf
    return (-1.0 if base in _SIGNED else 0.0), 1.0


def unit(measure: str) -> str:
    """Of a difference."""
    return "ranks" if in_ranks(measure) else "points"


def axis_title(measure: str) -> str:
    """The axis label: with its unit, if any, and the better direction."""
    better = better_of(measure)
    more = {"higher": "higher is better", "lower": "lower is better", None: ""}[better]
    parts = [x for x in ("ranks" if in_ranks(measure) else "", more) if x]
    return f"{label(measure)} ({', '.join(parts)})" if parts else label(measure)


def value(measure: str, number: float) -> str:
    """``0.5312``, ``7,880``."""
    if math.isnan(number):
        return UNDEFINED
    if in_ranks(measure):
        return f"{number:,.{_DECIMALS[measure]}f}"
    return numbers.value(measure, number)


def difference(measure: str, number: float) -> str:
    """``+1.20`` points of 100, ``-2,846`` ranks."""
    if math.isnan(number):
        return UNDEFINED
    if in_ranks(measure):
        return _signed(f"{number:+,.{_DECIMALS[measure]}f}")
    return _signed(f"{100 * number:+.2f}")


def share(number: float) -> str:
    """``+3.4 %``."""
    return UNDEFINED if math.isnan(number) else _signed(f"{100 * number:+.1f}") + " %"


def percent(number: float) -> str:
    """``97.3``."""
    return UNDEFINED if math.isnan(number) else f"{100 * number:.1f}"


def ratio(number: float) -> str:
    """``0.92``."""
    return UNDEFINED if math.isnan(number) else f"{number:.3f}"


def signed(number: float, digits: int = 2) -> str:
    """``+0.31``."""
    return UNDEFINED if math.isnan(number) else _signed(f"{number:+.{digits}f}")


def _signed(text: str) -> str:
    """With a typographic minus sign; numbers that round to zero have no sign."""
    return text.replace("-", "\u2212") if text.strip("+-0.") else text.lstrip("+-")


def between(measure: str, low: float, high: float) -> str:
    """Ends of an interval of values."""
    if math.isnan(low):
        return UNDEFINED
    return f"{value(measure, low)}–{value(measure, high)}"


def difference_with_interval(measure: str, number: float, low: float, high: float) -> str:
    """``+1.20 points (95 % +0.40 to +2.00)``."""
    text = f"{difference(measure, number)} {unit(measure)}"
    if math.isnan(low):
        return text
    return f"{text} (95 % {difference(measure, low)} to {difference(measure, high)})"


def inside(text: str) -> str:
    """A label in the middle of a sentence: ``rank distance``, but ``nDCG@10`` and ``MRR@10``."""
    return text[0].lower() + text[1:] if text[1:2].islower() else text


def subject(score_table: ScoreTable, measure: str, group: str = ALL) -> str:
    """``XQuAD-R, mono mAP``, ``MIRACL (sample), mono nDCG@10, low``."""
    parts = [score_table.title, f"{score_table.kind} {inside(label(measure))}"]
    return ", ".join(parts if group == ALL else [*parts, group])


def amount(number: float) -> str:
    """``1,500``; below 10 with digits that count."""
    return f"{number:,.0f}" if abs(number) >= 10 else f"{number:.3g}"


def half_interval(fit: Fit) -> str:
    """The interval of a half amount; an end at the edge of what was searched is open."""
    assert fit.half is not None
    low, high = fit.half.low, fit.half.high
    if high >= fit.half_limits[1] * 0.999:
        return f"(at least {amount(low)})"
    if low <= fit.half_limits[0] * 1.001:
        return f"(at most {amount(high)})"
    return f"({amount(low)}–{amount(high)})"
