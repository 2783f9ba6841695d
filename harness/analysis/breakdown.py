"""Where a record's means come from: the same measures for parts of its queries, with intervals.

A part is a set of rows of the per-query table: one query language, one ordered pair, one script,
languages seen in training, a quarter of question lengths, a number of golds. Each part has two
means of every measure. The macro mean is the one that records and boards show, taken over the
part: settings first, then the mean over each query language's settings, then over languages. The
micro mean is over all queries of the part at once; weighted by the queries that define them, the
micro means of a table's rows give that of the whole kind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.slices import BY, Rows, Slices, rows_by_kind, slices_of
from harness.base.languages import primary_subtag
from harness.errors import UsageError, did_you_mean
from harness.evaluation.intervals import SEED
from harness.evaluation.record import Record, finite
from harness.stats.resampling import LEVEL, RESAMPLES, Bootstrap, Estimates, cluster_bootstrap

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cell:
    """One measure of one part; NaN where no query defines it."""

    mean: float
    """Macro mean."""
    low: float
    """Lower end of the macro mean's BCa interval; NaN with fewer than two questions."""
    high: float
    micro: float
    queries: int
    """Queries of the part that define the measure."""


@dataclass(frozen=True)
class Row:
    """One part."""

    name: str
    settings: int
    languages: int
    """Query languages."""
    queries: int
    """Rows of the per-query table: a query counts once in each setting."""
    questions: int
    """Distinct question ids, the clusters of the intervals."""
    characters: tuple[int, int]
    """Length of the shortest and of the longest query."""
    cells: Mapping[str, Cell]
    """By measure."""


