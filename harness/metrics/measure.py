"""The definition of a measure: a named formula, independent of the registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np

from harness.data.task import RUN_KINDS, Kind
from harness.errors import ModelError, UsageError, errors_of
from harness.metrics.ranks import RelevantRanks
from harness.stats.ragged import FloatArray

Function: TypeAlias = Callable[[RelevantRanks, int | None], FloatArray]
"""Ranks of relevant passages and a cutoff in, one float64 value per query out, or NaN."""

Better: TypeAlias = Literal["higher", "lower"]


@dataclass(frozen=True)
class Family:
    """One formula; together with a cutoff, if it takes one, it is a measure."""

    base: str
    """The name before ``@``: lower case, no ``@``."""
    label: str
    """The label in tables, before the cutoff: ``nDCG``."""
    function: Function
    better: Better | None = "higher"
    """``None`` if neither direction is better (a share of languages, say)."""
    cutoff: Literal["required", "optional", "none"] = "none"
    kinds: tuple[Kind, ...] = RUN_KINDS
    """The kinds of setting it is defined for."""
    needs: tuple[str, ...] = ()
    """Fields of :class:`RelevantRanks` beyond ranks and indptr that must not be ``None``."""
    counts_absent: bool = False
    """Whether relevant passages that the pool lacks count, with rank
    :data:`harness.metrics.ranks.NEVER`; others are given those of the pool alone."""
    neutral: Callable[[int, int], float] | None = None
    """The value of a ranking that favours no language (by chance, for rank distances and max
    ranks), from the number of a query's relevant passages, one per language, and of the pool's
    passages; ``None`` if it depends on the model's quality."""
    refusal: Callable[[RelevantRanks], str | None] | None = None
    """Returns why it is not informative for such data, or ``None``."""


def of_package(family: Family) -> Family:
    """``family`` with what another package's function raises, or returns wrongly, in a sentence."""

    def function(relevant: RelevantRanks, cutoff: int | None) -> FloatArray:
        with errors_of(f"measure {family.base!r}"):
            values = np.asarray(family.function(relevant, cutoff), np.float64)
        if values.shape != (relevant.queries,):
            raise ModelError(
                f"measure {family.base!r} returned an array of shape {values.shape} for "
                f"{relevant.queries} queries; {(relevant.queries,)} is needed"
            )
        if np.isinf(values).any():
            raise ModelError(
                f"measure {family.base!r} returned an infinite value; NaN is for undefined ones"
            )
        return values

    return replace(family, function=function)


@dataclass(frozen=True)
class Measure:
    """One measure, returned by :func:`harness.metrics.parse_measure`."""

    name: str
    """Canonical: ``ndcg@10``, ``map``."""
    base: str
    cutoff: int | None
    label: str
    """The label in tables: ``nDCG@10``."""
    better: Better | None
    kinds: tuple[Kind, ...]
    needs: tuple[str, ...]
    family: Family = field(repr=False, compare=False)

    def per_query(self, relevant: RelevantRanks) -> FloatArray:
        """Value of each query, float64 ``(Q,)``; NaN if the measure is undefined.

        Raises:
            UsageError: ``relevant`` lacks a field that the measure needs, or its top k is shorter
                than the cutoff.
        """
        self._check(relevant)
        if not self.family.counts_absent:
            relevant = relevant.present()
        return self.family.function(relevant, self.cutoff)

    def refusal(self, relevant: RelevantRanks) -> str | None:
        """Return why the measure is not informative for any of these queries; ``None`` if it is.

        If it is not, its values are NaN. If that is so for all queries of a task, refuse the
        measure.

        Raises:
            UsageError: as :meth:`per_query`.
        """
        self._check(relevant)
        return None if self.family.refusal is None else self.family.refusal(relevant.present())

    def _check(self, relevant: RelevantRanks) -> None:
        missing = [x for x in self.needs if getattr(relevant, x) is None]
        if missing:
            raise UsageError(
                f"measure {self.name!r} needs {' and '.join(missing)}, which these data lack"
            )
