"""Shards as units of work: the same bytes whoever does them, whole or not at all, shared."""

from __future__ import annotations

import json
import os
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import WordBag
from tiny_miracl import write_miracl

from harness.base import leases
from harness.data.corpus import Corpus
from harness.data.loading import load
from harness.data.task import read_task
from harness.errors import DamagedShardWarning, DataError, ShardError, StoreError
from harness.models import load as load_model
from harness.vectors import corpus_store, shard_jobs
from harness.vectors.corpus_store import CorpusSpace
from harness.vectors.store import Store
from harness.vectors.workers.engines import encode_jobs

SIZE = 16
"""Passages of a shard here: 60 passages are 4 shards, the last one of 12."""


def setup(folder: Path, encoder: Any = None) -> tuple[Any, dict[str, Corpus], Any]:
    """A model, corpora of two languages, and their spaces in a store under ``folder``."""
    task = folder / "tiny-miracl.toml"
    corpora = load(read_task(task if task.exists() else write_miracl(folder))).corpora
    model: Any = load_model(encoder or WordBag())
    store = Store(folder / "store")
    spaces = {x: shard_jobs.corpus_space(model, c, store, size=SIZE) for x, c in corpora.items()}
    return model, dict(corpora), spaces


def files(space: CorpusSpace) -> dict[str, bytes]:
    """What a space holds, by name; manifests without their times."""
    found = {p.name: p.read_bytes() for p in space.folder.iterdir() if p.suffix == ".npy"}
    for path in space.folder.glob("0*.json"):
        manifest = json.loads(path.read_text())
        manifest.pop("seconds")
        found[path.name] = json.dumps(manifest).encode()
    return found


def test_shards_contain_the_corpus_in_order(tmp_path: Path) -> None:
    """Vectors of length 1 in file order under their ids; equal texts have equal rows."""
    model, corpora, spaces = setup(tmp_path)
    todo = shard_jobs.pending_jobs(corpora, spaces)
    assert [(j.language, j.start, j.stop) for j in todo[:5]] == [
        ("sw", 0, 16),
        ("sw", 16, 32),
        ("sw", 32, 48),
        ("sw", 48, 60),
        ("yo", 0, 16),
    ]
    assert encode_jobs("local", model, None, todo) == 8
    assert shard_jobs.pending_jobs(corpora, spaces) == []
    shards = spaces["sw"].open_all()
    ids = np.concatenate([s.ids for s in shards])
    passages = list(corpora["sw"].read())
    assert [x.decode() for x in ids] == [x.id for x in passages]
    vectors = np.concatenate([s.vectors for s in shards])
    wanted = WordBag().encode([x.text for x in passages], role="passage", language="sw")
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, wanted, atol=1e-6)
    assert vectors.dtype == np.float32


