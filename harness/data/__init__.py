"""Task files and their texts: fetched, verified, read; passages as one pool; TREC files."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """``harness.data.load``, as it was called before it moved to :mod:`harness.data.loading`."""
    if name == "load":
        from harness.data.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
