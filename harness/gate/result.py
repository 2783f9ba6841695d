"""What a gate returns: a verdict per rule, from the verdicts on the values it checks."""

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
"""Version of :meth:`Gate.document`."""
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
    """One value that a rule checks: candidate against baseline on the questions of both."""

    task: str
    kind: Kind
    measure: str
    side: Side
    """The scope of the mean: the kind, a language's queries or passages, or a pair."""
    unit: str
    """``all`` or a tier, a language, or an ordered pair ``de-en``."""
    tier: Tier
    counts: bool
    """Whether the exit code depends on it; watched languages are only reported."""
    questions: int
    """Distinct questions with a value in both records."""
    baseline: float
    candidate: float
    difference: float
    """Candidate minus baseline."""
    low: float
    """Lower end of the difference's interval of level 1 - 2 alpha: each end has level 1 - alpha."""
    high: float
    detectable: float
    """The true drop that would be found with 80 % power, at alpha over the number of checks."""
    p_value: float
    """p-value of the drop (of any change, if the rule's direction is ``same``): paired, one-sided,
    not corrected."""
    adjusted: float
    """Corrected by Holm over all checks that count."""
    adjusted_gain: float
    """The same for an improvement; NaN if the rule's direction is ``same``."""
    limit: float
    """The largest drop allowed, in the measure's units."""
    margin: float
    """The bound the interval must stay within to pass."""
    verdict: Verdict
    reason: str
    """The reason in words."""
    through: tuple[str, ...] = ()
    """Languages that cause this regression, if not its own."""


@dataclass(frozen=True)
class Outcome:
    """One rule."""

    rule: Rule
    verdict: Verdict
    cells: tuple[CheckResult, ...]
    note: str | None
    """Why the rule is missing or left out; otherwise ``None``."""
    left_out: bool = False
    """Whether neither record has what the rule checks and it is not required."""


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
    """The languages that cause the regressions."""
    differing: tuple[Differing, ...]
    """Other facts in which the two records differ."""
    comparisons: int
    """Number of checks that count: the family of Holm's correction."""
    alpha: float
    resamples: int
    permutations: int
    seed: int

    @property
    def exit_code(self) -> int:
        """The exit code of `harness gate`."""
        return EXIT_CODES[self.verdict]

    def cells(self, *verdicts: Verdict) -> Iterator[tuple[Outcome, CheckResult]]:
        """All checks rule by rule; only those with these verdicts, if any are given."""
        for outcome in self.outcomes:
            for check in outcome.cells:
                if not verdicts or check.verdict in verdicts:
                    yield outcome, check

    @property
    def regressions(self) -> tuple[CheckResult, ...]:
        """The checks that make the gate fail."""
        return tuple(check for _, check in self.cells("regression") if check.counts)

    def document(self) -> dict[str, Any]:
        """All of it as JSON values; undefined numbers are ``None``."""
        first = {"schema_version": SCHEMA_VERSION, "exit_code": self.exit_code}
        return first | finite(asdict(self))
