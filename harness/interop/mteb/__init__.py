"""Both ways with mteb: our tasks and our search there, its result files here.

    import mteb
    from harness.interop.mteb import XQuADR

    mteb.evaluate(model, tasks=[XQuADR()])

``XQuADR``, ``MLQAR`` and ``MIRACL`` are the tasks that come with the harness as mteb's
``AbsTaskRetrieval`` classes; :func:`from_task_file` makes one of any task file.
:class:`EncodeOnce` is a search object for plain mteb that encodes each text of a task once.
mteb's models are taken by ``harness run --model mteb:NAME`` (:mod:`harness.models.mteb_registry`).

Nothing is imported before it is used: mteb takes seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.interop.mteb.import_results import from_results
    from harness.interop.mteb.results import to_result, write_results
    from harness.interop.mteb.search import EncodeOnce
    from harness.interop.mteb.tasks import from_task_file

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

_TASKS = {"XQuADR": "xquad-r", "MLQAR": "mlqa-r", "MIRACL": "miracl"}
_ELSEWHERE = {
    "EncodeOnce": "harness.interop.mteb.search",
    "from_results": "harness.interop.mteb.import_results",
    "from_task_file": "harness.interop.mteb.tasks",
    "to_result": "harness.interop.mteb.results",
    "write_results": "harness.interop.mteb.results",
}


def __getattr__(name: str) -> Any:
    if name in _TASKS:
        from harness.interop.mteb.tasks import from_task_file

        found: Any = from_task_file(_TASKS[name])
    elif name in _ELSEWHERE:
        import importlib

        found = getattr(importlib.import_module(_ELSEWHERE[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found
