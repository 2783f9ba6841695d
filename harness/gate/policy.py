"""A gate's policy: which differences are too large, and how sure one has to be. Read strictly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal, cast

from harness.base.languages import is_language
from harness.base.reading import parse_toml, read_bytes
from harness.base.toml_table import Table
from harness.data.task import KINDS, Kind
from harness.errors import PolicyError, UsageError, did_you_mean
from harness.evaluation.record import Record
from harness.metrics import Measure, parse_measure
from harness.stats.resampling import RESAMPLES

Tier = Literal["critical", "supporting", "watched"]
TIERS: tuple[Tier, ...] = ("critical", "supporting", "watched")
By = Literal["mean", "language", "pair"]
BYS: tuple[By, ...] = ("mean", "language", "pair")
Direction = Literal["higher", "lower", "same"]
DIRECTIONS: tuple[Direction, ...] = ("higher", "lower", "same")
Inconclusive = Literal["fail", "allow"]
INCONCLUSIVE: tuple[Inconclusive, ...] = ("fail", "allow")

LEAST = 1e-6
"""No limit is smaller: sums of floating-point numbers in another order differ below it."""
DEFAULT = "the default policy"

_KEYS = ("alpha", "min_queries", "inconclusive", "resamples", "tiers", "rules", "tolerances")
_RULE_KEYS = (
    "name", "measure", "tasks", "settings", "by", "tier", "languages", "direction", "max_drop",
    "max_relative_drop", "margin", "alpha", "min_queries", "inconclusive", "required",
)  # fmt: skip
_TOLERANCES = ("float32", "half")


@dataclass(frozen=True)
class Rule:
    """One rule: what is measured where, and the largest drop that is let through."""

    name: str
    measure: str
    tasks: tuple[str, ...]
    """Empty: all that the records share."""
    settings: tuple[Kind, ...]
    by: By
    tier: Tier | None
    """``None``: the languages of all tiers."""
    languages: tuple[str, ...]
    """Empty: all of the tier."""
    direction: Direction
    max_drop: float | None
    """In the measure's own units."""
    max_relative_drop: float | None
    """As a share of the baseline's value; the smaller of the two limits counts."""
    margin: float | None
    """To pass, the interval of the drop must end at or below it; ``None``: the limit itself."""
    alpha: float
    min_queries: int
    inconclusive: Inconclusive
    required: bool
    """Whether it is missing, and not just left out, where neither record holds what it is about."""

    def limit(self, baseline: float, tolerance: float) -> float:
        """The largest drop let through from ``baseline``, never below ``tolerance``."""
        limits = [] if self.max_drop is None else [self.max_drop]
        if self.max_relative_drop is not None:
            limits.append(self.max_relative_drop * abs(baseline))
        return max(min(limits), tolerance)


@dataclass(frozen=True)
class Policy:
    """What a gate is held to."""

    name: str
    """The file it was read from."""
    rules: tuple[Rule, ...]
    alpha: float
    resamples: int
    tiers: Mapping[str, Tier]
    """Language -> tier, of those named."""
    tolerances: Mapping[str, Mapping[str, Mapping[str, float]]]
    """``float32`` | ``half`` -> measure -> ``mean`` | ``language``, as `harness noise` prints."""

    def tier(self, language: str) -> Tier:
        """The tier of a language; those that no tier names are supporting."""
        return self.tiers.get(language, "supporting")

    def tolerance(self, measure: str, by: By, *, half: bool) -> float:
        """How far a value moves by itself, as far as the policy tells."""
        held = self.tolerances.get("half" if half else "float32", {}).get(measure, {})
        return max(held.get("mean" if by == "mean" else "language", 0.0), LEAST)


def measures_of(policy: Policy, record: Record) -> list[str]:
    """The measures of a policy that a record holds: what its baseline has to keep."""
    held = {
        m for t in record.document["tasks"] for both in t["means"].values() for m in both["macro"]
    }
    return [m for m in dict.fromkeys(rule.measure for rule in policy.rules) if m in held]


