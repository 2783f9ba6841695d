"""Compiled loops, and where their machine code is kept."""

from __future__ import annotations

from pathlib import Path

import numba
import pytest
from numba.core import caching

from harness.base.jit import compiled


def test_without_a_folder_that_can_be_written_the_harness_cache_has_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(_: object) -> None:
        raise OSError("read-only file system")

    provided, *others = caching.CacheImpl._locator_classes
    for locator in others:
        monkeypatch.setattr(locator, "ensure_cache_path", read_only)
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))

    for where in (tmp_path / "numba", None):
        if where is None:  # nor can that be written
            monkeypatch.setattr(provided, "ensure_cache_path", read_only)

        @compiled()
        def twice(x: int) -> int:
            return 2 * x

        assert twice(3) == 6
        assert where is None or list(where.rglob("*.nbi"))
