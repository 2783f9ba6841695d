"""Pools smaller than a measure's cutoff: the cutoff is the pool, whichever search it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import WordBag, write_task

import harness


@pytest.mark.parametrize(
    ("model", "options"),
    [(WordBag(), {}), (WordBag(), {"streamed": True}), ("bm25", {})],
    ids=["dense", "streamed", "bm25"],
)
def test_a_pool_of_six_is_scored_with_every_measure(
    tmp_path: Path, model: Any, options: dict[str, Any]
) -> None:
    """Three languages with two passages each, and the whole bias suite at cutoff 10."""
    task = str(write_task(tmp_path, questions=2, distractors=0))
    record = harness.evaluate(model, task, resamples=0, **options)
    table = record.per_query("tiny")
    pooled = table[table["kind"] == "multi"]
    assert len(pooled) == 6
    # All passages are in the top 10 of six, so every relevant one is found.
    assert (pooled["recall@10"] == 1).all()
    exposure = [name for name in pooled if name.startswith("language_")]
    assert exposure and not np.isnan(pooled[exposure].to_numpy(float)).all()
