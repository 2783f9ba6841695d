"""What recipes and post-processing do together: the sentence that such a study opens with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.study.definition import PLAIN, Value, named
from harness.study.report import wording
from harness.study.report.effects import Compared
from harness.study.report.findings import Findings
from harness.study.report.layout import Series
from harness.study.report.post_processed import untrained
from harness.study.report.score_tables import ALL, ScoreTable

BALANCED = "balanced"


@dataclass(frozen=True)
class Combination:
    """An arm with a post-processing, beside the untrained model without any."""

    series: Series
    step: Value
    pooled: Compared
    """Its quality in the pool of all languages."""
    inside: Compared | None
    """Its quality inside single languages, if the study has that."""

    @property
    def keeps(self) -> bool:
        """Whether no loss inside single languages is shown."""
        return self.inside is None or not (
            self.inside.effect.significant and self.inside.effect.difference < 0
        )

    @property
    def raises(self) -> bool:
        """Whether a gain in the pool is shown."""
        return self.pooled.effect.significant and self.pooled.effect.difference > 0

    @property
    def name(self) -> str:
        """``hybrid + center``, ``cross``; ``center`` without any training."""
        arm = self.series.arm
        if arm == untrained(self.pooled.against):
            return named(self.step)
        return arm if self.step == PLAIN else f"{arm} + {named(self.step)}"


def combinations(findings: Findings, pool: ScoreTable) -> list[Combination]:
    """Every arm with every post-processing, of the task that ``pool`` is of."""
    mono = next((x for x in findings.all_tables if x.key == pool.key and x.kind == "mono"), None)
    inside = {} if mono is None else {(x.series, x.point): x for x in _first(findings, mono)}
    return [
        # A step that changes nothing inside languages is not compared there: plain vectors are.
        Combination(
            x.series, x.point, x, inside.get((x.series, x.point), inside.get((x.series, PLAIN)))
        )
        for x in _first(findings, pool)
        if x.point is not None
    ]


def _first(findings: Findings, table: ScoreTable) -> list[Compared]:
    """Everything against the first untrained model, by the table's measure of quality."""
    if table.quality is None:
        return []
    found = findings.of("reference", table, table.quality, ALL)
    return [x for x in found if x.against == found[0].against]


def combined(findings: Findings) -> str | None:
    """Which combination heals the pool most; which of each kind does; what keeps the rest.

    A paragraph for each pool. Of the first task that has one, in full; of others, what does most.
    Means are compared with the untrained model alone; whether one combination is better than the
    next is for the tables to say.
    """
    pools = [x for x in findings.all_tables if x.kind == "multi"]
    said = [_of_pool(findings, x, whole=x is pools[0]) for x in pools]
    found = [
        (f"{x.title}: {text[0].lower()}{text[1:]}" if len(pools) > 1 else text)
        for x, text in zip(pools, said, strict=True)
        if text is not None
    ]
    return "\n\n".join(found) or None


def _of_pool(findings: Findings, pool: ScoreTable, *, whole: bool) -> str | None:
    every = combinations(findings, pool)
    # A share of the ranking for each language is a wager on where relevant passages are.
    found = [x for x in every if x.step != BALANCED]
    if not found:
        return None
    measure = found[0].pooled.measure
    best = _best(found, lambda x: x.raises) or _best(found, lambda x: True)
    trained = _best(found, lambda x: x.step == PLAIN)
    bare = _best(found, lambda x: x.series.arm == untrained(x.pooled.against))
    kept = [x for x in found if x.keeps]
    above = _best(kept, lambda x: x.raises)
    label = f"multi {wording.inside(wording.label(measure))}"
    against = f"untrained {found[0].pooled.against}"
    sentence = f"{label} rises most above that of {against} with {_gain(best)}"
    if best is not None and not best.raises:
        sentence = f"nothing is shown to raise {label} above that of {against}"
        trained = bare = None
    for what, x in (("training alone", trained), ("post-processing alone", bare)):
        if x is not None and x is not best:
            sentence += f"; {what} gives most with {_gain(x)}"
    shared = _best(every, lambda x: x.step == BALANCED)
    if not whole:
        sentence += "" if shared is None else f"; equal shares of the ranking give {_gain(shared)}"
        return f"{sentence[0].upper()}{sentence[1:]}."
    if any(x.inside is not None for x in found):
        sentence += (
            f"; inside single languages no loss is shown for {len(kept)} of {len(found)} "
            "combinations"
        )
        if above is not None:
            sentence += f", and of these {_gain(above)} has most in the pool"
    if shared is not None:
        sentence += (
            ". Equal shares of the ranking for all languages, which pay where relevant passages "
            f"are spread so, give {_gain(shared)}"
        )
    return f"{sentence[0].upper()}{sentence[1:]}."


def _best(found: Sequence[Combination], which: Callable[[Combination], bool]) -> Combination | None:
    here = [x for x in found if which(x)]
    return max(here, key=lambda x: x.pooled.effect.difference, default=None)


def _gain(x: Combination | None) -> str:
    if x is None:
        return ""
    e = x.pooled.effect
    how = wording.difference_with_interval(x.pooled.measure, e.difference, e.low, e.high)
    return f"{x.name} ({how})"
