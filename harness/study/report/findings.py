"""Every number of a report, computed once; tables, plots and text only show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.evaluation.intervals import SEED
from harness.stats.crossed import Crossed
from harness.stats.ragged import FloatArray
from harness.study.report.contrasts import reference_value, seeds_of, value_at
from harness.study.report.effects import Compared, Gap, Question, compare_all
from harness.study.report.fit import Fit, fit_curves
from harness.study.report.layout import Layout, Place, Series
from harness.study.report.post_processed import with_post_processing
from harness.study.report.retention import Retained, retentions
from harness.study.report.score_tables import ALL, ScoreTable, read_score_tables
from harness.study.results import Results


@dataclass(frozen=True)
class Fitted:
    """The curve of one arm in one group of languages by one measure."""

    score_table: ScoreTable
    group: str
    measure: str
    series: Series
    fit: Fit


@dataclass(frozen=True)
class Findings:
    """A study's numbers."""

    results: Results
    """The study's own: without the axis of post-processing, which ``layout`` has."""
    layout: Layout
    all_tables: tuple[ScoreTable, ...]
    values: Mapping[tuple[str, Place], Crossed]
    """Name of a score table and place -> its means, ``(G, M)``."""
    references: Mapping[tuple[str, str], Crossed]
    """Name of a score table and model -> its means."""
    compared: tuple[Compared, ...]
    gaps: tuple[Gap, ...]
    fits: tuple[Fitted, ...]
    retained: tuple[Retained, ...]

    def of(
        self, question: Question, score_table: ScoreTable, measure: str, group: str
    ) -> list[Compared]:
        """Comparisons of one kind, in order."""
        return [
            x
            for x in self._by_question.get(question, ())
            if x.score_table is score_table and x.measure == measure and x.group == group
        ]

    @cached_property
    def _by_question(self) -> dict[str, list[Compared]]:
        found: dict[str, list[Compared]] = {}
        for x in self.compared:
            found.setdefault(x.question, []).append(x)
        return found

    @property
    def by_domain(self) -> bool:
        """Whether tasks have a home on the x axis."""
        return any(x.group == ALL for x in self.retained)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Measures of the study file that some task has, in file order."""
        scored = {m for score_table in self.all_tables for m in score_table.measures}
        return tuple(m for m in self.layout.study.report.measures if m in scored)

    @cached_property
    def marks(self) -> dict[str, str]:
        """Title of a task whose corpus is a sample -> the note shown with its numbers."""
        return {x.title: x.mark for x in self.all_tables if x.mark is not None}


def find(results: Results) -> Findings:
    """Compute everything.

    Raises:
        RecordError: a record lacks a table, or has other questions than the other records.
        UsageError: no task has one of the report's measures.
    """
    shown = with_post_processing(results)
    layout = Layout(shown.study)
    all_tables = read_score_tables(shown)
    values = {
        (score_table.name, place): found
        for score_table in all_tables
        for place in score_table.cells
        if (found := value_at(score_table, place)) is not None
    }
    references = {
        (score_table.name, model): reference_value(means)
        for score_table in all_tables
        for model, means in score_table.references.items()
    }
    compared, gaps = compare_all(layout, all_tables)
    fits = _fits(layout, all_tables) if results.study.report.fit == "saturation" else []
    return Findings(
        results=results,
        layout=layout,
        all_tables=all_tables,
        values=values,
        references=references,
        compared=tuple(compared),
        gaps=tuple(gaps),
        fits=tuple(fits),
        retained=tuple(retentions(layout, all_tables)),
    )


def _fits(layout: Layout, all_tables: tuple[ScoreTable, ...]) -> list[Fitted]:
    if not layout.numeric:
        return []
    found = []
    for score_table in all_tables:
        for series in layout.series:
            places = {
                float(p): layout.place(series, p)
                for p in layout.points_of(series)
                if isinstance(p, int | float)
            }
            here = {x: p for x, p in sorted(places.items()) if p in score_table.cells}
            if len(here) < 3:
                continue
            for g in range(score_table.tested):
                for m, measure in enumerate(score_table.measures):
                    fit = fit_curves(
                        np.array(list(here)),
                        [_of_seeds(score_table, p, g, m) for p in here.values()],
                        np.stack([_influence(score_table, p, g, m) for p in here.values()], axis=1),
                        seed=SEED,
                    )
                    if fit is not None:
                        found.append(
                            Fitted(score_table, score_table.groups[g], measure, series, fit)
                        )
    return found


def _of_seeds(score_table: ScoreTable, place: Place, group: int, measure: int) -> FloatArray:
    means = score_table.cells[place]
    return np.array([means[seed].values[group, measure] for seed in seeds_of(score_table, [place])])


def _influence(score_table: ScoreTable, place: Place, group: int, measure: int) -> FloatArray:
    means = score_table.cells[place].values()
    each = [x.values[group, measure] - x.without[:, group, measure] for x in means]
    found: FloatArray = np.nan_to_num(np.mean(each, axis=0))
    return found
