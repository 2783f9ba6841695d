"""Polyglot harness: how well an encoder retrieves within, across and over many languages.

>>> import harness
>>> record = harness.evaluate("sentence-transformers/LaBSE", tasks="xquad-r", languages="en,de")
>>> record.to_frame()  # one row per setting
>>> record.per_query()  # one row per setting and query
>>> harness.compare([record, "results/another-model"])

What the pages of the documentation use is here; it is loaded when it is used, so that importing the
package takes no time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.analysis.breakdown import break_down as breakdown
    from harness.analysis.compare import compare
    from harness.analysis.noise import measure_noise
    from harness.boards.commands import make_boards
    from harness.data.task import find_task as load_task
    from harness.data.task import list_tasks
    from harness.errors import (
        DataError,
        HarnessError,
        HarnessWarning,
        ModelError,
        NotComparableError,
        PolicyError,
        RecordError,
        RunFileError,
        ShardError,
        StoreError,
        StudyError,
        TaskError,
        UnfinishedError,
        UsageError,
    )
    from harness.evaluation.evaluate import evaluate
    from harness.evaluation.options import RunOptions
    from harness.evaluation.record import Record, load_record
    from harness.gate.regression_check import gate as check_regression
    from harness.interop.trackers import log_record
    from harness.interop.trainer_evaluator import MultilingualRetrievalEvaluator
    from harness.interop.trec_runs import score_run
    from harness.metrics.measure import Measure
    from harness.models import load as load_model
    from harness.models.base import Encoder
    from harness.models.precomputed import write_embeddings
    from harness.testing import assert_no_regression
    from harness.training.train import train

_ERRORS = (
    "DataError",
    "HarnessError",
    "HarnessWarning",
    "ModelError",
    "NotComparableError",
    "PolicyError",
    "RecordError",
    "RunFileError",
    "ShardError",
    "StoreError",
    "StudyError",
    "TaskError",
    "UnfinishedError",
    "UsageError",
)

_WHERE = {
    "Encoder": "models.base:Encoder",
    "Measure": "metrics.measure:Measure",
    "MultilingualRetrievalEvaluator": "interop.trainer_evaluator:MultilingualRetrievalEvaluator",
    "Record": "evaluation.record:Record",
    "RunOptions": "evaluation.options:RunOptions",
    "assert_no_regression": "testing:assert_no_regression",
    "breakdown": "analysis.breakdown:break_down",
    "check_regression": "gate.regression_check:gate",
    "compare": "analysis.compare:compare",
    "evaluate": "evaluation.evaluate:evaluate",
    "list_tasks": "data.task:list_tasks",
    "load_model": "models:load",
    "load_record": "evaluation.record:load_record",
    "load_task": "data.task:find_task",
    "log_record": "interop.trackers:log_record",
    "make_boards": "boards.commands:make_boards",
    "measure_noise": "analysis.noise:measure_noise",
    "score_run": "interop.trec_runs:score_run",
    "train": "training.train:train",
    "write_embeddings": "models.precomputed:write_embeddings",
    **{name: f"errors:{name}" for name in _ERRORS},
}
"""Name -> where it is defined."""

__all__ = [
    "DataError",
    "Encoder",
    "HarnessError",
    "HarnessWarning",
    "Measure",
    "ModelError",
    "MultilingualRetrievalEvaluator",
    "NotComparableError",
    "PolicyError",
    "Record",
    "RecordError",
    "RunFileError",
    "RunOptions",
    "ShardError",
    "StoreError",
    "StudyError",
    "TaskError",
    "UnfinishedError",
    "UsageError",
    "assert_no_regression",
    "breakdown",
    "check_regression",
    "compare",
    "evaluate",
    "list_tasks",
    "load_model",
    "load_record",
    "load_task",
    "log_record",
    "make_boards",
    "measure_noise",
    "score_run",
    "train",
    "write_embeddings",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'harness' has no attribute {name!r}")
    module, attribute = _WHERE[name].split(":")
    return getattr(import_module(f"harness.{module}"), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
