"""The machine and the software that produced a record."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "polyglot-harness",
    "numpy",
    "torch",
    "sentence-transformers",
    "transformers",
    "tokenizers",
    "mteb",
    "pytrec-eval-terrier",
    "bm25s",
    "numba",
    "pyarrow",
)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def cores() -> int:
    """Cores this process may use; HARNESS_CORES gives a worker among several its share."""
    if os.environ.get("HARNESS_CORES", "").isdecimal():
        return max(1, int(os.environ["HARNESS_CORES"]))
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def versions() -> dict[str, str]:
    """Installed versions of the packages that can change a number, by distribution name."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def environment() -> dict[str, Any]:
    """What a record says about the machine it was made on."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(),
        "cores": cores(),
        "packages": versions(),
    }


def release_memory() -> None:
    """Hand freed memory back to the system, where the C library keeps it unless told (glibc)."""
    import ctypes

    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def memory_size() -> int:
    """Bytes of memory this process may use: the machine's, or its control group's if less."""
    size = 2**33  # the system does not say
    if sys.platform != "win32":
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text().strip()
        if limit.isdigit():
            size = min(size, int(limit))
    except OSError:
        pass
    return size
