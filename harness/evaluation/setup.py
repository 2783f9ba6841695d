"""What is loaded once for all tasks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.base.progress import Progress
from harness.errors import StoreError
from harness.evaluation.options import RunOptions
from harness.evaluation.postprocessing.step import PostProcessor
from harness.evaluation.query_conditions import QueryCondition
from harness.evaluation.query_rewriting import QueryRewriter
from harness.models.base import Model
from harness.models.reranker import Reranker
from harness.vectors.store import Store


@dataclass(frozen=True)
class Setup:
    """What all tasks of a run share."""

    model: Model
    options: RunOptions
    store: Store | None
    rewriters: Sequence[QueryCondition | QueryRewriter]
    reranker: Reranker | None
    progress: Progress
    postprocessors: Sequence[PostProcessor] = ()
    export_problems: list[StoreError] = field(default_factory=list)
