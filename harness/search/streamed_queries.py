"""The queries of a streamed search, and the top k it keeps."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.search.corpus_rows import stacked
from harness.search.exact import Composite, Decider, Encoded

Judged = Mapping[str, Mapping[str, int]]
"""Question -> {global passage id: grade}, in the order of the query vectors."""


@dataclass(frozen=True)
class AllQueries:
    """The queries of all languages, concatenated, and their relevant passages."""

    languages: tuple[str, ...]
    starts: NDArray[np.int64]
    """(A + 1,) first query of each language, then their total number."""
    vectors: Encoded
    questions: tuple[str, ...]
    indptr: NDArray[np.int64]
    passages: tuple[str, ...]
    """(G,) global ids."""
    grades: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        queries: Mapping[str, Encoded],
        judged: Mapping[str, Judged],
        searches: Mapping[str, Collection[str]],
    ) -> AllQueries:
        """Keep only relevant passages in searched languages.

        See :class:`harness.search.streamed.ShardSearch`.
        """
        indptr, passages, grades = [0], [], []
        for x, questions in judged.items():
            if len(questions) != len(queries[x]):
                raise ValueError(f"{len(queries[x])} vectors for {len(questions)} queries in {x}")
            for qrels in questions.values():
                for passage, grade in qrels.items():
                    if grade > 0 and language_of(passage) in searches[x]:
                        passages.append(passage)
                        grades.append(grade)
                indptr.append(len(passages))
        vectors: list[Encoded] = [
            v if isinstance(v, Composite) else np.ascontiguousarray(v, np.float32)
            for v in map(queries.__getitem__, judged)
        ]
        return cls(
            tuple(judged),
            np.concatenate([[0], np.cumsum([len(v) for v in vectors])]).astype(np.int64),
            stacked(vectors),
            tuple(q for questions in judged.values() for q in questions),
            np.array(indptr, np.int64),
            tuple(passages),
            np.array(grades, np.int64),
        )

    def only(self, kept: NDArray[np.bool_]) -> AllQueries:
        """With some of the relevant passages; ``kept`` is (G,)."""
        before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
        return replace(
            self,
            indptr=before[self.indptr],
            passages=tuple(p for p, keep in zip(self.passages, kept, strict=True) if keep),
            grades=self.grades[kept],
        )

    def span(self, language: str) -> slice:
        """The range of a language's queries."""
        i = self.languages.index(language)
        return slice(int(self.starts[i]), int(self.starts[i + 1]))

    def relevant_of(self, query: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """``indptr`` (n + 1,) and numbers of the relevant passages of ``query`` (n,)."""
        parts = [np.arange(self.indptr[q], self.indptr[q + 1]) for q in query.tolist()]
        sizes = [len(part) for part in parts]
        return (
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            np.concatenate([np.zeros(0, np.int64), *parts]).astype(np.int64),
        )


def language_of(passage: str) -> str:
    """The language of a global passage id."""
    return passage.partition(":")[0]


@dataclass
class TopPassages:
    """The top k of the queries of one language, (Q, k) each, best first."""

    language: NDArray[np.int16]
    row: NDArray[np.int64]
    score: NDArray[np.float32]
    """Float32 products."""

    def merged(
        self,
        other: TopPassages,
        k: int,
        query: NDArray[np.int64],
        starts: NDArray[np.int64],
        decider: Decider,
        margin: NDArray[np.float32],
    ) -> TopPassages:
        """The top ``k`` of both; passages in ``other`` lose every tie.

        ``query`` (Q,) are the queries as ``decider`` numbers them, ``starts`` the first passage of
        each language.
        """
        score = np.concatenate([self.score, other.score], axis=1)
        language = np.concatenate([self.language, other.language], axis=1)
        row = np.concatenate([self.row, other.row], axis=1)
        order = np.argsort(-score, axis=1, kind="stable")
        group = np.repeat(np.arange(len(score)), score.shape[1])
        vector = np.take_along_axis(starts[language] + row, order, axis=1).reshape(-1)
        sorted_ = np.take_along_axis(score, order, axis=1).reshape(-1)
        exact, _ = decider.order(
            query[group], vector, sorted_, margin, group=group, tie=order.reshape(-1)
        )
        best = order.reshape(-1)[exact].reshape(score.shape)[:, :k]
        return TopPassages(*(np.take_along_axis(x, best, axis=1) for x in (language, row, score)))
