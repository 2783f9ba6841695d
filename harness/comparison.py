"""What a comparison of records holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.comparability import Differing
from harness.metrics.comparisons import RankSpan
from harness.metrics.measure import Better
from harness.records import finite
from harness.task import Kind

Verdict = Literal["better", "worse", "higher", "lower", "no difference shown", "undefined"]


@dataclass(frozen=True)
class Side:
    """One record."""

    letter: str
    model: str
    folder: str | None


@dataclass(frozen=True)
class Value:
    """A record's macro mean with its 95 % BCa interval; NaN where undefined."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Part:
    """The queries of one language, or one ordered pair, against the baseline."""

    query_language: str
    passage_language: str | None
    """``None``: of all settings of the kind that the query language has."""
    queries: int
    """Rows that define the measure in both records."""
    higher: float
    """Share of them whose value is higher than the baseline's."""
    equal: float
    lower: float
    difference: float
    p_value: float
    adjusted: float
    """Holm over the query languages, or Benjamini-Hochberg over the pairs."""
    verdict: Verdict


@dataclass(frozen=True)
class Against:
    """One record against the baseline: its value minus the baseline's."""

    record: int
    difference: float
    low: float
    """Lower end of the difference's 95 % BCa interval."""
    high: float
    standard_error: float
    p_value: float
    """Paired permutation of questions, two-sided, not corrected."""
    adjusted: float
    """Holm over all comparisons."""
    detectable: float
    """Least true difference that these data would have found with the stated power."""
    verdict: Verdict
    languages: tuple[Part, ...]
    pairs: tuple[Part, ...]
    """Of cross settings; else empty."""


@dataclass(frozen=True)
class Pair:
    """Two records: the second's value minus the first's."""

    first: int
    second: int
    difference: float
    p_value: float
    adjusted: float


@dataclass(frozen=True)
class Flip:
    """A question in the setting where it changed most."""

    record: int
    question: str
    setting: str
    query_language: str
    passage_language: str | None
    """``None``: the pool of all languages."""
    baseline: float
    value: float
    changed: int
    """Settings of the kind in which the question's value is another."""
    settings: int
    """Settings of the kind in which both records define its value."""
    text: str | None
    """The question in the query language; ``None`` where the data is not at hand."""


@dataclass(frozen=True)
class MeasureComparison:
    """All records by one measure."""

    measure: str
    better: Better | None
    values: tuple[Value, ...]
    """One per record."""
    against: tuple[Against, ...]
    """One per record but the baseline."""
    pairs: tuple[Pair, ...]
    ranks: tuple[RankSpan, ...]
    """One per record, 1 = best; empty where neither end is good."""
    ties: tuple[tuple[int, ...], ...]
    """Groups of records of which no two are told apart, highest or best first."""


@dataclass(frozen=True)
class KindComparison:
    """All measures of one kind of setting."""

    kind: Kind
    settings: int
    queries: int
    """Queries that all records hold, each once for every setting."""
    questions: int
    """Distinct question ids: what is drawn anew and swapped."""
    smallest_p_value: float
    """That the permutations can give; times the comparisons it must be below alpha to show any."""
    measures: tuple[MeasureComparison, ...]
    lead: str
    """The measure of ``flips``, and of tables that show one."""
    flips: tuple[Flip, ...]


@dataclass(frozen=True)
class TaskComparison:
    """All kinds of setting of one task."""

    task: str
    title: str
    text: str
    partial: Mapping[str, Any]
    """Why the baseline is less than the whole task; empty if whole."""
    kinds: tuple[KindComparison, ...]
    texts_note: str | None
    """Why flips have no texts; ``None`` where they do, or none were asked for."""


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` returns."""

    mismatches: tuple[Differing, ...]
    """By what the records do not measure the same thing; not empty only if forced."""
    records: tuple[Side, ...]
    differing: tuple[Differing, ...]
    """In what else they differ: what is being compared."""
    left_out: tuple[str, ...]
    """Tasks that some record lacks."""
    tasks: tuple[TaskComparison, ...]
    comparisons: int
    """Number that Holm's correction is over: records pairwise, kinds, measures, tasks."""
    alpha: float
    power: float
    level: float
    resamples: int
    permutations: int
    seed: int

    @property
    def note(self) -> str | None:
        """What must stand above every output of a forced comparison; else ``None``."""
        if not self.mismatches:
            return None
        return (
            "FORCED: these records do not measure the same thing; only the settings and queries "
            "that all of them hold are compared, and no number here stands for a whole record"
        )

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON values; undefined numbers are ``None``, records are by number."""
        head = {"forced": bool(self.mismatches), "note": self.note}
        return head | finite(asdict(self))
