"""The records of a study as arrays: every mean of a report, with and without each question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from harness.analysis.compare import paired_tables
from harness.boards.assemble import board_notes, board_title
from harness.data.task import Kind
from harness.errors import RecordError, UsageError
from harness.evaluation.record import Record
from harness.evaluation.record_fields import Task
from harness.metrics import better_of
from harness.stats.means import mean_along, question_shares
from harness.stats.per_query import Paired
from harness.stats.ragged import FloatArray
from harness.stats.resampling import leave_one_out
from harness.study.report.layout import Place
from harness.study.results import Results

ALL = "all"
"""The group of all query languages."""


@dataclass(frozen=True)
class Means:
    """One model: G groups of query languages, M measures, Q questions."""

    values: FloatArray
    """``(G, M)``: macro means."""
    without: FloatArray
    """``(Q, G, M)``: the same without each question."""
    shares: FloatArray
    """``(Q, H, M)``: what each question adds to the means of the first H groups."""


@dataclass(frozen=True)
class ScoreTable:
    """All models of a study on one kind of setting of one task."""

    key: str
    """The task's name in the study file; with the kind it is the table's name."""
    task: str
    title: str
    kind: Kind
    mark: str | None
    """The note wherever its numbers are shown: that the corpus is a sample."""
    notes: tuple[str, ...]
    """Other reasons why its numbers are not the whole task's."""
    measures: tuple[str, ...]
    groups: tuple[str, ...]
    """``all``, then the study file's groups that the task has, then single languages."""
    tested: int
    """H, the number of ``groups`` that are not single languages."""
    members: Mapping[str, tuple[str, ...]]
    """Group -> its query languages."""
    questions: tuple[str, ...]
    cells: Mapping[Place, Mapping[int, Means]]
    """Place -> seed -> means; places without a finished seed are absent."""
    references: Mapping[str, Means]

    @property
    def name(self) -> str:
        """``xquad-r mono``."""
        return f"{self.key} {self.kind}"

    @cached_property
    def quality(self) -> str | None:
        """The first of its measures whose more is better; ``None`` if there is none."""
        return next((m for m in self.measures if better_of(m) == "higher"), None)

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Query languages."""
        return self.groups[self.tested :]


def read_score_tables(results: Results) -> tuple[ScoreTable, ...]:
    """A score table per scored task and kind, in the order of the study file.

    Raises:
        RecordError: a record lacks a table, or has other questions than the others of its task.
        UsageError: no task has one of the report's measures.
    """
    spec = results.study.report
    found = []
    found_measures: set[str] = set()
    for scored in results.study.scored:
        records = {
            (Place.of(x.trial.arm, x.trial.values), x.trial.seed): x.records[scored.name]
            for x in results.trials
            if scored.name in x.records
        }
        references = {
            model: tasks[scored.name]
            for model, tasks in results.references.items()
            if scored.name in tasks
        }
        everything = [*records.values(), *references.values()]
        if not everything:
            continue
        measures = _scored(everything[0], spec.measures)
        found_measures |= set(measures)
        if measures:
            found += _of_task(scored.name, records, references, measures, results)
    missing = [m for m in spec.measures if m not in found_measures]
    if missing and found:
        raise UsageError(
            f"{results.study.where}: key 'report.measures': no task of the study has "
            f"{missing[0]!r} on its records; score it with another task, or leave it out"
        )
    return tuple(found)


def _scored(record: Record, listed: Sequence[str]) -> list[str]:
    return [m for m in listed if m in record.tasks[0].all_measures]


def _of_task(
    key: str,
    records: Mapping[tuple[Place, int], Record],
    references: Mapping[str, Record],
    measures: Sequence[str],
    results: Results,
) -> list[ScoreTable]:
    spec = results.study.report
    all_tables: dict[Kind, ScoreTable] = {}
    cells: dict[Kind, dict[Place, dict[int, Means]]] = {}
    others: dict[Kind, dict[str, Means]] = {}
    every: list[tuple[tuple[Place, int] | str, Record]] = [*records.items(), *references.items()]
    for at, record in every:
        for paired in _paired(record, measures):
            if paired.kind not in spec.kinds:
                continue
            if paired.kind not in all_tables:
                all_tables[paired.kind] = _empty(key, paired, record.tasks[0], spec.groups)
                cells[paired.kind], others[paired.kind] = {}, {}
            score_table = all_tables[paired.kind]
            if (
                paired.rows.questions != score_table.questions
                or paired.measures != score_table.measures
            ):
                raise RecordError(
                    f"{record.folder}: has different questions of {score_table.task} than the "
                    "other records of this study; run the study again into another folder"
                )
            means = _means(paired, score_table)
            if isinstance(at, str):
                others[paired.kind][at] = means
            else:
                cells[paired.kind].setdefault(at[0], {})[at[1]] = means
    return [
        replace(all_tables[kind], cells=cells[kind], references=others[kind])
        for kind in spec.kinds
        if kind in all_tables
    ]


def _paired(record: Record, measures: Sequence[str]) -> list[Paired]:
    # One record at a time: the tables of all trials together may not fit into memory.
    return paired_tables([record], record.tasks[0].task, measures, whole=True)


def _empty(
    key: str, paired: Paired, task: Task, groups: Mapping[str, tuple[str, ...]]
) -> ScoreTable:
    members = {ALL: paired.languages}
    for name, languages in groups.items():
        here = tuple(x for x in paired.languages if x in languages)
        if here:
            members[name] = here
    tested = len(members)
    sampled = task.partial.sampled_corpus is not None
    notes = board_notes(task)
    if len(paired.languages) > 1:
        members |= {x: (x,) for x in paired.languages}
    return ScoreTable(
        key=key,
        task=paired.task,
        title=board_title(task),
        kind=paired.kind,
        mark=notes[0] if sampled else None,
        notes=notes[1:] if sampled else notes,
        measures=paired.measures,
        groups=tuple(members),
        tested=tested,
        members=members,
        questions=paired.rows.questions,
        cells={},
        references={},
    )


def _means(paired: Paired, score_table: ScoreTable) -> Means:
    rows, values = paired.rows, paired.values[0]
    left = leave_one_out(values, rows.question, rows.setting, rows.language_of)
    of_groups, without = [left.macro], [left.macro_without]
    shares = [question_shares(rows, values)]
    for number, name in enumerate(score_table.groups[1:], 1):
        at = [rows.languages.index(x) for x in score_table.members[name]]
        of_groups.append(mean_along(left.parents[at], 0))
        without.append(mean_along(left.parents_without[:, at], 1))
        if number < score_table.tested:
            here = np.isin(rows.language_of[rows.setting], at)
            shares.append(question_shares(rows, np.where(here[:, None], values, np.nan)))
    return Means(np.stack(of_groups), np.stack(without, axis=1), np.stack(shares, axis=1))
