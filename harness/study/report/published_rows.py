"""Published numbers beside those of a study: the paper's models on the tasks that are scored."""

from __future__ import annotations

from collections.abc import Iterator

from harness.boards.published import published_on
from harness.console.numbers import label
from harness.console.tables import Grid
from harness.data.task import Kind
from harness.interop.published import MEAN
from harness.study.report import wording
from harness.study.report.findings import Findings
from harness.study.report.score_tables import ScoreTable

OF = ("XLM-R", "LaBSE")
"""Models whose rows are shown: those that the paper trains with mono, cross and hybrid batches."""
NOTE = (
    "Of arXiv 2408.10536, where X-X-mono holds batches in one language alone (alpha 1), X-Y "
    "batches across languages alone (alpha 0), and Hybrid both (alpha 0.5): whole models, trained "
    "on questions, scored on the whole tasks. Compare differences between rows, not their levels."
)


def published_grids(findings: Findings) -> Iterator[Grid]:
    """A table for each task that has published rows, if the study is of the paper's recipes."""
    arms = {x.recipe for x in findings.results.study.arms}
    if findings.layout.axis_name != "alpha" and not {"mono", "cross", "hybrid"} < arms:
        return
    by_task: dict[str, list[ScoreTable]] = {}
    for score_table in findings.all_tables:
        by_task.setdefault(score_table.task, []).append(score_table)
    for task, found in by_task.items():
        rows = [x for x in published_on(task) if x.model in OF]
        columns: list[tuple[Kind, str]] = [(s.kind, m) for s in found for m in s.measures]
        columns = [c for c in columns if any((*c, MEAN) in x.values for x in rows)]
        if columns:
            heads = ("model", "batches", *(f"{k} {wording.inside(label(m))}" for k, m in columns))
            lines = [
                (
                    x.model,
                    x.recipe or "",
                    *(
                        wording.value(m, x.values.get((k, m, MEAN), float("nan")))
                        for k, m in columns
                    ),
                )
                for x in rows
            ]
            yield Grid(f"{found[0].title}, published", heads, lines, align="ll")
