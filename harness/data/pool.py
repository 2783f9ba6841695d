"""The pool that a setting searches, and its relevant passages, as columns of a score matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.data.task_data import TaskData, global_id, local_question_id
from harness.data.trec import tie_order

Qrels = Mapping[str, int]
"""Global passage id -> grade."""


@dataclass(frozen=True)
class Pool:
    """All passages of a task, columns in tie order; each language is one range of columns."""

    ids: NDArray[np.object_]
    """(N,) global passage ids, descending."""
    languages: tuple[str, ...]
    """In column order."""
    starts: NDArray[np.int64]
    """(L + 1,) first column of each language, then N."""
    rows: NDArray[np.int64]
    """(N,) position of each column's passage in the concatenation of ``languages`` of the data."""
    searched: NDArray[np.int64] | None = None
    """(L,) number of passages of each language, if the columns cover only those that matter: the
    relevant passages and the top k of a corpus too large to list."""

    @classmethod
    def of(cls, data: TaskData) -> Pool:
        """The pool over all passages of ``data``."""
        return cls.of_ids({x: data.passages[x].ids for x in data.languages if x in data.passages})

    @classmethod
    def of_ids(cls, ids_of: Mapping[str, Sequence[str]]) -> Pool:
        """The pool of these passages, language -> local ids."""
        present = list(ids_of)
        prefixes = [(global_id(x, ""), ids_of[x]) for x in present]
        ids = np.array([prefix + i for prefix, local in prefixes for i in local], dtype=object)
        order = np.asarray(tie_order(list(ids)), np.int64)
        owner = np.repeat(np.arange(len(present)), [len(ids_of[x]) for x in present])[order]
        # Ids with a common prefix are contiguous in byte order, so each language is one run of
        # columns.
        change = np.flatnonzero(np.diff(owner, prepend=-1))
        ids = ids[order]
        return cls(
            ids=ids,
            languages=tuple(present[owner[i]] for i in change),
            starts=np.append(change, len(ids)).astype(np.int64),
            rows=order,
        )

    def __len__(self) -> int:
        return int(self.sizes.sum())

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(L,) number of passages of each language."""
        return np.diff(self.starts) if self.searched is None else self.searched

    @cached_property
    def column(self) -> Mapping[str, int]:
        """Global passage id -> column."""
        return dict(zip(self.ids.tolist(), range(len(self.ids)), strict=True))

    @cached_property
    def language_of(self) -> NDArray[np.int16]:
        """(N,) index into ``languages`` of each column."""
        return np.repeat(np.arange(len(self.languages), dtype=np.int16), np.diff(self.starts))

    def block(self, language: str) -> tuple[int, int]:
        """First column of a language and the one after its last; of one without passages, none."""
        if language not in self.languages:
            return 0, 0
        i = self.languages.index(language)
        return int(self.starts[i]), int(self.starts[i + 1])

    def only(self, language: str) -> Pool:
        """The pool of one language's passages; column 0 is this one's ``block(language)[0]``."""
        first, last = self.block(language)
        return Pool(
            ids=self.ids[first:last],
            languages=(language,),
            starts=np.array([0, last - first], np.int64),
            rows=self.rows[first:last],
        )


OWN = 2**30
"""The grade of a query's own passage where the task ignores it: it is searched for, like a relevant
passage, to be taken out of the ranking (:mod:`harness.search.own_passages`)."""


def own_passages(
    data: TaskData, language: str, question: str, languages: Iterable[str]
) -> list[str]:
    """The passages with the question's own id, in each language; none if they are not ignored."""
    if not data.task.source.ignore_identical_ids:
        return []
    local = local_question_id(data.task, language, question)
    return [global_id(x, local) for x in languages]


def with_own(data: TaskData, language: str, question: str, languages: Iterable[str]) -> Qrels:
    """The judgements of a question, with its :func:`own_passages` as :data:`OWN`."""
    own = own_passages(data, language, question, languages)
    return {**data.qrels.get(question, {}), **dict.fromkeys(own, OWN)}


@dataclass(frozen=True)
class RelevantPassages:
    """The relevant passages of one query language's queries as columns of a pool (CSR)."""

    questions: tuple[str, ...]
    indptr: NDArray[np.int64]
    """(Q + 1,)"""
    columns: NDArray[np.int64]
    """(G,)"""
    grades: NDArray[np.int64]
    """(G,)"""

    @classmethod
    def of(cls, data: TaskData, language: str, pool: Pool) -> RelevantPassages:
        """The relevant passages of every query in ``language``, in the queries' order.

        Those that the pool lacks have no column and are left out
        (:mod:`harness.evaluation.absent`).
        """
        questions = data.queries[language].ids
        columns: list[int] = []
        grades: list[int] = []
        indptr = [0]
        for question in questions:
            for passage, grade in with_own(data, language, question, pool.languages).items():
                if grade > 0 and passage in pool.column:
                    columns.append(pool.column[passage])
                    grades.append(grade)
            indptr.append(len(columns))
        return cls(
            questions,
            np.array(indptr, np.int64),
            np.array(columns, np.int64),
            np.array(grades, np.int64),
        )

    def within(self, first: int, last: int) -> RelevantPassages:
        """Only those in columns ``[first, last)``, counted from ``first``; all queries stay."""
        keep = (self.columns >= first) & (self.columns < last)
        kept = np.concatenate([[0], np.cumsum(keep)])
        return RelevantPassages(
            self.questions,
            kept[self.indptr].astype(np.int64),
            self.columns[keep] - first,
            self.grades[keep],
        )
