"""Runs made by other systems, scored by trec_eval itself (through pytrec_eval).

Any trec_eval measure is accepted (``ndcg_cut_10``, ``P_5``, ``bpref``), also under the harness's
name for it (``ndcg@10``, ``map``, ``mrr@10``).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from harness.data.task import Setting
from harness.data.trec import Qrels, Run
from harness.errors import UsageError, did_you_mean
from harness.metrics import parse_measure
from harness.stats.ragged import FloatArray

V = TypeVar("V")

# The harness's names -> trec_eval's; {} is the cutoff.
_OURS = {
    "mrr": "recip_rank",
    "mrr@": "recip_rank",
    "ndcg@": "ndcg_cut_{}",
    "recall@": "recall_{}",
    "precision@": "P_{}",
    "success@": "success_{}",
}
# trec_eval's measures that take one parameter. trec_eval exits the process on an invalid one, so
# parameters are checked first.
_CUTOFF = ("P", "recall", "ndcg_cut", "map_cut", "success", "relative_P")
_LEVEL = ("iprec_at_recall", "Rprec_mult", "set_F")
_NOT_NUMBERS = ("runid", "relstring")
# Names for measures of preferences and of judgements in groups, which qrels are not.
_OF_OTHER_JUDGEMENTS = ("prefs", "all_prefs", "qrels_jg")
# Far beyond it trec_eval takes gigabytes for a query or, where it cannot have them, gives 0.
_HIGHEST_GRADE = 10**6
# What a geometric mean takes for 0, as a logarithm (MIN_GEO_MEAN of trec_eval).
_LOG_OF_ZERO = math.log(0.00001)

_Split: TypeAlias = dict[tuple[str, str | None], dict[str, dict[str, V]]]


@dataclass(frozen=True)
class RunScores:
    """A run's values, one per judged query."""

    queries: tuple[str, ...]
    """All judged queries, in the order of the qrels."""
    values: Mapping[str, FloatArray]
    """Measure -> ``(Q,)``; the logarithm of the value for geometric means (``gm_map``)."""
    missing: tuple[str, ...]
    """Judged queries that the run lacks: they count as 0."""
    unjudged: tuple[str, ...]
    """Unjudged queries of the run: they do not count."""

    def means(self) -> dict[str, float]:
        """Measure -> its value for the whole run: mean, sum (``num_...``) or geometric mean."""
        return {
            name: float(np.exp(column.mean()))
            if name.startswith("gm_")
            else float(column.sum() if name.startswith("num_") else column.mean())
            for name, column in self.values.items()
        }


class SettingRun(NamedTuple):
    """One setting of a task, cut out of a run over several languages."""

    setting: Setting
    run: Run
    qrels: Qrels


def run_scores(run: Run, qrels: Qrels, measures: Sequence[str]) -> RunScores:
    """Score ``run`` with trec_eval; judged queries that the run lacks count as 0.

    That is ``trec_eval -c``; pytrec_eval alone leaves them out, which lifts every mean. A query
    whose judgements are all 0 counts as 0 too, as in trec_eval.

    Args:
        run: query id -> {passage id: score}.
        qrels: query id -> {passage id: grade}.
        measures: names, trec_eval's or ours. A name with several values (``P``, ``official``)
            stands for all of them.

    Raises:
        UsageError: a measure that trec_eval does not know, no query of the run is judged, or a
            grade above 1,000,000.
    """
    import pytrec_eval

    if not any(query in qrels for query in run):
        example, judged = next(iter(run), "(none)"), next(iter(qrels), "(none)")
        raise UsageError(
            f"run and qrels have no query in common: the run has ids such as {example!r}, the "
            f"qrels such as {judged!r}"
        )
    highest = max((g for row in qrels.values() for g in row.values()), default=0)
    if highest > _HIGHEST_GRADE:
        raise UsageError(
            f"a grade of {highest} is too high for trec_eval, which keeps a table of all up to "
            f"the highest: grades up to {_HIGHEST_GRADE} are scored"
        )
    columns = [column for name in measures for column in _columns(name)]
    evaluator = pytrec_eval.RelevanceEvaluator(_as_dicts(qrels), {c.request for c in columns})
    found = evaluator.evaluate(_as_dicts({q: run[q] for q in run if q in qrels}))
    values: dict[str, FloatArray] = {}
    for name, _, answer, cutoff in columns:
        column = np.array(
            [
                found[q][answer] if q in found else _of_missing(answer, row)
                for q, row in qrels.items()
            ]
        )
        if cutoff is not None:
            # Past the cutoff; half a rank keeps clear of rounding.
            column[column < 1 / (cutoff + 0.5)] = 0.0
        values[name] = column
    return RunScores(
        queries=tuple(qrels),
        values=values,
        missing=tuple(q for q in qrels if q not in run),
        unjudged=tuple(q for q in run if q not in qrels),
    )


