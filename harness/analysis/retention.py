"""What is left of a measure under a condition: its mean there as a share of the clean record's.

A mean of the changed queries divided by that of the same clean queries, both macro means of the
rows that both records have. Questions are resampled for both at once, since they rise and fall
together: the interval of the ratio is far narrower than those of the two means suggest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.mismatches import mismatches, shared_tasks
from harness.errors import RecordError
from harness.evaluation.intervals import SEED
from harness.evaluation.record import Record
from harness.metrics import canonical
from harness.stats.means import mean_along
from harness.stats.per_query import PerQuery, aligned
from harness.stats.ragged import FloatArray, divide
from harness.stats.resampling import LEVEL

RESAMPLES = 2_000


@dataclass(frozen=True)
class Retained:
    """One measure of one kind of setting."""

    task: str
    kind: str
    measure: str
    clean: float
    """Macro mean of the first record, over the rows of both."""
    changed: float
    retained: float
    """``changed / clean``; NaN where the clean mean is 0."""
    low: float
    """Lower end of the 95 % percentile interval over questions."""
    high: float


def retention(
    clean: Record,
    changed: Record,
    tasks: Sequence[str] = (),
    measures: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Retained]:
    """What the second record keeps of the first one's measures.

    Args:
        clean: the record of the unchanged queries.
        changed: that of the same model on the same data under a condition.
        tasks: some of those in both; default: all of them.
        measures: default: those that the tasks show.
        resamples: of the questions.
        seed: of the draws.

    Raises:
        RecordError: the records have no task in common, or do not measure the same thing.
        UsageError: one of ``tasks`` is not in both.
    """
    documents = [clean.contents, changed.contents]
    named = None if measures is None else list(dict.fromkeys(map(canonical, measures)))
    shared = shared_tasks(documents, tasks)
    if mismatches(documents, shared):
        raise RecordError(
            "the records do not measure the same data, so that nothing can be retained; `harness "
            "compare` names what differs"
        )
    found = []
    for task in shared:
        shown = named or next(x.measures for x in documents[0].tasks if x.task == task)
        one, other = aligned([clean.table(task), changed.table(task)])
        for kind in one.kinds:
            pair = one.of_kind(kind), other.of_kind(kind)
            for measure in shown:
                if all(measure in x.values for x in pair):
                    found.append(_retained(task, kind, measure, pair, resamples, seed))
    return [x for x in found if x.clean == x.clean]


def _retained(
    task: str, kind: str, measure: str, pair: tuple[PerQuery, PerQuery], resamples: int, seed: int
) -> Retained:
    values = [x.values[measure] for x in pair]
    defined = ~np.isnan(values[0]) & ~np.isnan(values[1])
    rows = pair[0]
    shape = len(rows.questions), len(rows.settings)
    at = rows.question[defined] * shape[1] + rows.setting[defined]
    counts = np.bincount(at, minlength=shape[0] * shape[1]).reshape(shape)
    sums = [
        np.bincount(at, x[defined], minlength=shape[0] * shape[1]).reshape(shape) for x in values
    ]
    present = np.flatnonzero(counts.sum(1))
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + resamples, len(present)))
    for i in range(resamples if len(present) else 0):
        drawn = rng.integers(len(present), size=len(present))
        weights[1 + i] = np.bincount(drawn, minlength=len(present))
    before, after = (
        _macro(divide(weights @ x[present], weights @ counts[present]), rows) for x in sums
    )
    ratio = divide(after, before)
    drawn_ratios = ratio[1:][~np.isnan(ratio[1:])]
    tail = (1 - LEVEL) / 2
    low, high = (
        np.quantile(drawn_ratios, (tail, 1 - tail))
        if len(present) > 1 and len(drawn_ratios)
        else (np.nan, np.nan)
    )
    return Retained(
        task,
        kind,
        measure,
        float(before[0]),
        float(after[0]),
        float(ratio[0]),
        float(low),
        float(high),
    )


def _macro(means: FloatArray, rows: PerQuery) -> FloatArray:
    """(n,) macro means of (n, S) means of settings: over query languages, each over its own."""
    of = rows.language_of
    by_language = [mean_along(means[:, of == x], 1) for x in range(len(rows.languages))]
    return mean_along(np.stack(by_language, axis=1), 1)
