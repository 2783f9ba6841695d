"""What a gate returns: a verdict for each rule, from verdicts on the values it is about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.analysis.mismatches import Differing
from harness.data.task import Kind
from harness.evaluation.record import finite
from harness.gate.policy import Rule, Tier

Verdict = Literal["pass", "regression", "improvement", "inconclusive", "missing"]
Side = Literal["mean", "query", "passage", "pair"]

SCHEMA_VERSION = 1
"""Of :meth:`Gate.document`."""
EXIT_CODES: Mapping[Verdict, int] = {
    "pass": 0,
    "improvement": 0,
    "regression": 1,
    "inconclusive": 3,
    "missing": 4,
}
"""2 is wrong usage or bad input."""


@dataclass(frozen=True)
class CheckResult:
    """One value that a rule is about: candidate against baseline on the questions of both."""

    task: str
    kind: Kind
    measure: str
    side: Side
    """What the value is a mean over: the kind, a language's queries or passages, or a pair."""
    unit: str
    """``all`` or a tier, a language, or an ordered pair ``de-en``."""
    tier: Tier
    counts: bool
    """Whether the exit code depends on it; watched languages are only reported."""
    questions: int
    """Different questions with a value in both records: the pieces of evidence."""
    baseline: float
    candidate: float
    difference: float
    """Candidate minus baseline."""
    low: float
    """Lower end of the difference's interval, at 1 - 2 alpha: each end holds at 1 - alpha."""
    high: float
    detectable: float
    """The true drop that four of five such data sets would show, at alpha over the number of
    cells."""
    p_value: float
    """Of the drop (of the change, for a rule that allows none): paired, one-sided, not
    corrected."""
    adjusted: float
    """Holm over all cells that count."""
    adjusted_gain: float
    """The same for an improvement; NaN for a rule that allows no change."""
    limit: float
    """The largest drop let through, in the measure's units."""
    margin: float
    """What the interval must stay within to pass."""
    verdict: Verdict
    reason: str
    """Why, in words."""
    through: tuple[str, ...] = ()
    """Languages from which this regression comes, where it is not the unit's own."""


@dataclass(frozen=True)
class Outcome:
    """One rule."""

    rule: Rule
    verdict: Verdict
    cells: tuple[CheckResult, ...]
    note: str | None
    """Why the rule is missing, or is left out; else ``None``."""
    left_out: bool = False
    """Neither record has what the rule is about, and it is not required."""


@dataclass(frozen=True)
class Party:
    """The candidate or the baseline: what it is, and who made it."""

    model: str
    where: str | None
    created: str
    fingerprint: str | None
    harness: str | None
    """Version of the harness."""


@dataclass(frozen=True)
class Gate:
    """What :func:`harness.gate.gate` returns."""

    verdict: Verdict
    candidate: Party
    baseline: Party
    policy: str
    tasks: Mapping[str, Mapping[str, Any]]
    """Task -> why less than the whole of it was compared; empty if whole."""
    outcomes: tuple[Outcome, ...]
    languages: tuple[str, ...]
    """The languages that the regressions come from."""
    differing: tuple[Differing, ...]
    """In what else the two records differ."""
    comparisons: int
    """Cells that count, over which Holm's correction is."""
    alpha: float
    resamples: int
    permutations: int
    seed: int

    @property
    def exit_code(self) -> int:
        """What `harness gate` ends with."""
        return EXIT_CODES[self.verdict]

    def cells(self, *verdicts: Verdict) -> Iterator[tuple[Outcome, CheckResult]]:
        """All cells, of these verdicts if any are named, rule by rule."""
        for outcome in self.outcomes:
            for cell in outcome.cells:
                if not verdicts or cell.verdict in verdicts:
                    yield outcome, cell

    @property
    def regressions(self) -> tuple[CheckResult, ...]:
        """The cells that make the gate fail."""
        return tuple(cell for _, cell in self.cells("regression") if cell.counts)

    def document(self) -> dict[str, Any]:
        """All of it as JSON values; undefined numbers are ``None``."""
        first = {"schema_version": SCHEMA_VERSION, "exit_code": self.exit_code}
        return first | finite(asdict(self))
