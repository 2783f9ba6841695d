"""The bridge to mteb under its first name; it is :mod:`harness.interop.mteb` now."""

from __future__ import annotations

from typing import Any

from harness.interop import mteb

__all__ = [
    "MIRACL",
    "MLQAR",
    "EncodeOnce",
    "XQuADR",
    "from_results",
    "from_task_file",
    "to_result",
    "write_results",
]


def __getattr__(name: str) -> Any:
    return getattr(mteb, name)
