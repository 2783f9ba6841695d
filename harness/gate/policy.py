"""A gate's policy: which differences are too large, and how strong the evidence must be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from harness.base.reading import parse_toml, read_bytes
from harness.base.strict import Check, Language, WrongKeyError, at_least, read_as
from harness.data.task import KINDS, Kind
from harness.errors import PolicyError, UsageError
from harness.evaluation.record import Record
from harness.metrics import parse_measure
from harness.stats.resampling import RESAMPLES

Tier = Literal["critical", "supporting", "watched"]
TIERS: tuple[Tier, ...] = ("critical", "supporting", "watched")
By = Literal["mean", "language", "pair"]
Direction = Literal["higher", "lower", "same"]
Inconclusive = Literal["fail", "allow"]

LEAST = 1e-6
"""The smallest limit: below it, floating-point sums in another order differ."""
DEFAULT = "the default policy"


def _policy_measure(name: str) -> str:
    try:
        return parse_measure(name).name
    except UsageError as problem:
        raise ValueError(f"names no measure: {problem}") from problem


def _listed(value: Any) -> Any:
    """A single string is a list of one; duplicates are dropped."""
    found = [value] if isinstance(value, str) else value
    plain = isinstance(found, list) and all(isinstance(x, str) for x in found)
    return tuple(dict.fromkeys(found)) if plain else found


MeasureName = Annotated[str, Check(_policy_measure)]
Share = Annotated[float, at_least(0, 1)]
Size = Annotated[float, at_least(0)]
Count = Annotated[int, at_least(1)]
Kinds = Annotated[tuple[Kind, ...], Check(_listed, before=True)]
Codes = Annotated[tuple[Language, ...], Check(_listed, before=True)]


_BETTER_END = cast("Direction", None)
"""A rule without a direction: the measure's better direction is used."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: what is measured where, and the largest drop allowed."""

    name: str = ""
    """The name given, or one made from what the rule checks."""
    measure: MeasureName
    tasks: Annotated[tuple[str, ...], Check(_listed, before=True)] = ()
    """Empty: all tasks that the records share."""
    settings: Kinds = KINDS
    by: By = "mean"
    tier: Tier | None = None
    """``None``: the languages of all tiers."""
    languages: Codes = ()
    """Empty: all languages of the tier."""
    direction: Direction = _BETTER_END
    max_drop: Size | None = None
    """In the measure's own units."""
    max_relative_drop: Share | None = None
    """As a share of the baseline's value; the smaller of the two limits counts."""
    margin: Size | None = None
    """To pass, the interval of the drop must end at or below it; ``None``: the limit itself."""
    alpha: float
    min_queries: Count
    inconclusive: Inconclusive
    required: bool = True
    """Whether the rule is missing, not merely skipped, if neither record has what it checks."""

    def __post_init__(self) -> None:
        """Check keys against each other; fill in what follows from others."""
        measure = parse_measure(self.measure)
        if not self.settings:
            object.__setattr__(self, "settings", KINDS)
        if not set(self.settings) & set(measure.kinds):
            raise WrongKeyError(
                "settings",
                f"must contain one of {', '.join(measure.kinds)}: {measure.name} has no others",
            )
        if self.by == "pair" and "cross" not in self.settings:
            raise WrongKeyError("by", "can be 'pair' only if settings contain 'cross'")
        direction = cast("Direction | None", self.direction) or measure.better
        if direction is None:
            raise WrongKeyError(
                "direction",
                f"is missing: {measure.name} has no better direction; write 'same' to keep it "
                "where it is, or 'higher' or 'lower'",
            )
        drop = self.max_drop
        if drop is None and self.max_relative_drop is None:
            raise WrongKeyError("max_drop", "is missing: give it, or max_relative_drop, or both")
        if self.margin is not None and drop is not None and self.margin < drop:
            raise WrongKeyError("margin", f"must be at least max_drop, {drop:g}")
        object.__setattr__(self, "direction", direction)
        parts = (
            measure.label, "/".join(self.settings), f"by {self.by}", self.tier,
            ",".join(self.languages),
        )  # fmt: skip
        object.__setattr__(self, "name", self.name or " ".join(x for x in parts if x))

    def limit(self, baseline: float, tolerance: float) -> float:
        """The largest drop allowed from ``baseline``, never below ``tolerance``."""
        limits = [] if self.max_drop is None else [self.max_drop]
        if self.max_relative_drop is not None:
            limits.append(self.max_relative_drop * abs(baseline))
        return max(min(limits), tolerance)


