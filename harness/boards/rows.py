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
from harness.boards.tracked.questions import packed
from harness.boards.tracked.reproduce import reproduce
from harness.console.numbers import plural
from harness.data.task import Setting
from harness.interop.imported import Imported
from harness.stats.means import MacroMean, group_means, or_none

_ENOUGH_TEXTS = 100
"""Encoded in one run: with fewer, loading and warming up are what is timed."""

Entry = Mapping[str, Any]


def measured_row(tracked: Tracked, entry: Entry, redefined: Sequence[str] = ()) -> Row:
    """The row of one task of a tracked record.

    ``redefined`` are measures that it took by another formula than its board's other rows.
    """
    document = tracked.document
    notes = []
    if redefined:
        notes.append(f"another definition of {', '.join(redefined)}, so not ranked")
    model = document["model"]
    training = training_of(model)
    if found := _overlap(training, entry["task"]):
        notes.append(f"trained on {plural(found, 'question')} of this task, so not ranked")
    # What the base knows, where it says, and what was seen since.
    known = [x for x in (model["languages"], training.get("languages")) if x is not None]
    trained_on = sorted({x for languages in known for x in languages}) if known else None
    languages = _language_cells(entry)
    return Row(
        id=tracked.name,
        model=model["name"],
        source="measured",
        kind=model["kind"],
        recipe=training.get("recipe"),
        alpha=training.get("alpha"),
        seed=training.get("seed"),
        trained_on=None if trained_on is None else tuple(trained_on),
        parameters=model["parameters"],
        dimensions=entry["dimensions"],
        options=options_in_words(document["options"]),
        text=entry["text"],
        notes=tuple(notes),
        comparable=not notes,
        elsewhere=False,
        reference=None,
        cells=_cells(entry),
        languages=languages,
        matrices=_matrices(entry),
        top_languages=_top_languages(entry),
        seen={} if trained_on is None else _seen(entry, languages, trained_on),
        hits={k: packed(x.hit) for k, x in tracked.questions[entry["task"]].hits.items()},
        facts=_facts(document, entry),
    )


