"""The cache folder: what need not be computed or downloaded again."""

from __future__ import annotations

import os
from pathlib import Path

from harness.errors import UsageError


def cache_folder() -> Path:
    """The harness's cache: ``HARNESS_CACHE`` with ``~`` expanded, else the system's cache folder.

    Raises:
        UsageError: ``HARNESS_CACHE`` begins with ``~`` and that home folder does not exist.
    """
    named = os.environ.get("HARNESS_CACHE")
    if named:
        try:
            return Path(named).expanduser()
        except RuntimeError as error:
            raise UsageError(f"HARNESS_CACHE={named}: there is no such home folder") from error
    import platformdirs

    return Path(platformdirs.user_cache_dir("polyglot-harness", appauthor=False))