def test_any_order_and_any_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Backwards, with jobs that were pickled, by a reader of their own."""
    model, corpora, spaces = setup(tmp_path)
    encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, spaces))
    other = Store(tmp_path / "other")
    again = {x: shard_jobs.corpus_space(model, c, other, size=SIZE) for x, c in corpora.items()}
    for job in reversed(shard_jobs.pending_jobs(corpora, again)):
        sent = pickle.dumps(job)
        assert len(sent) < 4000
        assert shard_jobs.encode_shard(load_model(WordBag()), pickle.loads(sent)) == "encoded"
    for language in corpora:
        assert files(again[language]) == files(spaces[language])


def test_a_shard_is_encoded_once(tmp_path: Path) -> None:
    """The manifest says that it is finished; the model is not asked again."""
    encoder = WordBag()
    model, corpora, spaces = setup(tmp_path, encoder)
    todo = shard_jobs.pending_jobs(corpora, spaces)
    assert shard_jobs.encode_shard(model, todo[0]) == "encoded"
    requested = len(encoder.requested)
    assert shard_jobs.encode_shard(model, todo[0]) == "finished"
    assert len(encoder.requested) == requested
    assert len(shard_jobs.pending_jobs(corpora, spaces)) == len(todo) - 1


@pytest.mark.parametrize(
    "content", [b"[]", b'{"shape": []}', b"[" * 100_000, b'{"sha256": "\xb6"}']
)
def test_a_manifest_that_cannot_be_read_is_a_damaged_shard(tmp_path: Path, content: bytes) -> None:
    model, corpora, spaces = setup(tmp_path)
    encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, spaces))
    (spaces["sw"].folder / "00000002.json").write_bytes(content)
    with pytest.warns(DamagedShardWarning, match="00000002"):
        assert spaces["sw"].open(2) is None
    assert spaces["sw"].open(2) is None


@pytest.mark.parametrize("suffix", [".npy", ".ids.npy"])
@pytest.mark.parametrize("spoil", [lambda raw: raw[:-1] + b"\xff", lambda raw: raw[:40]])
def test_a_damaged_shard_is_found_and_encoded_again(
    tmp_path: Path, suffix: str, spoil: Any
) -> None:
    """One flipped byte, or a cut file: never used, and mended to the same bytes."""
    model, corpora, spaces = setup(tmp_path)
    encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, spaces))
    before = files(spaces["sw"])
    path = spaces["sw"].folder / f"00000002{suffix}"
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.warns(DamagedShardWarning, match="00000002"):
        left = shard_jobs.pending_jobs(corpora, spaces)
    assert [(j.language, j.number) for j in left] == [("sw", 2)]
    encode_jobs("local", model, None, left)
    assert files(spaces["sw"]) == before


def test_a_shard_that_cannot_be_read_now_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, corpora, spaces = setup(tmp_path)
    encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, spaces))

    def refused(path: Path) -> str:
        raise OSError(24, "Too many open files", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(corpus_store, "file_sha256", refused)
        with pytest.raises(StoreError, match=r"cannot be read \(Too many open files\)"):
            shard_jobs.pending_jobs(corpora, spaces)
    assert shard_jobs.pending_jobs(corpora, spaces) == []


def test_another_model_text_or_cut_is_another_space(tmp_path: Path) -> None:
    """No shard is ever found under facts that differ."""
    model, corpora, spaces = setup(tmp_path)
    store = Store(tmp_path / "store")
    other = WordBag()
    other.fingerprint = "word-bag-2"
    option = load(read_task(tmp_path / "tiny-miracl.toml", text="text")).corpora["sw"]
    found = {
        spaces["sw"].folder,
        spaces["yo"].folder,
        shard_jobs.corpus_space(load_model(other), corpora["sw"], store, size=SIZE).folder,
        shard_jobs.corpus_space(model, option, store, size=SIZE).folder,
        shard_jobs.corpus_space(model, corpora["sw"], store, size=SIZE + 1).folder,
        shard_jobs.corpus_space(model, corpora["sw"], store, size=SIZE, dtype="float16").folder,
    }
    assert len(found) == 6


def test_half_precision_is_half_the_size(tmp_path: Path) -> None:
    """Rounded, not cut; what does not fit is refused before it is stored."""
    model, corpora, spaces = setup(tmp_path)
    half = {
        x: shard_jobs.corpus_space(model, c, Store(tmp_path / "half"), size=SIZE, dtype="float16")
        for x, c in corpora.items()
    }
    encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, spaces))
    encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, half))
    one, other = spaces["sw"].open(0), half["sw"].open(0)
    assert one is not None and other is not None
    np.testing.assert_array_equal(other.vectors, one.vectors.astype(np.float16))
    with pytest.raises(StoreError, match="too large for float16; use --store-dtype float32"):
        half["sw"].put(0, ["a"], np.array([[1e6]], np.float32))


def test_who_is_claimed_by_the_living_is_left_to_them(tmp_path: Path) -> None:
    """This process holds a claim: its shard is passed over, and taken once it is released."""
    model, corpora, spaces = setup(tmp_path)
    todo = shard_jobs.pending_jobs(corpora, spaces)
    claim = spaces["sw"].claim(1)
    assert claim is not None
    assert spaces["sw"].claim(1) is None
    assert shard_jobs.encode_shard(model, todo[1]) == "claimed"
    claim.release()
    assert shard_jobs.encode_shard(model, todo[1]) == "encoded"
    assert list(spaces["sw"].folder.glob("*.claim")) == []


def test_claims_of_the_dead_expire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of this machine that is gone, at once; one elsewhere, when it falls silent."""
    path = tmp_path / "x.claim"
    elsewhere = {"host": "elsewhere", "pid": 1, "started": 1.0, "token": "t"}
    gone = {**elsewhere, "host": leases.machine(), "pid": os.getpid(), "started": 1.0}
    path.write_text(json.dumps(gone))  # this process's number, but not its time
    mine = leases.take(path)
    assert mine is not None
    mine.release()
    path.write_text(json.dumps(elsewhere))
    assert leases.take(path) is None
    silent = time.time() - leases.EXPIRY - 1
    os.utime(path, (silent, silent))
    mine = leases.take(path)
    assert mine is not None
    mine.release()
    assert not path.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system keeps the time of day")
def test_a_step_of_the_clock_ends_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    boot = psutil.boot_time()
    with leases.take(tmp_path / "x.claim") as claim:
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + 1)
        assert leases.held(claim.path)
        assert leases.take(claim.path) is None


def test_a_claim_is_kept_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner touches it; without that it would have expired."""
    monkeypatch.setattr(leases, "BEAT", 0.02)
    claim = leases.take(tmp_path / "x.claim")
    assert claim is not None
    with claim:
        os.utime(claim.path, (0, 0))
        until = time.monotonic() + 60
        while claim.path.stat().st_mtime < 1 and time.monotonic() < until:
            time.sleep(0.01)
        assert claim.path.stat().st_mtime > 1


def test_an_id_twice_in_a_shard_is_an_error(tmp_path: Path) -> None:
    """A run could not name the passage that it found; nothing is encoded."""
    write_miracl(tmp_path, only=[50, 51, 52, 51, 54])
    with pytest.raises(DataError, match="passages 2 and 4 in sw have the same id '17#0'"):
        setup(tmp_path)


def test_an_unusable_vector_stops_its_shard_alone(tmp_path: Path) -> None:
    """All others are finished; the shard, one in each language, is free for the next try."""
    encoder = WordBag()
    right = encoder.encode

    def spoilt(texts: Any, **more: Any) -> np.ndarray:
        out = right(texts, **more)
        return out * np.nan if any("in 40" in x for x in texts) else out

    encoder.encode = spoilt
    model, corpora, spaces = setup(tmp_path, encoder)
    with pytest.raises(ShardError, match="NaN vector for the text 'sw"):
        encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, spaces))
    assert [spaces["sw"].finished(n) for n in range(4)] == [True, True, False, True]
    model, corpora, spaces = setup(tmp_path)
    assert encode_jobs("local", model, None, shard_jobs.pending_jobs(corpora, spaces)) == 2
