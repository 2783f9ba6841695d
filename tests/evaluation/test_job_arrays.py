"""Job arrays: each part encodes its own shards, whatever the others have already done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import WordBag
from tiny_miracl import write_miracl

import harness
from harness.base.cache import cache_folder
from harness.errors import UnfinishedError


def finished() -> set[tuple[str, int]]:
    """Language and number of every finished shard in the store."""
    found = set()
    for path in cache_folder().glob("vectors/*/space.json"):
        facts = json.loads(path.read_text())
        if "shard" in facts:
            numbers = [x.stem for x in path.parent.glob("*.json") if x.name != "space.json"]
            found |= {(facts["language"], int(x)) for x in numbers}
    return found


def test_part_i_of_n_takes_every_nth_shard_from_shard_i(tmp_path: Path) -> None:
    """Eight shards, four in each language, in three parts run out of order."""
    task = str(write_miracl(tmp_path))

    def part(i: int) -> harness.Record:
        return harness.evaluate(WordBag(), tasks=[task], shard_size=16, shard=(i, 3), resamples=0)

    first, second, third = (
        {("sw", 0), ("sw", 3), ("yo", 2)},
        {("sw", 1), ("yo", 0), ("yo", 3)},
        {("sw", 2), ("yo", 1)},
    )
    with pytest.raises(UnfinishedError, match="1/3: this job is done; 5 of 8 shards are left"):
        part(1)
    assert finished() == second
    with pytest.raises(UnfinishedError, match="2/3: this job is done; 3 of 8 shards are left"):
        part(2)
    assert finished() == second | third
    assert part(0).task("tiny-miracl").counts.queries == {"sw": 12, "yo": 12}
    assert finished() == first | second | third
