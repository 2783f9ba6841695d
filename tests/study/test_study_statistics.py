"""Differences, ratios and fits of a study, against what was planted."""

from __future__ import annotations

import numpy as np
import planted
import pytest

from harness.study.report.contrasts import contrast
from harness.study.report.effects import compare_all
from harness.study.report.fit import curve, fit_curves
from harness.study.report.layout import Layout, Place
from harness.study.report.retention import retentions
from harness.study.report.score_tables import ALL, read_score_tables


def sheet_of(content: dict[str, object], mean: planted.Mean, **more: object) -> object:
    (score_table,) = read_score_tables(planted.results(content, mean, **more))
    return score_table


def test_a_planted_difference_is_found_at_its_size_and_a_null_is_not() -> None:
    means = {"mono": 0.4, "cross": 0.4, "hybrid": 0.45}
    score_table = sheet_of(planted.document(), lambda arm, values, kind, language: means[arm])
    found = contrast(score_table, [Place("hybrid")], [Place("mono")])
    assert float(found.difference.low[0, 0]) > 0
    assert abs(float(found.difference.value[0, 0]) - 0.05) < 0.02
    same = contrast(score_table, [Place("mono")], [Place("mono")])
    assert float(same.difference.value[0, 0]) == 0 and float(same.p_value[0, 0]) == 1


def test_relative_is_the_ratio_seed_by_seed() -> None:
    means = {"mono": 0.4, "cross": 0.4, "hybrid": 0.5}
    score_table = sheet_of(planted.document(), lambda arm, values, kind, language: means[arm])
    found = contrast(score_table, [Place("hybrid")], [Place("mono")])
    first, second = (
        [score_table.cells[Place(arm)][seed].values[0, 0] for seed in (0, 1, 2)]
        for arm in ("hybrid", "mono")
    )
    ratios = [a / b - 1 for a, b in zip(first, second, strict=True)]
    assert float(found.relative.value[0, 0]) == pytest.approx(np.mean(ratios))


def test_seeds_that_one_side_lacks_are_left_out_of_the_comparison() -> None:
    content = planted.document()
    results = planted.results(content, lambda *_: 0.4, missing=["hybrid.seed=1"])
    (score_table,) = read_score_tables(results)
    found = contrast(score_table, [Place("hybrid")], [Place("mono")])
    assert found.seeds == (0, 2)
    assert contrast(score_table, [Place("absent")], [Place("mono")]) is None


def test_holm_is_over_all_arms_measures_and_kinds_of_a_task() -> None:
    content = planted.document(measures=["map", "ndcg@10"], kinds=["mono", "cross"])
    results = planted.results(content, lambda *_: 0.4)
    all_tables = read_score_tables(results)
    compared, _ = compare_all(Layout(results.study), all_tables)
    arms = [x for x in compared if x.question == "arm" and x.group == ALL]
    assert len(arms) == 8
    raw = []
    for x in arms:
        found = contrast(x.score_table, [Place(x.series.arm)], [Place("mono")])
        raw.append(float(found.p_value[0, x.score_table.measures.index(x.measure)]))
    order = np.argsort(raw)
    stepped = np.minimum(np.maximum.accumulate((8 - np.arange(8)) * np.array(raw)[order]), 1)
    assert np.array([x.effect.p_value for x in arms])[order] == pytest.approx(stepped)


def test_retention_is_away_over_home_on_the_same_task() -> None:
    content = planted.document(
        axes={
            "domain": {
                "label": "domain",
                "points": [{"name": "news"}, {"name": "help"}],
            }
        },
        tasks=[{"task": "planted", "domain": "help"}],
        x="domain",
        retention={"axis": "domain"},
    )
    left = {"mono": 0.7, "cross": 0.9, "hybrid": 0.9}

    def mean(arm: str, values: object, kind: str, language: str) -> float:
        return 0.5 * (left[arm] if values["domain"] == "news" else 1.0)

    results = planted.results(content, mean)
    found = retentions(Layout(results.study), read_score_tables(results))
    assert [(x.series.arm, x.home, x.away) for x in found] == [
        (arm, "help", "news") for arm in ("mono", "cross", "hybrid")
    ]
    for x in found:
        assert float(x.ratio.value[0]) == pytest.approx(left[x.series.arm], abs=0.05)
    assert found[0].difference is None
    assert float(found[1].difference.low[0]) > 0


X = np.array([0.0, 1000.0, 2000.0, 4000.0, 8000.0])


def observed(truth: object, noise: float, seed: int = 0) -> tuple[list[object], object]:
    rng = np.random.default_rng(seed)
    influence = noise * rng.normal(size=(100, len(X))) / 10
    return [t + noise * rng.normal(size=3) for t in truth], influence


def test_a_curve_that_levels_off_is_found_with_its_asymptote_and_half_amount() -> None:
    truth = curve("exponential", (0.6, 0.1, 1500.0), X)
    fit = fit_curves(X, *observed(truth, 0.002), seed=1)
    assert fit.saturates and fit.support > 0.9
    assert fit.asymptote.low <= 0.6 <= fit.asymptote.high
    assert fit.half.low <= 1500 <= fit.half.high
    assert fit.at(X) == pytest.approx(truth, abs=0.01)


@pytest.mark.parametrize("truth", [np.full(5, 0.5), 0.5 + X / 80000])
def test_no_curve_is_claimed_for_a_line_or_no_change(truth: object) -> None:
    claims = [fit_curves(X, *observed(truth, 0.004, s), seed=1, replicates=10) for s in range(20)]
    # The benchmark finds about .02; three of twenty would be far beyond that.
    assert sum(x.saturates for x in claims) <= 2
    assert all(x.asymptote is None for x in claims if not x.saturates)


def test_noise_that_questions_share_is_not_taken_for_more_evidence() -> None:
    """Seeds that agree on one odd amount say little where questions alone would move it so far."""
    truth = curve("exponential", (0.52, 0.02, 1000.0), X)
    values = [np.array([t - 1e-5, t, t + 1e-5]) for t in truth]
    sure, unsure = (
        fit_curves(X, values, np.random.default_rng(0).normal(size=(100, 5)) * s, seed=1)
        for s in (1e-7, 3e-3)
    )
    assert sure.saturates and not unsure.saturates


def test_a_form_is_tried_only_with_more_amounts_than_parameters() -> None:
    values, influence = observed(np.full(5, 0.5), 0.01)
    assert "power law" in fit_curves(X, values, influence, seed=1, replicates=10).aicc
    fewer = fit_curves(X[:4], values[:4], influence[:, :4], seed=1, replicates=10)
    assert "exponential" in fewer.aicc and "power law" not in fewer.aicc
    assert fit_curves(X[:2], values[:2], influence[:, :2], seed=1) is None
    assert fit_curves(X, [v[:1] for v in values], influence, seed=1) is None
