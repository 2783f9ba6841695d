"""Compute measures from ranks: the per-query table of a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.data.pool import Pool
from harness.data.task import Setting
from harness.errors import UsageError
from harness.metrics import Measure
from harness.metrics.ranks import NEVER, RelevantRanks
from harness.search.results import SearchResult
from harness.stats.means import MacroMean, group_means
from harness.stats.per_query import PerQuery

Qrels: TypeAlias = Mapping[str, Mapping[str, int]]

LANGUAGES_DEPTH = 10
"""Depth of the language matrix, the cutoff of the other measures."""


@dataclass(frozen=True)
class _LanguageRows:
    """The rows of several settings of one query language, as input of the measures."""

    kind_settings: NDArray[np.int32]
    row_query: NDArray[np.int64]
    relevant: RelevantRanks


def _rows_by_kind(
    found: SearchResult,
    pool: Pool,
    index: Mapping[Setting, int],
    query_language: int,
    agreement: NDArray[np.float64] | None,
    deepest: int,
    judged: _Judged | None,
) -> list[tuple[str, _LanguageRows]]:
    """Split one language's relevant passages into rows: per query and block, and per query (pool).

    ``index`` numbers the settings; ``deepest`` is the largest cutoff of measures on the top
    passages.
    """
    queries = len(found.relevant.questions)
    owner = np.repeat(np.arange(queries), np.diff(found.relevant.indptr))
    parts: list[tuple[str, _LanguageRows]] = []
    sizes = pool.sizes
    for kinds in (("mono", "cross"), ("multi",)):
        if kinds == ("multi",):
            at = [index.get(Setting("multi", found.language, None), -1)]
            block = np.zeros(len(owner), np.int64)
            ranks: NDArray[Any] = found.pool_rank
            size = np.array([len(pool)])
        else:
            at = [
                index.get(
                    Setting("mono" if x == found.language else "cross", found.language, x), -1
                )
                for x in pool.languages
            ]
            block = found.relevant_language.astype(np.int64)
            ranks = found.block_rank.astype(np.int64)
            size = sizes
        setting = np.array(at, _narrow(len(index)))[block]
        pick = np.flatnonzero(setting >= 0)
        if not len(pick):
            continue
        if len(at) > 1:
            # Stable, so that each setting's entries stay query by query.
            pick = pick[np.argsort(setting[pick], kind="stable")]
        here = block[pick]
        row = here * queries + owner[pick]
        first = np.concatenate([[0], np.flatnonzero(row[1:] != row[:-1]) + 1])
        indptr = np.append(first, len(row)).astype(np.int64)
        relevant = RelevantRanks(
            ranks=ranks[pick],
            indptr=indptr,
            grades=found.relevant.grades[pick],
            pool_size=size[here[first]],
            relevant_languages=found.relevant_language[pick].astype(np.int64),
            query_languages=np.full(len(first), query_language, np.int64),
            n_languages=max(len(pool.languages), query_language + 1),
        )
        queries_here = owner[pick[first]]
        if judged is not None:
            block_here = None if kinds == ("multi",) else here[first]
            top_k_judged = judged.of(found, queries_here, block_here, pool)
            relevant = replace(relevant, top_k_judged=top_k_judged)
        if kinds == ("multi",):
            relevant = replace(
                relevant,
                own_ranks=found.block_rank[pick].astype(np.int64),
                top_k_languages=_top_languages(found.top_k[queries_here], pool, deepest),
                rank_correlation=None if agreement is None else agreement[queries_here],
            )
        part = _LanguageRows(setting[pick[first]].astype(np.int32), queries_here, relevant)
        parts.append((kinds[-1], part))
    return parts


def _pair_rows(
    found: SearchResult, pool: Pool, index: Mapping[Setting, int], query_language: int
) -> list[tuple[str, _LanguageRows]]:
    """One language's relevant passages in the pools of its language and one other.

    No search is needed: a passage's rank among two languages is 1 plus the number of passages of
    these languages ranked above it.
    """
    if found.language not in pool.languages:
        return []
    own = pool.languages.index(found.language)
    queries = len(found.relevant.questions)
    owner = np.repeat(np.arange(queries), np.diff(found.relevant.indptr))
    # Those that the corpus lacks have no place in any pool.
    never = found.pool_rank >= NEVER
    parts: list[tuple[str, _LanguageRows]] = []
    for i, other in enumerate(pool.languages):
        setting = index.get(Setting("pairs", found.language, other))
        if setting is None:
            continue
        pick = np.flatnonzero(np.isin(found.relevant_language, (own, i)))
        if not len(pick):
            continue
        above = found.ranked_above[pick][:, [own, i]].sum(1, dtype=np.int64)
        row = owner[pick]
        first = np.concatenate([[0], np.flatnonzero(row[1:] != row[:-1]) + 1])
        relevant = RelevantRanks(
            ranks=np.where(never[pick], NEVER, 1 + above),
            indptr=np.append(first, len(row)).astype(np.int64),
            grades=found.relevant.grades[pick],
            pool_size=int(pool.sizes[[own, i]].sum()),
            relevant_languages=found.relevant_language[pick].astype(np.int64),
            query_languages=np.full(len(first), query_language, np.int64),
            n_languages=max(len(pool.languages), query_language + 1),
        )
        settings = np.full(len(first), setting, np.int32)
        parts.append(("pairs", _LanguageRows(settings, row[first], relevant)))
    return parts


def _top_languages(top: NDArray[np.int32], pool: Pool, deepest: int) -> NDArray[np.int64]:
    """(Q, k) languages of the top passages; -1 past the end of a shorter pool.

    The search keeps every ranking as deep as needed, so a shorter one is a whole pool.
    """
    languages = pool.language_of[top].astype(np.int64)
    past = max(0, deepest - top.shape[1])
    return np.pad(languages, ((0, 0), (0, past)), constant_values=-1)


@dataclass(frozen=True)
class _Judged:
    """Which passages are judged for the queries of one language."""

    keys: NDArray[np.int64]
    """Of each judged passage in the pool: query * N + column, ascending."""
    deepest: int
    """The largest cutoff of measures that need it."""

    @classmethod
    def among(cls, questions: Sequence[str], qrels: Qrels, pool: Pool, deepest: int) -> _Judged:
        """From the judgements of ``questions``; judged passages outside the pool do not matter."""
        keys = [
            query * len(pool) + column
            for query, question in enumerate(questions)
            for passage in qrels.get(question, {})
            if (column := pool.column.get(passage)) is not None
        ]
        return cls(np.sort(np.array(keys, np.int64)), deepest)

    def of(
        self,
        found: SearchResult,
        queries: NDArray[np.int64],
        block: NDArray[np.int64] | None,
        pool: Pool,
    ) -> NDArray[np.int64]:
        """:attr:`RelevantRanks.top_k_judged` of rows ``(R, k)``, each one of ``queries``.

        ``block`` (R,) is the index of the passage language; ``None``: the pool of all languages.
        The search keeps every ranking as deep as needed, so a shorter one is a whole pool.
        """
        top_ks = [(np.arange(len(queries)), found.top_k)]
        if block is not None:
            top_ks = [
                (np.flatnonzero(block == i), found.block_top_k[x][0])
                for i, x in enumerate(pool.languages)
                if (block == i).any()
            ]
        out = np.full((len(queries), self.deepest), -1, np.int64)
        for rows, top_k in top_ks:
            columns = top_k[queries[rows], : self.deepest].astype(np.int64)
            keys = queries[rows, None] * len(pool) + columns
            out[rows, : columns.shape[1]] = np.isin(keys, self.keys)
        return out


def _narrow(numbers: int) -> type[np.signedinteger[Any]]:
    """The smallest dtype for numbers below ``numbers``: numpy radix-sorts short ones."""
    return np.int16 if numbers <= np.iinfo(np.int16).max else np.int64


def per_query(
    found: Mapping[str, SearchResult],
    pool: Pool,
    settings: Sequence[Setting],
    measures: Sequence[Measure],
    query_chars: Mapping[str, NDArray[np.int32]],
    agreement: Mapping[str, NDArray[np.float64]] | None = None,
    qrels: Qrels | None = None,
) -> PerQuery:
    """Every measure for every query of every setting, except queries without a relevant passage.

    ``query_chars`` is query language -> (Q,) lengths of the texts. ``agreement`` is what
    :func:`harness.evaluation.agreement.question_agreement` gives, for the measure that needs it.
    ``qrels`` is question -> {global passage id: grade}, for measures of judged passages.
    """
    questions: dict[str, int] = {}
    columns: dict[str, list[NDArray[Any]]] = {
        x: [np.zeros(0, np.int32)] for x in ("setting", "question", "relevant", "query_chars")
    }
    values: dict[str, list[NDArray[np.float64]]] = {m.name: [] for m in measures}
    refusals: dict[str, list[str | None]] = {}
    languages = list(pool.languages) + [x for x in found if x not in pool.languages]
    index = {s: i for i, s in enumerate(settings)}
    deepest = max([m.cutoff or 1 for m in measures if "top_k_languages" in m.needs], default=0)
    judged_depth = max([m.cutoff or 1 for m in measures if "top_k_judged" in m.needs], default=0)
    last: tuple[str, ...] | None = None
    for language, ranks in found.items():
        # Parallel tasks have the same questions in every language.
        if ranks.relevant.questions != last:
            last = ranks.relevant.questions
            numbers = np.array([questions.setdefault(q, len(questions)) for q in last], np.int32)
        own = None if agreement is None else agreement[language]
        place = languages.index(language)
        known = None
        if judged_depth and qrels is not None:
            known = _Judged.among(ranks.relevant.questions, qrels, pool, judged_depth)
        rows_of = _rows_by_kind(ranks, pool, index, place, own, deepest, known)
        for kind, part in [*rows_of, *_pair_rows(ranks, pool, index, place)]:
            columns["setting"].append(part.kind_settings)
            columns["question"].append(numbers[part.row_query])
            columns["relevant"].append(np.diff(part.relevant.indptr).astype(np.int32))
            columns["query_chars"].append(query_chars[language][part.row_query])
            rows = len(part.row_query)
            for m in measures:
                if m.family.refusal is not None and kind in m.kinds:
                    refusals.setdefault(m.name, []).append(m.refusal(part.relevant))
                shown = kind in m.kinds or (kind == "cross" and "mono" in m.kinds)
                values[m.name].append(
                    m.per_query(part.relevant) if shown else np.full(rows, np.nan)
                )
    _refuse_uninformative(refusals)
    whole = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = np.argsort(whole["setting"].astype(_narrow(len(settings))), kind="stable")
    return PerQuery(
        settings=tuple(settings),
        questions=tuple(questions),
        **{name: column[order] for name, column in whole.items()},
        values={k: np.concatenate([*v, np.zeros(0)])[order] for k, v in values.items()},
    )


def _refuse_uninformative(refusals: Mapping[str, Sequence[str | None]]) -> None:
    """Raise :class:`UsageError` for a measure that is not informative for any query.

    ``refusals`` is measure -> the reason against it in each part of the queries, if there is one.
    """
    for name, reasons in refusals.items():
        if all(reasons):
            raise UsageError(f"measure {name!r} is refused here: {reasons[0]}")


def rank_distance_by_golds(table: PerQuery) -> dict[int, float]:
    """Number of relevant passages m, ascending -> macro mean of the rank distance in the pool.

    Rank distance grows with m, so its mean over questions with different m says little by itself.
    """
    rows = table.of_kind("multi")
    if "rank_distance" not in rows.values:
        return {}
    values, macro = rows.values["rank_distance"], MacroMean(rows.settings)
    found = {}
    for m in np.unique(rows.relevant[~np.isnan(values)]).tolist():
        of_m = np.where(rows.relevant == m, values, np.nan)
        found[m] = macro.mean(group_means(of_m, rows.setting, len(rows.settings)))
    return found


def top_language_share(
    found: Mapping[str, SearchResult], pool: Pool
) -> tuple[int, dict[str, dict[str, float]]]:
    """Query language -> passage language -> its mean share of the top passages of the pool.

    Returns the depth used (less than ``LANGUAGES_DEPTH`` where the pool or the top k is shorter)
    and the shares.
    """
    depth = min([LANGUAGES_DEPTH, len(pool), *(f.top_k.shape[1] for f in found.values())])
    shares: dict[str, dict[str, float]] = {}
    for language, ranks in found.items():
        owners = pool.language_of[ranks.top_k[:, :depth]]
        counts = np.bincount(owners.reshape(-1), minlength=len(pool.languages))
        total = max(1, counts.sum())
        shares[language] = {x: float(counts[i] / total) for i, x in enumerate(pool.languages)}
    return depth, shares
