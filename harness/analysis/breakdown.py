"""Where a record's means come from: the same measures for slices of its queries, with intervals.

A slice is a set of rows of the per-query table: one query language, one ordered pair, one script,
languages seen in training, a quarter of question lengths, a number of relevant passages. Each slice
has two means of every measure, macro and micro (:mod:`harness.stats.means`); weighted by the
queries that define them, the micro means of a table's slices give that of the whole kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.base.languages import UNKNOWN, primary_subtag, script_of
from harness.data.task import Kind
from harness.errors import UsageError, did_you_mean
from harness.evaluation.intervals import SEED, bootstrap
from harness.evaluation.record import Record, finite
from harness.evaluation.record_fields import Task
from harness.metrics import canonical
from harness.stats.means import micro_mean
from harness.stats.per_query import PerQuery
from harness.stats.resampling import LEVEL, RESAMPLES, Bootstrap, Estimates

if TYPE_CHECKING:
    import pandas as pd

BY = ("language", "pair", "script", "seen", "length", "golds")
"""What a record can be broken down by."""

_QUARTERS = ("shortest quarter", "second quarter", "third quarter", "longest quarter")
_SEEN = ("seen", "unseen", "seen-seen", "seen-unseen", "unseen-seen", "unseen-unseen")


@dataclass(frozen=True)
class SliceMean:
    """One measure of one slice; NaN where no query defines it."""

    mean: float
    """Macro mean."""
    low: float
    """Lower end of the macro mean's BCa interval; NaN with fewer than two questions."""
    high: float
    micro: float
    queries: int
    """Queries of the slice that define the measure."""


@dataclass(frozen=True)
class Slice:
    """Some rows of one kind of setting."""

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
    cells: Mapping[str, SliceMean]
    """By measure."""


@dataclass(frozen=True)
class Table:
    """All slices of one kind of setting."""

    kind: str
    parts: str
    """What the rows are: ``query language``."""
    measures: tuple[str, ...]
    rows: tuple[Slice, ...]


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
    """Whether ``trained`` was stated by the caller rather than read from the record."""
    partial: Mapping[str, Any]
    """Why the record is less than the whole task; empty if whole."""
    level: float
    resamples: int
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """A pandas frame with one row per kind, slice and measure."""
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
    """Means and 95 % intervals of a task's measures for slices of its queries, kind by kind.

    Intervals are those of :func:`harness.stats.resampling.cluster_bootstrap` (BCa): questions are
    resampled within a slice, each with all its queries; the assignment of questions to slices is
    taken as fixed.

    Args:
        record: with its per-query table.
        by: one of :data:`BY`. ``pair`` applies to cross settings only, ``golds`` (the number of
            relevant passages) to multi and to any kind whose queries differ in it, the others to
            every kind. Lengths are split at the quartiles of each query language's questions.
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
    of_task = record.task(task if task is not None else _only_task(record))
    trained = _trained(record, seen) if by == "seen" else frozenset()
    draw = partial(bootstrap, resamples=resamples, seed=seed)
    tables: list[Table] = []
    for kind, rows in _by_kind(record, of_task, measures):
        for division in _divisions_of(rows, kind, by, trained):
            tables.append(_table(rows, kind, division, by, draw))
    if not tables:
        needed = "queries with several relevant passages, or with different numbers of them"
        needed = {"pair": "cross settings", "golds": needed}.get(by, "queries")
        raise UsageError(
            f"--by {by} needs {needed} that define {', '.join(measures or of_task.measures)}; the "
            f"record of {record.model} on {of_task.task} has none"
        )
    known = tuple(x for x in of_task.languages if primary_subtag(x) in trained)
    return Breakdown(
        model=record.model,
        task=of_task.task,
        by=by,
        tables=tuple(tables),
        seen=known if by == "seen" else None,
        seen_stated=seen is not None,
        partial=of_task.partial.to_dict(),
        level=LEVEL,
        resamples=resamples,
        seed=seed,
    )


def _by_kind(
    record: Record, task: Task, measures: Sequence[str] | None
) -> Iterator[tuple[Kind, PerQuery]]:
    """The rows of each kind of setting, with those of ``measures`` that it defines.

    By default the measures are those that the record shows first.

    Raises:
        UsageError: the record lacks a measure.
        RecordError: its per-query table cannot be read.
    """
    table = record.table(task.task)
    wanted = task.measures if measures is None else [canonical(x) for x in measures]
    chosen = list(dict.fromkeys(wanted))
    for name in chosen:
        if name not in table.values:
            raise UsageError(
                f"the record of {record.model} on {task.task} has no measure {name!r}"
                f"{did_you_mean(name, list(table.values))} (it has {', '.join(table.values)})"
            )
    for kind, rows in table.select(chosen).by_kind().items():
        defined = [m for m, values in rows.values.items() if not np.isnan(values).all()]
        if defined:
            yield kind, rows.select(defined)


def _only_task(record: Record) -> str:
    names = [x.task for x in record.tasks]
    if len(names) != 1:
        raise UsageError(f"the record has several tasks; name one of {', '.join(names)}")
    return names[0]


def _trained(record: Record, stated: Sequence[str] | None) -> frozenset[str]:
    """Primary subtags of the languages seen in training.

    For a model of `harness train` these are the languages of that training: a language that only
    its base has seen is what transfer is measured on.
    """
    model = record.contents.model
    of_record = model.languages if model.training is None else model.training.languages
    found = stated if stated is not None else of_record
    if found is None:
        raise UsageError(
            f"the record does not know which languages {record.model} was trained on; state them, "
            "as in --seen en,de"
        )
    return frozenset(primary_subtag(x) for x in found)


def _table(
    rows: PerQuery, kind: Kind, division: Division, by: str, draw: Callable[..., Bootstrap]
) -> Table:
    """The slices that have rows.

    Languages and pairs share one bootstrap of the whole kind, as the record's own intervals do;
    every other slice has its own.
    """
    measures = list(rows.values)
    together: Estimates | None = None
    if by in ("language", "pair"):
        whole = draw(rows, measures)
        together = whole.parents if by == "language" else whole.groups
    found = []
    for i, name in enumerate(division.names):
        mask = division.of == name
        if not mask.any():
            continue
        inside = rows.take(mask)
        if together is None:
            found.append(_row(name, inside, draw(inside, measures).macro, ()))
        else:
            found.append(_row(name, inside, together, (i,)))
    return Table(kind, division.what, tuple(measures), tuple(found))


def _row(name: str, rows: PerQuery, estimates: Estimates, at: tuple[int, ...]) -> Slice:
    """One slice; ``at`` is its index in ``estimates``, without the measure's axis."""
    cells = {}
    for m, (measure, values) in enumerate(rows.values.items()):
        low, high = estimates.bca[(*at, m)]
        cells[measure] = SliceMean(
            mean=float(estimates.value[(*at, m)]),
            low=float(low),
            high=float(high),
            micro=micro_mean(values),
            queries=int((~np.isnan(values)).sum()),
        )
    return Slice(
        name=name,
        settings=len(rows.settings),
        languages=len(rows.languages),
        queries=len(rows),
        questions=len(rows.questions),
        characters=(int(rows.query_chars.min()), int(rows.query_chars.max())),
        cells=cells,
    )


