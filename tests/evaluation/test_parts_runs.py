"""Sparse and multi-vector models on corpora: kept in the store, streamed, resumed by shard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hash_parts import HashParts
from tiny import write_task
from tiny_miracl import passage, write_miracl

import harness
from harness.base.cache import cache_folder
from harness.cli import main
from harness.evaluation.record import Record
from harness.vectors import encode, encode_parts

KINDS = ("sparse", "multi-vector")


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_miracl(tmp_path_factory.mktemp("task")))


def run(task: str, model: Any, cache: Path, monkeypatch: pytest.MonkeyPatch, **how: Any) -> Record:
    monkeypatch.setenv("HARNESS_CACHE", str(cache))
    return harness.evaluate(model, tasks=[task], settings=("mono", "multi"), resamples=0, **how)


def stored(cache: Path) -> dict[str, bytes]:
    """Every file of vectors; of manifests only that they are there."""
    files = (cache / "vectors").rglob("*.*")
    return {
        str(x.relative_to(cache)): b"" if x.suffix == ".json" else x.read_bytes() for x in files
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_was_stopped_encodes_only_the_shards_it_lacks(
    task: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And ends in the same files and numbers, which other shards and a second run have, too."""
    size = 16 if kind == "sparse" else 16 * 8  # token vectors: an eighth as many a shard
    alone = run(task, HashParts(kind), tmp_path / "alone", monkeypatch, shard_size=size)
    entry = alone.document["tasks"][0]
    assert entry["shards"] == {"passages": 16, "dtype": "float32"}
    assert alone.document["model"]["stored"] and entry["close_comparisons"]["exact"] > 0

    monkeypatch.setattr(encode_parts, "WINDOW", 5)
    stopped = HashParts(kind, fail_after=24 + 40)
    with pytest.raises(KeyboardInterrupt):
        run(task, stopped, tmp_path / "resumed", monkeypatch, shard_size=size)
    again = HashParts(kind)
    resumed = run(task, again, tmp_path / "resumed", monkeypatch, shard_size=size)
    # What the stopped run encoded are all queries and the first shards.
    assert set(again.encoded).isdisjoint(stopped.encoded)
    corpora = {k: v for k, v in stored(tmp_path / "alone").items() if "/0000" in k}
    assert corpora and corpora.items() <= stored(tmp_path / "resumed").items()

    monkeypatch.setattr(encode, "STEP", 3)
    other = run(
        task, HashParts(kind), tmp_path / "other", monkeypatch, shard_size=8192, store=False
    )
    nothing = HashParts(kind, fail_after=0)
    second = run(task, nothing, tmp_path / "resumed", monkeypatch, shard_size=size)
    assert nothing.encoded == []
    table = alone.per_query("tiny-miracl")
    for record in (resumed, other, second):
        assert record.per_query("tiny-miracl").equals(table)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_a_few_lines_of_numpy(
    task: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = HashParts(kind)
    record = run(task, model, tmp_path, monkeypatch, measures=("map", "mrr@10"), shard_size=64)
    table = record.per_query("tiny-miracl").set_index(["setting", "question"])
    from tiny import WORDS

    passages = {
        f"{x}:{p['docid']}": f"{p['title']}\n{p['text']}"
        for x in ("sw", "yo")
        for p in (passage(x, n) for n in range(60))
    }
    names = list(passages)
    made = model.encode_parts(list(passages.values()), role="passage", language="sw")
    for q in range(12):
        text = f"sw what is {WORDS[2 * q % 10]} {WORDS[2 * q // 10]}"
        own = model.encode_parts([text], role="query", language="sw")
        if kind == "sparse":
            dense = np.zeros((len(names) + 1, own.width))
            owner = np.repeat(np.arange(len(names)), np.diff(made.indptr))
            dense[owner, made.terms] = made.values
            dense[-1, own.terms] = own.values
            scores = dense[:-1] @ dense[-1]
        else:
            similar = made.values.astype(np.float64) @ own.values.T.astype(np.float64)
            scores = np.maximum.reduceat(similar, made.indptr[:-1]).sum(1)
        order = sorted(zip(scores.round(6), names, strict=True), reverse=True)
        relevant = {f"sw:{passage('sw', n)['docid']}" for n in (2 * q, 2 * q + 25)}
        places = [i + 1 for i, (_, name) in enumerate(order) if name in relevant]
        wanted = np.mean([(i + 1) / place for i, place in enumerate(places)])
        assert table.loc[("multi/sw", f"sw-{q}"), "map"] == pytest.approx(wanted, abs=1e-12)


def test_stored_texts_are_listed_verified_and_encoded_again_if_damaged(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from harness.errors import DamagedShardWarning

    run(task, HashParts("sparse"), tmp_path, monkeypatch)
    listing = CliRunner().invoke(main, ["store", "ls"])
    assert "hash-sparse" in listing.output and "passage sw, corpus" in listing.output
    path = next((cache_folder() / "vectors").rglob("00000000.terms.npy"))
    path.write_bytes(path.read_bytes()[:-4] + b"1234")
    model = HashParts("sparse")
    with pytest.warns(DamagedShardWarning, match=r"00000000\.terms\.npy does not match"):
        run(task, model, tmp_path, monkeypatch)
    assert len(model.encoded) == len(set(model.encoded)) > 50
    assert CliRunner().invoke(main, ["store", "verify"]).exit_code == 0


@pytest.mark.parametrize("kind", ["sparse", "multi_vector"])
def test_they_are_fused_with_other_systems_by_their_scores(tmp_path: Path, kind: str) -> None:
    """With a weight of 0 for the other one, the order is that of the model alone."""
    task = str(write_task(tmp_path))
    alone = harness.evaluate(f"python:hash_parts:{kind}", tasks=[task], resamples=0)
    fused = harness.evaluate(
        f"fuse:python:hash_parts:{kind}+bm25", tasks=[task], fusion="minmax@1,0", resamples=0
    )
    one, other = (x.document["tasks"][0]["means"]["cross"]["macro"] for x in (alone, fused))
    for measure in ("map", "mrr@10", "ndcg@10"):
        assert one[measure] == pytest.approx(other[measure], abs=1e-12), measure
