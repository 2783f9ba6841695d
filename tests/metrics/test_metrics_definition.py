"""The digest of a measure's definition changes when its values do, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.metrics import BIAS_SUITE, Family, parse_measure, parse_measures
from harness.metrics.definition import digests

NAMES = ("map", "mrr", "mrr@10", "ndcg", "ndcg@10", "recall@1", "recall@1000", "peer", *BIAS_SUITE)


def test_no_two_measures_share_a_definition() -> None:
    found = digests(parse_measures(NAMES))
    assert set(found) == set(NAMES)
    assert len(set(found.values())) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_another_formula_has_another_digest(name: str) -> None:
    measure = parse_measure(name)
    original = measure.family.function
    other = replace(measure.family, function=lambda g, k: original(g, k) * (1 + 1e-6) + 1e-6)
    assert digests([replace(measure, family=other)]) != digests([measure])


def test_the_last_digits_are_the_processors() -> None:
    measure = parse_measure("ndcg@10")
    original = measure.family.function
    other = replace(measure.family, function=lambda g, k: original(g, k) * (1 + 1e-14))
    assert digests([replace(measure, family=other)]) == digests([measure])


def test_digests_do_not_drift() -> None:
    """Of what this version defines: a change here makes every tracked baseline incomparable."""
    assert digests(parse_measures(["map", "ndcg@10", "rank_distance"])) == {
        "map": "e03aa2fdefee",
        "ndcg@10": "391fff0b4e47",
        "rank_distance": "8413df4206b6",
    }


def test_a_measure_that_fails_on_the_probe_is_left_out() -> None:
    def fails(*_: object) -> None:
        raise KeyError("scores")

    measure = replace(parse_measure("map"), family=Family("map", "mAP", fails))
    assert digests([measure, parse_measure("mrr")]).keys() == {"mrr"}
