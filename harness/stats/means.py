"""Means over queries: per setting and query language first (macro), or over all at once (micro).

The macro mean is the published protocol: the mean over a setting's queries, then over each query
language's settings, then, unweighted, over query languages. The micro mean is over all queries of
all settings. Everything that shows a mean takes it from here; :mod:`harness.stats.resampling`
computes the same for many weightings of the questions at once.

An undefined value (NaN: no relevant passage in that language, fewer than two of them) is left out,
and so is a setting or language without a defined value; a query that was judged and found nothing
has the value 0, which counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Setting
from harness.stats.per_query import PerQuery
from harness.stats.ragged import FloatArray, IntArray, divide


def group_means(values: FloatArray, groups: IntArray, n_groups: int) -> FloatArray:
    """Mean of ``values`` (``(Q,)``) in each group, shape ``(n_groups,)``.

    Args:
        values: per-query values; NaN is left out.
        groups: the group of each query (its language), 0 to ``n_groups - 1``.
        n_groups: number of groups.

    Returns:
        NaN for a group without a defined value.
    """
    defined = ~np.isnan(values)
    if defined.all():
        sums = np.bincount(groups, weights=values, minlength=n_groups)
        return divide(sums, np.bincount(groups, minlength=n_groups))
    sums = np.bincount(groups, weights=np.where(defined, values, 0.0), minlength=n_groups)
    return divide(sums, np.bincount(groups, weights=defined, minlength=n_groups))


def macro_mean(values: FloatArray, groups: IntArray, n_groups: int) -> float:
    """Unweighted mean of the group means; groups without a defined value are left out."""
    return micro_mean(group_means(values, groups, n_groups))


def micro_mean(values: FloatArray) -> float:
    """Mean over all defined values; NaN where there is none."""
    undefined = np.isnan(values)
    defined = values[~undefined] if undefined.any() else values
    return float(defined.mean()) if len(defined) else float("nan")


def mean_along(values: FloatArray, axis: int) -> FloatArray:
    """Mean of the defined values along ``axis``; NaN, without a warning, where there is none."""
    defined = ~np.isnan(values)
    return divide(np.where(defined, values, 0.0).sum(axis=axis), defined.sum(axis=axis))


def language_means(
    settings: Sequence[Setting], by_setting: Sequence[float | None] | FloatArray
) -> dict[str, float]:
    """Query language -> mean over its settings, from the means of S ``settings`` of one kind.

    ``None`` counts as NaN, and languages are in alphabetical order, so that sums over them do not
    depend on the order of the task's.
    """
    names = sorted({s.query_language for s in settings})
    number = {x: i for i, x in enumerate(names)}
    groups = np.array([number[s.query_language] for s in settings], np.intp)
    means = group_means(np.array(by_setting, np.float64), groups, len(names))
    return dict(zip(names, means.tolist(), strict=True))


def macro_of_settings(
    settings: Sequence[Setting], by_setting: Sequence[float | None] | FloatArray
) -> float:
    """Macro mean from the means of S ``settings`` of one kind; NaN where none is defined."""
    return micro_mean(np.array(list(language_means(settings, by_setting).values()), np.float64))


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
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind in table.kinds:
        part, chosen = table.of_kind(kind), _of_kind(table, kind)
        found[kind] = {
            "macro": {
                m: macro_of_settings(part.settings, by_setting[m][chosen]) for m in part.values
            },
            "micro": {m: micro_mean(values) for m, values in part.values.items()},
        }
    return found


def kind_medians(
    table: PerQuery, by_setting: Mapping[str, FloatArray]
) -> dict[str, dict[str, float]]:
    """Kind -> measure -> median over the query languages of each one's mean.

    ``by_setting`` is :func:`setting_means`; a language without a defined value is left out.
    """
    found: dict[str, dict[str, float]] = {}
    for kind in table.kinds:
        chosen = _of_kind(table, kind)
        settings = [s for s in table.settings if s.kind == kind]
        found[kind] = {}
        for name, means in by_setting.items():
            by_language = np.array(list(language_means(settings, means[chosen]).values()))
            known = by_language[~np.isnan(by_language)]
            found[kind][name] = float(np.median(known)) if len(known) else float("nan")
    return found


def _of_kind(table: PerQuery, kind: str) -> NDArray[np.bool_]:
    return np.array([s.kind == kind for s in table.settings], bool)


def question_shares(table: PerQuery, values: FloatArray) -> FloatArray:
    """What each question adds to the macro means of ``values`` (R, M): (Q, M), summing to them.

    ``values`` are of the rows of ``table``, which are of one kind of setting. A measure that is
    nowhere defined is NaN.
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
