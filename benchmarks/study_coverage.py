"""Are the intervals and fits of study reports right? Simulated seeds and questions, known truth.

    python benchmarks/study_coverage.py

A value is a mean plus what its seed adds, what its question adds, and a rest. Printed, for numbers
of seeds and for seeds that matter little or much beside the questions: how often a 95 % interval
holds the true mean, and how wide it is beside the one that knew all variances. The interval of the
reports stands beside the pigeonhole bootstrap (seeds and questions drawn anew together, percentile)
and the bootstrap's usual unit, questions alone. Then, for five amounts with three seeds: how often
a curve is said to level off that is flat, straight, or does level off, and how often the intervals
of asymptote and half amount hold the truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from harness.stats.crossed import crossed
from harness.stats.ragged import FloatArray
from harness.study.report.fit import fit_curves

QUESTIONS = 100
REST = (0.5, 2.0)
"""Standard deviations of the rest, beside 1 of the questions."""
SEEDS = (3, 5, 10)
SHARES = (0.0, 0.25, 1.0, 4.0, 16.0)
"""Variance of the mean that seeds add, over that which questions add."""
AMOUNTS = np.array([0.0, 1000.0, 2000.0, 4000.0, 8000.0])
HALF, START, END = 1500.0, 0.5, 0.6


class Coverage(NamedTuple):
    """Shares of draws whose interval holds the truth, and mean widths over the right width."""

    report: float
    pigeonhole: float
    questions: float
    report_width: float


def coverage(seeds: int, share: float, rest: float, draws: int, seed: int) -> Coverage:
    """Of ``draws`` data sets at once."""
    rng = np.random.Generator(np.random.PCG64(seed))
    of_seeds = np.sqrt(share * seeds / QUESTIONS)
    y = (
        of_seeds * rng.normal(size=(seeds, 1, draws))
        + rng.normal(size=(1, QUESTIONS, draws))
        + rest * rng.normal(size=(seeds, QUESTIONS, draws))
    )
    values = y.mean(axis=1)
    found = crossed(values, (values[:, None] * QUESTIONS - y) / (QUESTIONS - 1))
    right = 1.96 * np.sqrt((1 + share) / QUESTIONS + rest**2 / (seeds * QUESTIONS))
    both = pigeonhole(y, rng)
    alone = 1.96 * found.questions_error
    return Coverage(
        report=float(((found.low <= 0) & (found.high >= 0)).mean()),
        pigeonhole=float(((both[0] <= 0) & (both[1] >= 0)).mean()),
        questions=float((np.abs(found.value) <= alone).mean()),
        report_width=float(((found.high - found.low) / 2).mean() / right),
    )


def pigeonhole(y: FloatArray, rng: np.random.Generator, resamples: int = 400) -> FloatArray:
    """Percentile intervals ``(2, draws)``, seeds and questions of ``y`` drawn anew together."""
    seeds, questions, _ = y.shape
    means = np.empty((resamples, y.shape[2]))
    for i in range(resamples):
        of_seeds = np.bincount(rng.integers(seeds, size=seeds), minlength=seeds) / seeds
        drawn = np.bincount(rng.integers(questions, size=questions), minlength=questions)
        means[i] = np.einsum("s,q,sqd->d", of_seeds, drawn / questions, y, optimize=True)
    found: FloatArray = np.quantile(means, (0.025, 0.975), axis=0)
    return found


class Fits(NamedTuple):
    """Shares of draws; of the intervals among the curves said to level off."""

    level: float
    asymptote: float
    half: float


def fits(truth: Callable[[FloatArray], FloatArray], noise: float, draws: int, seed: int) -> Fits:
    """Fit curves to five amounts with three seeds; ``noise`` is that of a seed and of questions."""
    rng = np.random.Generator(np.random.PCG64(seed))
    level = asymptote = half = 0
    for draw in range(draws):
        at_amount = rng.normal(size=(QUESTIONS, len(AMOUNTS))) * noise * np.sqrt(QUESTIONS)
        shared = at_amount + rng.normal(size=(QUESTIONS, 1)) * 0.2
        means = shared.mean(axis=0)
        values = [m + noise * rng.normal(size=3) for m in truth(AMOUNTS) + means]
        found = fit_curves(
            AMOUNTS, values, (shared - means) / (QUESTIONS - 1), seed=draw, replicates=200
        )
        if found is not None and found.asymptote is not None and found.half is not None:
            level += 1
            asymptote += found.asymptote.low <= END <= found.asymptote.high
            half += found.half.low <= HALF <= found.half.high
    return Fits(level / draws, asymptote / max(level, 1), half / max(level, 1))


def saturating(x: FloatArray) -> FloatArray:
    """From 0.5 towards 0.6, half of the way by 1,500."""
    return END - (END - START) * np.exp2(-x / HALF)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--fits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(f"{given.draws} draws of {QUESTIONS} questions, 95 % intervals; seed {given.seed}")
    print("seeds  seeds/questions  rest   report (width)   pigeonhole   questions alone")
    for seeds in SEEDS:
        for share in SHARES:
            for rest in REST:
                x = coverage(seeds, share, rest, given.draws, given.seed)
                head = f"{seeds:5d}  {share:15.2f}  {rest:4.1f}   {x.report:.3f}"
                rest_of = f"{x.pigeonhole:.3f}        {x.questions:.3f}"
                print(f"{head} ({x.report_width:.2f})     {rest_of}")
    print(f"\n{given.fits} draws of {len(AMOUNTS)} amounts with 3 seeds each")
    print("truth        noise   levels off   asymptote held   half held")
    truths: dict[str, Callable[[FloatArray], FloatArray]] = {
        "flat": lambda x: np.full_like(x, START),
        "straight": lambda x: START + (END - START) * x / x.max(),
        "levels off": saturating,
    }
    for noise in (0.003, 0.01):
        for name, truth in truths.items():
            f = fits(truth, noise, given.fits, given.seed)
            held = (
                f"{f.asymptote:.3f}            {f.half:.3f}"
                if truth is saturating
                else "-                -"
            )
            print(f"{name:11s}  {noise:.3f}   {f.level:.3f}        {held}")


if __name__ == "__main__":
    main()
