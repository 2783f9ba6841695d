"""How sure the means of a record are: bootstrap intervals over questions, by kind and language."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.evaluation.scores import PerQuery
from harness.metrics import Measure
from harness.stats.resampling import LEVEL, Bootstrap, Estimates, cluster_bootstrap

SEED = 20408
"""Of every bootstrap and permutation, unless told otherwise; it stands on the record."""


def groups_of(
    table: PerQuery, kind: str
) -> tuple[NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """What a macro mean over one kind of setting averages.

    Returns:
        rows of the table (R,) that belong to the kind; the setting of each such row, numbered from
        0 within the kind; the query language of each setting; and the names of those languages.
    """
    of_kind = [i for i, s in enumerate(table.settings) if s.kind == kind]
    number = np.full(len(table.settings), -1, np.int64)
    number[of_kind] = np.arange(len(of_kind))
    languages = tuple(dict.fromkeys(table.settings[i].query_language for i in of_kind))
    parents = np.array([languages.index(table.settings[i].query_language) for i in of_kind])
    rows = number[table.setting] >= 0
    return rows, number[table.setting[rows]], parents.astype(np.int64), languages


def bootstrap(
    table: PerQuery, kind: str, measures: list[str], *, resamples: int, seed: int
) -> tuple[Bootstrap, tuple[str, ...]]:
    """Bootstrap of one kind of setting; parents are the query languages returned beside it."""
    rows, groups, parents, languages = groups_of(table, kind)
    values = np.stack([table.values[m][rows] for m in measures], axis=1)
    found = cluster_bootstrap(
        values,
        table.question[rows],
        groups,
        len(parents),
        parents=parents,
        seed=seed,
        resamples=resamples,
    )
    return found, languages


def _listed(estimates: Estimates, at: int | tuple[int, int]) -> dict[str, Any]:
    return {
        "percentile": estimates.percentile[at].tolist(),
        "bca": estimates.bca[at].tolist(),
        "standard_error": float(estimates.standard_error[at]),
    }


def intervals(
    table: PerQuery,
    measures: tuple[Measure, ...],
    *,
    resamples: int,
    seed: int = SEED,
) -> dict[str, Any]:
    """Intervals for every macro mean of a record, as the record holds them.

    Questions are drawn anew, all their queries with them: the same question asked in eleven
    languages is one piece of evidence, not eleven. ``means`` is kind -> measure, ``languages`` kind
    -> query language -> measure (for cross: the mean over that language's settings).
    """
    means: dict[str, Any] = {}
    by_language: dict[str, Any] = {}
    for kind in dict.fromkeys(s.kind for s in table.settings):
        names = [m.name for m in measures if kind in m.kinds]
        if not names or not groups_of(table, kind)[0].any():
            continue
        found, languages = bootstrap(table, kind, names, resamples=resamples, seed=seed)
        means[kind] = {name: _listed(found.macro, i) for i, name in enumerate(names)}
        by_language[kind] = {
            x: {name: _listed(found.parents, (p, i)) for i, name in enumerate(names)}
            for p, x in enumerate(languages)
        }
    return {
        "method": "cluster bootstrap over question ids",
        "level": LEVEL,
        "resamples": resamples,
        "seed": seed,
        "clusters": len(np.unique(table.question)),
        "means": means,
        "languages": by_language,
    }
