"""The built-in measures by name, each a formula applied to the fields it needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from harness.data.task import KINDS, Kind
from harness.errors import UsageError
from harness.metrics import bias, exposure, intrusion, retrieval
from harness.metrics.measure import Better, Family
from harness.metrics.peer import peer, peer_refusal
from harness.metrics.ranks import RelevantRanks
from harness.stats.ragged import FloatArray, IntArray

T = TypeVar("T")

MULTI: tuple[Kind, ...] = ("multi",)
POOLED: tuple[Kind, ...] = ("multi", "pairs")
"""Pools with passages in the query's language and in others; of those of two languages no top k is
kept."""
LANGUAGES = ("relevant_languages", "query_languages")


def _have(value: T | None) -> T:
    """``value``, whose presence ``Family.needs`` or ``Family.cutoff`` guarantees."""
    assert value is not None
    return value


def _languages(relevant: RelevantRanks) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """The four arrays that most bias measures take."""
    return (
        relevant.ranks,
        relevant.indptr,
        _have(relevant.relevant_languages),
        _have(relevant.query_languages),
    )


def _top_k(top_k: IntArray | None, k: int) -> IntArray:
    """The first k columns of a ``(Q, K)`` field about the top passages.

    Raises:
        UsageError: K is below k.
    """
    top_k = _have(top_k)
    if top_k.shape[1] < k:
        raise UsageError(
            f"only the top {top_k.shape[1]} of each ranking was kept; a cutoff of {k} needs more"
        )
    return top_k[:, :k]


def _top(base: str, label: str, column: int, better: Better | None) -> Family:
    """One column of the four-way split."""

    def function(relevant: RelevantRanks, _: int | None) -> FloatArray:
        top = _top_k(relevant.top_k_languages, 1)[:, 0]
        table = bias.top_split(
            relevant.ranks, relevant.indptr, top, _have(relevant.query_languages)
        )
        return table[:, column]

    needs = ("top_k_languages", "query_languages")
    return Family(base, label, function, better, kinds=MULTI, needs=needs)


def _scaled_rank_distance(relevant: RelevantRanks, _: int | None) -> FloatArray:
    assert relevant.pool_size is not None  # Family.needs guarantees it
    return bias.scaled_rank_distance(relevant.ranks, relevant.indptr, relevant.pool_size)


def _scaled_max_rank(relevant: RelevantRanks, _: int | None) -> FloatArray:
    assert relevant.pool_size is not None  # Family.needs guarantees it
    return bias.scaled_max_rank(relevant.ranks, relevant.indptr, relevant.pool_size)


def _own_share(relevant: RelevantRanks, k: int | None) -> FloatArray:
    shares = exposure.language_shares(
        _top_k(relevant.top_k_languages, _have(k)), _have(relevant.n_languages)
    )
    return shares[range(relevant.queries), _have(relevant.query_languages)]


def _rank_fairness(relevant: RelevantRanks, k: int | None) -> FloatArray:
    return exposure.rank_fairness(
        _top_k(relevant.top_k_languages, _have(k)),
        _have(relevant.relevant_languages),
        relevant.indptr,
        _have(relevant.n_languages),
    )


def _language_spread(relevant: RelevantRanks, k: int | None) -> FloatArray:
    by_language = bias.language_ndcg(
        relevant.ranks,
        relevant.indptr,
        _have(relevant.relevant_languages),
        _have(relevant.n_languages),
        k,
        relevant.grades,
    )
    return bias.spread(by_language)


def _average_precision(relevant: RelevantRanks) -> FloatArray:
    return retrieval.average_precision(relevant.ranks, relevant.indptr)


def _without_own(relevant: RelevantRanks) -> FloatArray:
    return bias.average_precision_without_own(*_languages(relevant))


def _change_without_own(relevant: RelevantRanks, _: int | None) -> FloatArray:
    """In [-1, 1]; both average precisions are measures of their own, too."""
    return relevant.once(_without_own) - relevant.once(_average_precision)


def _peer(relevant: RelevantRanks, k: int | None) -> FloatArray:
    languages, n_languages = _have(relevant.relevant_languages), _have(relevant.n_languages)
    return peer(
        relevant.ranks, relevant.indptr, languages, n_languages, k=k, grades=relevant.grades
    )


def _peer_refusal(relevant: RelevantRanks) -> str | None:
    languages, n_languages = _have(relevant.relevant_languages), _have(relevant.n_languages)
    return peer_refusal(relevant.indptr, languages, n_languages, grades=relevant.grades)


def _equal_share(relevant: int, _: int) -> float:
    """The share of one language if all that have a relevant passage are equal."""
    return 1 / relevant


def _at(
    base: str,
    label: str,
    function: Callable[[IntArray, IntArray, int], FloatArray],
) -> Family:
    """A retrieval measure that needs a cutoff."""
    return Family(
        base,
        label,
        lambda g, k: function(g.ranks, g.indptr, _have(k)),
        cutoff="required",
        counts_absent=True,
    )


def _own(
    base: str,
    label: str,
    function: Callable[[IntArray, IntArray, IntArray, IntArray], FloatArray],
    better: Better | None,
    neutral: Callable[[int, int], float] | None = None,
) -> Family:
    """A measure that compares the query's language with the others, without cutoff."""
    return Family(
        base,
        label,
        lambda g, _: function(*_languages(g)),
        better,
        kinds=POOLED,
        needs=LANGUAGES,
        neutral=neutral,
    )


