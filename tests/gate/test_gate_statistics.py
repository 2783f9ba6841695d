"""The statistics behind a gate's verdicts: corrections, intervals, detectable drops."""

from __future__ import annotations

from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
from gated import POLICY, QUESTIONS, base_record, judged, moved, policy

from harness.evaluation.record import Record
from harness.gate import gate

WATCHED = '[tiers]\nwatched = ["de"]\n'
FIVE = [-0.9] * 5 + [0.0] * 55
"""A drop of 0.075 caused by five questions: p = 1/32."""
WITHIN = [-0.5] * 5 + [0.0] * 54 + [0.1]
"""A drop of 0.04 whose interval reaches beyond 0.05."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Record:
    return base_record(tmp_path_factory.mktemp("base"))


def spread(seed: int = 0) -> tuple[list[float], float]:
    """Changes drawn from a normal distribution, and the standard error of their mean."""
    change = np.random.default_rng(seed).normal(0.0, 0.1, QUESTIONS)
    return change.tolist(), float(change.std() / QUESTIONS**0.5)


def test_a_drop_in_a_watched_language_does_not_weaken_the_others(
    base: Record, tmp_path: Path
) -> None:
    """Two drops at p = .031 each: significant alone, not when corrected together."""
    both = moved(base, en=FIVE, de=FIVE)
    assert {c.verdict for c in judged(both, base, policy(tmp_path)).values()} == {"inconclusive"}
    cells = judged(both, base, policy(tmp_path, WATCHED + POLICY))
    assert cells["en"].verdict == "regression"
    for cell in cells.values():
        assert cell.adjusted == cell.p_value == pytest.approx(1 / 32, rel=0.2)


def test_a_gain_in_a_watched_language_does_not_weaken_the_others(
    base: Record, tmp_path: Path
) -> None:
    risen = [-x for x in FIVE]
    cells = judged(moved(base, en=risen, de=risen), base, policy(tmp_path, WATCHED + POLICY))
    assert cells["en"].verdict == "improvement"
    for cell in cells.values():
        assert cell.adjusted_gain == pytest.approx(1 / 32, rel=0.2)


def test_when_lower_is_better_the_upper_end_of_the_interval_decides(
    base: Record, tmp_path: Path
) -> None:
    """Like a rank distance that rose by less than the limit, but perhaps by more."""
    lower = policy(tmp_path, POLICY + 'direction = "lower"\n')
    cell = judged(moved(base, de=[-x for x in WITHIN]), base, lower)["de"]
    assert 0 < cell.difference < cell.limit < cell.high
    assert cell.verdict == "inconclusive"
    # A fall may be as large as it likes.
    cell = judged(moved(base, de=WITHIN), base, lower)["de"]
    assert cell.low < -cell.limit
    assert cell.verdict == "pass"


def test_each_end_of_the_interval_holds_at_one_minus_alpha(base: Record, tmp_path: Path) -> None:
    """For normal changes, 1.645 standard errors either side at .05 and 2.326 at .01."""
    change, error = spread()
    for alpha in (0.05, 0.01):
        rules = policy(tmp_path, POLICY + f"alpha = {alpha}\n")
        cell = judged(moved(base, de=change), base, rules)["de"]
        width = NormalDist().inv_cdf(1 - alpha) * error
        assert cell.high - cell.low == pytest.approx(2 * width, rel=0.05)


@pytest.mark.parametrize(("direction", "sides"), [("higher", 1), ("lower", 1), ("same", 2)])
def test_the_detectable_drop_is_one_sided_unless_any_change_counts(
    base: Record, tmp_path: Path, direction: str, sides: int
) -> None:
    """At alpha over the two languages, with a power of .8."""
    change, error = spread()
    rules = policy(tmp_path, POLICY + f'direction = "{direction}"\n')
    cell = judged(moved(base, de=change), base, rules)["de"]
    normal = NormalDist()
    factor = normal.inv_cdf(1 - 0.05 / 2 / sides) + normal.inv_cdf(0.8)
    assert cell.detectable == pytest.approx(factor * error, rel=0.03)


def test_the_detectable_drop_uses_the_number_of_values_corrected_together(
    base: Record, tmp_path: Path
) -> None:
    change, error = spread()
    found = gate(moved(base, en=change, de=change), base, policy(tmp_path, WATCHED + POLICY))
    normal = NormalDist()
    factor = normal.inv_cdf(1 - 0.05) + normal.inv_cdf(0.8)
    for _, cell in found.cells():
        assert cell.detectable == pytest.approx(factor * error, rel=0.03)
