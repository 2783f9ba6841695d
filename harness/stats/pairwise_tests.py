"""Paired tests of all pairs of records, by all measures of all kinds of setting at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from harness.stats.means import question_shares
from harness.stats.multiple_tests import ALPHA, holm
from harness.stats.per_query import Paired
from harness.stats.ragged import FloatArray
from harness.stats.resampling import paired_permutation_test


@dataclass(frozen=True)
class PairwiseTests:
    """All P pairs of K records by M measures, kind by kind of setting."""

    pairs: tuple[tuple[int, int], ...]
    differences: tuple[FloatArray, ...]
    """Per kind (P, M): the second's macro mean minus the first's."""
    p_values: tuple[FloatArray, ...]
    adjusted: tuple[FloatArray, ...]
    """Holm over all pairs, measures and kinds."""
    smallest: tuple[float, ...]
    """Per kind: the least p-value that its permutations can give."""
    comparisons: int
    permutations: int
    """Drawn, where not all could be tried."""


def paired_tests(kinds: Sequence[Paired], resamples: int, seed: int) -> PairwiseTests:
    """Test all pairs of records for a difference of macro means.

    At least ``resamples`` permutations are drawn; more where Holm's correction over many
    comparisons would otherwise ask for p-values that so few cannot give.
    """
    pairs = tuple(combinations(range(len(kinds[0].values)), 2))
    shares = [
        np.concatenate(
            [question_shares(x.rows, x.values[j] - x.values[i]) for i, j in pairs], axis=1
        )
        for x in kinds
    ]
    comparisons = sum(int((~np.isnan(x[0])).sum()) for x in shares)
    # The least p-value, times the comparisons, then lies at a tenth of alpha.
    permutations = max(resamples, round(10 * comparisons / ALPHA))
    differences, p_values, smallest = [], [], []
    for x in shares:
        n = len(x)
        # The macro mean is linear in swaps: the mean over questions of n times their shares.
        found = paired_permutation_test(
            n * x,
            np.zeros_like(x),
            np.arange(n),
            np.zeros(n, np.int64),
            1,
            seed=seed,
            resamples=permutations,
        )
        differences.append(found.macro.value.reshape(len(pairs), -1))
        p_values.append(found.macro.p_value.reshape(len(pairs), -1))
        smallest.append(2 / found.resamples if found.exact else 1 / (found.resamples + 1))
    flat = holm(np.concatenate([x.ravel() for x in p_values]))
    ends = np.cumsum([x.size for x in p_values])[:-1]
    adjusted = [x.reshape(len(pairs), -1) for x in np.split(flat, ends)]
    return PairwiseTests(
        pairs=pairs,
        differences=tuple(differences),
        p_values=tuple(p_values),
        adjusted=tuple(adjusted),
        smallest=tuple(smallest),
        comparisons=comparisons,
        permutations=permutations,
    )
