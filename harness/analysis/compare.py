"""Compare records: differences, their uncertainty, and where they come from.

The first record is the baseline. Macro means are compared per kind of setting and
measure; questions, each with all its queries, are resampled and swapped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.analysis.largest_changes import EQUAL, Change, most_changed, question_texts
from harness.analysis.mismatches import (
    Differing,
    letters,
    mismatches,
    other_differences,
    redefined,
    shared_tasks,
)
from harness.data.task import Kind
from harness.errors import RecordError, UsageError, did_you_mean
from harness.evaluation.intervals import SEED
from harness.evaluation.record import Record, finite
from harness.evaluation.record_fields import Task
from harness.metrics import better_of, canonical
from harness.metrics.measure import Better
from harness.stats.means import question_shares
from harness.stats.multiple_tests import (
    ALPHA,
    POWER,
    RankSpan,
    benjamini_hochberg,
    holm,
    rank_spans,
    smallest_detectable_difference,
    tie_groups,
)
from harness.stats.pairwise_tests import PairwiseTests, paired_tests
from harness.stats.per_query import Paired, PerQuery, aligned
from harness.stats.ragged import FloatArray
from harness.stats.resampling import (
    LEVEL,
    RESAMPLES,
    Difference,
    cluster_bootstrap,
    paired_permutation_test,
)

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
class LanguageComparison:
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
    """Lower end of the difference's 95 % BCa interval, which counts this comparison alone."""
    high: float
    corrected_level: float
    """Coverage at which Holm's correction tests this difference: 1 - alpha over the comparisons
    that remain when it is its turn."""
    corrected_low: float
    """Lower end of the BCa interval with that coverage; NaN if the resamples are too few for it."""
    corrected_high: float
    standard_error: float
    p_value: float
    """Paired permutation of questions, two-sided, not corrected."""
    adjusted: float
    """Holm over all comparisons."""
    detectable: float
    """Least true difference that these data would have found with the stated power."""
    verdict: Verdict
    languages: tuple[LanguageComparison, ...]
    pairs: tuple[LanguageComparison, ...]
    """Of cross settings; otherwise empty."""


@dataclass(frozen=True)
class Pair:
    """Two records: the second's value minus the first's."""

    first: int
    second: int
    difference: float
    p_value: float
    adjusted: float


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
    """One per record, 1 = best; empty if neither direction of the measure is better."""
    ties: tuple[tuple[int, ...], ...]
    """Groups of records of which no two are significantly different, highest or best first."""


