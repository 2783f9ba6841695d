"""Relevant passages that the corpus lacks count as never found, as trec_eval counts them.

Public judgements name passages that were dropped from a corpus (BEIR's issues 101 and 172). Leaving
them out would raise every score; they get the rank :data:`harness.metrics.ranks.NEVER`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.console.numbers import plural
from harness.data.pool import Pool, RelevantPassages
from harness.errors import HarnessWarning, quoted
from harness.evaluation.layout import Prepared
from harness.metrics.ranks import NEVER
from harness.search.results import SearchResult


def with_absent(
    prepared: Prepared, found: Mapping[str, SearchResult]
) -> Mapping[str, SearchResult]:
    """``found`` with an entry for each relevant passage that was not there to be found.

    Warns once, with their number and the first of them.
    """
    qrels = prepared.data.qrels
    counts: dict[frozenset[str], dict[str, int]] = {}
    # Parallel tasks have the same questions in every language.
    expected: dict[tuple[frozenset[str], tuple[str, ...]], int] = {}
    whole: dict[str, SearchResult] = {}
    absent: dict[tuple[str, str], None] = {}
    for language, result in found.items():
        within = _searched(prepared, language)
        if within not in counts:
            counts[within] = {
                question: sum(g > 0 and p.partition(":")[0] in within for p, g in judged.items())
                for question, judged in qrels.items()
            }
        searched = within, result.relevant.questions
        if searched not in expected:
            expected[searched] = sum(counts[within].get(q, 0) for q in result.relevant.questions)
        if expected[searched] == len(result.relevant.columns):
            whole[language] = result
            continue
        missing = _missing(result, prepared.pool, qrels, within)
        absent.update(dict.fromkeys((q, p) for (_, q, p) in missing))
        whole[language] = _joined(result, prepared.pool, missing)
    if absent:
        question, passage = next(iter(absent))
        warnings.warn(
            f"task {prepared.spec.name!r}: {plural(len(absent), 'relevant passage')} that the "
            f"corpus does not have counted as never found, the first {quoted(passage)} for query "
            f"{quoted(question)}",
            HarnessWarning,
            stacklevel=2,
        )
    return whole


def _searched(prepared: Prepared, language: str) -> frozenset[str]:
    """The passage languages that the queries of a language are scored on."""
    settings = [s for s in prepared.settings if s.query_language == language]
    own = [s.passage_language for s in settings]
    own += [s.query_language for s in settings if s.kind == "pairs"]
    return frozenset(prepared.pool.languages if None in own else filter(None, own))


_Missing = Mapping[tuple[int, str, str], int]
"""(number of the query, question, global passage id) -> grade."""


def _missing(
    result: SearchResult, pool: Pool, qrels: Mapping[str, Mapping[str, int]], within: frozenset[str]
) -> _Missing:
    found: dict[tuple[int, str, str], int] = {}
    relevant = result.relevant
    for number, question in enumerate(relevant.questions):
        first, last = relevant.indptr[number], relevant.indptr[number + 1]
        there = {str(pool.ids[x]) for x in relevant.columns[first:last]}
        for passage, grade in qrels.get(question, {}).items():
            if grade > 0 and passage not in there and passage.partition(":")[0] in within:
                found[number, question, passage] = grade
    return found


def _joined(result: SearchResult, pool: Pool, missing: _Missing) -> SearchResult:
    before = result.relevant
    queries = len(before.questions)
    owner = np.repeat(np.arange(queries), np.diff(before.indptr))
    more = np.array([number for number, _, _ in missing], np.int64)
    order = np.argsort(np.concatenate([owner, more]), kind="stable")
    counts = np.bincount(np.concatenate([owner, more]), minlength=queries)
    language = np.array([pool.languages.index(p.partition(":")[0]) for _, _, p in missing])
    above = np.zeros((len(missing), result.ranked_above.shape[1]), result.ranked_above.dtype)
    above[:, 0] = NEVER - 1

    def joined(values: NDArray[Any], others: Any) -> NDArray[Any]:
        return np.concatenate([values, np.asarray(others, values.dtype)])[order]

    relevant = RelevantPassages(
        before.questions,
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        joined(before.columns, np.full(len(missing), -1)),
        joined(before.grades, list(missing.values())),
    )
    return replace(
        result,
        relevant=relevant,
        relevant_language=joined(result.relevant_language, language),
        ranked_above=joined(result.ranked_above, above),
        block_rank=joined(result.block_rank, np.full(len(missing), NEVER)),
    )
