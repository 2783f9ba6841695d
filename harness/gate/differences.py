"""The values a rule checks, and how far each changed: estimates and tests, no verdicts yet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.largest_changes import EQUAL
from harness.data.task import Setting
from harness.gate.policy import Policy, Rule, Tier
from harness.gate.result import Side
from harness.stats.means import group_means, macro_mean, micro_mean
from harness.stats.per_query import Levels, Paired
from harness.stats.ragged import FloatArray
from harness.stats.resampling import (
    Difference,
    Estimates,
    cluster_bootstrap,
    paired_permutation_test,
)

_STRICT: tuple[Tier, ...] = ("critical", "supporting", "watched")


@dataclass(frozen=True)
class Check:
    """One value that a rule checks: the mean over some settings of one kind."""

    rule: int
    rows: int
    """Index of its :class:`Paired` table."""
    side: Side
    unit: str
    tier: Tier
    settings: tuple[int, ...]
    """Indices of the settings it is a mean over."""


class ValueChange(NamedTuple):
    """The change of one value, candidate minus baseline, both on the same questions."""

    questions: int
    baseline: float
    candidate: float
    difference: float
    low: float
    high: float
    standard_error: float
    p_lower: float
    p_higher: float
    p_either: float


def checks_of(policy: Policy, number: int, rows: Paired, at: int) -> Iterator[Check]:
    """The values that one rule checks in the rows of one kind of setting."""
    rule = policy.rules[number]
    if rows.kind not in rule.settings or (rule.tasks and rows.task not in rule.tasks):
        return

    def chosen(*languages: str) -> bool:
        return all(
            (rule.tier is None or policy.tier(x) == rule.tier)
            and (not rule.languages or x in rule.languages)
            for x in languages
        )

    def tier(*languages: str) -> Tier:
        return max((policy.tier(x) for x in languages), key=_STRICT.index)

    if rule.by == "mean":
        kept = [i for i, s in enumerate(rows.settings) if chosen(*_languages(s))]
        if kept:
            name = ",".join(rule.languages) or rule.tier or "all"
            yield Check(number, at, "mean", name, rule.tier or "supporting", tuple(kept))
    elif rule.by == "pair":
        for i, s in enumerate(rows.settings):
            if rows.kind == "cross" and chosen(*_languages(s)):
                pair = "-".join(_languages(s))
                yield Check(number, at, "pair", pair, tier(*_languages(s)), (i,))
    else:
        sides: tuple[Side, ...] = ("query", "passage") if rows.kind == "cross" else ("query",)
        for side in sides:
            # The languages of queries first; passages may be in others.
            for x in dict.fromkeys([*rows.languages, *(of_side(s, side) for s in rows.settings)]):
                if x is None:
                    continue
                kept = [i for i, s in enumerate(rows.settings) if of_side(s, side) == x]
                if kept and chosen(x):
                    yield Check(number, at, side, x, tier(x), tuple(kept))


def has_values(rows: Paired, check: Check, measure: str) -> bool:
    """Whether either record defines the measure for any question that is checked.

    A record has a measure of its kind of setting also where nothing defines it: rank distance in
    the pool of a single language, say.
    """
    here = np.isin(rows.rows.setting, check.settings)
    return not np.isnan(rows.values[:, here, rows.measures.index(measure)]).all()


def of_side(setting: Setting, side: Side) -> str | None:
    """The language of a setting's queries, or of its passages."""
    return setting.passage_language if side == "passage" else setting.query_language


def _languages(setting: Setting) -> tuple[str, ...]:
    """The languages whose users a setting concerns."""
    if setting.passage_language in (None, setting.query_language):
        return (setting.query_language,)
    return (setting.query_language, str(setting.passage_language))


def change_of(rows: Paired) -> FloatArray:
    """Candidate minus baseline (R, M); differences of rounding alone are 0."""
    before, after = rows.values
    change = after - before
    size = np.maximum(np.maximum(np.abs(before), np.abs(after)), 1.0)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(change) <= EQUAL * size, 0.0, change)


