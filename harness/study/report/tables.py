"""The tables of a study, as CSV files and as grids for its page."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from harness.console.tables import Grid
from harness.stats.crossed import Crossed
from harness.study.definition import Value, named
from harness.study.report import wording
from harness.study.report.effects import Compared
from harness.study.report.findings import Findings
from harness.study.report.layout import Series
from harness.study.report.score_tables import ALL, ScoreTable

Cell = str | int | float | bool | None


def csv_files(findings: Findings) -> dict[str, bytes]:
    """Name -> content of every CSV table; numbers with all their digits."""
    made = {
        "values.csv": list(_values(findings)),
        "differences.csv": list(_differences(findings)),
        "retention.csv": list(_retention(findings)),
        "fits.csv": list(_fits(findings)),
        "cells.csv": list(_cells(findings)),
    }
    return {name: _csv(rows) for name, rows in made.items() if rows}


def _csv(rows: Sequence[Mapping[str, Cell]]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _exact(v) for k, v in row.items()} for row in rows)
    return out.getvalue().encode()


def _exact(value: Cell) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    # Ten digits: sums in another order differ beyond them.
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _first(score_table: ScoreTable, measure: str, group: str) -> dict[str, Cell]:
    return {
        "task": score_table.key,
        "kind": score_table.kind,
        "sampled_corpus": score_table.mark is not None,
        "measure": measure,
        "languages": group,
    }


def _numbers(found: Crossed, at: tuple[int, int]) -> dict[str, Cell]:
    return {
        "value": float(found.value[at]),
        "low": float(found.low[at]),
        "high": float(found.high[at]),
        "standard_error_seeds": float(found.seeds_error[at]),
        "standard_error_questions": float(found.questions_error[at]),
        "seeds": found.seeds,
        "questions": int(found.questions[at]),
    }


def _values(findings: Findings) -> Iterator[dict[str, Cell]]:
    axes = list(findings.layout.study.axes)
    for score_table in findings.all_tables:
        for m, measure in enumerate(score_table.measures):
            for g, group in enumerate(score_table.groups):
                first = _first(score_table, measure, group)
                for place in score_table.cells:
                    values = dict(place.values)
                    fields: dict[str, Cell] = {
                        x: named(values[x]) if x in values else None for x in axes
                    }
                    found = findings.values[score_table.name, place]
                    yield {**first, "arm": place.arm, **fields, **_numbers(found, (g, m))}
                for model in score_table.references:
                    found = findings.references[score_table.name, model]
                    none: dict[str, Cell] = dict.fromkeys(axes)
                    numbers = {**_numbers(found, (g, m)), "seeds": 0}
                    yield {**first, "arm": f"{model} (untrained)", **none, **numbers}


def _differences(findings: Findings) -> Iterator[dict[str, Cell]]:
    for x in findings.compared:
        e = x.effect
        yield {
            "question": x.question,
            **_first(x.score_table, x.measure, x.group),
            "series": x.series.label,
            "x": None if x.point is None else named(x.point),
            "against": x.against,
            "difference": e.difference,
            "low": e.low,
            "high": e.high,
            "relative": e.relative,
            "relative_low": e.relative_low,
            "relative_high": e.relative_high,
            "cohens_d_z": e.standardised,
            "standard_error_seeds": e.standard_error_seeds,
            "standard_error_questions": e.standard_error_questions,
            "p": e.uncorrected,
            "p_holm": e.p_value,
            "beyond_seeds": e.beyond_seeds,
            "seeds": e.seeds,
            "verdict": x.verdict,
        }


def _retention(findings: Findings) -> Iterator[dict[str, Cell]]:
    for x in findings.retained:
        for m, measure in enumerate(x.score_table.measures):
            less = x.difference
            yield {
                **_first(x.score_table, measure, x.group),
                "series": x.series.label,
                "home": named(x.home),
                "away": named(x.away),
                "retention": float(x.ratio.value[m]),
                "low": float(x.ratio.low[m]),
                "high": float(x.ratio.high[m]),
                "against": x.against,
                "difference": None if less is None else float(less.value[m]),
                "difference_low": None if less is None else float(less.low[m]),
                "difference_high": None if less is None else float(less.high[m]),
                "seeds": x.seeds,
            }


def _fits(findings: Findings) -> Iterator[dict[str, Cell]]:
    for x in findings.fits:
        fit = x.fit
        yield {
            **_first(x.score_table, x.measure, x.group),
            "series": x.series.label,
            "form": fit.form,
            **{
                f"aicc_{form.replace(' ', '_')}": fit.aicc.get(form)
                for form in ("flat", "linear", "exponential", "power law")
            },
            "asymptote": None if fit.asymptote is None else fit.asymptote.value,
            "asymptote_low": None if fit.asymptote is None else fit.asymptote.low,
            "asymptote_high": None if fit.asymptote is None else fit.asymptote.high,
            "half": None if fit.half is None else fit.half.value,
            "half_low": None if fit.half is None else fit.half.low,
            "half_high": None if fit.half is None else fit.half.high,
            "support": fit.support,
            "amounts": fit.amounts,
            "observations": fit.observations,
        }


def _cells(findings: Findings) -> Iterator[dict[str, Cell]]:
    axes = list(findings.results.study.axes)
    for x in findings.results.trials:
        training = x.training
        yield {
            "cell": x.trial.name,
            "arm": x.trial.arm,
            **{a: named(x.trial.values[a]) if a in x.trial.values else None for a in axes},
            "seed": x.trial.seed,
            **{
                key: training.get(key)
                for key in ("steps", "weights_of_step", "validation_loss", "pairs", "said")
                if key in training
            },
        }


def value_grids(findings: Findings, score_table: ScoreTable, measure: str) -> Iterator[Grid]:
    """A row per value of the x axis and a column per arm; groups of languages apart."""
    layout = findings.layout
    m = score_table.measures.index(measure)
    moving = [x for x in layout.series if not x.level]
    for g in range(score_table.tested):
        caption = wording.subject(score_table, measure, score_table.groups[g])
        if layout.axis is None:
            rows: list[tuple[str, ...]] = [
                (x.label, _shown(findings, score_table, x, None, g, m)) for x in layout.series
            ]
            headers: tuple[str, ...] = ("", wording.label(measure))
        else:
            headers = (layout.axis_label, *(x.label for x in moving))
            rows = [
                (
                    layout.spell(point),
                    *(_shown(findings, score_table, x, point, g, m) for x in moving),
                )
                for point in layout.points
            ]
        yield Grid(caption, headers, (*rows, *_levels(findings, score_table, g, m, len(headers))))


def _levels(
    findings: Findings, score_table: ScoreTable, g: int, m: int, width: int
) -> Iterator[tuple[str, ...]]:
    """Rows of what has no x axis: one value, the rest empty."""
    layout, measure = findings.layout, score_table.measures[m]
    rest = ("",) * (width - 2)
    if layout.axis is not None:
        for series in layout.series:
            if series.level:
                shown = _shown(findings, score_table, series, None, g, m)
                yield (f"{series.label} (level)", shown, *rest)
    for model in score_table.references:
        found = findings.references[score_table.name, model]
        yield (f"{model} (untrained)", _text(found, g, m, measure), *rest)


def _shown(
    findings: Findings, score_table: ScoreTable, series: Series, point: Value | None, g: int, m: int
) -> str:
    found = findings.values.get((score_table.name, findings.layout.place(series, point)))
    return wording.UNDEFINED if found is None else _text(found, g, m, score_table.measures[m])


def _text(found: Crossed, g: int, m: int, measure: str) -> str:
    value, low, high = (float(x[g, m]) for x in (found.value, found.low, found.high))
    text = wording.value(measure, value)
    return text if np.isnan(low) else f"{text} ({wording.between(measure, low, high)})"


def language_grid(findings: Findings, score_table: ScoreTable, measure: str) -> Grid | None:
    """A row per arm and value of the x axis, a column per query language; values alone."""
    if not score_table.languages:
        return None
    layout, m = findings.layout, score_table.measures.index(measure)

    def row(name: str, found: Crossed) -> tuple[str, ...]:
        at = range(score_table.tested, len(score_table.groups))
        return (name, *(wording.value(measure, float(found.value[g, m])) for g in at))

    rows = []
    for series in layout.series:
        for point in layout.points_of(series):
            found = findings.values.get((score_table.name, layout.place(series, point)))
            if found is not None:
                rows.append(row(f"{series.label} {layout.spell(point)}".strip(), found))
    for model in score_table.references:
        rows.append(row(f"{model} (untrained)", findings.references[score_table.name, model]))
    caption = f"{wording.subject(score_table, measure)}, by query language"
    return Grid(caption, ("", *score_table.languages), tuple(rows))


def difference_grid(findings: Findings, score_table: ScoreTable, measure: str) -> Grid | None:
    """Every arm against the baseline, and of an axis of names every value against the first."""
    rows = []
    several = score_table.tested > 1
    for group in score_table.groups[: score_table.tested]:
        for question in ("arm", "overall", "point"):
            for x in findings.of(question, score_table, measure, group):
                cells = _difference_row(findings, x)
                rows.append((cells[0], group, *cells[1:]) if several else cells)
    if not rows:
        return None
    caption = f"{wording.subject(score_table, measure)}: differences"
    headers = ("", f"difference ({wording.unit(measure)})", "relative", "d_z", "p (Holm)", "seeds",
             "verdict")  # fmt: skip
    return Grid(
        caption, (headers[0], "languages", *headers[1:]) if several else headers, tuple(rows)
    )


def _difference_row(findings: Findings, x: Compared) -> tuple[str, ...]:
    layout, e, measure = findings.layout, x.effect, x.measure
    at = "over all values" if x.question == "overall" else layout.spell(x.point)
    name = f"{x.series.label} less {x.against}" + (f", {at}" if at else "")
    if x.question == "point":
        name = f"{x.series.label}: {at} less {x.against}"
    ends = f" ({wording.difference(measure, e.low)} to {wording.difference(measure, e.high)})"
    return (
        name,
        wording.difference(measure, e.difference) + ("" if np.isnan(e.low) else ends),
        wording.share(e.relative),
        wording.signed(e.standardised),
        wording.p_value(e.p_value),
        ("beyond" if e.beyond_seeds else "within") if e.seeds > 1 else wording.UNDEFINED,
        x.verdict,
    )


def fit_grid(findings: Findings, score_table: ScoreTable, measure: str) -> Grid | None:
    """The fitted forms, and the levels of those that level off."""
    found = [x for x in findings.fits if x.score_table is score_table and x.measure == measure]
    if not found:
        return None
    rows = []
    for x in found:
        fit = x.fit
        plain = min(fit.aicc[f] for f in ("flat", "linear") if f in fit.aicc)
        level = [fit.aicc[f] for f in ("exponential", "power law") if f in fit.aicc]
        gain = f"{plain - min(level):+.1f}".replace("-", "\u2212") if level else "-"
        a, h = fit.asymptote, fit.half
        rows.append(
            (
                x.series.label if x.group == ALL else f"{x.series.label}, {x.group}",
                fit.form,
                gain,
                f"{fit.support:.0%}",
                "-" if a is None else
                f"{wording.value(measure, a.value)} ({wording.between(measure, a.low, a.high)})",
                "-" if h is None else f"{wording.amount(h.value)} {wording.half_interval(fit)}",
            )
        )  # fmt: skip
    headers = ("", "form", "AICc gained by levelling off", "replicates that agree", "asymptote",
             "half of the change by")  # fmt: skip
    return Grid(f"{wording.subject(score_table, measure)}: fits", headers, tuple(rows))


def retention_grid(findings: Findings, score_table: ScoreTable, measure: str) -> Grid | None:
    """The retention of each arm."""
    m = score_table.measures.index(measure)
    rows = []
    for x in findings.retained:
        if x.score_table is not score_table or np.isnan(x.ratio.value[m]):
            continue
        value, low, high = (float(v[m]) for v in (x.ratio.value, x.ratio.low, x.ratio.high))
        less = wording.UNDEFINED
        if x.difference is not None:
            d = x.difference
            ends = (wording.signed(float(v[m]), 3) for v in (d.value, d.low, d.high))
            less = "{} ({} to {})".format(*ends)
        rows.append(
            (
                f"{x.series.label}, {named(x.away)}",
                named(x.home),
                x.group,
                f"{wording.ratio(value)} ({wording.ratio(low)}–{wording.ratio(high)})",
                less,
            )
        )
    if not rows:
        return None
    baseline = findings.layout.study.report.baseline
    headers = ("", "home", "languages", "share of the score at home", f"less that of {baseline}")
    return Grid(f"{wording.subject(score_table, measure)}: retention", headers, tuple(rows))