@dataclass(frozen=True, kw_only=True)
class Tiers:
    """The languages of each tier; all others are supporting."""

    critical: Codes = ()
    supporting: Codes = ()
    watched: Codes = ()

    def __post_init__(self) -> None:
        """Check that no language is in two tiers."""
        found: dict[str, Tier] = {}
        for tier in TIERS:
            for language in getattr(self, tier):
                if language in found:
                    raise WrongKeyError(
                        tier, f"contains {language!r}, which is in {found[language]} already"
                    )
                found[language] = tier


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far a measure drifts by itself: its mean over languages, and a single language's."""

    mean: Size = 0.0
    language: Size = 0.0


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """Measure -> its drift, of runs in float32 and in half precision, as `harness noise` prints."""

    float32: Mapping[MeasureName, Drift] = field(default_factory=dict)
    half: Mapping[MeasureName, Drift] = field(default_factory=dict)


def _rules(rules: tuple[Rule, ...]) -> tuple[Rule, ...]:
    if not rules:
        raise ValueError("must have at least one table, written as [[rules]]")
    return rules


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of a gate."""

    name: str = field(default="", init=False)
    """The file it was read from."""
    alpha: Annotated[float, at_least(0.001, 0.5)] = 0.05
    min_queries: Count = 30
    inconclusive: Inconclusive = "fail"
    resamples: Count = RESAMPLES
    rules: Annotated[tuple[Rule, ...], Check(_rules)]
    tiers: Tiers = Tiers()
    tolerances: Tolerances = Tolerances()

    def __post_init__(self) -> None:
        """Check the rules against each other."""
        names: list[str] = []
        for number, rule in enumerate(self.rules, 1):
            if rule.name in names:
                raise WrongKeyError(
                    f"rules[{number}].name",
                    f"is {rule.name!r}, the name of an earlier rule; give another",
                )
            names.append(rule.name)
            if not 0.001 <= rule.alpha <= self.alpha:
                raise WrongKeyError(
                    f"rules[{number}].alpha",
                    f"must be between 0.001 and {self.alpha}, not {rule.alpha}",
                )

    def tier(self, language: str) -> Tier:
        """The tier of a language; ``supporting`` if no tier lists it."""
        return next((x for x in TIERS if language in getattr(self.tiers, x)), "supporting")

    def tolerance(self, measure: str, by: By, *, half: bool) -> float:
        """How far a value drifts by itself according to the policy, 0 if it does not say."""
        known = self.tolerances.half if half else self.tolerances.float32
        drift = known.get(measure, Drift())
        return max(drift.mean if by == "mean" else drift.language, LEAST)


def measures_of(policy: Policy, record: Record) -> list[str]:
    """The measures of a policy that a record has, which its baseline must keep."""
    measured = {m for task in record.tasks for m in task.all_measures}
    return [m for m in dict.fromkeys(rule.measure for rule in policy.rules) if m in measured]


def read_policy(path: str | Path | None = None) -> Policy:
    """Read a policy file; without one, the default policy that comes with the harness.

    Raises:
        PolicyError: the file cannot be read, is not TOML, has unknown keys or measures, or values
            out of bounds.
    """
    if path is None:
        where, raw = DEFAULT, files("harness.gate").joinpath("default.toml").read_bytes()
    else:
        # As reports can be written, of whatever bytes the name is.
        where = str(path).encode("utf-8", "backslashreplace").decode()
        raw = read_bytes(Path(path), PolicyError)
    values = parse_toml(raw, where, PolicyError)
    values = {"rules": [], "alpha": 0.05, "min_queries": 30, "inconclusive": "fail"} | values
    if isinstance(values["rules"], list):
        # A rule's missing keys default to the policy's.
        common = {x: values[x] for x in ("alpha", "min_queries", "inconclusive")}
        values["rules"] = [common | x if isinstance(x, dict) else x for x in values["rules"]]
    policy = read_as(Policy, values, where, PolicyError)
    object.__setattr__(policy, "name", where)
    return policy
