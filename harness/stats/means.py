"""Means over queries: per setting and query language first (macro), or over all at once (micro).

The macro mean is the published protocol: the mean over a setting's queries, then over each query
language's settings, then, unweighted, over query languages. The micro mean is over all queries of
all settings. Everything that shows a mean takes it from here; :mod:`harness.stats.resampling`
computes the same for many weightings of the questions at once.

An undefined value (NaN: no relevant passage in that language, say, or fewer than two) is left out,
and so is a setting or language without a defined value; a judged query that retrieved nothing has
the value 0, which counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Kind, Setting
from harness.stats.per_query import PerQuery
from harness.stats.ragged import FloatArray, IntArray, divide


def group_means(values: FloatArray, groups: IntArray, n_groups: int) -> FloatArray:
    """Mean of ``values`` (``(Q,)``) in each group, shape ``(n_groups,)``.

    Args:
        values: per-query values; NaN is ignored.
        groups: the group of each query (its language), 0 to ``n_groups - 1``.
        n_groups: number of groups.

    Returns:
        NaN for a group without a defined value.
    """
    defined = np.flatnonzero(~np.isnan(values))
    if len(defined) < len(values):
        # Many measures are defined in one kind of setting only.
        values, groups = values[defined], groups[defined]
    sums = np.bincount(groups, weights=values, minlength=n_groups)
    return divide(sums, np.bincount(groups, minlength=n_groups))


def macro_mean(values: FloatArray, groups: IntArray, n_groups: int) -> float:
    """Unweighted mean of the group means, over groups with a defined value."""
    return micro_mean(group_means(values, groups, n_groups))


def micro_mean(values: FloatArray) -> float:
    """Mean over all defined values; NaN if there is none."""
    undefined = np.isnan(values)
    defined = values[~undefined] if undefined.any() else values
    return float(defined.mean()) if len(defined) else float("nan")


def mean_along(values: FloatArray, axis: int) -> FloatArray:
    """Mean of the defined values along ``axis``; NaN, without a warning, where there is none."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=axis), defined.sum(axis=axis))


@dataclass(frozen=True)
class MacroMean:
    """How the means of S settings of one kind are averaged: by query language, then over these."""

    settings: tuple[Setting, ...]

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """P query languages, in alphabetical order: sums do not depend on the task's order."""
        return tuple(sorted({s.query_language for s in self.settings}))

    @cached_property
    def _groups(self) -> NDArray[np.intp]:
        number = {x: i for i, x in enumerate(self.languages)}
        return np.array([number[s.query_language] for s in self.settings], np.intp)

    def by_language(self, by_setting: Sequence[float | None] | FloatArray) -> dict[str, float]:
        """Query language -> mean over its settings; ``by_setting`` (S,) may contain ``None``."""
        values = np.array(by_setting, np.float64)
        means = group_means(values, self._groups, len(self.languages))
        return dict(zip(self.languages, means.tolist(), strict=True))

    def mean(self, by_setting: Sequence[float | None] | FloatArray) -> float:
        """The macro mean; NaN where no setting defines it."""
        values = np.array(by_setting, np.float64)
        return macro_mean(values, self._groups, len(self.languages))

    def median(self, by_setting: Sequence[float | None] | FloatArray) -> float:
        """The median over query languages of each one's mean, of those that define it."""
        return median(np.array(list(self.by_language(by_setting).values())))


def median(values: FloatArray) -> float:
    """Median of all defined values; NaN where there is none."""
    defined = values[~np.isnan(values)]
    return float(np.median(defined)) if len(defined) else float("nan")


def or_none(value: float) -> float | None:
    """``None`` for NaN, as JSON has it."""
    return None if value != value else value


def setting_means(table: PerQuery) -> dict[str, FloatArray]:
    """Measure -> (S,) mean of each setting; NaN where no query defines it."""
    groups = table.setting.astype(np.intp)
    return {
        name: group_means(values, groups, len(table.settings))
        for name, values in table.values.items()
    }


def kind_means(
    table: PerQuery, by_setting: Mapping[str, FloatArray]
) -> dict[str, dict[str, dict[str, float]]]:
    """Kind -> ``macro`` | ``micro`` -> measure -> mean; ``by_setting`` is :func:`setting_means`."""
    return {
        kind: {
            "macro": {m: macro.mean(by_setting[m][chosen]) for m in table.values},
            "micro": {m: micro_mean(values) for m, values in table.of_kind(kind).values.items()},
        }
        for kind, macro, chosen in _kinds(table)
    }


def kind_medians(
    table: PerQuery, by_setting: Mapping[str, FloatArray]
) -> dict[str, dict[str, float]]:
    """Kind -> measure -> median over the query languages; arguments as of :func:`kind_means`."""
    return {
        kind: {m: macro.median(means[chosen]) for m, means in by_setting.items()}
        for kind, macro, chosen in _kinds(table)
    }


def _kinds(table: PerQuery) -> Iterator[tuple[Kind, MacroMean, NDArray[np.intp]]]:
    """Each kind, the mean over its settings, and their indices among the table's settings."""
    for kind in table.kinds:
        chosen = [i for i, s in enumerate(table.settings) if s.kind == kind]
        macro = MacroMean(tuple(table.settings[i] for i in chosen))
        yield kind, macro, np.array(chosen, np.intp)


def question_shares(table: PerQuery, values: FloatArray) -> FloatArray:
    """What each question adds to the macro means of ``values`` (R, M): (Q, M), summing to them.

    ``values`` are of the rows of ``table``, which are of one kind of setting. A measure that is
    undefined everywhere is NaN.
    """
    found = np.full((len(table.questions), values.shape[1]), np.nan)
    of = table.language_of
    for m, column in enumerate(values.T):
        defined = ~np.isnan(column)
        if not defined.any():
            continue
        queries = np.bincount(table.setting[defined], minlength=len(table.settings))
        settings = np.bincount(of[queries > 0], minlength=len(table.languages))
        weight = queries * settings[of] * np.count_nonzero(settings)
        found[:, m] = np.bincount(
            table.question[defined],
            column[defined] / weight[table.setting[defined]],
            minlength=len(table.questions),
        )
    return found
