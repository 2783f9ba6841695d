"""A process that is killed for good, and one that shares its store with another."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import WordBag
from tiny_miracl import write_miracl

ROOT = Path(__file__).resolve().parents[2]


class Slow(WordBag):
    """Takes a while, so that a kill hits it."""

    fingerprint = "slow-word-bag"

    def encode(self, texts: Sequence[str], *, role: str, language: str) -> np.ndarray:
        time.sleep(0.15)
        return super().encode(texts, role=role, language=language)


@pytest.fixture(scope="module")
def benchmark() -> Iterator[Any]:
    """The script that kills, importable by what it starts, and this file next to it."""
    folders = (Path(__file__).parent, ROOT / "tests" / "support")
    here = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", here)
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        yield importlib.import_module("kill_and_resume")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all runs are: both tests compare with the one in its folder ``alone``."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def work(benchmark: Any, place: Path) -> Any:
    """What is run: thirty shards."""
    task = str(write_miracl(place, passages=120))
    return benchmark.Work(task, f"python:{__name__}:Slow", ("sw", "yo"), 8)


@pytest.fixture(scope="module")
def seen(benchmark: Any, work: Any, place: Path) -> Any:
    """Three kills; benchmarks/kill_and_resume.py does twenty with a real encoder."""
    return benchmark.kill_and_resume(work, place, kills=3, seed=1)


@pytest.mark.slow
def test_killed_runs_end_in_the_record_of_an_undisturbed_one(seen: Any) -> None:
    assert seen.faults == []
    assert seen.kills == 3 and seen.kills_while_encoding >= 1
    assert seen.shards == 30


@pytest.mark.slow
def test_two_processes_share_one_store(benchmark: Any, work: Any, seen: Any, place: Path) -> None:
    """Both end well with the same vectors, and no passage is encoded by both."""
    both = [work.start(place / "shared") for _ in range(2)]
    assert [process.wait(300) for process in both] == [0, 0]
    one, other = (benchmark.outcome(place / x, work) for x in ("shared", "alone"))
    assert one == other
    requested = (place / "shared" / "log").read_text().splitlines()
    texts = [line.split()[1] for line in requested]
    shards = {len(x) for x in work.shard_of().values()}
    # A text that stands in two shards is encoded with each; no shard is encoded twice.
    alone_requested = (place / "alone" / "log").read_text().splitlines()
    assert sorted(texts) == sorted(line.split()[1] for line in alone_requested)
    assert len({line.split()[0] for line in requested}) == 30 and shards >= {1}
