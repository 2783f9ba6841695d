"""The folder in which the harness keeps what it need not compute or download again."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import UsageError


def cache_folder() -> Path:
    """The harness's cache: ``HARNESS_CACHE``, ``~`` expanded, else the system's place for caches.

    Raises:
        UsageError: ``HARNESS_CACHE`` begins with ``~`` and there is no such home folder.
    """
    named = os.environ.get("HARNESS_CACHE")
    if named:
        try:
            return Path(named).expanduser()
        except RuntimeError as error:
            raise UsageError(f"HARNESS_CACHE={named}: there is no such home folder") from error
    import platformdirs

    return Path(platformdirs.user_cache_dir("polyglot-harness", appauthor=False))
