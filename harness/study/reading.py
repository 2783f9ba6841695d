"""Cache of one process of a study: every task and pair file is read once for all trials."""

from __future__ import annotations

from pathlib import Path

from harness.base.progress import Silent
from harness.data.task import TaskSpec
from harness.evaluation.layout import Prepared, prepare
from harness.evaluation.options import RunOptions
from harness.evaluation.pool_sample import sample_passages
from harness.training.pairs import DataSet, read_examples


class Reading:
    """Tasks and pairs in memory. Both are immutable."""

    def __init__(self) -> None:
        self._tasks: dict[str, Prepared] = {}
        self._pairs: dict[Path, DataSet] = {}

    def task(self, name: str, spec: TaskSpec, options: RunOptions) -> Prepared:
        """A task as models are scored on it; ``name`` is its key in the study.

        Raises:
            HarnessError: its data is missing, or nothing is left to run.
        """
        if name not in self._tasks:
            task = prepare(spec, options)
            self._tasks[name] = sample_passages(task, options, None, Silent())
        return self._tasks[name]

    def languages(self, name: str) -> tuple[str, ...]:
        """Languages of a task that was read under this name."""
        return tuple(self._tasks[name].data.languages)

    def pairs(self, path: Path) -> DataSet:
        """A file of training pairs.

        Raises:
            DataError: as :func:`harness.training.pairs.read_examples`.
        """
        if path not in self._pairs:
            self._pairs[path] = read_examples(path)
        return self._pairs[path]