RETRIEVAL: tuple[Family, ...] = (
    Family(
        "map",
        "mAP",
        lambda g, _: g.once(_average_precision),
        counts_absent=True,
    ),
    _at("recall", "Recall", retrieval.recall),
    _at("precision", "Precision", retrieval.precision),
    _at("success", "Success", retrieval.success),
    Family(
        "judged",
        "Judged",
        lambda g, k: retrieval.judged(_top_k(g.top_k_judged, _have(k)), _have(k)),
        better=None,
        cutoff="required",
        kinds=KINDS,
        needs=("top_k_judged",),
    ),
    Family(
        "mrr",
        "MRR",
        lambda g, k: retrieval.reciprocal_rank(g.ranks, g.indptr, k),
        cutoff="optional",
        counts_absent=True,
    ),
    Family(
        "ndcg",
        "nDCG",
        lambda g, k: retrieval.ndcg(g.ranks, g.indptr, k, g.grades),
        cutoff="optional",
        counts_absent=True,
    ),
)

BIAS: tuple[Family, ...] = (
    Family(
        "rank_distance",
        "Rank distance",
        lambda g, _: bias.rank_distance(g.ranks, g.indptr),
        better="lower",
        kinds=POOLED,
        neutral=lambda m, n: float(bias.expected_rank_distance(m, n)),
    ),
    Family(
        "scaled_rank_distance",
        "Scaled rank distance",
        _scaled_rank_distance,
        better="lower",
        kinds=POOLED,
        needs=("pool_size",),
        neutral=lambda m, _: (m - 1) / (m + 1),
    ),
    Family(
        "max_rank",
        "Max rank",
        lambda g, _: bias.max_rank(g.ranks, g.indptr),
        better="lower",
        neutral=bias.expected_max_rank,
    ),
    Family(
        "scaled_max_rank",
        "Scaled max rank",
        _scaled_max_rank,
        better="lower",
        needs=("pool_size",),
        neutral=lambda m, _: m / (m + 1),
    ),
    _at("complete", "Complete", bias.complete),
    _own("own_language_first", "Own language first", bias.own_language_first, None, _equal_share),
    _own("own_language_pairs", "Own language ahead", bias.own_language_pairs, None, lambda *_: 0.5),
    _top("top_right_own", "Top right, own language", 0, None),
    _top("top_right_other", "Top right, other language", 1, None),
    _top("top_wrong_own", "Top wrong, own language", 2, "lower"),
    _top("top_wrong_other", "Top wrong, other language", 3, "lower"),
    Family(
        "own_language_ndcg",
        "Own-language nDCG",
        lambda g, k: bias.own_language_ndcg(*_languages(g), k, g.grades),
        cutoff="optional",
        kinds=MULTI,
        needs=LANGUAGES,
    ),
    Family(
        "language_aware_ndcg",
        "Language-aware nDCG",
        lambda g, k: bias.language_aware_ndcg(*_languages(g), k, g.grades),
        cutoff="optional",
        kinds=MULTI,
        needs=LANGUAGES,
    ),
    Family(
        "map_without_own",
        "mAP without own",
        lambda g, _: g.once(_without_own),
        kinds=POOLED,
        needs=LANGUAGES,
    ),
    Family(
        "map_change_without_own",
        "mAP change without own",
        _change_without_own,
        better=None,
        kinds=POOLED,
        needs=LANGUAGES,
        neutral=lambda *_: 0.0,
    ),
    Family(
        "other_language_recall",
        "Other-language recall",
        lambda g, k: bias.other_language_recall(*_languages(g), _have(k)),
        cutoff="required",
        kinds=MULTI,
        needs=LANGUAGES,
    ),
    Family(
        "own_language_share",
        "Own-language share",
        _own_share,
        better=None,
        cutoff="required",
        kinds=MULTI,
        needs=("top_k_languages", "query_languages", "n_languages"),
        neutral=_equal_share,
    ),
    Family(
        "rank_fairness",
        "Rank fairness",
        _rank_fairness,
        cutoff="required",
        kinds=MULTI,
        needs=("top_k_languages", "relevant_languages", "n_languages"),
        neutral=lambda *_: 1.0,
    ),
    Family(
        "mean_rank_correlation",
        "Mean rank correlation",
        lambda g, _: _have(g.rank_correlation),
        kinds=MULTI,
        needs=("rank_correlation",),
    ),
    Family(
        "language_ndcg_spread",
        "Spread of nDCG",
        _language_spread,
        better=None,
        cutoff="optional",
        kinds=MULTI,
        needs=("relevant_languages", "n_languages"),
    ),
    Family(
        "intrusion",
        "Intrusion",
        lambda g, _: intrusion.intrusion(g.ranks, _have(g.own_ranks), *_languages(g)[1:]),
        better="lower",
        kinds=MULTI,
        needs=("own_ranks", *LANGUAGES),
    ),
    Family(
        "ndcg_drop",
        "nDCG drop",
        lambda g, k: intrusion.ndcg_drop(
            g.ranks, _have(g.own_ranks), *_languages(g)[1:], k, g.grades
        ),
        better="lower",
        cutoff="optional",
        kinds=MULTI,
        needs=("own_ranks", *LANGUAGES),
    ),
    Family(
        "peer",
        "PEER",
        _peer,
        cutoff="optional",
        kinds=MULTI,
        needs=("relevant_languages", "n_languages"),
        refusal=_peer_refusal,
    ),
)

