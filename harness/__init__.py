"""Polyglot harness: how well an encoder retrieves within, across and over many languages.

>>> import harness
>>> record = harness.evaluate("sentence-transformers/LaBSE", tasks=["xquad-r"])
>>> record.to_frame()   # one row per setting
>>> record.per_query()  # one row per setting and query
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.evaluation.record import Record
    from harness.evaluation.run import evaluate

__all__ = ["Record", "evaluate"]


def __getattr__(name: str) -> Any:
    # Loaded when used: `import harness` and `harness --help` stay instant.
    if name == "evaluate":
        from harness.evaluation.run import evaluate

        return evaluate
    if name == "Record":
        from harness.evaluation.record import Record

        return Record
    raise AttributeError(f"module 'harness' has no attribute {name!r}")
