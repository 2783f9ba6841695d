"""PEER: the probability that passages in different languages have equal expected ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.stats.ragged import BoolArray, FloatArray, IntArray, divide, owners


def peer(
    ranks: IntArray,
    indptr: IntArray,
    relevant_languages: IntArray,
    n_languages: int,
    *,
    k: int | None = None,
    grades: NDArray[Any] | None = None,
    weights: Mapping[int, float] | None = None,
) -> FloatArray:
    """Kruskal-Wallis p-value of relevant passages' ranks by language; ``(Q,)``, in [0, 1].

    High: no evidence against equal expected ranks in all languages. The test is done among relevant
    passages of one grade, and the p-values of the grades are averaged by ``weights``. Those below
    rank ``k`` count as not retrieved: they tie at the end, after all that were. If all of them tie,
    their ranks are equal and the value is 1.

    The statistic is ``H = (n - 1) * sum_l n_l (r_l - r)^2 / sum_i (r_i - r)^2``, where r_i is the
    rank of relevant passage i among the n relevant ones (mean rank for ties), r_l the mean of
    language l, and r that of all; it is compared with chi-squared with (languages - 1) degrees of
    freedom. That is ``scipy.stats.kruskal``. Source: Yang et al., arXiv 2405.00978. Their package
    differs in three points: it uses positions in the run in H without ranking them, places
    unretrieved passages after as many ranks as there are relevant ones (not after the last rank),
    and counts a grade that a query lacks as 0; here the weights of the grades present are
    normalised to sum 1.

    Args:
        ranks: ``(G,)``.
        indptr: ``(Q + 1,)``.
        relevant_languages: ``(G,)``.
        n_languages: L.
        k: number of ranks that count as retrieved; ``None``: all.
        grades: ``(G,)`` whole numbers; ``None``: all equal.
        weights: grade -> weight, not negative; ``None``: all equal. Grades without a weight do not
            count.

    Returns:
        NaN where the value is not informative (:func:`peer_refusal`).

    Raises:
        UsageError: a weight is negative.
    """
    from scipy.special import chdtrc

    if weights is not None and min(weights.values(), default=0) < 0:
        raise UsageError("the weights of PEER must not be negative")
    samples = _Samples.of(indptr, relevant_languages, n_languages, grades)
    sample, size, group_size = samples.sample, samples.size, samples.group_size
    place = _mean_places(ranks if k is None else np.minimum(ranks, k + 1), sample, size)
    middle = (size + 1) / 2
    group = sample * n_languages + relevant_languages
    sums = np.bincount(group, place, group_size.size).reshape(group_size.shape)
    apart = np.where(group_size > 0, divide(sums, group_size) - middle[:, None], 0.0)
    between = (group_size * apart**2).sum(axis=1)
    total = np.bincount(sample, (place - middle[sample]) ** 2, len(size))
    h = (size - 1) * np.divide(between, total, out=np.zeros(len(size)), where=total > 0)
    p_value = chdtrc(np.maximum((group_size > 0).sum(axis=1) - 1, 1), h)
    by_grade = (len(indptr) - 1, len(samples.grades))
    weight = np.array([1.0 if weights is None else weights.get(x, 0.0) for x in samples.grades])
    weight = samples.informs.reshape(by_grade) * weight
    return divide((p_value.reshape(by_grade) * weight).sum(axis=1), weight.sum(axis=1))


def peer_refusal(
    indptr: IntArray,
    relevant_languages: IntArray,
    n_languages: int,
    *,
    grades: NDArray[Any] | None = None,
) -> str | None:
    """Return why PEER is not informative for any of these queries; ``None`` if it is.

    It needs relevant passages of one grade in two languages, and two of them in one language. With
    one per language the group means are the ranks themselves, so H = n - 1 whatever the ranking.
    """
    if _Samples.of(indptr, relevant_languages, n_languages, grades).informs.any():
        return None
    return (
        "PEER is not informative for these data: no query has two relevant passages of one grade "
        "in "
        "one language and another in a second, so its value does not depend on the ranking (with "
        "one in each of 11 languages it is always .4405); use rank_distance instead"
    )


@dataclass(frozen=True)
class _Samples:
    """The tested samples: one query's relevant passages of one grade, grouped by language."""

    grades: list[int]
    """Distinct grades, ascending."""
    sample: NDArray[np.intp]
    """``(G,)``: sample of each relevant passage, ``query * number of grades + grade``."""
    size: NDArray[np.intp]
    """``(S,)``."""
    group_size: NDArray[np.intp]
    """``(S, L)``: number of relevant passages in each language."""
    informs: BoolArray
    """``(S,)``: the value depends on the ranking."""

    @classmethod
    def of(
        cls,
        indptr: IntArray,
        relevant_languages: IntArray,
        n_languages: int,
        grades: NDArray[Any] | None,
    ) -> _Samples:
        owner = owners(indptr)
        names, level = np.unique(
            np.zeros(len(owner), dtype=np.int64) if grades is None else grades, return_inverse=True
        )
        sample = owner * len(names) + level
        n_samples = (len(indptr) - 1) * len(names)
        group = sample * n_languages + relevant_languages
        group_size = np.bincount(group, minlength=n_samples * n_languages)
        group_size = group_size.reshape(n_samples, n_languages)
        two_languages = (group_size > 0).sum(axis=1) >= 2
        return cls(
            grades=[int(x) for x in names],
            sample=sample,
            size=group_size.sum(axis=1),
            group_size=group_size,
            informs=two_languages & (group_size.max(axis=1, initial=0) >= 2),
        )


def _mean_places(values: IntArray, sample: NDArray[np.intp], size: NDArray[np.intp]) -> FloatArray:
    """Rank of each value within its sample, 1 = smallest; ties share their mean rank."""
    order = np.lexsort((values, sample))
    ordered, owner = np.asarray(values)[order], sample[order]
    starts = np.flatnonzero(
        np.diff(ordered, prepend=-1).astype(bool) | np.diff(owner, prepend=-1).astype(bool)
    )
    stops = np.append(starts[1:], len(ordered))
    first = np.concatenate(([0], np.cumsum(size)))[owner[starts]]
    mean = (starts + 1 + stops) / 2 - first
    place = np.empty(len(ordered))
    place[order] = np.repeat(mean, stops - starts)
    return place
