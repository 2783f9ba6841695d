"""A question asked in several languages counts once in every interval and every test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
from compared import only, with_values
from gated import POLICY, judged, policy

from harness import evaluate
from harness.analysis.breakdown import break_down
from harness.analysis.compare import compare
from harness.evaluation.intervals import intervals
from harness.evaluation.record import Record
from harness.metrics import parse_measures
from harness.stats.resampling import cluster_bootstrap, paired_permutation_test

QUESTIONS = 30
ALONE, COPIES = ("en",), ("en", "de", "es")
VALUES = np.random.default_rng(2).uniform(0.2, 0.8, QUESTIONS)
CHANGE = np.random.default_rng(3).normal(0.03, 0.1, QUESTIONS)
ERROR = VALUES.std() / QUESTIONS**0.5
"""Standard error of their mean, however many languages they are copied to."""


def with_copies(
    folder: Path, languages: Sequence[str], values: np.ndarray = VALUES
) -> tuple[Record, Record]:
    """Two records with the same mAP in every language: ``values``, and those plus ``CHANGE``."""
    folder.mkdir(exist_ok=True)
    path = tiny.write_task(folder, questions=QUESTIONS, languages=languages)
    record = evaluate(
        tiny.WordBag(), tasks=[str(path)], settings=("mono",), store=False, resamples=0
    )
    first, second = (
        with_values(record, {f"mono/{x}": column.tolist() for x in languages})
        for column in (values, values + CHANGE)
    )
    return first, second


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Record]:
    return with_copies(tmp_path_factory.mktemp("alone"), ALONE)


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, Record]:
    return with_copies(tmp_path_factory.mktemp("copies"), COPIES)


def test_a_bootstrap_draws_questions() -> None:
    values, clusters = np.tile(VALUES, 3), np.tile(np.arange(QUESTIONS), 3)
    groups = np.repeat(np.arange(3), QUESTIONS)
    found = cluster_bootstrap(values, clusters, groups, 3, seed=1)
    assert found.clusters == QUESTIONS
    assert found.macro.standard_error[0] == pytest.approx(ERROR, rel=0.03)


def test_a_paired_test_swaps_questions() -> None:
    clusters, groups = np.tile(np.arange(QUESTIONS), 3), np.repeat(np.arange(3), QUESTIONS)
    zeros = np.zeros(QUESTIONS)
    one = paired_permutation_test(
        CHANGE, zeros, np.arange(QUESTIONS), groups[:QUESTIONS], 1, seed=1
    )
    three = paired_permutation_test(
        np.tile(CHANGE, 3), np.tile(zeros, 3), clusters, groups, 3, seed=1
    )
    assert 0.05 < one.macro.p_value[0] < 0.5
    assert three.macro.p_value[0] == pytest.approx(one.macro.p_value[0])


def test_intervals_of_a_record_are_over_questions(copies: tuple[Record, Record]) -> None:
    found = intervals(copies[0].tables["tiny"], parse_measures(["map"]), resamples=10_000)
    assert found["clusters"] == QUESTIONS
    assert found["means"]["mono"]["map"]["standard_error"] == pytest.approx(ERROR, rel=0.03)


def test_a_comparison_is_over_questions(
    alone: tuple[Record, Record], copies: tuple[Record, Record]
) -> None:
    one, three = (only(compare(x, measures=["map"])).against[0] for x in (alone, copies))
    assert three.p_value == pytest.approx(one.p_value)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_a_gate_is_over_questions(
    alone: tuple[Record, Record], copies: tuple[Record, Record], tmp_path: Path
) -> None:
    rules = policy(tmp_path, POLICY.replace('"language"', '"mean"'))
    one, three = (judged(new, old, rules)["all"] for old, new in (alone, copies))
    assert three.questions == one.questions == QUESTIONS
    assert three.p_value == pytest.approx(one.p_value)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_a_breakdown_is_over_questions(
    alone: tuple[Record, Record], copies: tuple[Record, Record]
) -> None:
    """All three languages use Latin script, so they form one slice."""
    one, three = (
        break_down(x[0], "script", measures=["map"]).tables[0].rows[0] for x in (alone, copies)
    )
    assert (one.queries, three.queries) == (QUESTIONS, 3 * QUESTIONS)
    assert one.questions == three.questions == QUESTIONS
    cells = [x.cells["map"] for x in (one, three)]
    assert (cells[1].low, cells[1].high) == pytest.approx((cells[0].low, cells[0].high))