BUILT_IN = RETRIEVAL + BIAS

BIAS_SUITE: tuple[str, ...] = (
    "rank_distance",
    "scaled_rank_distance",
    "own_language_first",
    "own_language_pairs",
    "top_right_own",
    "top_right_other",
    "top_wrong_own",
    "top_wrong_other",
    "own_language_ndcg@10",
    "language_aware_ndcg@10",
    "map_without_own",
    "map_change_without_own",
    "other_language_recall@10",
    "own_language_share@10",
    "rank_fairness@10",
    "mean_rank_correlation",
    "language_ndcg_spread@10",
)
"""The bias measures that every record of a multilingual pool has.

PEER is computed only on request: with one relevant passage per language it is a constant.
"""

INTRUSION_SUITE: tuple[str, ...] = (
    "intrusion",
    "ndcg_drop@10",
    "own_language_share@10",
    "top_right_own",
    "top_wrong_own",
    "top_wrong_other",
)
"""The ones it has instead if questions are answered in their own language only."""

OUTSIDE_SUITE: tuple[str, ...] = ("rank_fairness@10", "language_ndcg_spread@10")
"""The ones it has instead if the queries are in a language that no passage is in."""

PAIR_SUITE: tuple[str, ...] = (
    "own_language_first",
    "own_language_pairs",
    "rank_distance",
    "max_rank",
    "complete@10",
)
"""What a record of pair pools has in addition."""
