"""Cluster bootstrap and paired permutation test: by brute force, at the edges, and their rates."""

from __future__ import annotations

import importlib.util
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from harness.stats.means import group_means, macro_mean
from harness.stats.resampling import (
    Resamples,
    cluster_bootstrap,
    leave_one_out,
    paired_permutation_test,
)

QUESTIONS, LANGUAGES = 40, 3
CLUSTERS = np.repeat(np.arange(QUESTIONS), LANGUAGES)
GROUPS = np.tile(np.arange(LANGUAGES), QUESTIONS)


def values(seed: int, measures: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    shared = rng.normal(0.5, 0.3, (QUESTIONS, 1, measures))
    found = np.clip(shared + rng.normal(0, 0.1, (QUESTIONS, LANGUAGES, measures)), 0, 1)
    found[3, 1, :] = math.nan
    found[7, :, 0] = math.nan  # another pattern in the first measure
    return found.reshape(-1, measures)


def test_replicates_are_the_macro_means_of_resampled_questions() -> None:
    data = values(0)
    found = cluster_bootstrap(data, CLUSTERS, GROUPS, LANGUAGES, seed=5, resamples=400)
    # The same draws one at a time, gathering queries by index.
    drawn = np.random.Generator(np.random.PCG64(5)).integers(QUESTIONS, size=(400, QUESTIONS))
    rows = (drawn[:, :, None] * LANGUAGES + np.arange(LANGUAGES)).reshape(400, -1)
    for m in range(2):
        macro = [macro_mean(data[r, m], GROUPS[r], LANGUAGES) for r in rows]
        group = np.array([group_means(data[r, m], GROUPS[r], LANGUAGES) for r in rows])
        assert found.macro.value[m] == pytest.approx(macro_mean(data[:, m], GROUPS, LANGUAGES))
        assert found.macro.standard_error[m] == pytest.approx(np.std(macro))
        np.testing.assert_allclose(found.macro.percentile[m], np.quantile(macro, [0.025, 0.975]))
        np.testing.assert_allclose(
            found.groups.percentile[:, m], np.quantile(group, [0.025, 0.975], axis=0).T
        )
        np.testing.assert_allclose(
            found.groups.value[:, m], group_means(data[:, m], GROUPS, LANGUAGES)
        )
    assert (found.clusters, found.resamples, found.seed, found.level) == (QUESTIONS, 400, 5, 0.95)


@pytest.mark.parametrize("complete", [True, False])
def test_each_level_is_that_of_resampled_questions_whether_or_not_all_are_defined(
    complete: bool,
) -> None:
    # Three settings of two query languages. Complete tables are summed before they are resampled.
    data, parents = np.nan_to_num(values(4), nan=0.3), np.array([0, 1, 0])
    if not complete:
        data[5, 0] = math.nan
    weights = Resamples(300, seed=8)
    shared = (
        cluster_bootstrap(
            x, CLUSTERS, GROUPS, LANGUAGES, parents=parents, seed=8, resamples=300, weights=weights
        )
        for x in (values(5), data)
    )
    *_, found = shared  # the second table takes the weights that were drawn for the first
    drawn = np.random.Generator(np.random.PCG64(8)).integers(QUESTIONS, size=(300, QUESTIONS))
    rows = (drawn[:, :, None] * LANGUAGES + np.arange(LANGUAGES)).reshape(300, -1)
    ends = [0.025, 0.975]
    for m in range(2):
        group = np.array([group_means(data[r, m], GROUPS[r], LANGUAGES) for r in rows])
        parent = np.stack([group[:, [0, 2]].mean(axis=1), group[:, 1]], axis=1)
        for level, expected in ((found.groups, group), (found.parents, parent)):
            np.testing.assert_allclose(
                level.percentile[:, m], np.quantile(expected, ends, axis=0).T
            )
            np.testing.assert_allclose(level.standard_error[:, m], expected.std(axis=0))
        np.testing.assert_allclose(
            found.macro.percentile[m], np.quantile(parent.mean(axis=1), ends)
        )


def test_weights_of_another_seed_are_refused() -> None:
    with pytest.raises(ValueError, match="another seed"):
        cluster_bootstrap(
            values(0), CLUSTERS, GROUPS, LANGUAGES, seed=1, weights=Resamples(10_000, seed=2)
        )


def test_bca_equals_scipys_where_a_cluster_is_one_query() -> None:
    data = np.random.default_rng(1).exponential(1.0, 60)  # skewed, so that BCa has work to do
    ours = cluster_bootstrap(
        data, np.arange(60), np.zeros(60, dtype=int), 1, seed=2, resamples=20_000
    ).macro
    theirs = scipy_bootstrap((data,), np.mean, n_resamples=20_000, method="BCa", rng=3)
    low, high = theirs.confidence_interval
    # Different draws: 0.02 is a few times the noise of a 2.5 % quantile of 20,000 draws.
    assert ours.bca[0] == pytest.approx([low, high], abs=0.02)
    assert abs(ours.bca[0] - ours.percentile[0]).min() > 0.02


def test_equal_seeds_give_equal_bytes_and_blocks_do_not_matter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def both() -> tuple[bytes, bytes]:
        data = values(0)
        found = cluster_bootstrap(data, CLUSTERS, GROUPS, LANGUAGES, seed=9, resamples=300)
        test = paired_permutation_test(
            data, values(1), CLUSTERS, GROUPS, LANGUAGES, seed=9, resamples=300
        )
        return found.macro.bca.tobytes(), test.macro.p_value.tobytes()

    once, again = both(), both()
    assert once == again
    monkeypatch.setattr("harness.stats.resampling._BLOCK_BYTES", 8 * QUESTIONS * 7)
    small = both()
    for one, other in zip(once, small, strict=True):
        np.testing.assert_allclose(np.frombuffer(one), np.frombuffer(other), rtol=1e-12)


def test_clusters_may_be_question_ids_in_any_order() -> None:
    data = values(0)
    names = np.array([f"q{c:03}" for c in CLUSTERS])
    order = np.random.default_rng(0).permutation(len(data))
    one = cluster_bootstrap(data, CLUSTERS, GROUPS, LANGUAGES, seed=1, resamples=50)
    two = cluster_bootstrap(
        data[order], names[order], GROUPS[order], LANGUAGES, seed=1, resamples=50
    )
    np.testing.assert_allclose(one.macro.bca, two.macro.bca, rtol=1e-12)


def test_undefined_groups_and_measures_stay_undefined() -> None:
    data = values(0)
    data[GROUPS == 1, 0] = math.nan
    data[:, 1] = math.nan
    found = cluster_bootstrap(data, CLUSTERS, GROUPS, LANGUAGES, seed=1, resamples=50)
    assert np.isnan(found.groups.percentile[1, 0]).all()
    assert np.isnan(found.groups.standard_error[1, 0])
    assert np.isfinite(found.macro.bca[0]).all()
    assert found.macro.value[0] == pytest.approx(macro_mean(data[:, 0], GROUPS, LANGUAGES))
    for undefined in (found.macro.value, found.macro.standard_error):
        assert np.isnan(undefined[1])
    assert np.isnan(found.macro.bca[1]).all()
    test = paired_permutation_test(data, data * 0.5, CLUSTERS, GROUPS, LANGUAGES, seed=1)
    assert np.isnan(test.groups.p_value[1, 0]) and np.isnan(test.macro.p_value[1])
    assert test.macro.p_value[0] < 0.01


def test_constant_values_have_an_interval_of_no_width() -> None:
    found = cluster_bootstrap(
        np.full(len(CLUSTERS), 0.1), CLUSTERS, GROUPS, LANGUAGES, seed=1, resamples=200
    ).macro
    assert found.bca[0] == pytest.approx([0.1, 0.1]) and found.percentile[0] == pytest.approx(
        [0.1, 0.1]
    )
    assert found.standard_error[0] == pytest.approx(0, abs=1e-12)


def test_a_language_with_one_question_does_not_break_it() -> None:
    # Language 1 is asked once: resamples without that question leave it out of the mean.
    rare = cluster_bootstrap(
        np.array([0.0, 1.0, 0.5]), np.array([0, 1, 1]), np.array([0, 0, 1]), 2, seed=1
    )
    assert np.isnan(rare.groups.bca[1, 0]).all()  # one question does not vary
    assert rare.groups.bca[0, 0] == pytest.approx([0.0, 1.0])
    assert rare.macro.percentile[0] == pytest.approx([0.0, 0.75])


def test_shapes_that_do_not_fit_are_refused() -> None:
    zeros = np.zeros(3, dtype=int)
    with pytest.raises(ValueError, match="one row per query"):
        cluster_bootstrap(np.zeros(3), np.zeros(2), zeros, 1, seed=1)
    with pytest.raises(ValueError, match="one entry for each of 1 groups"):
        cluster_bootstrap(np.zeros(3), zeros, zeros, 1, seed=1, parents=np.array([0, 1]))


def test_parents_weigh_settings_alike_and_then_languages() -> None:
    # Two settings of language 0 (2 queries and 1), one of language 1; question 2 not asked there.
    data = np.array([0.0, 1.0, 0.8, 0.2, 0.4])
    clusters, groups = np.array([0, 1, 2, 0, 1]), np.array([0, 0, 1, 2, 2])
    parents = np.array([0, 0, 1])
    found = cluster_bootstrap(data, clusters, groups, 3, seed=1, parents=parents)
    np.testing.assert_allclose(found.groups.value[:, 0], [0.5, 0.8, 0.3])
    np.testing.assert_allclose(found.parents.value[:, 0], [0.65, 0.3])
    assert found.macro.value[0] == pytest.approx((0.65 + 0.3) / 2)
    # The same as one group per language where every language has one setting.
    flat = cluster_bootstrap(values(0), CLUSTERS, GROUPS, LANGUAGES, seed=1, resamples=99)
    nested = cluster_bootstrap(
        values(0),
        CLUSTERS,
        GROUPS,
        LANGUAGES,
        seed=1,
        resamples=99,
        parents=np.arange(LANGUAGES),
    )
    np.testing.assert_allclose(nested.macro.bca, flat.macro.bca, rtol=1e-12)
    np.testing.assert_allclose(nested.parents.bca, flat.groups.bca, rtol=1e-12)
    assert flat.parents.value.shape == (0, 2) and flat.parents.bca.shape == (0, 2, 2)
    test = paired_permutation_test(data, np.zeros(5), clusters, groups, 3, seed=1, parents=parents)
    assert test.macro.value[0] == pytest.approx(found.macro.value[0])
    np.testing.assert_allclose(test.parents.value, found.parents.value)
    # What each question adds to the macro mean, by hand; all 8 assignments of signs are tried.
    assert test.resamples == 8
    shares = np.array([0.0 / 4 + 0.2 / 4, 1.0 / 8 + 0.4 / 4, 0.8 / 4])
    signs = np.array(list(itertools.product([1, -1], repeat=3)))
    assert test.macro.p_value[0] == np.mean(abs(signs @ shares) >= shares.sum() - 1e-12)


def test_few_questions_are_tested_exactly() -> None:
    rng = np.random.default_rng(4)
    n = 9
    first, second = rng.random((n * 2, 2)), rng.random((n * 2, 2)) + 0.2
    clusters, groups = np.repeat(np.arange(n), 2), np.tile([0, 1], n)
    found = paired_permutation_test(first, second, clusters, groups, 2, seed=0)
    assert found.exact and found.resamples == 2**n
    difference = (first - second).reshape(n, 2, 2)
    for m in range(2):
        observed = abs(difference[:, :, m].mean())
        flipped = [
            abs((np.array(signs)[:, None] * difference[:, :, m]).mean())
            for signs in itertools.product([1, -1], repeat=n)
        ]
        p_value = np.mean([x >= observed - 1e-12 for x in flipped])
        assert found.macro.p_value[m] == p_value
        assert found.macro.value[m] == pytest.approx(difference[:, :, m].mean())
    np.testing.assert_allclose(found.groups.value, difference.mean(axis=0))


def test_drawn_p_values_are_close_to_exact_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(8)
    first, second = rng.random(13), rng.random(13) + 0.15
    alone, one = np.arange(13), np.zeros(13, dtype=int)
    exact = paired_permutation_test(first, second, alone, one, 1, seed=0)
    drawn = paired_permutation_test(first, second, alone, one, 1, seed=0, resamples=8191)
    assert exact.exact and not drawn.exact
    assert drawn.macro.p_value[0] == pytest.approx(exact.macro.p_value[0], abs=0.015)
    assert 0.01 < exact.macro.p_value[0] < 0.9  # a value that could be missed


def test_a_drawn_p_value_counts_the_observed_assignment() -> None:
    """All 30 questions rose (2 ** -30): none of 99 draws does, so p is 1 in 100 and not 0."""
    rise, alone, one = np.ones(30), np.arange(30), np.zeros(30, dtype=int)
    found = paired_permutation_test(rise, 0 * rise, alone, one, 1, seed=1, resamples=99).macro
    assert found.p_value[0] == found.p_higher[0] == 1 / 100
    assert found.p_lower[0] == 1


def test_equal_systems_have_p_value_1_and_the_order_does_not_matter() -> None:
    data, other = values(0), values(1)
    same = paired_permutation_test(data, data, CLUSTERS, GROUPS, LANGUAGES, seed=1, resamples=99)
    assert same.macro.p_value.tolist() == [1, 1] and same.macro.value.tolist() == [0, 0]
    one = paired_permutation_test(data, other, CLUSTERS, GROUPS, LANGUAGES, seed=1)
    two = paired_permutation_test(other, data, CLUSTERS, GROUPS, LANGUAGES, seed=1)
    np.testing.assert_array_equal(one.macro.p_value, two.macro.p_value)
    np.testing.assert_allclose(one.macro.value, -two.macro.value)
    assert one.macro.p_value.min() >= 1 / 10_001


def test_intervals_cover_the_truth_and_equal_systems_rarely_differ_significantly() -> None:
    # The simulation of benchmarks/interval_coverage.py, smaller: with 400 draws a coverage of .95
    # has a standard error of .011, and so has a rejection rate of .05.
    path = Path(__file__).parents[2] / "benchmarks" / "interval_coverage.py"
    spec = importlib.util.spec_from_file_location("interval_coverage", path)
    assert spec is not None and spec.loader is not None
    simulation = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(simulation)
    rates = simulation.measure(draws=400, questions=100, resamples=500, seed=11)
    assert 0.92 <= rates.percentile <= 0.98
    assert 0.92 <= rates.bca <= 0.98
    assert rates.naive < 0.75
    assert 0.02 <= rates.rejected <= 0.08


def test_leaving_one_out_is_leaving_its_rows_out() -> None:
    rng = np.random.default_rng(5)
    values = rng.random((12, 2))
    clusters = np.array([0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4])
    groups = np.array([0, 1, 2, 0, 1, 0, 1, 2, 1, 2, 0, 2])
    parents = np.array([0, 0, 1])
    found = leave_one_out(values, clusters, groups, parents)
    assert found.macro_without.shape == (5, 2) and found.parents_without.shape == (5, 2, 2)
    for cluster in range(5):
        kept = clusters != cluster
        expected = cluster_bootstrap(
            values[kept], clusters[kept], groups[kept], 3, seed=0, parents=parents, resamples=1
        )
        assert found.macro_without[cluster] == pytest.approx(expected.macro.value)
        assert found.parents_without[cluster] == pytest.approx(expected.parents.value)


def test_one_question_has_no_interval() -> None:
    """It says nothing about the spread of questions; an interval of width zero would."""
    found = cluster_bootstrap(np.array([0.5, 0.7]), np.array([3, 3]), np.array([0, 1]), 2, seed=0)
    assert found.macro.value[0] == pytest.approx(0.6)
    assert np.isnan(found.macro.percentile).all() and np.isnan(found.macro.standard_error).all()
    assert np.isnan(found.groups.bca).all()
