"""Where regressions come from: a language whose passages got worse drags down all that ask for it.

In cross settings a value of one language is a mean over the others. The language with the largest
drop is taken out of all of them, then the next, until none that is left drops beyond its limit.
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
    policy: Policy, kinds: Sequence[Paired], asked: Sequence[Check], cells: Sequence[CheckResult]
) -> tuple[list[CheckResult], tuple[str, ...]]:
    """``cells`` with what their regressions come from, and the languages these come from.

    Languages that are only watched are named in their cells alone. A regression in the pool of all
    languages cannot be taken apart: if others are named on the task, ``through`` lists them all.
    """
    found = list(cells)
    named: dict[str, dict[str, None]] = {}  # by task
    pooled: list[int] = []
    groups: dict[tuple[int, str, Direction], list[int]] = {}
    for number, (ask, cell) in enumerate(zip(asked, cells, strict=True)):
        if cell.verdict != "regression":
            continue
        if cell.kind == "multi":
            pooled.append(number)
        else:
            direction = policy.rules[ask.rule].direction
            groups.setdefault((ask.rows, cell.measure, direction), []).append(number)
    # Monolingual settings first: they tell which language of a pair it is.
    for (at, measure, direction), members in sorted(groups.items(), key=lambda x: x[0][0]):
        rows = kinds[at]
        drops = _drops(rows, measure, direction)
        known = named.get(rows.task, {})
        sources = _sources(rows, drops, [(asked[n], cells[n].limit) for n in members], known)
        for number in members:
            ask, cell = asked[number], cells[number]
            touched = {of_side(rows.settings[i], side) for i in ask.settings for side in _SIDES}
            through = dict.fromkeys(x for _, x in sources if x in touched and x != ask.unit)
            if (ask.side, ask.unit) in sources:
                own = [ask.unit]
            elif ask.side == "pair" and not through:
                own = [str(of_side(rows.settings[ask.settings[0]], side)) for side in _SIDES]
            else:
                own = []
                if ask.side == "pair" or not _left(rows, drops, ask, sources) > cell.limit:
                    found[number] = replace(cell, through=tuple(through))
            if cell.counts:
                named.setdefault(rows.task, {}).update(dict.fromkeys(own))
    pools = [cells[n] for n in pooled if asked[n].side != "mean" and cells[n].counts]
    for number in pooled:
        cell = cells[number]
        others = named.get(cell.task, {})
        if cell.unit not in others:
            found[number] = replace(cell, through=tuple(others))
    languages = {x: None for own_of in named.values() for x in own_of}
    for cell in sorted(pools, key=lambda cell: -abs(cell.difference)):
        if not named.get(cell.task):
            languages[cell.unit] = None
    return found, tuple(languages)


_SIDES: tuple[Side, ...] = ("query", "passage")


def _drops(paired: Paired, measure: str, direction: Direction) -> FloatArray:
    """The drop of each setting (S,), above 0 where it got worse."""
    change = change_of(paired)[:, paired.measures.index(measure)]
    moved = group_means(change, paired.rows.setting, len(paired.settings))
    if direction == "same":
        return np.abs(moved)
    return -moved if direction == "higher" else moved


def _left(rows: Paired, drops: FloatArray, ask: Check, without: Sequence[_Found]) -> float:
    """The drop of a value once some languages are taken out of it; 0 where nothing is left."""
    kept = [
        i
        for i in ask.settings
        if not any(
            of_side(rows.settings[i], side) == language and (ask.side, ask.unit) != (side, language)
            for side, language in without
        )
    ]
    return micro_mean(drops[kept]) if kept else 0.0


def _sources(
    rows: Paired,
    drops: FloatArray,
    asked: Sequence[tuple[Check, float]],
    known: Container[str],
) -> list[_Found]:
    """Sides and languages that regress by themselves, worst first.

    Args:
        rows: of one kind of setting.
        drops: of its settings.
        asked: the regressed values, each with its limit.
        known: languages that are named already; of equal drops theirs comes first.
    """
    sources: list[_Found] = []
    while True:
        left = [
            (round(drop, 9), ask.unit in known, ask.unit, ask.side)
            for ask, limit in asked
            if ask.side in _SIDES
            and (ask.side, ask.unit) not in sources
            and (drop := _left(rows, drops, ask, sources)) > limit
        ]
        if not left:
            return sources
        *_, unit, side = max(left)
        sources.append((side, unit))
