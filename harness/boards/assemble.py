"""Make boards from tracked records: which rows go on which board, in which order."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from harness.analysis.compare import KEY_BIAS
from harness.boards.additions import additions
from harness.boards.board import Board, Cell, Column, Ranking, Row, TaskBoard
from harness.boards.leaderboards import Leaderboards
from harness.boards.leaders import leaders
from harness.boards.overview import make_overview
from harness.boards.pairs import all_pairs
from harness.boards.published import published_on
from harness.boards.rows import measured_row, published_row
from harness.boards.tracked.document import Tracked, question_ids
from harness.boards.tracked.fields import TrackedTask
from harness.boards.tracked.questions import Hits, packed
from harness.boards.tracked.retrieved import of_tasks
from harness.boards.verification import verify_tracked
from harness.data.task import KINDS, Kind
from harness.errors import UsageError
from harness.evaluation.partial import partial
from harness.evaluation.record_fields import TaskFacts
from harness.metrics import parse_measure
from harness.stats.multiple_tests import ALPHA
from harness.stats.pairwise_tests import ranked
from harness.stats.resampling import LEVEL

METHOD = (
    "Two rows are significantly different in a column if the paired test over questions (all "
    "queries of a "
    "question swapped at once, Student's form) gives a p-value of at most {alpha} after Holm's "
    "correction over all pairs of rows of that column. Ranks are those that the data do not "
    "exclude."
)
_ORDER = ("map", "recall@1", "recall@10", "ndcg@10", "mrr@10", "recall@100", *KEY_BIAS)
"""Order of measures in the main table; a task's other measures follow."""

_OF_A_SAMPLE = {"sampled_corpus", "golds_outside_sample", "questions_without_gold"}

Member = tuple[Tracked, TrackedTask]


def make_board(found: Leaderboards) -> Board:
    """Make one board per task, and one across tasks."""
    groups: dict[tuple[str, ...], list[Member]] = {}
    for tracked in found.records:
        for task in tracked.contents.tasks:
            groups.setdefault(_what(task), []).append((tracked, task))
    groups = {what: _latest(members) for what, members in groups.items()}
    slugs = _slugs(groups)
    boards = [_task_board(slugs[what], members, found) for what, members in groups.items()]
    boards.sort(key=lambda x: (not x.primary, x.task, x.slug))
    return Board(
        tasks=tuple(boards),
        overview=make_overview([x for x in boards if x.primary]),
        records=len(found.records),
        alpha=ALPHA,
        level=LEVEL,
        method=METHOD.format(alpha=ALPHA),
        verified=tuple(verify_tracked(found.records, found.imported)),
    )


def _what(task: TrackedTask) -> tuple[str, ...]:
    """Equal for tasks that measured the same thing."""
    facts = (task.languages, task.partial.to_dict())
    return (
        task.task,
        task.data_digest,
        task.text,
        json.dumps(facts, sort_keys=True),
    )


def _latest(members: Sequence[Member]) -> list[Member]:
    """One row per model and set of options: of several records, the latest.

    A model without a fingerprint may have changed in between, so all its records stay.
    """
    found: dict[str, Member] = {}
    for tracked, task in sorted(members, key=lambda x: (x[0].contents.created, x[0].name)):
        model = tracked.contents.model
        of_model = (model.name, model.fingerprint, tracked.contents.options.to_dict())
        known = json.dumps((of_model, task.kinds, task.measures), sort_keys=True)
        found[known if model.fingerprint else tracked.name] = (tracked, task)
    return sorted(found.values(), key=lambda x: x[0].name)