def _of_missing(answer: str, judged: Mapping[str, int]) -> float:
    """What ``trec_eval -c`` takes for a judged query that the run lacks: 0, but for two counts.

    It is a query, and its relevant passages are there to be found.
    """
    if answer == "num_q":
        return 1.0
    if answer == "num_rel":
        return float(sum(grade > 0 for grade in judged.values()))
    return _LOG_OF_ZERO if answer.startswith("gm_") else 0.0


def by_setting(run: Run, qrels: Qrels, settings: Iterable[Setting]) -> Iterator[SettingRun]:
    """Cut a run over the passages of several languages into the settings of a task.

    Query and passage ids have the form ``language:id``. ``multi`` takes the rankings as they are;
    ``mono`` and ``cross`` keep the passages of one language: passages that the run does not list,
    because it is cut off before them, count as not retrieved. Left out are queries without a
    relevant passage in the setting, and settings in which the run retrieves nothing. A run with
    passages of only one language may still have searched several: request ``multi`` only if it did.

    Raises:
        UsageError: an id without a language.
    """
    relevant = {q: {x: g for x, g in judged.items() if g > 0} for q, judged in qrels.items()}
    runs, relevant_parts, judged_parts = _split(run), _split(relevant), _split(qrels)
    for setting in settings:
        key = (setting.query_language, setting.passage_language)
        part = runs.get(key, {})
        if not any(part.values()):
            continue
        judged = {
            q: judged_parts[key][q] for q, found in relevant_parts.get(key, {}).items() if found
        }
        if judged:
            yield SettingRun(setting, {q: part[q] for q in judged if q in part}, judged)


class _Column(NamedTuple):
    name: str
    """The name as requested, or trec_eval's if one request gives several values."""
    request: str
    """The measure requested from trec_eval."""
    answer: str
    """trec_eval's name of the value."""
    cutoff: int | None
    """Cutoff past which ranks count as not found; only for ``mrr@k``, which trec_eval lacks."""


def _ours(name: str) -> str:
    """Our name of ``AP``, ``nDCG@10`` or ``R@10``; what is no measure of ours stays."""
    try:
        return parse_measure(name).name
    except UsageError:
        return name


def _columns(name: str) -> list[_Column]:
    """The trec_eval measure for ``name``, and the key of its result."""
    import pytrec_eval

    request, cutoff = _ours(name), None
    base, at, tail = request.partition("@")
    if base + at in _OURS:
        if at and not _is_cutoff(tail):
            raise UsageError(f"the cutoff of measure {name!r} must be a whole number above 0")
        request = _OURS[base + at].format(tail)
        cutoff = int(tail) if base + at == "mrr@" else None
    offered = {*pytrec_eval.supported_measures, *pytrec_eval.supported_nicknames}
    known = offered - {*_NOT_NUMBERS, *_OF_OTHER_JUDGEMENTS}
    family = re.fullmatch(rf"({'|'.join(_CUTOFF + _LEVEL)})[._](.+)", request)
    if family is None and request not in known:
        words = [*known, *(f"{x}_10" for x in _CUTOFF), *(x.replace("@", "@10") for x in _OURS)]
        raise UsageError(f"trec_eval has no measure {name!r}{did_you_mean(name, words)}")
    if family is not None:
        right = family[2].replace(".", "", 1).isdecimal() and family[2].isascii()
        if family[1] in _CUTOFF and not _is_cutoff(family[2]):
            raise UsageError(f"the cutoff of measure {name!r} must be a whole number above 0")
        if not right or family[2][-1] == "." or family[2][0] == ".":
            raise UsageError(f"the parameter of measure {name!r} must be a number such as 0.5")
    toy = pytrec_eval.RelevanceEvaluator({"q": {"d": 1}}, {request}).evaluate({"q": {"d": 1.0}})
    answers = [x for x in toy["q"] if x not in _NOT_NUMBERS]
    if len(answers) == 1:
        return [_Column(name, request, answers[0], cutoff)]
    return [_Column(answer, answer, answer, None) for answer in sorted(answers)]


def _is_cutoff(text: str) -> bool:
    # As many digits as C's whole numbers have.
    return text.isascii() and text.isdecimal() and len(text) <= 18 and int(text) > 0


def _as_dicts(table: Mapping[str, Mapping[str, V]]) -> dict[str, dict[str, V]]:
    """Copies as plain dictionaries, the only mappings that pytrec_eval takes."""
    return {query: dict(row) for query, row in table.items()}


def _split(table: Mapping[str, Mapping[str, V]]) -> _Split[V]:
    """Rows by (query language, passage language), and whole under (query language, ``None``)."""
    parts: _Split[V] = defaultdict(dict)
    for query, row in table.items():
        query_language = _language(query, "query")
        parts[query_language, None][query] = dict(row)
        for passage, value in row.items():
            part = parts[query_language, _language(passage, "passage")]
            part.setdefault(query, {})[passage] = value
    return parts


def _language(identifier: str, what: str) -> str:
    language, colon, _ = identifier.partition(":")
    if not colon:
        raise UsageError(
            f"{what} id {identifier!r} names no language; to distinguish settings, ids must "
            "have the form 'de:17-3'"
        )
    return language
