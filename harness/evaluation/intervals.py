"""Bootstrap intervals over questions for the means of a record, by kind and language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.metrics import Measure
from harness.stats.per_query import PerQuery
from harness.stats.resampling import LEVEL, Bootstrap, Estimates, Resamples, cluster_bootstrap

SEED = 20408
"""Default seed of every bootstrap and permutation; saved in the record."""


def bootstrap(
    table: PerQuery,
    measures: Sequence[str],
    *,
    resamples: int,
    seed: int,
    weights: Resamples | None = None,
) -> Bootstrap:
    """Bootstrap of a table of one kind of setting; parents are its query languages."""
    values, levels = table.matrix(measures), table.levels
    return cluster_bootstrap(values, **levels, seed=seed, resamples=resamples, weights=weights)


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
) -> dict[str, Any]:
    """Intervals for every macro mean of a record, in the record's form.

    Questions are resampled with all their queries: the same question in eleven languages is one
    piece of evidence, not eleven. ``means`` is kind -> measure, ``languages`` kind
    -> query language -> measure (for cross: the mean over that language's settings).
    """
    means: dict[str, Any] = {}
    by_language: dict[str, Any] = {}
    weights = Resamples(resamples, seed=SEED)
    for kind in table.kinds:
        part = table.of_kind(kind)
        names = [m.name for m in measures if kind in m.kinds]
        if not names or not len(part):
            continue
        found = bootstrap(part, names, resamples=resamples, seed=SEED, weights=weights)
        means[kind] = {name: _listed(found.macro, i) for i, name in enumerate(names)}
        by_language[kind] = {
            x: {name: _listed(found.parents, (p, i)) for i, name in enumerate(names)}
            for p, x in enumerate(part.languages)
        }
    return {
        "method": "cluster bootstrap over question ids",
        "level": LEVEL,
        "resamples": resamples,
        "seed": SEED,
        "clusters": len(np.unique(table.question)),
        "means": means,
        "languages": by_language,
    }