@dataclass(frozen=True)
class KindComparison:
    """All measures of one kind of setting."""

    kind: Kind
    settings: int
    queries: int
    """Queries in all records, each once per setting."""
    questions: int
    """Distinct question ids: what is resampled and swapped."""
    smallest_p_value: float
    """The smallest possible p-value; multiplied by the number of comparisons it must be below
    alpha."""
    measures: tuple[MeasureComparison, ...]
    lead: str
    """The measure of ``flips``, and of tables that show only one measure."""
    flips: tuple[Change, ...]


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
    """Why the largest changes have no texts; ``None`` if they do, or none were requested."""


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` returns."""

    mismatches: tuple[Differing, ...]
    """Facts by which the records do not measure the same thing; empty unless forced."""
    records: tuple[Side, ...]
    differing: tuple[Differing, ...]
    """Other facts that differ: what is being compared."""
    left_out: tuple[str, ...]
    """Tasks missing from some record."""
    tasks: tuple[TaskComparison, ...]
    comparisons: int
    """Number of comparisons in Holm's correction: pairs of records x kinds x measures x tasks."""
    alpha: float
    power: float
    level: float
    resamples: int
    permutations: int
    seed: int

    @property
    def note(self) -> str | None:
        """The warning for every output of a forced comparison; otherwise ``None``."""
        if not self.mismatches:
            return None
        return (
            "FORCED: these records do not measure the same thing; only the settings and queries "
            "in all of them are compared, and no number here is that of a whole record"
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values: undefined numbers are ``None``, records are numbered."""
        document = {"forced": bool(self.mismatches), "note": self.note}
        return document | finite(asdict(self))


KEY_BIAS = ("rank_distance", "own_language_first", "other_language_recall@10")
"""Compared in addition to the measures shown first, if all records have them."""
_LEAD = "map"
"""The default measure of tables that show only one, if it is compared."""


def compare(
    records: Sequence[Record | str | Path],
    *,
    tasks: Sequence[str] = (),
    measures: Sequence[str] = (),
    flips: int = 0,
    force: bool = False,
    data_dir: Path | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compare records of the same data; the first is the baseline.

    Args:
        records: at least two, loaded or as paths of a record.json or its folder.
        tasks: some of those in all records; default all of them.
        measures: default: those the baseline shows first, and :data:`KEY_BIAS`.
        flips: list this many questions that changed most, per kind, by the first of ``measures``
            (by default mAP).
        force: compare what is shared even if the records do not measure the same thing.
        data_dir: local copy of the data, for the texts of ``flips``.
        resamples: of the bootstrap, and at least as many permutations.
        seed: of both.

    Raises:
        RecordError: a record cannot be read, none is shared, or they measure different things.
        UsageError: fewer than two records, or a task or measure not in all of them.
    """
    if len(records) < 2:
        raise UsageError("name at least two records to compare; the first is the baseline")
    loaded = [x if isinstance(x, Record) else Record.load(x) for x in records]
    documents = [x.contents for x in loaded]
    shared = shared_tasks(documents, tasks)
    measures = [canonical(x) for x in measures]
    found = mismatches(documents, shared)
    for task in shared:
        first = measures or [*loaded[0].task(task).measures, *KEY_BIAS]
        found += redefined(documents, task, first)
    if found and not force:
        listed = "; ".join(map(str, found))
        raise RecordError(
            f"these records do not measure the same thing: {listed}. Compare records of the same "
            "data, or add --force to compare the queries that they share"
        )
    sides = [
        Side(letter, x.model, None if x.folder is None else str(x.folder))
        for letter, x in zip(letters(len(loaded)), loaded, strict=True)
    ]
    kinds = [x for t in shared for x in paired_tables(loaded, t, measures, whole=not found)]
    if not kinds:
        raise RecordError("these records share no query of any setting: nothing can be compared")
    tests = paired_tests(kinds, resamples, seed)
    texts: dict[str, tuple[Mapping[tuple[str, str], str], str | None]] = {}
    parts: dict[str, list[KindComparison]] = {}
    for number, paired in enumerate(kinds):
        if paired.task not in texts:
            entry = loaded[0].task(paired.task)
            texts[paired.task] = _texts(entry, data_dir) if flips else ({}, None)
        intervals = [
            None if found else _recorded(x.task(paired.task), paired.kind, paired.measures)
            for x in loaded
        ]
        values = _values(paired, intervals, resamples, seed)
        lead = paired.measures[0] if measures or _LEAD not in paired.measures else _LEAD
        parts.setdefault(paired.task, []).append(
            KindComparison(
                kind=paired.kind,
                settings=len(paired.settings),
                queries=len(paired.rows),
                questions=len(paired.rows.questions),
                smallest_p_value=tests.smallest[number],
                measures=_compared(paired, values, tests, number, resamples, seed),
                lead=lead,
                flips=tuple(
                    change
                    for k in range(1, len(loaded))
                    for change in most_changed(paired, k, lead, flips, texts[paired.task][0])
                ),
            )
        )
    names = dict.fromkeys(t.task for d in documents for t in d.tasks)
    return Comparison(
        mismatches=tuple(found),
        records=tuple(sides),
        differing=tuple(other_differences(documents, shared)),
        left_out=() if tasks else tuple(x for x in names if x not in shared),
        tasks=tuple(
            TaskComparison(
                task=task,
                title=loaded[0].task(task).title,
                text=loaded[0].task(task).text,
                partial=loaded[0].task(task).partial.to_dict(),
                kinds=tuple(of_task),
                texts_note=texts[task][1],
            )
            for task, of_task in parts.items()
        ),
        comparisons=tests.comparisons,
        alpha=ALPHA,
        power=POWER,
        level=LEVEL,
        resamples=resamples,
        permutations=tests.permutations,
        seed=seed,
    )


def paired_tables(
    records: Sequence[Record], task: str, measures: Sequence[str], *, whole: bool
) -> list[Paired]:
    """The rows of one task in all records, kind by kind of setting.

    Args:
        records: at least one.
        task: a task of all of them.
        measures: default: those that the first record shows first, and :data:`KEY_BIAS`; of these
            only what is in all records.
        whole: the records must have the same queries.

    Raises:
        UsageError: a record lacks one of ``measures``.
        RecordError: a table cannot be read, or has other queries than the first one's.
    """
    entries = [x.task(task) for x in records]
    chosen = _measures(records, task, measures)
    read = [x.table(task).select(chosen) for x in records]
    tables = aligned(read)
    shared = len(tables[0])
    if whole:
        for letter, record, table in zip(letters(len(records)), records, read, strict=True):
            if len(table) != shared:
                raise RecordError(
                    f"record {letter} ({record.model}) has {len(table):,} queries of {task}, of "
                    f"which all records share {shared:,}, though their data is the same; run "
                    "its model again"
                )
    found = []
    parts = [table.by_kind() for table in tables]
    for kind in parts[0]:
        common = [m for m in chosen if all(_of_kind(e, kind, m) for e in entries)]
        if common:
            found.append(Paired(task, kind, tuple(x[kind].select(common) for x in parts)))
    return found


def _measures(records: Sequence[Record], task: str, requested: Sequence[str]) -> list[str]:
    names_of = [x.task(task).all_measures for x in records]
    requested = [canonical(x) for x in requested]
    for letter, record, names in zip(letters(len(records)), records, names_of, strict=True):
        for name in requested:
            if name not in names:
                raise UsageError(
                    f"record {letter} ({record.model}) has no measure {name!r} on {task}"
                    f"{did_you_mean(name, names)} (it has {', '.join(names)})"
                )
    candidates = list(requested) or [*records[0].task(task).measures, *KEY_BIAS]
    return [m for m in dict.fromkeys(candidates) if all(m in names for names in names_of)]


def _of_kind(task: Task, kind: Kind, measure: str) -> bool:
    return kind in task.means and measure in task.means[kind].macro


def _texts(task: Task, data_dir: Path | None) -> tuple[Mapping[tuple[str, str], str], str | None]:
    return question_texts(
        task.task, task.text, task.languages, task.partial, task.data_digest, data_dir
    )


def _recorded(
    task: Task, kind: Kind, measures: Sequence[str]
) -> list[Sequence[float | None]] | None:
    """The intervals stored in a record; ``None`` if it has none of our level."""
    intervals = task.intervals
    if intervals is None or intervals.level != LEVEL or kind not in intervals.means:
        return None
    return [intervals.means[kind][m].bca for m in measures]


def _values(
    paired: Paired,
    recorded: Sequence[list[Sequence[float | None]] | None],
    resamples: int,
    seed: int,
) -> list[list[Value]]:
    """Macro means with intervals, by measure and record; missing intervals are bootstrapped."""
    found: list[list[Value]] = [[] for _ in paired.measures]
    for values, intervals in zip(paired.values, recorded, strict=True):
        means = question_shares(paired.rows, values).sum(axis=0)
        ends = (
            _bootstrap(paired.rows, values, resamples, seed)[0]
            if intervals is None
            else np.array(intervals, np.float64)
        )
        for m, (mean, (low, high)) in enumerate(zip(means, ends, strict=True)):
            found[m].append(Value(float(mean), float(low), float(high)))
    return found


def _bootstrap(
    rows: PerQuery,
    values: FloatArray,
    resamples: int,
    seed: int,
    levels: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray | None]:
    """BCa intervals (M, 2) and standard errors (M,) of the macro means of ``values`` (R, M).

    With ``levels`` (M,), also the intervals of these coverages.
    """
    found = cluster_bootstrap(
        values, **rows.levels, seed=seed, resamples=resamples, macro_levels=levels
    )
    return found.macro.bca, found.macro.standard_error, found.macro_at


def _compared(
    paired: Paired,
    values: list[list[Value]],
    tests: PairwiseTests,
    number: int,
    resamples: int,
    seed: int,
) -> tuple[MeasureComparison, ...]:
    """All measures of one kind, the ``number``-th of ``tests``."""
    rows, better = paired.rows, [better_of(m) for m in paired.measures]
    against: list[list[Against]] = [[] for _ in paired.measures]
    for k in range(1, len(paired.values)):
        change = paired.values[k] - paired.values[0]
        pair = tests.pairs.index((0, k))
        levels = 1 - tests.levels[number][pair]
        ends, errors, corrected = _bootstrap(rows, change, resamples, seed, levels)
        assert corrected is not None
        detectable = smallest_detectable_difference(errors, alpha=ALPHA / max(tests.comparisons, 1))
        swapped = paired_permutation_test(
            paired.values[k],
            paired.values[0],
            **rows.levels,
            seed=seed,
            resamples=resamples,
        )
        for m in range(len(paired.measures)):
            difference = float(tests.differences[number][pair, m])
            adjusted = float(tests.adjusted[number][pair, m])
            against[m].append(
                Against(
                    record=k,
                    difference=difference,
                    low=float(ends[m, 0]),
                    high=float(ends[m, 1]),
                    corrected_level=float(levels[m]),
                    corrected_low=float(corrected[m, 0]),
                    corrected_high=float(corrected[m, 1]),
                    standard_error=float(errors[m]),
                    p_value=float(tests.p_values[number][pair, m]),
                    adjusted=adjusted,
                    detectable=float(detectable[m]),
                    verdict=verdict(difference, adjusted, better[m]),
                    languages=_by_language(
                        paired.rows, change[:, m], swapped.parents, m, better[m]
                    ),
                    pairs=_by_pair(paired.rows, change[:, m], swapped.groups, m, better[m]),
                )
            )
    found = []
    for m, measure in enumerate(paired.measures):
        means = [x.mean for x in values[m]]
        p_values = np.full((len(means), len(means)), np.nan)
        for p, (i, j) in enumerate(tests.pairs):
            p_values[i, j] = p_values[j, i] = tests.adjusted[number][p, m]
        higher = better[m] != "lower"
        ties = tie_groups(means, p_values, higher_is_better=higher)
        found.append(
            MeasureComparison(
                measure=measure,
                better=better[m],
                values=tuple(values[m]),
                against=tuple(against[m]),
                pairs=tuple(
                    Pair(
                        *pair,
                        difference=float(tests.differences[number][p, m]),
                        p_value=float(tests.p_values[number][p, m]),
                        adjusted=float(tests.adjusted[number][p, m]),
                    )
                    for p, pair in enumerate(tests.pairs)
                ),
                ranks=tuple(rank_spans(means, p_values, higher_is_better=higher))
                if better[m]
                else (),
                ties=tuple(x for x in ties if len(x) > 1),
            )
        )
    return tuple(found)


def verdict(difference: float, adjusted: float, better: Better | None) -> Verdict:
    """The verdict on a difference with its corrected p-value."""
    if difference != difference:
        return "undefined"
    if not adjusted <= ALPHA:
        return "no difference shown"
    if better is None:
        return "higher" if difference > 0 else "lower"
    return "better" if (difference > 0) == (better == "higher") else "worse"


def _by_language(
    rows: PerQuery, change: FloatArray, found: Difference, m: int, better: Better | None
) -> tuple[LanguageComparison, ...]:
    names: list[tuple[str, str | None]] = [(x, None) for x in rows.languages]
    adjusted = holm(found.p_value[:, m])
    return _parts(names, rows.language_of[rows.setting], change, found, adjusted, m, better)


def _by_pair(
    rows: PerQuery, change: FloatArray, found: Difference, m: int, better: Better | None
) -> tuple[LanguageComparison, ...]:
    if rows.kinds != ("cross",):
        return ()
    names = [(s.query_language, s.passage_language) for s in rows.settings]
    adjusted = benjamini_hochberg(found.p_value[:, m])
    return _parts(names, rows.setting, change, found, adjusted, m, better)


def _parts(
    names: Sequence[tuple[str, str | None]],
    of: NDArray[np.integer[Any]],
    change: FloatArray,
    found: Difference,
    adjusted: FloatArray,
    m: int,
    better: Better | None,
) -> tuple[LanguageComparison, ...]:
    """One entry per name; ``of`` (R,) is the index in ``names`` of each row's name."""
    defined = ~np.isnan(change)
    sign = np.where(change > EQUAL, 2, np.where(change < -EQUAL, 0, 1))
    cells = of[defined] * 3 + sign[defined]
    counts = np.bincount(cells, minlength=3 * len(names)).reshape(-1, 3)
    return tuple(
        LanguageComparison(
            query_language=query,
            passage_language=passage,
            queries=int(n.sum()),
            higher=float(n[2] / n.sum()) if n.any() else float("nan"),
            equal=float(n[1] / n.sum()) if n.any() else float("nan"),
            lower=float(n[0] / n.sum()) if n.any() else float("nan"),
            difference=float(found.value[i, m]),
            p_value=float(found.p_value[i, m]),
            adjusted=float(adjusted[i]),
            verdict=verdict(float(found.value[i, m]), float(adjusted[i]), better),
        )
        for i, ((query, passage), n) in enumerate(zip(names, counts, strict=True))
    )
