"""Measures by name: ``parse_measure("ndcg@10").per_query(relevant)``.

A family of measures is a :class:`Family`; a measure is a family with its cutoff. Packages add
families through the entry-point group ``harness.measures``: each entry point is named like the
family's ``base`` and loads a :class:`Family`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points

from harness.errors import UsageError, did_you_mean
from harness.metrics.builtin import (
    BIAS_SUITE,
    BUILT_IN,
    INTRUSION_SUITE,
    OUTSIDE_SUITE,
    PAIR_SUITE,
)
from harness.metrics.measure import Better, Family, Measure, of_package
from harness.metrics.ranks import RelevantRanks
from harness.stats.per_query import FACTS

__all__ = [
    "BIAS_SUITE",
    "INTRUSION_SUITE",
    "OUTSIDE_SUITE",
    "PAIR_SUITE",
    "Family",
    "Measure",
    "RankedGolds",
    "RelevantRanks",
    "better_of",
    "canonical",
    "families",
    "neutral_of",
    "parse_measure",
    "parse_measures",
]

ENTRY_POINTS = "harness.measures"
_DIGITS = 9
"""Of a cutoff, at most."""
RankedGolds = RelevantRanks
"""The former name, which packages with measures of their own may import."""


@cache
def families() -> dict[str, Family]:
    """All families by base name: the built-in ones, then those of installed packages.

    Raises:
        UsageError: a package's entry point does not load a :class:`Family` of its own name, or
            takes the name of another.
    """
    found = {family.base: family for family in BUILT_IN}
    for entry in entry_points(group=ENTRY_POINTS):
        where = f"entry point {entry.name!r} of {ENTRY_POINTS} ({entry.value})"
        try:
            family = entry.load()
        except Exception as error:
            raise UsageError(f"{where} cannot be loaded: {error}") from error
        if not isinstance(family, Family):
            raise UsageError(
                f"{where} must be a harness.metrics.Family, not {type(family).__name__}"
            )
        if family.base != entry.name or family.base != family.base.lower() or "@" in family.base:
            raise UsageError(
                f"{where} has base {family.base!r}; it must be {entry.name!r}, in lower case and "
                "without '@'"
            )
        if family.base in found:
            raise UsageError(f"{where} has the name of an existing measure")
        if family.base in FACTS:
            raise UsageError(f"{where} has the name of a column of per-query tables")
        found[family.base] = of_package(family)
    return found


_IR_MEASURES = {"AP": "map", "Judged": "judged", "nDCG": "ndcg", "R": "recall", "RR": "mrr"}
"""ir_measures' names of our measures."""


def parse_measure(name: str) -> Measure:
    """Return the measure called ``name``: ``"ndcg@10"``, ``"map"``, ``"rank_distance"``.

    ir_measures' names are accepted too: ``"nDCG@10"``, ``"AP"``, ``"R@100"``, ``"RR@10"``,
    ``"Judged@10"``. So are the labels of tables: ``"mAP"``, ``"R@10"``, ``"Own language ahead"``.

    Raises:
        UsageError: no such measure, or a cutoff that is missing, superfluous or not a whole number
            above 0.
    """
    base, at, tail = name.strip().partition("@")
    base = _IR_MEASURES.get(base, base)
    known = families()
    if base not in known:
        base = _labels().get(_plain(base), base)
    if base not in known:
        near = {**{x: x for x in known}, **_labels()}
        hint = did_you_mean(_plain(base), near)
        close = hint.partition("'")[2].partition("'")[0]
        hint = hint.replace(repr(close), repr(near.get(close, close)))
        raise UsageError(f"unknown measure {name!r}{hint} (known: {', '.join(sorted(known))})")
    family = known[base]
    if family.cutoff == "none" and at:
        raise UsageError(f"measure {base!r} takes no cutoff; write {base!r} instead of {name!r}")
    if family.cutoff == "required" and not at:
        raise UsageError(f"measure {base!r} needs a cutoff, as in '{base}@10'")
    cutoff = None
    if at:
        if not (tail.isascii() and tail.isdigit() and tail.strip("0")):
            raise UsageError(f"the cutoff of measure {name!r} must be a whole number above 0")
        if len(tail) > _DIGITS:
            # A larger one would take in what the pool lacks, whose rank is NEVER.
            raise UsageError(
                f"a cutoff of a measure has {len(tail)} digits; {_DIGITS} are the most"
            )
        cutoff = int(tail)
    suffix = "" if cutoff is None else f"@{cutoff}"
    return Measure(
        name=base + suffix,
        base=base,
        cutoff=cutoff,
        label=family.label + suffix,
        better=family.better,
        kinds=family.kinds,
        needs=family.needs,
        family=family,
    )


def _plain(text: str) -> str:
    """``Top right, own language`` as ``top_right_own_language``."""
    return "_".join(re.findall(r"[a-z0-9]+", text.lower()))


@cache
def _labels() -> dict[str, str]:
    """What tables call the families, in plain letters, and their names."""
    found = {_plain(x.label): x.base for x in families().values()}
    # The short forms of column headers.
    return {"r": "recall", "p": "precision", **found}


def canonical(name: str) -> str:
    """The name of a measure that may be given as a label; as it is, if there is no such measure."""
    try:
        return parse_measure(name).name
    except UsageError:
        return name


def better_of(name: str) -> Better | None:
    """Which end of a measure is good; ``None`` where neither is, or its package is not here."""
    try:
        return parse_measure(name).better
    except UsageError:
        return None


def neutral_of(name: str, relevant: int, pool: int) -> float | None:
    """A measure's value without preference for a language; ``None`` where it has none.

    Args:
        name: of the measure.
        relevant: number of a query's relevant passages, one per language.
        pool: number of passages.
    """
    try:
        neutral = parse_measure(name).family.neutral
    except UsageError:
        return None
    return None if neutral is None else neutral(relevant, pool)


def parse_measures(names: Iterable[str]) -> tuple[Measure, ...]:
    """Return the measures called ``names``, in order, each once.

    Raises:
        UsageError: as :func:`parse_measure`.
    """
    return tuple({m.name: m for m in map(parse_measure, names)}.values())
