"""An evaluator for sentence-transformers' trainer: our settings and bias during training."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.base.files import write_atomically
from harness.errors import UsageError, did_you_mean
from harness.evaluation.evaluate import evaluate
from harness.interop.trackers import scores_of

if TYPE_CHECKING:
    from harness.data.task import TaskSpec

try:
    from sentence_transformers.sentence_transformer.evaluation import SentenceEvaluator
except ImportError:  # before version 6
    from sentence_transformers.evaluation import SentenceEvaluator

_DEFAULTS: dict[str, Any] = {"resamples": 0, "store": False}
"""A model in training has no stored vectors, and its curve needs no intervals."""


class MultilingualRetrievalEvaluator(SentenceEvaluator):
    """Scores a model on a task while sentence-transformers trains it.

    >>> evaluator = MultilingualRetrievalEvaluator("xquad-r", languages="en,de,zh", sample=100)
    >>> trainer = SentenceTransformerTrainer(model, args, dataset, evaluator=evaluator)

    Each call returns macro means by ``TASK_KIND_MEASURE``, as in ``demo_multi_map``, with the
    measures of language bias among them, and appends them to
    ``NAME_evaluation_results.csv`` in the trainer's folder.
    """

    def __init__(
        self,
        tasks: str | TaskSpec | Sequence[str | TaskSpec] = "demo",
        *,
        name: str = "",
        primary: str | None = None,
        greater_is_better: bool = True,
        write_csv: bool = True,
        **settings: Any,
    ) -> None:
        """Say on what to score.

        Args:
            tasks: as :func:`harness.evaluate` takes them.
            name: put before every measure's name, as sentence-transformers does.
            primary: the measure by which the trainer chooses the best checkpoint, as
                ``demo_multi_map``; default: mAP of the first task's pool of all languages, or of
                its last kind of setting.
            greater_is_better: whether more of ``primary`` is better; not so for rank distance.
            write_csv: whether the scores are appended to a file.
            **settings: options of :func:`harness.evaluate`: ``languages``, ``settings``,
                ``sample``, ``measures``, ``batch_size``, ... Vectors are not stored, and
                intervals are not computed, unless given here.
        """
        super().__init__()
        self.tasks, self.name, self.write_csv = tasks, name, write_csv
        self.settings: dict[str, Any] = {**_DEFAULTS, **settings}
        self.greater_is_better = greater_is_better
        self.primary_metric = primary
        self.csv_file = f"{name or 'multilingual_retrieval'}_evaluation_results.csv"

    def __call__(
        self, model: Any, output_path: str | None = None, epoch: float = -1, steps: int = -1
    ) -> dict[str, float]:
        """Macro means of every kind of setting and measure, by name.

        Raises:
            HarnessError: what is wrong with the model, a task or an option, in one sentence.
        """
        record = evaluate(model, self.tasks, **self.settings)
        scores = {key.replace("/", "_"): value for key, value in scores_of(record).items()}
        self._choose(scores)
        if output_path is not None and self.write_csv:
            self._append(Path(output_path), epoch, steps, scores)
        found: dict[str, float] = self.prefix_name_to_metrics(scores, self.name)
        self.store_metrics_in_model_card_data(model, found, epoch, steps)
        return found

    def _choose(self, scores: dict[str, float]) -> None:
        if self.primary_metric is None:
            maps = [x for x in scores if x.endswith("_map")] or list(scores)
            pool = [x for x in maps if x.endswith("_multi_map")]
            self.primary_metric = (pool or maps[-1:])[0]
        bare = self.primary_metric.removeprefix(f"{self.name}_") if self.name else ""
        if self.primary_metric not in scores and bare not in scores:
            hint = did_you_mean(self.primary_metric, scores)
            raise UsageError(f"primary={self.primary_metric!r} is not a score of this run{hint}")

    def _append(self, folder: Path, epoch: float, steps: int, scores: dict[str, float]) -> None:
        path = folder / self.csv_file
        rows: list[dict[str, Any]] = []
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        # All of them: what is undefined at one step, or measured at some, keeps its column.
        rows.append({"epoch": epoch, "steps": steps, **scores})
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(dict.fromkeys(x for row in rows for x in row if x)))
        writer.writeheader()
        writer.writerows({x: value for x, value in row.items() if x} for row in rows)
        write_atomically(path, out.getvalue().encode())

    @property
    def description(self) -> str:
        """What a model card calls it."""
        return "Multilingual Retrieval"

    def get_config_dict(self) -> dict[str, Any]:
        """The options, for a model card."""
        return {k: v for k, v in self.settings.items() if k not in _DEFAULTS}