class _Table(Table):
    """One table of a policy."""

    complaint = PolicyError

    def choice(self, key: str, known: Sequence[str], default: str) -> str:
        return self.one_of(key, self.string(key, default), known)

    def texts(self, key: str, known: Sequence[str] = ()) -> tuple[str, ...]:
        value = self.values.get(key, [])
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise self.error(key, f"must be a list of strings, not {value!r}")
        for one in value:
            if known and one not in known:
                hint = did_you_mean(one, known)
                raise self.error(key, f"holds {one!r}; known are {', '.join(known)}{hint}")
        return tuple(dict.fromkeys(value))

    def codes(self, key: str) -> tuple[str, ...]:
        found = self.texts(key)
        for one in found:
            if not is_language(one):
                raise self.error(key, f"holds {one!r}, which is not a language code, as 'de' is")
        return found

    def number(self, key: str, default: float | None, least: float, most: float) -> float | None:
        value = self.values.get(key, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise self.error(key, f"must be a number, not {value!r}")
        if not least <= value <= most:
            ends = f"at least {least:g}" + ("" if most == float("inf") else f", at most {most:g}")
            raise self.error(key, f"must be {ends}, not {value:g}")
        return float(value)

    def whole(self, key: str, default: int) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.error(key, f"must be a whole number above 0, not {value!r}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"must be true or false, not {value!r}")
        return value

    def measure(self, key: str, name: str) -> Measure:
        try:
            return parse_measure(name)
        except UsageError as problem:
            raise self.error(key, f"names no measure: {problem}") from problem


def read_policy(path: str | Path | None = None) -> Policy:
    """Read a policy file; without one, the default policy that comes with the harness.

    Raises:
        PolicyError: the file cannot be read, is not TOML, has unknown keys or measures, or values
            out of bounds.
    """
    if path is None:
        return _read(DEFAULT, files("harness.gate").joinpath("default.toml").read_bytes())
    return _read(str(path), read_bytes(Path(path), PolicyError))


def _read(where: str, raw: bytes) -> Policy:
    values = parse_toml(raw, where, PolicyError)
    table = _Table(where, values)
    table.only(_KEYS)
    alpha = _level(table, 0.05, 0.5)
    rules = values.get("rules")
    if not isinstance(rules, list) or not rules or not all(isinstance(x, dict) for x in rules):
        raise table.error("rules", "must hold at least one table, written as [[rules]]")
    inconclusive = table.choice("inconclusive", INCONCLUSIVE, "fail")
    defaults = (alpha, table.whole("min_queries", 30), cast("Inconclusive", inconclusive))
    found = [
        _rule(_Table(where, rule, f"rules[{number}]."), *defaults)
        for number, rule in enumerate(rules, 1)
    ]
    names = [rule.name for rule in found]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise table.error(
                f"rules[{number + 1}].name", f"is {name!r} as that of a rule before; name it apart"
            )
    return Policy(
        name=where,
        rules=tuple(found),
        alpha=alpha,
        resamples=table.whole("resamples", RESAMPLES),
        tiers=_tiers(table.table("tiers", {})),
        tolerances=_tolerances(table.table("tolerances", {})),
    )


def _level(table: _Table, default: float, most: float) -> float:
    found = table.number("alpha", default, 0.001, most)
    assert found is not None
    return found


def _tiers(table: _Table) -> dict[str, Tier]:
    table.only(TIERS)
    found: dict[str, Tier] = {}
    for tier in TIERS:
        for language in table.codes(tier):
            if language in found:
                raise table.error(tier, f"holds {language!r}, which is {found[language]} already")
            found[language] = tier
    return found


def _rule(table: _Table, alpha: float, min_queries: int, inconclusive: Inconclusive) -> Rule:
    table.only(_RULE_KEYS)
    measure = table.measure("measure", table.string("measure"))
    kinds = cast("tuple[Kind, ...]", table.texts("settings", KINDS) or KINDS)
    if not set(kinds) & set(measure.kinds):
        raise table.error(
            "settings", f"must hold one of {', '.join(measure.kinds)}: {measure.name} has no others"
        )
    by = cast("By", table.choice("by", BYS, "mean"))
    if by == "pair" and "cross" not in kinds:
        raise table.error("by", "can be 'pair' only where settings hold 'cross'")
    if "direction" not in table.values and measure.better is None:
        raise table.error(
            "direction",
            f"is missing: neither end of {measure.name} is good; write 'same' to keep it where it "
            "is, or 'higher' or 'lower'",
        )
    drop = table.number("max_drop", None, 0.0, float("inf"))
    relative = table.number("max_relative_drop", None, 0.0, 1.0)
    if drop is None and relative is None:
        raise table.error("max_drop", "is missing: give it, or max_relative_drop, or both")
    margin = table.number("margin", None, 0.0, float("inf"))
    if margin is not None and drop is not None and margin < drop:
        raise table.error("margin", f"must be at least max_drop, {drop:g}: what passes it fails")
    tier = table.choice("tier", TIERS, "critical") if "tier" in table.values else None
    languages = table.codes("languages")
    parts = (measure.label, "/".join(kinds), f"by {by}", tier, ",".join(languages))
    return Rule(
        name=table.string("name", " ".join(x for x in parts if x)),
        measure=measure.name,
        tasks=table.texts("tasks"),
        settings=kinds,
        by=by,
        tier=cast("Tier | None", tier),
        languages=languages,
        direction=cast(
            "Direction", table.choice("direction", DIRECTIONS, measure.better or "same")
        ),
        max_drop=drop,
        max_relative_drop=relative,
        margin=margin,
        alpha=_level(table, alpha, alpha),
        min_queries=table.whole("min_queries", min_queries),
        inconclusive=cast("Inconclusive", table.choice("inconclusive", INCONCLUSIVE, inconclusive)),
        required=table.flag("required", True),
    )


def _tolerances(table: _Table) -> dict[str, dict[str, dict[str, float]]]:
    table.only(_TOLERANCES)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for kind in table.values:
        inner = table.table(kind)
        found[kind] = {}
        for name in inner.values:
            held = inner.table(name)
            inner.measure(name, name)
            held.only(("mean", "language"))
            numbers = {key: held.number(key, 0.0, 0.0, float("inf")) for key in held.values}
            found[kind][name] = {key: x for key, x in numbers.items() if x is not None}
    return found
