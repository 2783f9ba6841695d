"""One tracked record, or one published row, as a row of a board."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.base.languages import outside
from harness.boards.board import Cell, Facts, Matrix, Row
from harness.boards.published import MEAN, Published
from harness.boards.tracked.document import Tracked
from harness.boards.tracked.fields import TrackedContents, TrackedTask
from harness.boards.tracked.questions import packed
from harness.boards.tracked.reproduce import reproduce
from harness.console.numbers import plural
from harness.data.task import Setting
from harness.evaluation.record_fields import Training
from harness.interop.imported import Imported
from harness.stats.means import MacroMean, group_means, or_none

_ENOUGH_TEXTS = 100
"""Encoded in one run: with fewer, loading and warming up are what is timed."""


def measured_row(tracked: Tracked, task: TrackedTask, redefined: Sequence[str] = ()) -> Row:
    """The row of one task of a tracked record.

    ``redefined`` are measures that it took by another formula than its board's other rows.
    """
    contents = tracked.contents
    notes = []
    if redefined:
        notes.append(f"another definition of {', '.join(redefined)}, so not ranked")
    model, training = contents.model, contents.model.training
    if found := _overlap(training, task.task):
        notes.append(f"trained on {plural(found, 'question')} of this task, so not ranked")
    # What the base knows, where it says, and what was seen since.
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
    """What the user set that is not the usual: ``max length 128, query prompt 'query: '``."""
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
    """Column key -> means over the languages seen in training, and over the others."""
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


def published_row(row: Published, task: TrackedTask, *, elsewhere: bool) -> Row:
    """A published row on the board of ``task``; ``elsewhere``: which is of a sample alone."""
    notes = [f"published in {row.paper.reference}, not measured here"]
    if row.text is not None and row.text != task.text:
        notes.append(f"another text option than this board's: {row.text}")
    named = {language for _, _, language in row.values}
    held = sum(x in named for x in task.languages)
    if 0 < held < len(task.languages):
        notes.append(f"over {held} of the {len(task.languages)} languages")
    if elsewhere:
        notes.append("over the whole corpus, not this sample")
    keys = dict.fromkeys((kind, measure) for kind, measure, _ in row.values)
    return Row(
        id=row.id,
        model=row.model,
        source="published",
        recipe=row.recipe,
        text=row.text,
        notes=tuple(notes),
        comparable=False,
        elsewhere=elsewhere,
        reference=row.paper.reference,
        cells={
            f"{k}/{m}": Cell(row.values[k, m, MEAN]) for k, m in keys if (k, m, MEAN) in row.values
        },
        languages={
            f"{k}/{m}": tuple(Cell(row.values.get((k, m, x))) for x in task.languages)
            for k, m in keys
            if any((k, m, x) in row.values for x in task.languages)
        },
    )


def imported_row(row: Imported, task: TrackedTask) -> Row:
    """A row from another harness's file on the board of ``task``; what it lacks stays empty."""
    notes = [f"imported from {row.origin}, not measured here"]
    if row.data_digest != task.data_digest:
        notes.append(f"over other data than this board's: {row.data_digest[:12]}")
    means = row.means()
    matrices = {}
    for measure in dict.fromkeys(m for x in row.scores.values() for m in x):
        matrix = _matrix(task, {s: x.get(measure) for s, x in row.scores.items()})
        if "cross" in means and any(x is not None for line in matrix for x in line):
            matrices[measure] = matrix
    return Row(
        id=row.id,
        model=row.model,
        source="imported",
        notes=tuple(notes),
        comparable=False,
        elsewhere=row.data_digest != task.data_digest,
        reference=row.origin,
        cells={f"{k}/{m}": Cell(v) for k, values in means.items() for m, v in values.items()},
        languages={
            f"{k}/{m}": tuple(Cell(by_language.get(x)) for x in task.languages)
            for k, values in row.language_means().items()
            for m, by_language in values.items()
        },
        matrices=matrices,
    )
