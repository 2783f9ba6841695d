"""One tracked record, or one published row, as a row of a board."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from harness.base.languages import outside
from harness.boards.board import Cell, Facts, Matrix, Row
from harness.boards.tracked.document import Tracked
from harness.boards.tracked.fields import TrackedContents, TrackedTask
from harness.boards.tracked.questions import packed
from harness.boards.tracked.reproduce import reproduce
from harness.console.numbers import plural
from harness.data.task import KINDS, Kind, Setting
from harness.evaluation.record_fields import Training
from harness.interop.published import ModelFacts, Published
from harness.stats.means import MacroMean, group_means, or_none

_ENOUGH_TEXTS = 100
"""Minimum number of texts encoded in one run: with fewer, loading and warm-up dominate."""


def measured_row(tracked: Tracked, task: TrackedTask, redefined: Sequence[str] = ()) -> Row:
    """The row of one task of a tracked record.

    ``redefined`` are measures that it defines differently from its board's other rows.
    """
    contents = tracked.contents
    notes = []
    if redefined:
        notes.append(f"another definition of {', '.join(redefined)}, so not ranked")
    model, training = contents.model, contents.model.training
    if found := _overlap(training, task.task):
        notes.append(f"trained on {plural(found, 'question')} of this task, so not ranked")
    # Languages of the base model, if stated, and those seen since.
    seen_since = None if training is None else training.languages
    known = [x for x in (model.languages, seen_since) if x is not None]
    trained_on = sorted({x for languages in known for x in languages}) if known else None
    languages = _language_cells(task)
    return Row(
        id=tracked.name,
        model=model.name,
        source="measured",
        kind=model.kind,
        recipe=training.recipe if training else None,
        alpha=training.alpha if training else None,
        seed=training.seed if training else None,
        trained_on=None if trained_on is None else tuple(trained_on),
        parameters=model.parameters,
        dimensions=task.dimensions,
        options=options_in_words(contents.options.to_dict()),
        text=task.text,
        notes=tuple(notes),
        comparable=not notes,
        elsewhere=False,
        reference=None,
        cells=_cells(task),
        languages=languages,
        matrices=_matrices(task),
        top_languages=_top_languages(task),
        seen={} if trained_on is None else _seen(task, languages, trained_on),
        hits={k: packed(x.hit) for k, x in tracked.questions[task.task].hits.items()},
        facts=_facts(contents, task),
    )


def _overlap(training: Training | None, task: str) -> int:
    """Questions of ``task`` that were found in the training data."""
    found = () if training is None else training.overlap
    return sum(x.questions_found for x in found if x.task == task)


_USUAL = frozenset((("dtype", "float32"), ("compile", False)))
_OF_NO_ACCOUNT = frozenset(("batch_size", "batch_tokens", "concurrency"))


def options_in_words(options: Mapping[str, Any]) -> str:
    """Options that differ from the defaults: ``max length 128, query prompt 'query: '``."""
    words = []
    for name, value in options.items():
        if name in _OF_NO_ACCOUNT or (name, value) in _USUAL:
            continue
        plain = name.replace("_", " ")
        if value is True:
            words.append(plain)
        else:
            words.append(f"{plain} {value!r}" if name.endswith("prompt") else f"{plain} {value}")
    return ", ".join(words)


def _cells(task: TrackedTask) -> dict[str, Cell]:
    found = {}
    for kind, means in task.means.items():
        ends = {} if task.intervals is None else task.intervals.means.get(kind, {})
        for measure, value in means.macro.items():
            found[f"{kind}/{measure}"] = _cell(value, ends.get(measure))
    return found


def _cell(value: float | None, interval: Sequence[float | None] | None) -> Cell:
    return Cell(value) if interval is None else Cell(value, interval[0], interval[1])


def _language_cells(task: TrackedTask) -> dict[str, tuple[Cell, ...]]:
    """Column key -> one cell per query language: the mean over its settings of the kind."""
    settings = [Setting(*x[:3]) for x in task.settings]
    found: dict[str, tuple[Cell, ...]] = {}
    for kind, both in task.means.items():
        ends = {} if task.intervals is None else task.intervals.languages.get(kind, {})
        chosen = [i for i, s in enumerate(settings) if s.kind == kind]
        macro = MacroMean(tuple(settings[i] for i in chosen))
        for measure in both.macro:
            scores = task.scores[measure]
            means = macro.by_language([scores[i] for i in chosen])
            found[f"{kind}/{measure}"] = tuple(
                _cell(or_none(means.get(x, math.nan)), ends.get(x, {}).get(measure))
                for x in task.languages
            )
    return found


def _matrices(task: TrackedTask) -> dict[str, Matrix]:
    """Measure -> query language x passage language, for tasks with cross settings."""
    if "cross" not in task.means:
        return {}
    settings = [Setting(*x[:3]) for x in task.settings]
    return {
        m: _matrix(task, dict(zip(settings, task.scores[m], strict=True)))
        for m in task.means["cross"].macro
    }


def _matrix(task: TrackedTask, values: Mapping[Setting, float | None]) -> Matrix:
    """Values of mono and cross settings, query language x passage language."""
    found = {(s.query_language, s.passage_language): x for s, x in values.items()}
    return tuple(tuple(found.get((q, p)) for p in task.languages) for q in task.languages)


def _top_languages(task: TrackedTask) -> Matrix | None:
    share = task.top_languages.share
    if len(task.languages) < 2 or "multi" not in task.kinds:
        return None
    return tuple(
        tuple(share.get(query, {}).get(x) for x in task.languages) for query in task.languages
    )


def _seen(
    task: TrackedTask, languages: Mapping[str, tuple[Cell, ...]], trained_on: Sequence[str]
) -> dict[str, tuple[float | None, float | None]]:
    """Column key -> mean over the languages seen in training, and over the others."""
    unseen = outside(task.languages, trained_on)
    groups = np.array([x in unseen for x in task.languages], np.intp)
    found = {}
    for key, cells in languages.items():
        seen, other = group_means(np.array([c.value for c in cells], np.float64), groups, 2)
        found[key] = (or_none(float(seen)), or_none(float(other)))
    return found


def _facts(contents: TrackedContents, task: TrackedTask) -> Facts:
    encoding = task.encoding
    timed = encoding.encoded >= _ENOUGH_TEXTS and encoding.model_seconds > 0
    peaks = task.peak_bytes.values()
    return Facts(
        command=reproduce(contents, task.task),
        fingerprint=contents.model.fingerprint,
        record_sha256=task.per_query.sha256,
        created=contents.created,
        harness=contents.environment.packages.get("polyglot-harness"),
        device=contents.device,
        processor=contents.environment.processor,
        texts=encoding.texts,
        encoded=encoding.encoded,
        texts_per_second=encoding.encoded / encoding.model_seconds if timed else None,
        search_seconds=task.seconds.get("search"),
        seconds=dict(task.seconds),
        peak_bytes=max(peaks) if peaks else None,
    )


def published_row(row: Published, task: TrackedTask) -> Row:
    """A published row on the board of ``task``; missing values stay empty."""
    # Results of papers and of mteb's own tasks are over all data of the task.
    whole = row.source == "published" or row.published_as is not None
    elsewhere = bool(task.partial) if whole else row.data_digest != task.data_digest
    cells, languages = _published_cells(row, task)
    facts = row.facts or ModelFacts()
    crossed = any(s.kind == "cross" and s.passage_language for s in row.scores)
    return Row(
        id=row.id,
        model=row.model,
        source=row.source,
        recipe=row.recipe,
        trained_on=facts.languages,
        parameters=facts.parameters,
        dimensions=facts.dimensions,
        released=facts.released,
        open_weights=facts.open_weights,
        license=facts.license,
        trained_on_task=row.trained,
        options=row.options,
        text=row.text,
        notes=tuple(_published_notes(row, task, whole=whole)),
        comparable=False,
        elsewhere=elsewhere,
        reference=row.origin,
        cells=cells,
        languages=languages,
        matrices=_published_matrices(row, task) if crossed else {},
    )


def _published_notes(row: Published, task: TrackedTask, *, whole: bool) -> Iterator[str]:
    verb = "published in" if row.source == "published" else "imported from"
    as_what = f" ({row.published_as})" if row.published_as else ""
    yield f"{verb} {row.origin}{as_what}, not measured here"
    if row.trained is not None:
        yield f"trained on data of this task: {row.trained}"
    if row.text is not None and row.text != task.text:
        yield f"another text option than this board's: {row.text}"
    named = {setting.query_language for setting in row.scores}
    available = sum(x in named for x in task.languages)
    if 0 < available < len(task.languages):
        yield f"over {available} of the {len(task.languages)} languages"
    if whole and task.partial:
        yield "over the whole corpus, not this sample"
    if not whole and row.data_digest != task.data_digest:
        yield f"over other data than this board's: {row.data_digest[:12]}"


def _published_cells(
    row: Published, task: TrackedTask
) -> tuple[dict[str, Cell], dict[str, tuple[Cell, ...]]]:
    """Column key -> mean, and one cell per query language of the board.

    A mean that is not printed is over the board's settings, and is left out where one is missing: a
    mean over other languages cannot be in the same column.
    """
    settings = [Setting(*x[:3]) for x in task.settings]
    cells: dict[str, Cell] = {}
    languages: dict[str, tuple[Cell, ...]] = {}
    for measure, kind in product(dict.fromkeys(m for _, m, _ in row.values), KINDS):
        needed = [s for s in settings if s.kind == kind]
        values = [row.scores.get(s, {}).get(measure) for s in needed]
        printed = (row.printed or {}).get(kind, {}).get(measure)
        if printed is not None:
            cells[f"{kind}/{measure}"] = Cell(printed)
        elif needed and None not in values:
            cells[f"{kind}/{measure}"] = Cell(MacroMean(tuple(needed)).mean(values))
        means = _by_language(row, kind, measure, dict(zip(needed, values, strict=True)))
        if any(x in means for x in task.languages):
            languages[f"{kind}/{measure}"] = tuple(Cell(means.get(x)) for x in task.languages)
    return cells, languages


def _by_language(
    row: Published, kind: Kind, measure: str, values: Mapping[Setting, float | None]
) -> dict[str, float]:
    """Query language -> mean over its settings: of all of them, or as printed."""
    missing = {s.query_language for s, x in values.items() if x is None}
    known = {s: x for s, x in values.items() if s.query_language not in missing}
    found = MacroMean(tuple(known)).by_language(list(known.values())) if known else {}
    for setting, printed in row.scores.items():
        if setting.kind == kind and setting.passage_language is None and measure in printed:
            found[setting.query_language] = printed[measure]
    return found


def _published_matrices(row: Published, task: TrackedTask) -> dict[str, Matrix]:
    matrices = {
        measure: _matrix(task, {s: x.get(measure) for s, x in row.scores.items()})
        for measure in dict.fromkeys(m for x in row.scores.values() for m in x)
    }
    return {k: m for k, m in matrices.items() if any(x is not None for line in m for x in line)}