class Division(NamedTuple):
    """One way to divide the rows of one kind into slices."""

    what: str
    """What the slices are: ``query language``."""
    of: NDArray[np.object_]
    """(R,): the name of the slice that each row is in."""
    names: Sequence[str]
    """Names in display order; some may have no row."""


def _divisions_of(rows: PerQuery, kind: Kind, by: str, trained: frozenset[str]) -> list[Division]:
    """The divisions of ``rows`` by one of :data:`BY`; empty where it does not apply to their kind.

    ``trained`` is the primary subtags of the languages seen in training, for ``seen``.
    """
    cross = kind == "cross"
    if by == "language":
        return [
            Division("query language", _by_setting(rows, lambda query, _: query), rows.languages)
        ]
    if by == "pair":
        names = [f"{query}-{passage}" for _, query, passage in rows.settings]
        pair = np.array(names, dtype=object)[rows.setting]
        return [Division("query-passage pair", pair, names)] if cross else []
    if by == "script":
        scripts = _by_setting(rows, lambda query, _: script_of(query))
        in_order = sorted(set(scripts), key=lambda x: (x == UNKNOWN, x))
        found = [Division("script of the query language", scripts, in_order)]
        if cross:
            order = ("same script", "other script", UNKNOWN)
            found.append(
                Division("scripts of query and passage", _by_setting(rows, _same_script), order)
            )
        return found
    if by == "seen":

        def known(query: str, passage: str | None) -> str:
            pair = (query, passage) if cross and passage is not None else (query,)
            return "-".join("seen" if primary_subtag(x) in trained else "unseen" for x in pair)

        what = "query and passage language" if cross else "query language"
        return [Division(f"{what}, seen or unseen in training", _by_setting(rows, known), _SEEN)]
    if by == "length":
        quarter = np.array(_QUARTERS, dtype=object)[_quarters(rows)]
        return [Division("length of the query within its language", quarter, _QUARTERS)]
    counts = [int(x) for x in np.unique(rows.relevant)]
    if kind != "multi" and len(counts) < 2:
        return []
    named = {m: "1 relevant passage" if m == 1 else f"{m} relevant passages" for m in counts}
    relevant = np.array([named[int(m)] for m in rows.relevant], dtype=object)
    return [Division("number of relevant passages", relevant, list(named.values()))]


def _by_setting(rows: PerQuery, name: Callable[[str, str | None], str]) -> NDArray[np.object_]:
    """(R,): what ``name`` says of each row's query and passage language."""
    of = [name(s.query_language, s.passage_language) for s in rows.settings]
    return np.array(of, dtype=object)[rows.setting]


def _same_script(query: str, passage: str | None) -> str:
    scripts = (script_of(query), script_of(passage or query))
    if UNKNOWN in scripts:
        return UNKNOWN
    return "same script" if scripts[0] == scripts[1] else "other script"


def _quarters(rows: PerQuery) -> NDArray[np.int64]:
    """(R,) 0 to 3: the quarter of its query language's questions that each query's length is in.

    A length that equals a quartile belongs below it. Quartiles are of questions, not of rows: a
    question is in one quarter of its language, whatever the number of settings.
    """
    language_of = _by_setting(rows, lambda query, _: query)
    quarter = np.zeros(len(language_of), np.int64)
    for language in rows.languages:
        here = language_of == language
        first = np.unique(rows.question[here], return_index=True)[1]
        edges = np.quantile(rows.query_chars[here][first], [0.25, 0.5, 0.75])
        quarter[here] = np.searchsorted(edges, rows.query_chars[here], side="left")
    return quarter
