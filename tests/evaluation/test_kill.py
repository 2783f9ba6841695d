"""A process that is killed for good, and one that shares its store with another."""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Sequence
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


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script that kills, importable by what it starts, and this file beside it."""
    folders = (Path(__file__).parent, ROOT / "tests" / "support")
    here = os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", here)
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("kill_and_resume")


@pytest.mark.slow
def test_killed_runs_end_in_the_record_of_an_undisturbed_one(
    benchmark: Any, tmp_path: Path
) -> None:
    """Three kills; benchmarks/kill_and_resume.py does twenty with a real encoder."""
    task = str(write_miracl(tmp_path, passages=120))
    work = benchmark.Work(task, f"python:{__name__}:Slow", ("sw", "yo"), 8)
    seen = benchmark.kill_and_resume(work, tmp_path / "runs", kills=3, seed=1)
    assert seen.faults == []
    assert seen.kills == 3 and seen.kills_while_encoding >= 1
    assert seen.shards == 30


@pytest.mark.slow
def test_two_processes_share_one_store(benchmark: Any, tmp_path: Path) -> None:
    """Both end well with the same vectors, and no passage is encoded by both."""
    task = str(write_miracl(tmp_path, passages=160))
    work = benchmark.Work(task, f"python:{__name__}:Slow", ("sw", "yo"), 8)
    both = [work.start(tmp_path / "shared") for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    alone = work.start(tmp_path / "alone")
    assert alone.wait(120) == 0
    one, other = (
        benchmark.outcome(tmp_path / "shared", work),
        benchmark.outcome(tmp_path / "alone", work),
    )
    assert one == other
    requested = (tmp_path / "shared" / "log").read_text().splitlines()
    texts = [line.split()[1] for line in requested]
    shards = {len(x) for x in work.shard_of().values()}
    # A text that stands in two shards is encoded with each; no shard is encoded twice.
    alone_requested = (tmp_path / "alone" / "log").read_text().splitlines()
    assert sorted(texts) == sorted(line.split()[1] for line in alone_requested)
    assert len({line.split()[0] for line in requested}) == 40 and shards >= {1}
