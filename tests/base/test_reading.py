"""Files of JSON and TOML that are wrong: one sentence, with the file."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.reading import object_or_empty, read_json, read_object, read_toml
from harness.errors import PolicyError, StoreError


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[" * 100_000, "not valid JSON (nested too deeply)"),
        (b'{\n"a": "\xb6"}', "line 2 is not UTF-8; save the file as UTF-8"),
        (b'{"a": 1', "not valid JSON (Expecting ',' delimiter: line 1 column 8 (char 7))"),
        (b"9" * 5000, "not valid JSON (Exceeds the limit"),
        (b"[]", "must contain a JSON object"),
    ],
)
def test_json(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(StoreError) as caught:
        read_object(path, StoreError)
    assert str(caught.value).startswith(f"{path}: {says}")
    assert object_or_empty(path) == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a = " + b"[" * 10_000, "not valid TOML (nested too deeply)"),
        (b"a = 1\nb = '\xb6'", "line 2 is not UTF-8; save the file as UTF-8"),
        (b"a = ", "not valid TOML (Invalid value (at end of document))"),
    ],
)
def test_toml(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(content)
    with pytest.raises(PolicyError) as caught:
        read_toml(path, PolicyError)
    assert str(caught.value) == f"{path}: {says}"


def test_what_cannot_be_read_at_all(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"none: cannot be read \(No such file or directory\)"):
        read_json(tmp_path / "none", StoreError)
    with pytest.raises(PolicyError, match=r"cannot be read \(Is a directory\)"):
        read_toml(tmp_path, PolicyError)


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_json(path, StoreError) == {}
