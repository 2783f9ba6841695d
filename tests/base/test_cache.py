"""Where the harness's cache is: one folder for vectors, data and all else."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.base.cache import cache_folder
from harness.data.locations import TaskFiles
from harness.data.task import find_task
from harness.errors import UsageError
from harness.models.translation.memory import Memory
from harness.vectors.store import Store


def test_a_tilde_is_the_home_folder_for_vectors_data_and_translations_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HARNESS_CACHE", "~/x")
    monkeypatch.delenv("HARNESS_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    expected = tmp_path / "home" / "x"
    assert cache_folder() == expected
    assert Store().root == expected
    origin, folder = TaskFiles(find_task("xquad-r")).places[-1]
    assert origin == "cache" and folder.is_relative_to(expected / "data" / "xquad-r")
    assert Memory({"model": "m"}).path.parent == expected / "translations"
    assert not (tmp_path / "~").exists()


def test_the_home_folder_of_nobody_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", "~nobody-of-that-name/x")
    with pytest.raises(UsageError, match="HARNESS_CACHE=~nobody-of-that-name/x"):
        cache_folder()
