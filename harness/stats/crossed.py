"""The uncertainty of a mean over few seeds and many questions.

Both are samples: another seed would have trained another model, and other questions would have
been answered better or worse. The two are crossed, every seed answers every question, so a value is

    y(seed, question) = mean + seed + question + rest

and the mean over S seeds and Q questions has the variance

    var(seed) / S + var(question) / Q + var(rest) / (S Q).

Resampling seeds with replacement (the pigeonhole bootstrap, Owen 2007, or any bootstrap over two
ways of clustering) is too narrow with three seeds: three draws of three values have two thirds of
their variance, and no draw shows how poorly three values estimate it. Here each part is estimated
separately, with the quantile for its own degrees of freedom (Banerjee 1960):

    half width = sqrt(t(S - 1)^2 * V_seeds + t(Q - 1)^2 * V_questions)

``V_seeds`` is the variance of the seeds' means over S, which includes ``var(rest)``;
``V_questions`` the jackknife variance over questions of the mean over seeds, less the share of
``var(rest)`` that is counted already. For two normal parts the interval covers at least what it
says, whatever their sizes; ``benchmarks/study_coverage.py`` measures it.

A statistic need not be a mean: the input are its values with and without each question, so that a
ratio or a difference between groups of languages is handled in the same way. A question in all its
languages is one question, as everywhere in the harness.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.stats.ragged import FloatArray
from harness.stats.resampling import LEVEL

_TINY = 1e-15


@dataclass(frozen=True)
class Crossed:
    """Estimates over seeds and questions; ``...`` is the shape of the statistic."""

    value: FloatArray
    """``(...)``: mean over the seeds; NaN where undefined."""
    low: FloatArray
    """``(...)``: lower end of the interval; with one seed, over questions only."""
    high: FloatArray
    seeds_error: FloatArray
    """``(...)``: standard error from the seeds; NaN with one seed."""
    questions_error: FloatArray
    """``(...)``: standard error from the questions."""
    beyond_seeds: NDArray[np.bool_]
    """``(...)``: the value is further from 0 than the seeds alone would explain at that level."""
    standardised: FloatArray
    """``(...)``: Cohen's d_z over questions: the value over the standard deviation of the
    questions' shares in it, seeds averaged."""
    seeds: int
    questions: FloatArray
    """``(...)``: number of questions that affect the statistic."""


def crossed(values: FloatArray, without: FloatArray, level: float = LEVEL) -> Crossed:
    """Estimate a statistic and its interval over seeds and questions together.

    Args:
        values: ``(S, ...)``: the statistic of each seed.
        without: ``(S, Q, ...)``: the same without each question. NaN counts as unchanged: a
            language whose only question is left out says nothing about its spread.
        level: coverage of the interval.
    """
    from scipy import stats

    seeds = len(values)
    value = values.mean(axis=0)
    influence = np.nan_to_num(values[:, None] - without)
    shared = influence.mean(axis=0)
    moving = (np.abs(influence) > _TINY).any(axis=0).sum(axis=0).astype(np.float64)
    size = np.maximum(moving, 2)
    shrink = (size - 1) / size
    of_questions = shrink * (shared**2).sum(axis=0)
    if seeds > 1:
        of_seeds = values.var(axis=0, ddof=1) / seeds
        rest = ((influence - shared) ** 2).sum(axis=(0, 1)) * shrink / (seeds * (seeds - 1))
    else:
        of_seeds, rest = np.zeros_like(value), np.zeros_like(value)
    tail = (1 - level) / 2
    by_questions = stats.t.isf(tail, size - 1) ** 2 * np.maximum(of_questions - rest, 0.0)
    alone = stats.t.isf(tail, max(seeds - 1, 1)) * np.sqrt(of_seeds)
    width = np.sqrt(alone**2 + by_questions)
    undefined = np.isnan(value) | ((moving < 2) & (of_seeds == 0))
    spread = np.sqrt(of_questions * size)
    return Crossed(
        value=value,
        low=np.where(undefined, np.nan, value - width),
        high=np.where(undefined, np.nan, value + width),
        seeds_error=np.sqrt(of_seeds) if seeds > 1 else np.full_like(value, np.nan),
        questions_error=np.sqrt(of_questions),
        beyond_seeds=(np.abs(value) > alone) & (seeds > 1),
        standardised=np.divide(value, spread, out=np.full_like(value, np.nan), where=spread > 0),
        seeds=seeds,
        questions=moving,
    )
