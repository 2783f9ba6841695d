"""What a record holds of the per-query table next to the means of its settings."""

from __future__ import annotations

import math

import numpy as np

from harness.data.task import Setting
from harness.evaluation.scores import rank_distance_by_golds
from harness.stats.per_query import PerQuery


def table(measure: str) -> PerQuery:
    """Two query languages against the pool of all; monolingual rows must not count."""
    return PerQuery(
        settings=(
            Setting("mono", "en", "en"),
            Setting("multi", "en", None),
            Setting("multi", "de", None),
        ),
        questions=("q1", "q2", "q3"),
        setting=np.array([0, 1, 1, 2, 2, 2], np.int32),
        question=np.array([0, 0, 1, 0, 1, 2], np.int32),
        relevant=np.array([2, 2, 2, 2, 3, 1], np.int32),
        query_chars=np.ones(6, np.int32),
        values={measure: np.array([77.0, 1.0, 3.0, 9.0, 5.0, math.nan])},
    )


def test_rank_distance_by_number_of_relevant_passages_is_macro() -> None:
    assert rank_distance_by_golds(table("rank_distance")) == {2: (2 + 9) / 2, 3: 5.0}
    assert rank_distance_by_golds(table("map")) == {}