def measured(
    kinds: Sequence[Paired],
    checks: Sequence[Check],
    rules: Sequence[Rule],
    *,
    resamples: int,
    permutations: int,
    seed: int,
) -> list[ValueChange]:
    """The change of each of ``checks``.

    Values over the same settings are resampled and swapped together: one bootstrap and one
    permutation test for the languages of a kind, however many rules there are.
    """
    found: dict[int, ValueChange] = {}
    groups: dict[tuple[int, Side, tuple[int, ...], float], list[int]] = {}
    for number, check in enumerate(checks):
        whole = tuple(range(len(kinds[check.rows].settings)))
        side: Side = "passage" if check.side == "passage" else "query"
        part = check.settings if check.side == "mean" else whole
        groups.setdefault((check.rows, side, part, rules[check.rule].alpha), []).append(number)
    for (at, side, part, alpha), members in groups.items():
        drawn = _Drawn(
            kinds[at],
            side,
            part,
            sorted({rules[checks[n].rule].measure for n in members}),
            alpha,
            (resamples, permutations, seed),
        )
        for number in members:
            found[number] = drawn.moved(checks[number], rules[checks[number].rule].measure)
    return [found[number] for number in range(len(checks))]


class _Drawn:
    """Some measures of some settings of one kind, resampled and swapped."""

    def __init__(
        self,
        paired: Paired,
        side: Side,
        part: tuple[int, ...],
        measures: Sequence[str],
        alpha: float,
        draws: tuple[int, int, int],
    ) -> None:
        self.measures = list(measures)
        columns = [paired.measures.index(m) for m in measures]
        rows = paired.rows
        taken = np.isin(rows.setting, part)
        self.position = {setting: i for i, setting in enumerate(part)}
        number = np.full(len(paired.settings), -1, np.int64)
        number[list(part)] = np.arange(len(part))
        self.groups = number[rows.setting[taken]]
        self.clusters = rows.question[taken]
        change = change_of(paired)[taken][:, columns]
        undefined = np.isnan(change)
        self.values = np.where(undefined, np.nan, paired.values[:, taken][:, :, columns])
        self.defined = ~undefined
        names = [str(of_side(paired.settings[i], side)) for i in part]
        self.parents = list(dict.fromkeys(names))
        self.of = np.array([self.parents.index(x) for x in names], np.int64)
        levels = Levels(
            clusters=self.clusters, groups=self.groups, n_groups=len(part), parents=self.of
        )
        resamples, permutations, seed = draws
        boot = cluster_bootstrap(
            change, **levels, seed=seed, resamples=resamples, level=1 - 2 * alpha
        )
        swapped = paired_permutation_test(
            change, np.zeros_like(change), **levels, seed=seed, resamples=permutations
        )
        self.estimates = {"mean": boot.macro, "parent": boot.parents, "pair": boot.groups}
        self.tests = {"mean": swapped.macro, "parent": swapped.parents, "pair": swapped.groups}

    def moved(self, check: Check, measure: str) -> ValueChange:
        m = self.measures.index(measure)
        level, at = self._place(check, m)
        estimates: Estimates = self.estimates[level]
        test: Difference = self.tests[level]
        here = np.isin(self.groups, [self.position[i] for i in check.settings])
        questions = len(np.unique(self.clusters[here & self.defined[:, m]]))
        low, high = estimates.bca[at]
        baseline, candidate = (self._mean(x[:, m], check) for x in self.values)
        return ValueChange(
            questions=questions,
            baseline=baseline,
            candidate=candidate,
            difference=float(test.value[at]),
            low=float(low),
            high=float(high),
            standard_error=float(estimates.standard_error[at]),
            p_lower=float(test.p_lower[at]),
            p_higher=float(test.p_higher[at]),
            p_either=float(test.p_value[at]),
        )

    def _place(self, check: Check, m: int) -> tuple[str, tuple[int, ...]]:
        if check.side == "mean":
            return "mean", (m,)
        if check.side == "pair":
            return "pair", (self.position[check.settings[0]], m)
        return "parent", (self.parents.index(check.unit), m)

    def _mean(self, values: FloatArray, check: Check) -> float:
        """The mean over a value's settings: settings first, then query languages."""
        by_setting = group_means(values, self.groups, len(self.of))
        kept: NDArray[np.int64] = np.array([self.position[i] for i in check.settings], np.int64)
        if check.side != "mean":
            return micro_mean(by_setting[kept])
        return macro_mean(by_setting, self.of, len(self.parents))
