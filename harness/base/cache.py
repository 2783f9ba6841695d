"""Where the harness keeps what it need not make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root() -> Path:
    """HARNESS_CACHE, else the platform's cache folder for this program."""
    named = os.environ.get("HARNESS_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("polyglot-harness"))


def cache_folder() -> Path:
    """The harness's cache: ``HARNESS_CACHE``, else the system's place for caches."""
    named = os.environ.get("HARNESS_CACHE")
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("polyglot-harness", appauthor=False))
