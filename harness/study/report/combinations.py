"""What recipes and post-processing do together: what such a study says first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.console.numbers import plural
from harness.console.tables import Grid
from harness.study.definition import PLAIN, Value, named
from harness.study.report import wording
from harness.study.report.effects import Compared
from harness.study.report.findings import Findings
from harness.study.report.layout import Series, listed
from harness.study.report.post_processed import AXIS, untrained
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


@dataclass(frozen=True)
class Pool:
    """What the combinations do in the pool of one task; each attribute the best of its kind."""

    score_table: ScoreTable
    measure: str
    against: str
    """The untrained model that all of them are compared with."""
    all: tuple[Combination, ...]
    """Without equal shares of the ranking, which are a wager on where relevant passages are."""
    best: Combination
    trained: Combination | None
    """Without post-processing."""
    processed: Combination | None
    """Without training."""
    kept: tuple[Combination, ...]
    """Those that lose nothing inside single languages, as far as is shown."""
    keeping: Combination | None
    """Of these."""
    shared: Combination | None
    """With equal shares of the ranking for all languages."""


def pools(findings: Findings) -> list[Pool]:
    """The pool of every task that has one, in the order of the study file."""
    found = []
    for table in findings.all_tables:
        every = combinations(findings, table) if table.kind == "multi" else []
        rest = tuple(x for x in every if x.step != BALANCED)
        if not rest:
            continue
        first = rest[0].pooled
        kept = tuple(x for x in rest if x.keeps)
        best = _best(rest, lambda x: x.raises) or _best(rest)
        assert best is not None
        found.append(
            Pool(
                score_table=table,
                measure=first.measure,
                against=first.against,
                all=rest,
                best=best,
                trained=_best(rest, lambda x: x.step == PLAIN),
                processed=_best(rest, lambda x: x.series.arm == untrained(x.pooled.against)),
                kept=kept,
                keeping=_best(kept, lambda x: x.raises),
                shared=_best(every, lambda x: x.step == BALANCED),
            )
        )
    return found


def combined(findings: Findings) -> str | None:
    """Which combination heals the first task's pool most, and whether others heal too.

    Means are compared with the untrained model alone; whether one combination is better than the
    next is for the tables to say.
    """
    found = pools(findings)
    if not found:
        return None
    first, *others = found
    said = "; ".join([*_most(first, named=bool(others)), *_inside(first), *_elsewhere(found)])
    return f"{said[0].upper()}{said[1:]}."


def _most(pool: Pool, *, named: bool) -> list[str]:
    """What raises the pool most, of all and of each kind; ``named``: with the task's title."""
    label = f"multi {wording.inside(wording.label(pool.measure))}"
    on = f" on {pool.score_table.title}" if named else ""
    above = f"above that of untrained {pool.against}{on}"
    if not pool.best.raises:
        return [f"nothing is shown to raise {label} {above}"]
    kinds = (("training alone", pool.trained), ("post-processing alone", pool.processed))
    return [
        f"{label} rises most {above} with {_gain(pool.best)}",
        *(
            f"{kind} gives most with {_gain(x)}"
            for kind, x in kinds
            if x is not None and x is not pool.best
        ),
    ]


def _inside(pool: Pool) -> list[str]:
    """How many lose nothing inside single languages, and which of them raises the pool most."""
    if all(x.inside is None for x in pool.all):
        return []
    total = plural(len(pool.all), "combination")
    said = f"inside single languages no loss is shown for {len(pool.kept)} of {total}"
    if pool.keeping is not None and pool.keeping is not pool.best:
        said += f", and of these {_gain(pool.keeping)} has most in the pool"
    elif pool.keeping is not None:
        said += ", the first among them"
    return [said]


def _elsewhere(found: Sequence[Pool]) -> list[str]:
    """Whether a gain is shown in the pools of other tasks than the first."""
    raised, level = (
        [x.score_table.title for x in found[1:] if x.best.raises is shown]
        for shown in (True, False)
    )
    return [
        *([f"a gain is shown on {listed(raised)} too"] if raised else []),
        *([f"no gain is shown on {listed(level)}"] if level else []),
    ]


def pool_grid(findings: Findings) -> Grid | None:
    """What does most in the pool of each task; ``None`` of a study without post-processing."""
    if findings.layout.axis_name != AXIS or not (found := pools(findings)):
        return None
    columns: list[tuple[str, Sequence[Combination | None]]] = [
        ("most", [x.best for x in found]),
        ("training alone", [x.trained for x in found]),
        ("post-processing alone", [x.processed for x in found]),
        ("no loss shown in single languages", [x.keeping for x in found]),
        ("equal shares of the ranking", [x.shared for x in found]),
    ]
    shown = [(name, held) for name, held in columns if any(x is not None for x in held)]
    return Grid(
        title=(
            "What raises the pool most, less untrained "
            f"{listed(list(dict.fromkeys(x.against for x in found)))}"
        ),
        headers=["", *(name for name, _ in shown)],
        rows=[
            [
                wording.subject(x.score_table, x.measure),
                *(_with_interval(held[number]) for _, held in shown),
            ]
            for number, x in enumerate(found)
        ],
        align="l" + "w" * len(shown),
    )


def _best(
    found: Sequence[Combination], which: Callable[[Combination], bool] = lambda _: True
) -> Combination | None:
    here = [x for x in found if which(x)]
    return max(here, key=lambda x: x.pooled.effect.difference, default=None)


def _gain(x: Combination) -> str:
    measure = x.pooled.measure
    change = wording.difference(measure, x.pooled.effect.difference)
    return f"{x.name} ({change} {wording.unit(measure)})"


def _with_interval(x: Combination | None) -> str:
    if x is None:
        return wording.UNDEFINED
    e = x.pooled.effect
    how = wording.difference_with_interval(x.pooled.measure, e.difference, e.low, e.high)
    return f"{x.name}: {how}"