def training_of(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a record says of how its model was trained: recipe, alpha, languages, overlap."""
    found = model.get("training")
    return found if isinstance(found, Mapping) else {}


def _overlap(training: Mapping[str, Any], task: str) -> int:
    """Questions of ``task`` that were found in the training data."""
    return sum(x["questions_found"] for x in training.get("overlap", ()) if x["task"] == task)


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


def _cells(entry: Entry) -> dict[str, Cell]:
    held = entry["intervals"]
    found = {}
    for kind, both in entry["means"].items():
        ends = {} if held is None else held["means"].get(kind, {})
        for measure, value in both["macro"].items():
            found[f"{kind}/{measure}"] = _cell(value, ends.get(measure))
    return found


def _cell(value: float | None, interval: Sequence[float | None] | None) -> Cell:
    return Cell(value) if interval is None else Cell(value, interval[0], interval[1])


def _language_cells(entry: Entry) -> dict[str, tuple[Cell, ...]]:
    """Column key -> one cell per query language: the mean over its settings of the kind."""
    held = entry["intervals"]
    settings = [Setting(*x[:3]) for x in entry["settings"]]
    found: dict[str, tuple[Cell, ...]] = {}
    for kind, both in entry["means"].items():
        ends = {} if held is None else held["languages"].get(kind, {})
        chosen = [i for i, s in enumerate(settings) if s.kind == kind]
        macro = MacroMean(tuple(settings[i] for i in chosen))
        for measure in both["macro"]:
            scores = entry["scores"].get(measure)
            if scores is None:
                continue
            means = macro.by_language([scores[i] for i in chosen])
            found[f"{kind}/{measure}"] = tuple(
                _cell(or_none(means.get(x, math.nan)), ends.get(x, {}).get(measure))
                for x in entry["languages"]
            )
    return found


def _matrices(entry: Entry) -> dict[str, Matrix]:
    """Measure -> query language x passage language, for tasks with cross settings."""
    if "cross" not in entry["kinds"]:
        return {}
    at = {x: i for i, x in enumerate(entry["languages"])}
    size = len(at)
    found: dict[str, Matrix] = {}
    for measure in entry["means"]["cross"]["macro"]:
        cells: list[list[float | None]] = [[None] * size for _ in range(size)]
        for (kind, asked, answered, *_), value in zip(
            entry["settings"], entry["scores"][measure], strict=True
        ):
            if kind != "multi":
                cells[at[asked]][at[answered]] = value
        found[measure] = tuple(map(tuple, cells))
    return found


def _top_languages(entry: Entry) -> Matrix | None:
    share = entry["top_languages"]["share"]
    if len(entry["languages"]) < 2 or "multi" not in entry["kinds"]:
        return None
    return tuple(
        tuple(share.get(asked, {}).get(x) for x in entry["languages"])
        for asked in entry["languages"]
    )


def _seen(
    entry: Entry, languages: Mapping[str, tuple[Cell, ...]], trained_on: Sequence[str]
) -> dict[str, tuple[float | None, float | None]]:
    """Column key -> means over the languages seen in training, and over the others."""
    unseen = outside(entry["languages"], trained_on)
    groups = np.array([x in unseen for x in entry["languages"]], np.intp)
    found = {}
    for key, cells in languages.items():
        seen, other = group_means(np.array([c.value for c in cells], np.float64), groups, 2)
        found[key] = (or_none(float(seen)), or_none(float(other)))
    return found


def _facts(document: Mapping[str, Any], entry: Entry) -> Facts:
    encoding = entry["encoding"]
    timed = encoding["encoded"] >= _ENOUGH_TEXTS and encoding["model_seconds"] > 0
    peaks = entry["peak_bytes"].values()
    return Facts(
        command=reproduce(document, entry["task"]),
        fingerprint=document["model"]["fingerprint"],
        record_sha256=entry["per_query"]["sha256"],
        created=document["created"],
        harness=document["environment"]["packages"].get("polyglot-harness"),
        device=document["device"],
        processor=document["environment"]["processor"],
        texts=encoding["texts"],
        encoded=encoding["encoded"],
        texts_per_second=encoding["encoded"] / encoding["model_seconds"] if timed else None,
        search_seconds=entry["seconds"].get("search"),
        seconds=dict(entry["seconds"]),
        peak_bytes=max(peaks) if peaks else None,
    )


def published_row(row: Published, entry: Entry, *, elsewhere: bool) -> Row:
    """A published row on the board of ``entry``; ``elsewhere``: which is of a sample alone."""
    notes = [f"published in {row.paper.reference}, not measured here"]
    if row.text is not None and row.text != entry["text"]:
        notes.append(f"another text option than this board's: {row.text}")
    named = {language for _, _, language in row.values}
    held = sum(x in named for x in entry["languages"])
    if 0 < held < len(entry["languages"]):
        notes.append(f"over {held} of the {len(entry['languages'])} languages")
    if elsewhere:
        notes.append("over the whole corpus, not this sample")
    keys = dict.fromkeys((kind, measure) for kind, measure, _ in row.values)
    return Row(
        id=row.id,
        model=row.model,
        source="published",
        kind=None,
        recipe=row.recipe,
        alpha=None,
        seed=None,
        trained_on=None,
        parameters=None,
        dimensions=None,
        options="",
        text=row.text,
        notes=tuple(notes),
        comparable=False,
        elsewhere=elsewhere,
        reference=row.paper.reference,
        cells={
            f"{k}/{m}": Cell(row.values[k, m, MEAN]) for k, m in keys if (k, m, MEAN) in row.values
        },
        languages={
            f"{k}/{m}": tuple(Cell(row.values.get((k, m, x))) for x in entry["languages"])
            for k, m in keys
            if any((k, m, x) in row.values for x in entry["languages"])
        },
        matrices={},
        top_languages=None,
        seen={},
        hits={},
        facts=None,
    )


def imported_row(row: Imported, entry: Entry) -> Row:
    """A row from another harness's file on the board of ``entry``; what it lacks stays empty."""
    notes = [f"imported from {row.origin}, not measured here"]
    if row.data_digest != entry["data_digest"]:
        notes.append(f"over other data than this board's: {row.data_digest[:12]}")
    means = row.means()
    size = len(entry["languages"])
    at = {x: i for i, x in enumerate(entry["languages"])}
    grids: dict[str, list[list[float | None]]] = {}
    for setting, values in row.scores.items():
        for measure, value in values.items():
            asked, answered = at.get(setting.query_language), at.get(setting.passage_language or "")
            if "cross" in means and asked is not None and answered is not None:
                grid = grids.setdefault(measure, [[None] * size for _ in range(size)])
                grid[asked][answered] = value
    return Row(
        id=row.id,
        model=row.model,
        source="imported",
        kind=None,
        recipe=None,
        alpha=None,
        seed=None,
        trained_on=None,
        parameters=None,
        dimensions=None,
        options="",
        text=None,
        notes=tuple(notes),
        comparable=False,
        elsewhere=row.data_digest != entry["data_digest"],
        reference=row.origin,
        cells={f"{k}/{m}": Cell(v) for k, values in means.items() for m, v in values.items()},
        languages={
            f"{k}/{m}": tuple(Cell(by_language.get(x)) for x in entry["languages"])
            for k, values in row.language_means().items()
            for m, by_language in values.items()
        },
        matrices={m: tuple(map(tuple, grid)) for m, grid in grids.items()},
        top_languages=None,
        seen={},
        hits={},
        facts=None,
    )
