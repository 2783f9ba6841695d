"""Means: per query language first, or over all queries; undefined values left out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.stats.means import group_means, macro_mean, micro_mean

VALUES = np.array([1.0, 0.0, math.nan, 0.5, math.nan])
LANGUAGES = np.array([0, 0, 0, 1, 3])


def test_groups_without_a_defined_value_are_undefined() -> None:
    found = group_means(VALUES, LANGUAGES, 4)
    np.testing.assert_array_equal(found, [0.5, 0.5, math.nan, math.nan])


def test_macro_weighs_languages_alike_and_micro_queries() -> None:
    values, languages = np.array([1.0, 1.0, 1.0, 0.0]), np.array([0, 0, 0, 1])
    assert macro_mean(values, languages, 2) == 0.5
    assert micro_mean(values) == 0.75
    assert macro_mean(VALUES, LANGUAGES, 4) == 0.5
    assert micro_mean(VALUES) == pytest.approx(0.5)


def test_nothing_defined_is_undefined_and_not_zero() -> None:
    nothing = np.array([math.nan, math.nan])
    assert math.isnan(macro_mean(nothing, np.array([0, 1]), 2))
    assert math.isnan(micro_mean(nothing))
    assert math.isnan(micro_mean(np.array([])))
