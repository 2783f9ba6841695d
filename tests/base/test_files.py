"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.base.files import open_atomically, write_atomically
from harness.errors import StoreError


def test_a_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with open_atomically(path) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert list(path.parent.iterdir()) == [path]


def test_an_error_on_the_way_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), open_atomically(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_compressed_content_is_the_same_bytes_under_any_name(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with open_atomically(tmp_path / name, packed=True) as file:
            file.write(b"content")
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == b"content"
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_content_is_on_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "file", []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append((os.fstat(descriptor).st_size, path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_atomically(path, b"12345")
    assert seen == [(5, False)]


def test_a_full_disk_is_one_sentence_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"file could not be written: No space left on device"):
        write_atomically(tmp_path / "file", b"x")
    assert not list(tmp_path.iterdir())
    (tmp_path / "no-folder").write_bytes(b"")
    with pytest.raises(StoreError, match=r"no-folder/file could not be written"):
        write_atomically(tmp_path / "no-folder" / "file", b"x")


def test_what_a_killed_process_had_begun_goes_when_the_file_is_written_again(
    tmp_path: Path,
) -> None:
    dies = (
        "import os, signal, sys; from pathlib import Path; from harness.base.files import *\n"
        "with open_atomically(Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    path = tmp_path / "a[b]c.jsonl"
    subprocess.run([sys.executable, "-c", dies, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with open_atomically(path) as outer:  # one that is alive keeps its own
        write_atomically(path, b"first")
        with open_atomically(path) as inner:
            inner.write(b"second")
        assert path.read_bytes() == b"second"
        outer.write(b"third")
    assert path.read_bytes() == b"third"
    assert list(tmp_path.iterdir()) == [path]


def test_a_container_leaves_alone_what_another_one_of_the_machine_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "shard.bin"
    monkeypatch.setattr("harness.base.files.machine", lambda: "node-1")
    monkeypatch.setattr("os.getpid", lambda: 2**22 + 1)  # as it is there; here there is none
    with open_atomically(path) as outer:
        monkeypatch.setattr("harness.base.files.machine", lambda: "node-2")
        with open_atomically(path) as inner:
            inner.write(b"the other one's")
        outer.write(b"mine")
    assert path.read_bytes() == b"mine"
