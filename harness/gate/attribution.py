"""Where regressions come from: one language's worse passages lower all scores into it.

In cross settings a value of one language is a mean over the others. The language with the largest
drop is removed from all of them, then the next, until no remaining value drops beyond its limit.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import replace

import numpy as np

from harness.gate.differences import Check, change_of, of_side
from harness.gate.policy import Direction, Policy
from harness.gate.result import CheckResult, Side
from harness.stats.means import group_means, micro_mean
from harness.stats.per_query import Paired
from harness.stats.ragged import FloatArray

_Found = tuple[Side, str]


def attributed(
    policy: Policy, kinds: Sequence[Paired], checks: Sequence[Check], results: Sequence[CheckResult]
) -> tuple[list[CheckResult], tuple[str, ...]]:
    """``results`` with the sources of their regressions, and the languages responsible.

    Watched languages are named only in their own checks. A regression in the pool of all languages
    cannot be split: if languages are named on the task, ``through`` lists them all.
    """
    found = list(results)
    named: dict[str, dict[str, None]] = {}  # by task
    pooled: list[int] = []
    groups: dict[tuple[int, str, Direction], list[int]] = {}
    for number, (check, result) in enumerate(zip(checks, results, strict=True)):
        if result.verdict != "regression":
            continue
        if result.kind == "multi":
            pooled.append(number)
        else:
            direction = policy.rules[check.rule].direction
            groups.setdefault((check.rows, result.measure, direction), []).append(number)
    # Monolingual settings first: they show which language of a pair it is.
    for (at, measure, direction), members in sorted(groups.items(), key=lambda x: x[0][0]):
        rows = kinds[at]
        drops = _drops(rows, measure, direction)
        known = named.get(rows.task, {})
        sources = _sources(rows, drops, [(checks[n], results[n].limit) for n in members], known)
        for number in members:
            check, result = checks[number], results[number]
            touched = {of_side(rows.settings[i], side) for i in check.settings for side in _SIDES}
            through = dict.fromkeys(x for _, x in sources if x in touched and x != check.unit)
            if (check.side, check.unit) in sources:
                own = [check.unit]
            elif check.side == "pair" and not through:
                own = [str(of_side(rows.settings[check.settings[0]], side)) for side in _SIDES]
            else:
                own = []
                if check.side == "pair" or not _left(rows, drops, check, sources) > result.limit:
                    found[number] = replace(result, through=tuple(through))
            if result.counts:
                named.setdefault(rows.task, {}).update(dict.fromkeys(own))
    pools = [results[n] for n in pooled if checks[n].side != "mean" and results[n].counts]
    for number in pooled:
        result = results[number]
        others = named.get(result.task, {})
        if result.unit not in others:
            found[number] = replace(result, through=tuple(others))
    languages = {x: None for own_of in named.values() for x in own_of}
    for result in sorted(pools, key=lambda result: -abs(result.difference)):
        if not named.get(result.task):
            languages[result.unit] = None
    return found, tuple(languages)


_SIDES: tuple[Side, ...] = ("query", "passage")


def _drops(paired: Paired, measure: str, direction: Direction) -> FloatArray:
    """The drop of each setting (S,), above 0 where it got worse."""
    change = change_of(paired)[:, paired.measures.index(measure)]
    moved = group_means(change, paired.rows.setting, len(paired.settings))
    if direction == "same":
        return np.abs(moved)
    return -moved if direction == "higher" else moved


def _left(rows: Paired, drops: FloatArray, check: Check, without: Sequence[_Found]) -> float:
    """The drop of a value without some languages; 0 if nothing is left."""
    kept = [
        i
        for i in check.settings
        if not any(
            of_side(rows.settings[i], side) == language
            and (check.side, check.unit) != (side, language)
            for side, language in without
        )
    ]
    return micro_mean(drops[kept]) if kept else 0.0


def _sources(
    rows: Paired,
    drops: FloatArray,
    checks: Sequence[tuple[Check, float]],
    known: Container[str],
) -> list[_Found]:
    """Sides and languages that regress by themselves, worst first.

    Args:
        rows: of one kind of setting.
        drops: of its settings.
        checks: the regressed values, each with its limit.
        known: languages that are named already; ties go to them.
    """
    sources: list[_Found] = []
    while True:
        left = [
            (round(drop, 9), check.unit in known, check.unit, check.side)
            for check, limit in checks
            if check.side in _SIDES
            and (check.side, check.unit) not in sources
            and (drop := _left(rows, drops, check, sources)) > limit
        ]
        if not left:
            return sources
        *_, unit, side = max(left)
        sources.append((side, unit))
