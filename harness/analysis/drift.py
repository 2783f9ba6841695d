"""How far a task's scores moved from one run to another of the same model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.task import Role
from harness.evaluation.intervals import groups_of
from harness.evaluation.scores import PerQuery
from harness.stats.means import group_means, micro_mean

Vectors = Mapping[tuple[Role, str], NDArray[np.float32]]
"""(role, language) -> (n, d), one row per text."""


@dataclass(frozen=True)
class Drift:
    """What one measure of one kind of setting did, against the reference run."""

    kind: str
    measure: str
    mean: float
    """The variant's macro mean minus the reference's."""
    language: str
    """The query language whose mean moved most."""
    language_mean: float
    """How far, without sign."""
    setting: str
    question: str
    query: float
    """How far the value of the query that moved most (its setting and question) did, unsigned."""


@dataclass(frozen=True)
class Means:
    """One measure's means over one kind of setting, as records hold them."""

    languages: tuple[str, ...]
    """Query languages."""
    by_language: NDArray[np.float64]
    """(P,) macro means of each language's settings."""
    macro: float


def means(table: PerQuery, kind: str) -> dict[str, Means]:
    """Measure -> the record's means of one kind; measures that are undefined there left out."""
    rows, groups, parents, languages = groups_of(table, kind)
    found = {}
    for name, values in table.values.items():
        by_setting = group_means(values[rows], groups, len(parents))
        by_language = group_means(by_setting, parents, len(languages))
        if not np.isnan(by_language).all():
            found[name] = Means(languages, by_language, micro_mean(by_language))
    return found


def drifts(before: PerQuery, after: PerQuery) -> tuple[tuple[Drift, ...], dict[str, float]]:
    """What moved, by kind and measure, and kind -> share of its rows that changed at all."""
    changed: dict[str, float] = {}
    moved = []
    for kind in dict.fromkeys(s.kind for s in before.settings):
        rows = np.flatnonzero(groups_of(before, kind)[0])
        differs = np.zeros(len(rows), bool)
        new = means(after, kind)
        for measure, old in means(before, kind).items():
            one, other = before.values[measure][rows], after.values[measure][rows]
            differs |= ~((one == other) | (np.isnan(one) & np.isnan(other)))
            by_query = np.abs(np.nan_to_num(other - one))
            by_language = np.abs(np.nan_to_num(new[measure].by_language - old.by_language))
            worst, query = int(by_language.argmax()), int(by_query.argmax())
            moved.append(
                Drift(
                    kind=kind,
                    measure=measure,
                    mean=new[measure].macro - old.macro,
                    language=old.languages[worst],
                    language_mean=float(by_language[worst]),
                    setting=before.settings[before.setting[rows[query]]].name,
                    question=before.questions[before.question[rows[query]]],
                    query=float(by_query[query]),
                )
            )
        changed[kind] = float(differs.mean()) if len(rows) else 0.0
    return tuple(moved), changed


def largest_distance(before: Vectors, after: Vectors) -> float:
    """The greatest cosine distance between the two vectors of a text."""
    largest = 0.0
    for at, vectors in before.items():
        one, other = (_unit(x) for x in (vectors, after[at]))
        if len(one):
            # Half the squared chord is 1 - cosine, without its loss of digits near 0.
            largest = max(largest, float(((one - other) ** 2).sum(1).max() / 2))
    return largest


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = vectors.astype(np.float64)
    unit: NDArray[np.float64] = wide / np.sqrt((wide**2).sum(1, keepdims=True))
    return unit
