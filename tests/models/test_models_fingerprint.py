"""Fingerprints: what changes a vector changes them, and nothing is hashed twice for nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data import file_memo
from harness.models import fingerprint as module
from harness.models.fingerprint import digest_file, digest_folder, fingerprint, relevant_files

OLD = 1_600_000_000


def write(path: Path, content: bytes, mtime: float = OLD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))
    return path


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every file had been changed an hour ago (the change time cannot be set back)."""
    now = file_memo.time.time_ns
    monkeypatch.setattr(file_memo.time, "time_ns", lambda: now() + 3_600_000_000_000)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose content was read."""
    names: list[str] = []
    real = hashlib.file_digest

    def spy(file: object, *args: object) -> object:
        names.append(Path(file.name).name)
        return real(file, *args)

    monkeypatch.setattr(module.hashlib, "file_digest", spy)
    return names


def test_fingerprint_is_the_sha256_of_canonical_json() -> None:
    # sha256sum of {"a":"é","b":[1,null]} in UTF-8, without a newline
    expected = "3d92f6368f93f3cb36a4e7a721098054dfbfd705e31fa50409f2d99e0727a08c"
    assert fingerprint({"b": [1, None], "a": "é"}) == expected


@given(
    st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.integers(), max_size=4),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.integers(), max_size=4),
)
def test_different_facts_have_different_fingerprints(
    a: dict[str, object], b: dict[str, object]
) -> None:
    assert (fingerprint(a) == fingerprint(b)) == (a == b)


def test_content_is_read_once_while_the_stamp_stays(
    tmp_path: Path, settled: None, hashed: list[str]
) -> None:
    path = write(tmp_path / "model.safetensors", b"weights")
    first = digest_file(path)
    assert first == hashlib.sha256(b"weights").hexdigest()
    assert digest_file(path) == first
    assert hashed == ["model.safetensors"]


def test_changed_content_is_seen_even_with_the_old_size_and_time(
    tmp_path: Path, settled: None
) -> None:
    path = write(tmp_path / "model.safetensors", b"weights")
    digest_file(path)
    write(path, b"WEIGHTS")  # same length, same modification time: the change time tells
    assert digest_file(path) == hashlib.sha256(b"WEIGHTS").hexdigest()


def test_a_replaced_file_is_seen(tmp_path: Path, settled: None) -> None:
    path = write(tmp_path / "a.bin", b"one")
    digest_file(path)
    write(tmp_path / "b.bin", b"two").replace(path)
    assert digest_file(path) == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_has_just_changed_is_not_cached(tmp_path: Path, hashed: list[str]) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"weights")
    digest_file(path)
    digest_file(path)
    # Within its clock's resolution it could change again and keep its stamp.
    assert len(hashed) == 2


def test_a_damaged_memory_is_no_answer(tmp_path: Path, settled: None, own_cache: Path) -> None:
    path = write(tmp_path / "model.safetensors", b"weights")
    want = digest_file(path)
    entries = list((own_cache / "digests").iterdir())
    assert len(entries) == 1
    for damage in ("", "[]", '{"stamp": {}}', "\x00"):
        entries[0].write_text(damage)
        assert digest_file(path) == want


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, settled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = write(tmp_path / "blocked", b"a file where the folder should be")
    monkeypatch.setenv("HARNESS_CACHE", str(blocked))
    path = write(tmp_path / "model.safetensors", b"weights")
    assert digest_file(path) == hashlib.sha256(b"weights").hexdigest()


def test_which_files_matter() -> None:
    names = [
        "README.md",
        ".gitattributes",
        ".git/config",
        "picture.png",
        "config.json",
        "model.safetensors",
        "pytorch_model.bin",
        "tf_model.h5",
        "onnx/model.onnx",
        "openvino/openvino_model.bin",
        "1_Pooling/config.json",
        "2_Dense/pytorch_model.bin",
        "checkpoint-500/model.safetensors",
        "vocab.txt",
        "custom_st.py",
        "model_notes.md",
    ]
    assert relevant_files(names) == [
        "1_Pooling/config.json",
        "2_Dense/pytorch_model.bin",  # no safetensors next to it
        "config.json",
        "custom_st.py",
        "model.safetensors",
        "model_notes.md",
        "vocab.txt",
    ]
    assert "pytorch_model.bin" in relevant_files(["pytorch_model.bin", "config.json"])


def test_folder_digest_sees_changed_added_and_renamed_files(tmp_path: Path) -> None:
    write(tmp_path / "config.json", b"{}")
    write(tmp_path / "1_Pooling/config.json", b"{}")
    seen = [digest_folder(tmp_path)]
    write(tmp_path / "1_Pooling/config.json", b'{"mean": true}')
    seen.append(digest_folder(tmp_path))
    write(tmp_path / "vocab.txt", b"a")
    seen.append(digest_folder(tmp_path))
    (tmp_path / "vocab.txt").rename(tmp_path / "vocab2.txt")
    seen.append(digest_folder(tmp_path))
    assert len({fingerprint(x) for x in seen}) == 4
    (tmp_path / "README.md").write_text("about")
    assert digest_folder(tmp_path) == seen[-1]
