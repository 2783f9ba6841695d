"""``harness store``: what is there, whether it is whole, and what can go."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from tiny import WordBag, write_task
from tiny_miracl import write_miracl

import harness
from harness.base.cache import cache_folder
from harness.cli import main
from harness.vectors.inventory import STRAY, Leftover, remove, spaces


def store(*arguments: str) -> Result:
    """Run ``harness store``."""
    return CliRunner().invoke(main, ["store", *arguments])


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store with a small task's texts and a corpus's shards; the latter's Swahili space."""
    small, large = write_task(tmp_path / "small"), write_miracl(tmp_path / "large")
    harness.evaluate(WordBag(), tasks=[str(small), str(large)], shard_size=16, resamples=0)
    (found,) = (x for x in spaces(cache_folder()) if x.what == "passage sw, corpus")
    assert (found.vectors, len(found.manifests), found.dtype) == (60, 4, "float32")
    return found.folder


def test_small_and_large_tasks_are_listed_alike(filled: Path) -> None:
    """3 languages in 2 roles, 2 languages of queries and of corpora."""
    assert len(spaces(cache_folder())) == 10
    done = store("ls")
    assert done.exit_code == 0
    assert "passage sw, corpus" in done.output and "query zh" in done.output
    assert "word-bag" in store("size").output


def test_an_empty_store_is_no_error() -> None:
    for command in ("ls", "size", "verify", "prune"):
        done = store(command)
        assert done.exit_code == 0, done.output


@pytest.mark.parametrize("name", ["00000001.npy", "00000001.ids.npy", "00000001.json"])
def test_damage_is_found_named_and_never_used(filled: Path, name: str) -> None:
    """Exit code 2 once; the shard is not there any more, so the second look finds no fault."""
    raw = (filled / name).read_bytes()
    (filled / name).write_bytes(raw[:-9] + b"\xff" * 9)
    done = store("verify")
    assert done.exit_code == 2
    assert "00000001" in done.output and "1 of " in done.output
    assert not (filled / "00000001.json").exists()
    assert store("verify").exit_code == 0


@pytest.mark.parametrize("name", ["00000001.npy", "00000001.json"])
def test_a_file_that_cannot_be_read_is_left_alone(
    filled: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def refused(path: Path, *mode: Any, **more: Any) -> Any:
        if path == filled / name:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *mode, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        done = store("verify")
    assert done.exit_code == 2 and "cannot be read (Permission denied)" in done.output
    assert store("verify").exit_code == 0


def test_what_others_put_beside_the_spaces_is_passed_over(filled: Path) -> None:
    (filled.parent / ".DS_Store").write_bytes(b"x")
    for command in ("ls", "verify", "prune"):
        assert store(command).exit_code == 0, command


def test_leftovers_go_and_vectors_stay(filled: Path) -> None:
    """Half-written files, shards without manifest, dead claims: after an hour, not before."""
    strays = [
        filled / ".00000009.npy.77.abcd",
        filled / "00000009.npy",
        filled / "00000009.ids.npy",
        filled / "00000009.claim",
        cache_folder() / "begun" / "x.json",
    ]
    for path in strays:
        path.write_bytes(b"{}")
    assert "0 things" in store("prune").output
    old = time.time() - STRAY - 60
    for path in strays:
        os.utime(path, (old, old))
    assert "5 things" in store("prune", "--dry-run").output
    assert all(path.exists() for path in strays)
    assert "5 things" in store("prune").output
    assert not any(path.exists() for path in strays)
    assert sum(x.vectors for x in spaces(cache_folder()) if x.folder == filled) == 60


def test_what_an_interrupted_prune_leaves_says_whose_it_is(
    filled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []
    unlink = Path.unlink

    def once(path: Path, missing_ok: bool = False) -> None:
        if removed:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, missing_ok)

    (space,) = (x for x in spaces(cache_folder()) if x.folder == filled)
    monkeypatch.setattr(Path, "glob", lambda path, _: [path / "space.json", path / "00000001.json"])
    monkeypatch.setattr(Path, "unlink", once)
    with pytest.raises(KeyboardInterrupt):
        remove([Leftover(filled, 0, space.model)])
    assert removed == [filled / "00000001.json"]


def test_vectors_go_only_where_they_are_named(filled: Path) -> None:
    """By model or by age; another name is an error that helps."""
    assert "did you mean 'word-bag'" in store("prune", "--model", "word-bug").output
    assert "0 things" in store("prune", "--older-than", "1").output
    assert len(spaces(cache_folder())) == 10
    assert "10 things" in store("prune", "--model", "word-bag").output
    assert spaces(cache_folder()) == []
