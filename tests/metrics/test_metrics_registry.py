"""Measures by name, from this package and from others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import harness.metrics as metrics
from harness.errors import ModelError, UsageError
from harness.metrics import Family, RelevantRanks, families, parse_measure, parse_measures


class FakeEntry:
    """What importlib.metadata gives for one entry point."""

    def __init__(self, name: str, loaded: Any) -> None:
        self.name, self.value, self._loaded = name, "package.module:thing", loaded

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def _install(name: str, loaded: Any) -> None:
        families.cache_clear()
        monkeypatch.setattr(
            metrics,
            "entry_points",
            lambda group: [FakeEntry(name, loaded)] if group == "harness.measures" else [],
        )

    families.cache_clear()
    yield _install
    monkeypatch.undo()
    families.cache_clear()


def test_a_measure_tells_what_it_is() -> None:
    measure = parse_measure("ndcg@010")
    assert (measure.name, measure.base, measure.cutoff) == ("ndcg@10", "ndcg", 10)
    assert (measure.label, measure.better) == ("nDCG@10", "higher")
    assert parse_measure("rank_distance").better == "lower"
    assert parse_measure("rank_distance").kinds == ("multi", "pairs")
    assert parse_measure("ndcg@10") == measure


def test_measures_keep_their_order_and_appear_once() -> None:
    names = [m.name for m in parse_measures(["mrr@10", "map", "mrr@010", "ndcg"])]
    assert names == ["mrr@10", "map", "ndcg"]


def test_a_measure_says_what_it_lacks() -> None:
    relevant = RelevantRanks(np.array([1, 2]), np.array([0, 2]))
    with pytest.raises(UsageError, match="'scaled_rank_distance' needs pool_size"):
        parse_measure("scaled_rank_distance").per_query(relevant)


def test_packages_add_measures(install: Any) -> None:
    worst = Family("worst", "Worst", lambda g, k: np.array([g.ranks.max() / (k or 1)]))
    install("worst", worst)
    relevant = RelevantRanks(np.array([4, 9]), np.array([0, 2]))
    assert parse_measure("worst").per_query(relevant).tolist() == [9]
    assert parse_measure("map").per_query(relevant).shape == (1,)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda g, k: 1 / 0, "measure 'mine' failed: ZeroDivisionError: division by zero"),
        (lambda g, k: None, r"returned an array of shape \(\) for 1 queries; \(1,\) is needed"),
        (lambda g, k: g.ranks, r"returned an array of shape \(2,\) for 1 queries"),
        (lambda g, k: np.array([np.inf]), "returned an infinite value"),
    ],
)
def test_a_measure_of_a_package_that_fails_is_one_sentence(
    install: Any, function: Any, says: str
) -> None:
    install("mine", Family("mine", "Mine", function))
    with pytest.raises(ModelError, match=says):
        parse_measure("mine").per_query(RelevantRanks(np.array([4, 9]), np.array([0, 2])))


@pytest.mark.parametrize(
    ("name", "loaded", "says"),
    [
        ("worst", ImportError("no module"), "'worst' .* cannot be loaded: no module"),
        ("worst", 3, "must be a harness.metrics.Family, not int"),
        ("worst", Family("other", "O", lambda g, k: g.ranks), "has base 'other'; it must be 'wo"),
        ("map", Family("map", "O", lambda g, k: g.ranks), "has the name of an existing measure"),
        ("golds", Family("golds", "O", lambda g, k: g.ranks), "has the name of a column of per-q"),
    ],
)
def test_bad_entry_points_are_named(install: Any, name: str, loaded: Any, says: str) -> None:
    install(name, loaded)
    with pytest.raises(UsageError, match=says):
        parse_measure("map")


@pytest.mark.parametrize(
    "fields",
    [
        {"indptr": np.array([0, 1])},
        {"indptr": np.array([1, 2])},
        {"grades": np.array([1])},
        {"relevant_languages": np.array([0, 1, 2])},
        {"query_languages": np.array([0, 1])},
        {"top_k_languages": np.zeros((2, 3), dtype=int)},
        {"pool_size": np.array([5, 5])},
    ],
)
def test_shapes_that_do_not_fit_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must"):
        RelevantRanks(**{"ranks": np.array([1, 2]), "indptr": np.array([0, 2]), **fields})
