"""The embedding store: whole shards or none, nothing shared, damage found."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from harness.base.digests import text_keys
from harness.base.files import write_atomically
from harness.errors import DamagedShardWarning, StoreError
from harness.vectors.store import Store

FACTS = {"fingerprint": "abc", "role": "query", "language": "en"}


def filled(root: Path, texts: list[str]) -> np.ndarray:
    """A store under ``root`` with one shard of random vectors."""
    vectors = np.random.default_rng(0).standard_normal((len(texts), 5)).astype(np.float32)
    Store(root).space(FACTS).put(text_keys(texts), vectors)
    return vectors


def test_what_is_put_is_found_by_text_in_any_order(tmp_path: Path) -> None:
    """A new process finds each text's own vector, whatever was stored next to it."""
    vectors = filled(tmp_path, ["a", "b", "c"])
    have, found = Store(tmp_path).space(FACTS).get(text_keys(["c", "x", "a"]))
    assert have.tolist() == [True, False, True]
    assert found is not None
    np.testing.assert_array_equal(found[[0, 2]], vectors[[2, 0]])


def test_another_fact_is_another_space(tmp_path: Path) -> None:
    """Nothing is found under facts that differ in one value."""
    filled(tmp_path, ["a"])
    for changed in ({"role": "passage"}, {"fingerprint": "abd"}, {"prompt": ""}):
        assert not Store(tmp_path).space({**FACTS, **changed}).known(text_keys(["a"])).any()


@pytest.mark.parametrize("suffix", [".npy", ".keys.npy"])
def test_a_damaged_shard_is_never_used(tmp_path: Path, suffix: str) -> None:
    """One flipped byte, or a cut file: it is reported, forgotten and can be written again."""
    vectors = filled(tmp_path, ["a", "b"])
    file = next(
        p
        for p in tmp_path.rglob(f"*{suffix}")
        if p.name.endswith(".keys.npy") == (suffix == ".keys.npy")
    )
    for content in (file.read_bytes()[:-1] + b"\xff", file.read_bytes()[:40]):
        file.write_bytes(content)
        space = Store(tmp_path).space(FACTS)
        with pytest.warns(DamagedShardWarning, match="damaged"):
            have, _ = space.get(text_keys(["a", "b"]))
        assert not have.any()
        space.put(text_keys(["a", "b"]), vectors)
        have, found = Store(tmp_path).space(FACTS).get(text_keys(["a", "b"]))
        assert have.all()
        np.testing.assert_array_equal(found, vectors)


@pytest.mark.parametrize("content", [b"[]", b"{}", b"[" * 100_000, b'{"sha256": "\xb6"}'])
def test_a_manifest_that_cannot_be_read_is_a_damaged_shard(tmp_path: Path, content: bytes) -> None:
    """Reported and forgotten, not met again by the next run."""
    filled(tmp_path, ["a"])
    manifest = next(p for p in tmp_path.rglob("*.json") if p.name != "space.json")
    manifest.write_bytes(content)
    with pytest.warns(DamagedShardWarning, match="damaged"):
        assert not Store(tmp_path).space(FACTS).known(text_keys(["a"])).any()
    assert not manifest.exists()


@pytest.mark.parametrize("suffix", [".npy", ".keys.npy", ".json"])
def test_a_file_that_cannot_be_read_now_is_not_damaged(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another user's file, a share that does not answer: one sentence, and the shard stays."""
    vectors = filled(tmp_path, ["a"])
    shard = next(tmp_path.rglob("*.keys.npy")).name.removesuffix(".keys.npy")
    read = Path.read_bytes

    def refused(path: Path) -> bytes:
        if path.name == f"{shard}{suffix}":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refused)
        with pytest.raises(StoreError, match=r"cannot be read \(Permission denied\)"):
            Store(tmp_path).space(FACTS).get(text_keys(["a"]))
    _, found = Store(tmp_path).space(FACTS).get(text_keys(["a"]))
    np.testing.assert_array_equal(found, vectors)


def test_rows_of_two_widths_in_one_space_are_an_error(tmp_path: Path) -> None:
    space = Store(tmp_path).space(FACTS)
    space.put(text_keys(["a"]), np.ones((1, 3), np.float32))
    space.put(text_keys(["b"]), np.ones((1, 4), np.float32))
    with pytest.raises(StoreError, match="dimensions, though of one model"):
        space.get(text_keys(["a", "b"]))


def test_a_shard_without_manifest_does_not_exist(tmp_path: Path) -> None:
    """The manifest is written last, so what a kill leaves behind before it is ignored."""
    filled(tmp_path, ["a"])
    manifest = next(p for p in tmp_path.rglob("*.json") if p.name != "space.json")
    assert json.loads(manifest.read_text())["shape"] == [1, 5]
    manifest.unlink()
    assert not Store(tmp_path).space(FACTS).known(text_keys(["a"])).any()


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path) -> None:
    """The old content stays and no temporary file is left when the target cannot be replaced."""
    target = tmp_path / "taken"
    target.mkdir()
    (target / "inside").write_text("kept")
    with pytest.raises(StoreError, match="could not be written"):
        write_atomically(target, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
    assert (target / "inside").read_text() == "kept"