def _slugs(groups: Mapping[tuple[str, ...], Sequence[Member]]) -> dict[tuple[str, ...], str]:
    """Names of boards: the board of the whole task with most rows gets the task's own name."""

    def rank(what: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
        return (-len(groups[what]), what)

    taken: dict[str, tuple[str, ...]] = {}
    for what in sorted(groups, key=rank):
        task = groups[what][0][1]
        words = [_stem(task.task)]
        if task.text != task.text_default:
            words.append(task.text)
        if task.partial:
            words.append("sample" if _only_sampled(task) else "part")
        digest = task.data_digest[:8]
        for more in ([], [digest], [digest, str(len(taken))]):
            slug = re.sub(r"[^a-z0-9._-]+", "-", "-".join([*words, *more]).lower())
            if slug not in taken:
                taken[slug] = what
                break
    return {what: slug for slug, what in taken.items()}


_TAKEN = ("all-tasks", "verified", "readme")
"""Names of files of a leaderboards folder that are not a task's board, in lower case."""


def _stem(task: str) -> str:
    """How the names of a task's boards begin."""
    return f"{task}-task" if task in _TAKEN else task


def _only_sampled(task: TaskFacts) -> bool:
    """Whether it differs from the whole task only in that its corpus is a sample."""
    return task.partial.sampled_corpus is not None and task.partial.model_fields_set <= _OF_A_SAMPLE


def _task_board(slug: str, members: list[Member], found: Leaderboards) -> TaskBoard:
    # The entry that measured most describes the board.
    fullest, task = max(members, key=lambda x: (len(x[1].settings), len(x[1].measures)))
    rows = [measured_row(tracked, own, _redefined(own, task)) for tracked, own in members]
    notes = board_notes(task)
    primary = slug in (_stem(task.task), f"{_stem(task.task)}-sample")
    # On the board of the same data; if there is none, on the task's own, with a note.
    here = [x for x in (*published_on(task.task), *found.imported) if x.task == task.task]
    rows += [published_row(x, task) for x in here if primary or x.data_digest == task.data_digest]
    kinds: list[Kind] = [k for k in KINDS if any(k in own.kinds for _, own in members)]
    main, more = _columns(kinds, [own for _, own in members], rows)
    rankings = {
        column.key: ranking
        for column in (*main, *more)
        if (ranking := _ranking(column, rows, members)) is not None
    }
    sort = _sort(kinds, task, main)
    ids = question_ids(task, found.folder)
    hits = fullest.questions[task.task].hits
    return TaskBoard(
        slug=slug,
        task=task.task,
        title=board_title(task),
        primary=primary,
        notes=notes,
        text=task.text,
        data_digest=task.data_digest,
        revision=task.revision,
        license=task.license,
        languages=task.languages,
        kinds=tuple(kinds),
        questions=task.counts.questions,
        queries=dict(task.counts.queries),
        passages=dict(task.counts.passages),
        columns=main,
        more=more,
        sort=sort.key,
        rows=tuple(_sorted(rows, sort)),
        rankings=rankings,
        additions=additions(rows, members, (*main, *more)),
        question_ids=ids,
        has_query={k: packed(x.has_query) for k, x in hits.items()},
        per_language_only="cross" not in kinds,
        one_each=one_each(task, hits),
        retrieved=of_tasks(found.retrieved, members),
        pairs=all_pairs(rows[: len(members)], (*main, *more), lambda x: _shares(x, members)),
    )


def one_each(task: TrackedTask, hits: Mapping[str, Hits]) -> bool:
    """Whether questions have one relevant passage in each language that has a query of them.

    Judged by how many they have in the pool of all languages; true where the record does not say.
    """
    if "mono" not in hits:
        return True
    languages = set(hits["mono"].has_query.sum(axis=1).tolist())
    return {int(m) for m in task.rank_distance_by_golds or ()} <= languages


def _redefined(own: TrackedTask, other: TrackedTask) -> list[str]:
    """Measures that two records define differently; none if a record does not say."""
    here, there = (x.definitions or {} for x in (own, other))
    return [m for m, digest in here.items() if there.get(m, digest) != digest]


def board_notes(task: TaskFacts) -> tuple[str, ...]:
    """The notes above a board: what makes its numbers differ from the task's own."""
    notes = []
    why = task.partial.to_dict()
    if sample := why.pop("sampled_corpus", None):
        sampled, whole = (sum(x[k] for x in sample.values()) for k in ("passages", "whole"))
        notes.append(
            f"A SAMPLE OF THE CORPUS ({sampled:,} of {whole:,} passages), so no official score"
        )
    if why:
        notes.append(("" if _only_sampled(task) else "part of the task: ") + partial(why))
    if task.text != task.text_default:
        notes.append(f"text option {task.text}, not the task's default {task.text_default}")
    return tuple(notes)


def board_title(task: TaskFacts) -> str:
    """The task's title, with the reason its numbers are not the whole task's."""
    if not task.partial:
        return task.title
    return f"{task.title} ({'sample' if _only_sampled(task) else 'part'})"


@cache
def column_of(kind: Kind, measure: str) -> Column:
    """The column of one measure of one kind; an unknown measure is labelled by its name."""
    try:
        found = parse_measure(measure)
    except UsageError:
        return Column(kind, measure, measure, None)
    label = found.label.replace("Recall@", "R@").replace("Precision@", "P@")
    return Column(kind, measure, label, found.better)


def _columns(
    kinds: Sequence[Kind], tasks: Sequence[TrackedTask], rows: Sequence[Row]
) -> tuple[tuple[Column, ...], tuple[Column, ...]]:
    """Columns of the main table, and all other columns that some row has."""
    names = dict.fromkeys(m for t in tasks for m in (*t.measures, *KEY_BIAS))
    listed = [m for m in _ORDER if m in names] + [m for m in names if m not in _ORDER]
    present = dict.fromkeys(key for row in rows if row.source != "published" for key in row.cells)
    main = [(k, m) for k in kinds for m in listed if f"{k}/{m}" in present]
    # A measure that only published rows have is a column as well.
    keys = [key.partition("/") for row in rows for key in row.cells]
    rest = dict.fromkeys((k, m) for k, _, m in keys if k in kinds and (k, m) not in main)
    more = sorted(rest, key=lambda x: KINDS.index(x[0]))
    return (
        tuple(column_of(k, m) for k, m in main),
        tuple(column_of(k, m) for k, m in more),
    )


def _sort(kinds: Sequence[Kind], task: TrackedTask, columns: Sequence[Column]) -> Column:
    """The column that rows are sorted by: that of the multilingual pool, if present."""
    kind = "multi" if "multi" in kinds and "cross" in kinds else kinds[0]
    return next(
        (c for m in task.measures for c in columns if (c.kind, c.measure) == (kind, m)),
        columns[0],
    )


def _sorted(rows: Sequence[Row], column: Column) -> list[Row]:
    """Best first; rows without a value last, by name."""
    sign = 1 if column.better == "lower" else -1

    def place(row: Row) -> tuple[bool, float, str, str]:
        value = row.cells[column.key].value if column.key in row.cells else None
        return (value is None, 0.0 if value is None else sign * value, row.model, row.id)

    return sorted(rows, key=place)


def _ranking(column: Column, rows: Sequence[Row], members: Sequence[Member]) -> Ranking | None:
    """Comparable rows by one column; ``None`` if there are none."""
    entries = [
        (row, member)
        for row, member in zip(rows, members, strict=False)  # published rows follow
        if row.comparable and row.cells.get(column.key, Cell(None)).value is not None
    ]
    if not entries:
        return None
    names = [row.id for row, _ in entries]
    values = np.array([row.cells[column.key].value for row, _ in entries], np.float64)
    best, second = leaders(column.measure, values.tolist(), column.better)
    shares = _shares(column, [m for _, m in entries])
    # A row that cannot be tested has no rank: one from the best to the last would read as a tie.
    known = np.flatnonzero(~np.isnan(shares).any(axis=1))
    if len(entries) == 1:
        known = np.array([0])
    elif len(known) == 1:
        known = known[:0]
    ids = [names[i] for i in known]
    order, spans, ties, apart, tested = (
        ranked(values[known], shares[known], higher_is_better=column.better != "lower")
        if ids
        else ((), [], [], [], 0)
    )
    return Ranking(
        column=column.key,
        order=tuple(ids[i] for i in order),
        spans={ids[i]: span for i, span in enumerate(spans)},
        ties=tuple(tuple(ids[i] for i in tie) for tie in ties),
        tied_apart=tuple((ids[i], ids[j]) for i, j in apart),
        best=tuple(names[i] for i in best),
        second=tuple(names[i] for i in second),
        tested=tested,
        untested=tuple(x for x in names if x not in ids),
    )


def _shares(column: Column, members: Sequence[Member]) -> Any:
    """(K, n) values per question; NaN for a row without values for the same questions."""
    question_sets = [tracked.questions[task.task] for tracked, task in members]
    usual = Counter(q.ids_sha256 for q in question_sets).most_common(1)[0][0]
    n = next(q.count for q in question_sets if q.ids_sha256 == usual)
    shares = np.full((len(question_sets), n), np.nan)
    for i, q in enumerate(question_sets):
        at = (column.kind, column.measure)
        if q.ids_sha256 == usual and at in q.columns:
            shares[i] = q.values[:, q.columns.index(at)]
    return shares