@dataclass(frozen=True)
class Table:
    """All parts of one kind of setting."""

    kind: str
    parts: str
    """What the rows are: ``query language``."""
    measures: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Breakdown:
    """What :func:`break_down` returns."""

    model: str
    task: str
    by: str
    tables: tuple[Table, ...]
    seen: tuple[str, ...] | None
    """Languages of the task that count as seen in training; ``None`` but for ``by="seen"``."""
    seen_stated: bool
    """They were stated by the caller, not read from the record."""
    partial: Mapping[str, Any]
    """Why the record is less than the whole task; empty if whole."""
    level: float
    resamples: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """One row per kind, part and measure."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "kind": table.kind,
                    "parts": table.parts,
                    "part": row.name,
                    "measure": measure,
                    **asdict(cell),
                }
                for table in self.tables
                for row in table.rows
                for measure, cell in row.cells.items()
            ]
        )

    def document(self) -> dict[str, Any]:
        """All of it as JSON values; undefined numbers are ``None``."""
        return finite(asdict(self))


@dataclass(frozen=True)
class _Draws:
    resamples: int
    seed: int

    def bootstrap(self, rows: Rows) -> Bootstrap:
        languages = rows.languages
        return cluster_bootstrap(
            np.stack(list(rows.values.values()), axis=1),
            rows.question,
            rows.setting,
            len(rows.settings),
            parents=np.array([languages.index(asked) for asked, _ in rows.settings]),
            seed=self.seed,
            resamples=self.resamples,
        )


def break_down(
    record: Record,
    by: str,
    *,
    task: str | None = None,
    measures: Sequence[str] | None = None,
    seen: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Breakdown:
    """Means and 95 % intervals of a task's measures for parts of its queries, kind by kind.

    Intervals are those of :func:`harness.stats.resampling.cluster_bootstrap` (BCa): questions
    are drawn anew from those of the part, all their queries with them. Which part a question falls
    into is taken as given.

    Args:
        record: with its per-query table.
        by: one of :data:`harness.analysis.slices.BY`. ``pair`` is of cross settings alone;
            ``golds`` of multi, and of any kind whose queries differ in their number of golds; the
            others of every kind. Lengths are split at the quartiles of each query language's
            questions.
        task: a task of the record; may be left out where there is one.
        measures: of the table; default: those the task shows first.
        seen: languages the model was trained on, instead of those the record names. Only the
            primary subtag counts (``zh`` covers ``zh-Hant``).
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        UsageError: ``by``, ``measures`` or ``seen`` do not fit the record.
        RecordError: the record has no such task, or its table cannot be read.
    """
    if by not in BY:
        raise UsageError(f"--by must be one of {', '.join(BY)}, not {by!r}{did_you_mean(by, BY)}")
    if seen is not None and by != "seen":
        raise UsageError(f"--seen states training languages for --by seen, not for --by {by}")
    entry = record.task(task if task is not None else _only_task(record))
    trained = _trained(record, seen) if by == "seen" else frozenset()
    draws = _Draws(resamples, seed)
    tables: list[Table] = []
    for rows in rows_by_kind(record, entry, measures):
        tables += [_table(rows, parts, by, draws) for parts in slices_of(rows, by, trained)]
    if not tables:
        needed = "queries of several golds, or of different numbers of them"
        needed = {"pair": "cross settings", "golds": needed}.get(by, "queries")
        raise UsageError(
            f"--by {by} needs {needed} that define {', '.join(measures or entry['measures'])}; the "
            f"record of {record.model} on {entry['task']} has none"
        )
    known = tuple(x for x in entry["languages"] if primary_subtag(x) in trained)
    return Breakdown(
        model=record.model,
        task=entry["task"],
        by=by,
        tables=tuple(tables),
        seen=known if by == "seen" else None,
        seen_stated=seen is not None,
        partial=entry["partial"],
        level=LEVEL,
        resamples=resamples,
        seed=seed,
    )


def _only_task(record: Record) -> str:
    names = [str(x["task"]) for x in record.document["tasks"]]
    if len(names) != 1:
        raise UsageError(f"the record holds several tasks; name one of {', '.join(names)}")
    return names[0]


def _trained(record: Record, stated: Sequence[str] | None) -> frozenset[str]:
    """Primary subtags of the languages seen in training.

    For a model of `harness train` these are the languages of that training: a language that only
    its base has seen is the transfer one asks about.
    """
    model = record.document["model"]
    of_record = model.get("training", {}).get("languages", model["languages"])
    found = stated if stated is not None else of_record
    if found is None:
        raise UsageError(
            f"the record does not know which languages {record.model} was trained on; state them, "
            "as in --seen en,de"
        )
    return frozenset(primary_subtag(x) for x in found)


def _table(rows: Rows, parts: Slices, by: str, draws: _Draws) -> Table:
    """The parts that have rows; each has a bootstrap of its own, but languages and pairs.

    These come out of one bootstrap of the whole kind, as the record's own intervals do.
    """
    together: Estimates | None = None
    if by in ("language", "pair"):
        whole = draws.bootstrap(rows)
        together = whole.parents if by == "language" else whole.groups
    found = []
    for i, name in enumerate(parts.names):
        mask = parts.of == name
        if not mask.any():
            continue
        inside = rows.take(mask)
        if together is None:
            found.append(_row(name, inside, draws.bootstrap(inside).macro, ()))
        else:
            found.append(_row(name, inside, together, (i,)))
    return Table(rows.kind, parts.what, tuple(rows.values), tuple(found))


def _row(name: str, rows: Rows, estimates: Estimates, at: tuple[int, ...]) -> Row:
    """One part; ``at`` is where ``estimates`` hold it, without the measure."""
    cells = {}
    for m, (measure, values) in enumerate(rows.values.items()):
        defined = ~np.isnan(values)
        clusters = len(np.unique(rows.question[defined]))
        # A single question drawn again and again is always itself: an interval of no width.
        low, high = estimates.bca[(*at, m)] if clusters > 1 else (np.nan, np.nan)
        cells[measure] = Cell(
            mean=float(estimates.value[(*at, m)]),
            low=float(low),
            high=float(high),
            micro=float(values[defined].mean()) if defined.any() else float("nan"),
            queries=int(defined.sum()),
        )
    return Row(
        name=name,
        settings=len(rows.settings),
        languages=len(rows.languages),
        queries=len(rows.setting),
        questions=len(np.unique(rows.question)),
        characters=(int(rows.chars.min()), int(rows.chars.max())),
        cells=cells,
    )
