"""Intervals over seeds and questions together, against the t-intervals over either alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.crossed import crossed


def drawn(seeds: int, questions: int, of_seeds: float, of_questions: float, rest: float) -> object:
    rng = np.random.default_rng(3)
    return (
        of_seeds * rng.normal(size=(seeds, 1))
        + of_questions * rng.normal(size=(1, questions))
        + rest * rng.normal(size=(seeds, questions))
    )


def of_means(y: object) -> object:
    values = np.mean(np.asarray(y), axis=1)
    count = np.shape(y)[1]
    return crossed(values, (values[:, None] * count - np.asarray(y)) / (count - 1))


def test_without_seed_noise_it_is_the_t_interval_over_questions() -> None:
    y = np.repeat(np.asarray(drawn(1, 40, 0, 1, 0)), 3, axis=0)
    found = of_means(y)
    expected = stats.ttest_1samp(y[0], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.standardised == pytest.approx(y[0].mean() / y[0].std(ddof=1))


def test_without_question_noise_it_is_the_t_interval_over_seeds() -> None:
    y = np.repeat(np.asarray(drawn(3, 1, 1, 0, 0)), 40, axis=1)
    found = of_means(y)
    expected = stats.ttest_1samp(y[:, 0], 0).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_parts_add_by_the_squares_of_their_half_widths() -> None:
    """The analysis of variance of a table of seeds by questions, by its textbook sums."""
    y = np.asarray(drawn(4, 30, 0.3, 1, 0.5))
    mean, seeds, questions = y.mean(), y.mean(axis=1), y.mean(axis=0)
    of_seeds = seeds.var(ddof=1) / 4
    rest = ((y - seeds[:, None] - questions + mean) ** 2).sum() / (3 * 29) / (4 * 30)
    left = questions.var(ddof=1) / 30 - rest
    half = math.sqrt(stats.t.isf(0.025, 3) ** 2 * of_seeds + stats.t.isf(0.025, 29) ** 2 * left)
    found = of_means(y)
    assert found.low == pytest.approx(mean - half)
    assert found.high == pytest.approx(mean + half)


def test_with_one_seed_the_interval_is_over_questions_and_says_nothing_of_seeds() -> None:
    found = of_means(drawn(1, 40, 1, 1, 0))
    assert np.isnan(found.seeds_error) and not found.beyond_seeds
    assert found.low < found.value < found.high


@pytest.mark.parametrize("share", [0.0, 1.0, 16.0])
def test_three_seeds_cover_whatever_their_share(share: float) -> None:
    """benchmarks/study_coverage.py at more draws: never below .95, where drawing again has .79."""
    rng = np.random.default_rng(int(share))
    questions, draws = 50, 600
    y = (
        math.sqrt(share * 3 / questions) * rng.normal(size=(3, 1, draws))
        + rng.normal(size=(1, questions, draws))
        + 0.5 * rng.normal(size=(3, questions, draws))
    )
    found = of_means(y)
    covered = ((found.low <= 0) & (found.high >= 0)).mean()
    # Three standard errors of a share of .95 in that many draws.
    assert covered > 0.95 - 3 * math.sqrt(0.95 * 0.05 / draws)
    assert covered < 0.995
