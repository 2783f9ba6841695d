"""Turn the change of each value into a verdict, and these into a verdict on each rule.

A drop is a regression if it exceeds the limit and the paired test is significant. It passes if it
is within the limit and its interval is within the margin. Everything else is inconclusive: neither
shown to be a regression nor shown to be none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from harness.console.numbers import amount, p_value, plural
from harness.gate.differences import Check, ValueChange
from harness.gate.policy import LEAST, Direction, Policy, Rule
from harness.gate.result import CheckResult, Outcome, Verdict
from harness.stats.multiple_tests import holm, smallest_detectable_difference
from harness.stats.per_query import Paired

_SEVERITY: tuple[Verdict, ...] = ("regression", "missing", "inconclusive", "improvement", "pass")


class _Drop(NamedTuple):
    """A change in the rule's direction: worse is above 0."""

    size: float
    worst: float
    """Upper end of its interval."""
    p_value: float
    p_gain: float
    """p-value of an improvement; NaN if no change counts as one."""


def _drop(moved: ValueChange, direction: Direction) -> _Drop:
    if direction == "higher":
        return _Drop(-moved.difference, -moved.low, moved.p_lower, moved.p_higher)
    if direction == "lower":
        return _Drop(moved.difference, moved.high, moved.p_higher, moved.p_lower)
    worst = max(abs(moved.low), abs(moved.high)) if moved.low == moved.low else float("nan")
    return _Drop(abs(moved.difference), worst, moved.p_either, float("nan"))


def judge(
    policy: Policy,
    kinds: Sequence[Paired],
    checks: Sequence[Check],
    moved: Sequence[ValueChange],
    *,
    half: bool,
) -> tuple[list[CheckResult], int]:
    """A check for each of ``checks``, and the number of checks that count.

    Holm's correction is over the checks that count; watched languages are corrected separately, so
    that reporting them costs the others no power.

    Args:
        policy: whose rules ``checks`` are about.
        kinds: the rows that ``checks`` refers to.
        checks: the values to check.
        moved: the change of each of them.
        half: one of the records was computed in half precision.
    """
    rules = [policy.rules[check.rule] for check in checks]
    drops = [_drop(x, rule.direction) for x, rule in zip(moved, rules, strict=True)]
    watched = np.array([check.tier == "watched" for check in checks], bool)
    adjusted, gains = np.full((2, len(checks)), np.nan)
    for part in (watched, ~watched):
        adjusted[part] = holm([x.p_value for x, here in zip(drops, part, strict=True) if here])
        gains[part] = holm([x.p_gain for x, here in zip(drops, part, strict=True) if here])
    comparisons = int((~watched).sum())
    results = []
    for number, (check, rule, found, drop) in enumerate(
        zip(checks, rules, moved, drops, strict=True)
    ):
        tolerance = policy.tolerance(rule.measure, rule.by, half=half)
        limit = rule.limit(found.baseline, tolerance)
        margin = max(limit, rule.margin or 0.0)
        family = comparisons if check.tier != "watched" else int(watched.sum())
        verdict, reason = _verdict(
            rule, found, drop, (float(adjusted[number]), float(gains[number])), (limit, margin)
        )
        results.append(
            CheckResult(
                task=kinds[check.rows].task,
                kind=kinds[check.rows].kind,
                measure=rule.measure,
                side=check.side,
                unit=check.unit,
                tier=check.tier,
                counts=check.tier != "watched",
                questions=found.questions,
                baseline=found.baseline,
                candidate=found.candidate,
                difference=found.difference,
                low=found.low,
                high=found.high,
                detectable=float(
                    # The test is one-sided (two-sided for a rule that allows no change).
                    smallest_detectable_difference(
                        found.standard_error,
                        alpha=rule.alpha * (1 if rule.direction == "same" else 2) / family,
                    )
                ),
                p_value=drop.p_value,
                adjusted=float(adjusted[number]),
                adjusted_gain=float(gains[number]),
                limit=limit,
                margin=margin,
                verdict=verdict,
                reason=reason,
            )
        )
    return results, comparisons


def _verdict(
    rule: Rule,
    found: ValueChange,
    drop: _Drop,
    adjusted: tuple[float, float],
    bounds: tuple[float, float],
) -> tuple[Verdict, str]:
    """The verdict on one value, and why."""
    (worse, better), (limit, margin) = adjusted, bounds
    what = {"same": "change", "higher": "drop", "lower": "rise"}[rule.direction]
    if drop.size != drop.size:
        return "missing", "no question has a value in both records"
    size, most = amount(drop.size), amount(limit)
    if found.questions < rule.min_queries:
        few = plural(found.questions, "question")
        return "inconclusive", f"{few}, the rule requires {rule.min_queries:,}"
    if drop.size > limit and worse <= rule.alpha:
        return "regression", f"{what} of {size}, more than {most} (p = {p_value(worse)})"
    if drop.size > limit:
        return (
            "inconclusive",
            f"{what} of {size}, more than {most}, but it may be chance (p = {p_value(worse)})",
        )
    if drop.worst != drop.worst:
        few = plural(found.questions, "question")
        return "inconclusive", f"{what} of {size}, but of {few} there is no interval"
    if drop.worst > margin + LEAST / 2:
        return (
            "inconclusive",
            f"the {what} may be {amount(drop.worst)}, at most {amount(margin)} is let through",
        )
    if better <= rule.alpha and -drop.size > LEAST:
        return "improvement", f"better by {amount(-drop.size)} (p = {p_value(better)})"
    if worse <= rule.alpha:
        return "pass", f"{what} of {size} (p = {p_value(worse)}), within {most}"
    return "pass", f"no {what} beyond {amount(margin)}"


def outcomes(
    policy: Policy, checks: Sequence[Check], results: Sequence[CheckResult]
) -> list[Outcome]:
    """A verdict for each rule: that of its worst check, watched languages excluded."""
    found = []
    for number, rule in enumerate(policy.rules):
        own = tuple(c for check, c in zip(checks, results, strict=True) if check.rule == number)
        if not own:
            note = f"neither record has {rule.measure} where the rule applies"
            found.append(Outcome(rule, "missing" if rule.required else "pass", (), note, True))
            continue
        found.append(Outcome(rule, worst([c.verdict for c in own if c.counts]), own, None))
    return found


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict that decides; ``pass`` where there is none."""
    return min(verdicts, key=_SEVERITY.index, default="pass")


def overall(found: Sequence[Outcome]) -> Verdict:
    """The gate's verdict; a rule that allows it does not make it inconclusive."""
    return worst(
        [
            "pass" if x.verdict == "inconclusive" and x.rule.inconclusive == "allow" else x.verdict
            for x in found
        ]
    )
