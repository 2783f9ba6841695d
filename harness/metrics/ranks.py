"""The input of a measure: exact ranks of a setting's relevant passages, and their properties."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.stats.ragged import FloatArray, IntArray

NEVER = 2**31 - 1
"""The rank of a relevant passage that the corpus lacks: below every cutoff, with a gain of 0."""


@dataclass(frozen=True)
class RelevantRanks:
    """The G relevant passages of Q queries in CSR layout; fields not needed may be ``None``.

    Raises:
        ValueError: shapes do not match (a fault of the calling code, not of the data).
    """

    ranks: IntArray
    """``(G,)``: rank of each relevant passage in the full pool of its query, 1 = best;
    :data:`NEVER` for one that the pool lacks."""
    indptr: IntArray
    """``(Q + 1,)``: query q has the entries ``indptr[q]`` to ``indptr[q + 1]``."""
    grades: NDArray[Any] | None = None
    """``(G,)``: positive grades; ``None``: all are 1."""
    pool_size: int | NDArray[Any] | None = None
    """N, the number of passages in the pool: one number, or ``(Q,)``."""
    relevant_languages: IntArray | None = None
    """``(G,)``: language number of each relevant passage."""
    query_languages: IntArray | None = None
    """``(Q,)``: language number of each query."""
    top_k_languages: IntArray | None = None
    """``(Q, k)``: language number of the passage at each of the top k ranks; -1 past the pool."""
    top_k_judged: IntArray | None = None
    """``(Q, k)``: whether the passage at each of the top k ranks is judged for the query: 1 or 0;
    -1 past the pool."""
    rank_correlation: NDArray[np.float64] | None = None
    """``(Q,)``: :func:`harness.metrics.consistency.mean_rank_correlation`, which needs scores."""
    own_ranks: IntArray | None = None
    """``(G,)``: rank of each relevant passage within its own language, from the same scores."""
    n_languages: int | None = None
    """L, the number of languages; needed with any of the language fields."""
    _known: dict[Callable[[RelevantRanks], FloatArray], FloatArray] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """What :meth:`once` has computed."""

    def __post_init__(self) -> None:
        """Check shapes once, so that no measure has to."""
        relevant, queries = len(self.ranks), len(self.indptr) - 1
        if queries < 0 or self.indptr[0] != 0 or self.indptr[-1] != relevant:
            raise ValueError(f"indptr must run from 0 to {relevant}, the number of ranks")
        for name, length in (
            ("grades", relevant),
            ("relevant_languages", relevant),
            ("own_ranks", relevant),
            ("query_languages", queries),
            ("top_k_languages", queries),
            ("top_k_judged", queries),
            ("rank_correlation", queries),
        ):
            given = getattr(self, name)
            if given is not None and len(given) != length:
                raise ValueError(f"{name} must have {length} rows, not {len(given)}")
        if self.pool_size is not None and np.shape(self.pool_size) not in ((), (queries,)):
            raise ValueError(f"pool_size must be one number or have {queries} entries")

    def present(self) -> RelevantRanks:
        """Without relevant passages that the pool lacks; all queries stay."""
        kept = np.flatnonzero(self.ranks < NEVER)
        if len(kept) == len(self.ranks):
            return self
        before = np.concatenate([[0], np.cumsum(self.ranks < NEVER)])
        return replace(
            self,
            ranks=self.ranks[kept],
            indptr=before[self.indptr],
            grades=None if self.grades is None else self.grades[kept],
            relevant_languages=_taken(self.relevant_languages, kept),
            own_ranks=_taken(self.own_ranks, kept),
        )

    def once(self, function: Callable[[RelevantRanks], FloatArray]) -> FloatArray:
        """``function`` of itself, computed for the first measure that needs it; not to be changed.

        ``function`` is known by its identity: one that a module defines, not one made on the spot.
        """
        if function not in self._known:
            self._known[function] = function(self)
        return self._known[function]

    @property
    def queries(self) -> int:
        """Q, the number of queries."""
        return len(self.indptr) - 1

    @property
    def gold_languages(self) -> IntArray | None:
        """The former name of :attr:`relevant_languages`, which measures of packages may use."""
        return self.relevant_languages

    @property
    def head_languages(self) -> IntArray | None:
        """The former name of :attr:`top_k_languages`."""
        return self.top_k_languages


def _taken(values: IntArray | None, kept: IntArray) -> IntArray | None:
    return None if values is None else values[kept]
