"""Are the intervals and p-values right? Simulated data, known truth, 11 correlated queries each.

    python benchmarks/interval_coverage.py

A question has a difficulty shared by its 11 queries, one per language; a query's value lies in
[0, 1] and is often exactly 0 or 1, as average precision is. Each draw is a new set of questions.
Printed: how often a 95 % interval holds the true macro mean (cluster bootstrap, percentile and BCa;
beside it the naive bootstrap over single queries), and how often the paired test finds two equally
good systems different at .05.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np

from harness.stats.ragged import FloatArray
from harness.stats.resampling import cluster_bootstrap, paired_permutation_test

LANGUAGES = 11
CENTRE, SCALE = 0.6, 0.4


class Rates(NamedTuple):
    """Shares of draws, each with a standard error of ``sqrt(p (1 - p) / draws)``."""

    percentile: float
    bca: float
    naive: float
    rejected: float


def simulate(rng: np.random.Generator, difficulty: FloatArray) -> FloatArray:
    """Per-query values ``(questions * LANGUAGES,)`` of one system.

    ``difficulty`` ``(questions,)`` is standard normal; so is the noise of each query.
    """
    language = np.linspace(-0.5, 0.5, LANGUAGES)
    noise = rng.normal(0, 1, (len(difficulty), LANGUAGES))
    return np.clip(CENTRE + SCALE * (difficulty[:, None] + language + noise), 0, 1).ravel()


def true_mean() -> float:
    """The macro mean of :func:`simulate`, exactly: the mean of a clipped normal variable."""
    spread = SCALE * math.sqrt(2)
    total = 0.0
    for shift in np.linspace(-0.5, 0.5, LANGUAGES):
        mean = CENTRE + SCALE * shift
        low, high = (0 - mean) / spread, (1 - mean) / spread
        below, above = _cdf(low), 1 - _cdf(high)
        total += mean * (1 - below - above) + spread * (_density(low) - _density(high)) + above
    return total / LANGUAGES


def measure(draws: int, questions: int, resamples: int, seed: int) -> Rates:
    """Simulate ``draws`` data sets and count."""
    rng = np.random.Generator(np.random.PCG64(seed))
    truth = true_mean()
    clusters = np.repeat(np.arange(questions), LANGUAGES)
    groups = np.tile(np.arange(LANGUAGES), questions)
    each_query = np.arange(questions * LANGUAGES)
    hits = np.zeros(len(Rates._fields))
    for draw in range(draws):
        difficulty = rng.normal(0, 1, questions)
        values = simulate(rng, difficulty)
        right, naive = (
            cluster_bootstrap(values, unit, groups, LANGUAGES, seed=draw, resamples=resamples).macro
            for unit in (clusters, each_query)
        )
        # Two systems that are equally good on the whole, each better on questions of its own.
        first, second = (
            simulate(rng, math.sqrt(0.5) * (difficulty + rng.normal(0, 1, questions)))
            for _ in range(2)
        )
        test = paired_permutation_test(
            first, second, clusters, groups, LANGUAGES, seed=draw, resamples=resamples
        )
        hits += [
            right.percentile[0, 0] <= truth <= right.percentile[0, 1],
            right.bca[0, 0] <= truth <= right.bca[0, 1],
            naive.percentile[0, 0] <= truth <= naive.percentile[0, 1],
            test.macro.p_value[0] <= 0.05,
        ]
    return Rates(*(hits / draws).tolist())


def _cdf(z: float) -> float:
    return (1 + math.erf(z / math.sqrt(2))) / 2


def _density(z: float) -> float:
    return math.exp(-z * z / 2) / math.sqrt(2 * math.pi)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rates = measure(given.draws, given.questions, given.resamples, given.seed)
    print(
        f"{given.draws} draws of {given.questions} questions in {LANGUAGES} languages, "
        f"{given.resamples} resamples each, seed {given.seed}"
    )
    labels = (
        "95 % interval holds the truth: cluster bootstrap, percentile",
        "95 % interval holds the truth: cluster bootstrap, BCa",
        "95 % interval holds the truth: naive, over single queries",
        "paired test at .05 finds equal systems different",
    )
    for label, rate in zip(labels, rates, strict=True):
        print(f"{label:62s} {rate:.3f} ± {math.sqrt(rate * (1 - rate) / given.draws):.3f}")


if __name__ == "__main__":
    main()
